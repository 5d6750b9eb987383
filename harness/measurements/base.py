"""What a measurement gives and how its rows are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from harness.case import Case
from harness.store import CURVES, MATRICES, SCORES, frame, joined

MapsUnder = Callable[[Sequence[str], int, Int[np.ndarray, " m"]], Float[np.ndarray, "m h w"]]
"""Maps of one explainer under a network with random layers: (layers, draw, image indices) -> maps."""


@dataclass(frozen=True)
class Measured:
    """Rows that one measurement of one explainer adds to a run."""

    scores: pd.DataFrame = field(default_factory=lambda: frame(SCORES))
    curves: pd.DataFrame = field(default_factory=lambda: frame(CURVES))
    matrices: pd.DataFrame = field(default_factory=lambda: frame(MATRICES))

    @staticmethod
    def joined(found: "Sequence[Measured]") -> "Measured":
        """Return the rows of several under each other."""
        return Measured(
            scores=joined(SCORES, [one.scores for one in found]),
            curves=joined(CURVES, [one.curves for one in found]),
            matrices=joined(MATRICES, [one.matrices for one in found]),
        )


def score_rows(case: Case, metric: str, variant: str, values: Float[np.ndarray, " n"], reason: str) -> pd.DataFrame:
    """Return one row an image; NaN becomes null with status undefined and `reason`."""
    undefined = np.isnan(values)
    classes = np.array(case.subject.classes)
    return frame(
        SCORES,
        {
            "explainer": "",
            "metric": metric,
            "variant": variant,
            "image": case.faces.ids,
            "label": case.label_names,
            "predicted": classes[case.probabilities.argmax(1)],
            "target": case.target_names,
            "value": values,
            "status": np.where(undefined, "undefined", "ok"),
            "reason": np.where(undefined, reason, ""),
        },
    )


def curve_rows(
    case: Case,
    metric: str,
    variant: str,
    index: Int[np.ndarray, " m"],
    xs: Float[np.ndarray, " s"],
    values: Float[np.ndarray, "m s"],
) -> pd.DataFrame:
    """Return one row a point for the images at `index`."""
    return frame(
        CURVES,
        {
            "explainer": "",
            "metric": metric,
            "variant": variant,
            "image": np.repeat(case.faces.ids[index], len(xs)),
            "target": np.repeat(case.target_names[index], len(xs)),
            "x": np.tile(xs, len(index)),
            "value": values.ravel(),
        },
    )


def matrix_rows(classes: tuple[str, ...], matrix: str, values: Float[np.ndarray, "k k"]) -> pd.DataFrame:
    """Return one row a cell."""
    return frame(
        MATRICES,
        {
            "matrix": matrix,
            "explainer": "",
            "row": np.repeat(classes, len(classes)),
            "column": np.tile(classes, len(classes)),
            "value": values.ravel(),
        },
    )
