"""Whether a map weighs the parts of a face as their true effects do."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from harness.metrics._rows import doubles, flat, pearson, ranks, ratio, require_same_shape
from harness.metrics.cards import metric

_EACH_PART = "one forward a part, shared by all maps of the image"
_TOO_FEW = "fewer than two parts have both numbers, or all masses or all effects are equal"

Agreement = Callable[[Shaped[np.ndarray, " p"], Shaped[np.ndarray, " p"]], float]


def part_mass(
    maps: Float[np.ndarray, "n h w"], parts: Bool[np.ndarray, "n p h w"] | Float[np.ndarray, "n p h w"]
) -> Float64[np.ndarray, "n p"]:
    """Return the relevance on each part: the map's sum there, signed, or of the magnitudes if those are passed.

    NaN for a part that the image does not show: nothing was weighed.

    Parameters
    ----------
    parts
        The share of each pixel that belongs to each part.

    Examples
    --------
    >>> part_mass(np.array([[[1.0, -2.0, 4.0]]]), np.array([[[[True, True, False]], [[False] * 3]]]))
    array([[-1., nan]])
    """
    areas = _flat_parts(parts)
    sums = doubles(np.einsum("nf,npf->np", flat(maps), areas))
    return np.where(areas.sum(axis=2) > 0, sums, np.nan)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="rank correlation, over a face's parts, of their mass and true effect",
    undefined=_TOO_FEW,
    chance="0",
    cost=_EACH_PART,
    compared_with="scipy.stats.spearmanr",
)
def part_spearman(masses: Float[np.ndarray, "n p"], effects: Float[np.ndarray, "n p"]) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation, over an image's parts, of mass and true effect, in [-1, 1].

    Higher is better, 0 by chance. Parts whose mass or effect is NaN are left out. NaN where fewer than two
    parts are left, or where all masses or all effects left are equal.

    Parameters
    ----------
    masses
        From :func:`part_mass`.
    effects
        By how much the output for the explained class falls when each part alone is put back to neutral.

    Examples
    --------
    >>> part_spearman(np.array([[1.0, 2.0, np.nan, 9.0]]), np.array([[0.1, 0.2, 0.3, 0.4]]))
    array([1.])
    """
    return _each_row(masses, effects, _spearman)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="Kendall's tau, over a face's parts, of their mass and true effect",
    undefined=_TOO_FEW,
    chance="0",
    cost=_EACH_PART,
    reference="Kendall 1945, tau-b",
    compared_with="scipy.stats.kendalltau",
)
def part_kendall(masses: Float[np.ndarray, "n p"], effects: Float[np.ndarray, "n p"]) -> Float64[np.ndarray, " n"]:
    """Return Kendall's tau-b, over an image's parts, of mass and true effect, in [-1, 1].

    The share of pairs of parts in the same order minus the share in opposite order, corrected for ties.
    Otherwise as :func:`part_spearman`.

    Examples
    --------
    >>> part_kendall(np.array([[1.0, 2.0, 3.0]]), np.array([[0.1, 0.3, 0.2]])).round(4)
    array([0.3333])
    """
    return _each_row(masses, effects, _kendall)


def _each_row(
    masses: Float[np.ndarray, "n p"], effects: Float[np.ndarray, "n p"], agreement: Agreement
) -> Float64[np.ndarray, " n"]:
    """Score each image over the parts for which it has both numbers."""
    require_same_shape(masses, effects, "masses and effects")
    both = ~(np.isnan(masses) | np.isnan(effects))
    scores = np.full(len(masses), np.nan)
    for place in np.flatnonzero(both.sum(axis=1) >= 2):
        known = both[place]
        scores[place] = agreement(doubles(masses[place, known]), doubles(effects[place, known]))
    return scores


def _spearman(masses: Float64[np.ndarray, " p"], effects: Float64[np.ndarray, " p"]) -> float:
    """Return the rank correlation; NaN where either is constant."""
    return float(pearson(ranks(masses[None]), ranks(effects[None]))[0])


def _kendall(masses: Float64[np.ndarray, " p"], effects: Float64[np.ndarray, " p"]) -> float:
    """Return tau-b from the signs of all pairs; NaN where either is constant."""
    first, second = (np.sign(v[:, None] - v[None])[np.triu_indices(len(v), 1)] for v in (masses, effects))
    untied = np.sqrt(doubles(np.abs(first).sum()) * doubles(np.abs(second).sum()))
    return float(ratio(doubles((first * second).sum()), doubles(untied)))


def _flat_parts(parts: Shaped[np.ndarray, "n p h w"]) -> Float64[np.ndarray, "n p f"]:
    """Return each part's pixels in one row."""
    return parts.reshape(*parts.shape[:2], math.prod(parts.shape[2:])).astype(np.float64)
