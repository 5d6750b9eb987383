"""Metrics that need nothing more of the network, scored on a map and on both of its null maps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT, Explained, MapScore, rows_against_nulls
from harness.metrics.cards import metric_cards


def cards_against_nulls(
    explained: Explained,
    scores: Mapping[str, MapScore],
    draws: int,
    *,
    suffix: str = "",
    lacking: Shaped[np.ndarray, " n"] | None = None,
) -> list[pd.DataFrame]:
    """Return the rows of several metrics, named, directed and explained by their cards; the null maps are drawn once.

    Parameters
    ----------
    explained
        Whose maps.
    scores
        Metrics by the names of their cards, with all else they need bound.
    draws
        Spectrum nulls an image; scores are averaged over them.
    suffix
        Follows the card's name in the rows.
    lacking
        Why an image cannot be scored whatever its map, "" where it can.
    """
    nulls = list(explained.spectrum_nulls(draws))
    tables: list[pd.DataFrame] = []
    for name, score in scores.items():
        card = metric_cards()[name]
        found = {
            MAP: score(explained.maps),
            SPECTRUM: np.mean([score(null) for null in nulls], axis=0),
            TRANSPLANT: score(explained.transplanted),
        }
        tables += rows_against_nulls(
            explained,
            f"{name}{suffix}",
            {variant: _undefined(values, lacking) for variant, values in found.items()},
            higher_is_better=bool(card.higher_is_better),
            reason=card.undefined,
        )
    return tables if lacking is None else [_told(table, lacking) for table in tables]


def _undefined(values: Float[np.ndarray, " n"], lacking: Shaped[np.ndarray, " n"] | None) -> Float[np.ndarray, " n"]:
    """Return the scores with NaN where an image lacks what it takes."""
    return values if lacking is None else np.where(lacking != "", np.nan, values)


def _told(table: pd.DataFrame, lacking: Shaped[np.ndarray, " n"]) -> pd.DataFrame:
    """Return the rows, which are in the order of the images, with what an image lacks for its reason."""
    return table.assign(reason=np.where(lacking != "", lacking, table["reason"]))
