"""What the columns of one verdict say together."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def deciding_p(row: "Mapping[Any, Any] | pd.Series[Any]") -> float:
    """Return the corrected p that stands for a verdict: of a fail that against the claim, of others that for it.

    Parameters
    ----------
    row
        One row of :data:`harness.store.VERDICTS`. NaN where nothing was tested.

    Examples
    --------
    >>> deciding_p({"verdict": "fail", "p_adjusted": 1.0, "p_fail_adjusted": 0.001})
    0.001
    """
    return float(row["p_fail_adjusted" if row["verdict"] == "fail" else "p_adjusted"])


def clearance(row: Mapping[Any, Any]) -> float:
    """Return how far the effect of a verdict lies from its margin, in lengths of its interval.

    Infinite where the interval has no length, or there is none.

    Examples
    --------
    >>> clearance({"effect": 0.5, "low": 0.25, "high": 0.75, "margin": 0.0})
    1.0
    """
    width = float(row["high"]) - float(row["low"])
    distance = abs(float(row["effect"]) - float(row["margin"]))
    return distance / width if width > 0 else float(np.inf)
