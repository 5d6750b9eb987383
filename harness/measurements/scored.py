"""From maps to score rows: a metric of the map and of its null maps, named, directed and explained by its card."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT, Attributions, MapScore, score_rows
from harness.metrics.cards import MetricCard, card_of
from harness.metrics.score import Score
from harness.perturbation import shifted
from harness.store import NOT_SCORABLE, UNDEFINED

CONSTANT, ALONE = "constant map", "no other image of its class"


def scored_against_nulls(
    attributions: Attributions,
    scores: Mapping[str, MapScore],
    draws: int,
    *,
    suffix: str = "",
    lacking: Shaped[np.ndarray, " n"] | None = None,
    beside: Sequence[str] = (),
    shifts: bool = False,
) -> list[pd.DataFrame]:
    """Return the rows of several metrics for the map and its null maps, and of the gains over them.

    Variants of a metric: map, spectrum-null (mean over draws), transplant-null. Variants of its gain: spectrum-null and
    transplant-null, each how much better the map scores than that null, paired by image; positive is better whatever
    the metric's direction. A metric without a direction has no gain. The null maps are drawn once for all.

    Parameters
    ----------
    attributions
        Whose maps.
    scores
        Metrics by the names of their cards or of variants, with all else they need bound.
    draws
        Spectrum nulls an image; scores are averaged over them.
    suffix
        Follows the card's name in the rows.
    lacking
        Why an image cannot be scored whatever its map, "" where it can.
    beside
        What makes a score undefined here beside what the card says.
    shifts
        Whether each null is scored at nine places (:func:`score_of_shifted`).
    """
    nulls = list(attributions.spectrum_nulls(draws))
    tables: list[pd.DataFrame] = []
    for name, score in scores.items():
        found = {
            MAP: score(attributions.maps),
            SPECTRUM: score_of_shifted(score, nulls) if shifts else np.mean([score(null) for null in nulls], axis=0),
            TRANSPLANT: score(attributions.transplanted),
        }
        tables += rows_against_nulls(
            attributions, f"{name}{suffix}", found, card=card_of(name), beside=beside, lacking=lacking
        )
    return tables


def score_of_shifted(score: MapScore, nulls: Iterable[Float[np.ndarray, "n h w"]]) -> Float[np.ndarray, " n"]:
    """Return the mean score of spectrum nulls, each at nine places: for scores that ask nothing of the network."""
    mean: np.ndarray = np.mean([score(each) for null in nulls for each in shifted(null)], axis=0)
    return mean


def rows_against_nulls(
    attributions: Attributions,
    metric: str | Score,
    found: Mapping[str, Float[np.ndarray, " n"]],
    *,
    card: MetricCard | None = None,
    beside: Sequence[str] = (),
    lacking: Shaped[np.ndarray, " n"] | None = None,
) -> list[pd.DataFrame]:
    """Return the rows of a metric whose scores are known for the map and its null maps; see the function above.

    Without `card` the one that `metric` has.
    """
    case, score = attributions.case, Score.of(metric)
    card = card or card_of(score.plain)
    lacking = np.full(len(case.targets), "", dtype=object) if lacking is None else lacking
    known = {
        name: np.where(attributions.lacks(name) | (lacking != ""), np.nan, values) for name, values in found.items()
    }
    said = card.undefined_beside(CONSTANT, *beside)
    rows = []
    for name, values in known.items():
        without = np.where((lacking == "") & attributions.alone(name), ALONE, lacking)
        why = np.where(without != "", without, said)
        status = np.where(without != "", NOT_SCORABLE, UNDEFINED)
        rows.append(score_rows(case, score, name, values, why, status))
        if name != MAP and card.higher_is_better is not None:
            rows.append(score_rows(case, score.gain, name, gained(card, known[MAP], values), why, status))
    return rows


def gained(card: MetricCard, own: Float[np.ndarray, " n"], null: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return how much better a map scores than its null map; undefined where a score is, or without a direction."""
    better = {True: 1.0, False: -1.0, None: np.nan}[card.higher_is_better]
    gain: np.ndarray = better * (own - null)
    return gain
