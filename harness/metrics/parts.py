"""Whether a map weighs the parts of a face as their true effects do."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from harness.metrics._rows import doubles, flat, pearson, ranks, ratio, require_same_shape
from harness.metrics.cards import NULL_SCORE, metric

_EACH_PART = "one forward a part, shared by all maps of the image"
_EACH_SET = "one forward a set of parts that was rendered, shared by all maps of the image"
_FUNNYBIRDS = "Hesse et al. 2023, FunnyBirds"
_ALL_THRESHOLDS = "the mean over the published thresholds; there the one that suits an explainer best is taken"
_NOT_RENDERED = "no set of parts that the map calls important was rendered"
THRESHOLDS = np.linspace(0.01, 0.5, 80)
"""Shares of a map's relevance above which a part is important."""
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


def important_parts(masses: Float[np.ndarray, "n p"], totals: Float[np.ndarray, " n"]) -> Bool[np.ndarray, "n t p"]:
    """Return which parts a map calls important: those of more than a share of its relevance, share by share.

    Hesse et al. 2023. The shares are theirs, eighty from 0.01 to 0.5, of which they take the one at which an explainer
    does best; here all count.

    Parameters
    ----------
    masses
        From :func:`part_mass`; a part that is not there, NaN, is never important.
    totals
        The relevance of the whole map.

    Examples
    --------
    >>> important_parts(np.array([[0.3, 0.6]]), np.array([1.0]))[0, [0, -1]]
    array([[ True,  True],
           [False,  True]])
    """
    least = THRESHOLDS * doubles(totals)[:, None]
    return np.asarray(np.nan_to_num(masses)[:, None] > least[:, :, None], dtype=bool)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of thresholds at which the face keeps its answer with the important parts alone",
    undefined=_NOT_RENDERED,
    chance=NULL_SCORE,
    cost=_EACH_SET,
    reference=_FUNNYBIRDS,
    compared_with="sets of parts looked up by hand",
    differs=_ALL_THRESHOLDS,
)
def preservation_check(
    important: Bool[np.ndarray, "n t p"], answered: Float[np.ndarray, "n s"]
) -> Float64[np.ndarray, " n"]:
    """Return at what share of thresholds the important parts alone keep the answer, in [0, 1]; higher is better.

    Hesse et al. 2023. Thresholds whose set of parts nobody rendered are left out; NaN where all are.

    Parameters
    ----------
    important
        From :func:`important_parts`.
    answered
        1 where a face with a set of parts acting keeps its answer, 0 where not, NaN where it is not known; part i is in
        the sets whose number has 2**i in it.

    Examples
    --------
    >>> kept = np.array([[[True, False], [True, True]]])
    >>> preservation_check(kept, np.array([[0.0, 0.0, 1.0, 1.0]]))
    array([0.5])
    """
    return _mean_of_known(_looked_up(important, answered))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of thresholds at which the face loses its answer without the important parts",
    undefined=_NOT_RENDERED,
    chance=NULL_SCORE,
    cost=_EACH_SET,
    reference=_FUNNYBIRDS,
    compared_with="sets of parts looked up by hand",
    differs=_ALL_THRESHOLDS,
)
def deletion_check(
    important: Bool[np.ndarray, "n t p"], answered: Float[np.ndarray, "n s"]
) -> Float64[np.ndarray, " n"]:
    """Return at what share of thresholds the answer goes with the important parts, in [0, 1]; higher is better.

    Hesse et al. 2023. Otherwise as :func:`preservation_check`.

    Examples
    --------
    >>> removed = np.array([[[True, False], [True, True]]])
    >>> deletion_check(removed, np.array([[0.0, 0.0, 1.0, 1.0]]))
    array([0.5])
    """
    return 1 - _mean_of_known(_looked_up(~important, answered))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of the parts without effect that are not called important, mean over thresholds",
    undefined="every part has an effect",
    chance=NULL_SCORE,
    cost=_EACH_PART,
    reference=_FUNNYBIRDS,
    compared_with="sets of parts counted by hand",
    differs=f"{_ALL_THRESHOLDS}; of the face's parts alone, no background being rendered anew",
)
def distractibility(
    important: Bool[np.ndarray, "n t p"], effects: Float[np.ndarray, "n p"], outputs: Float[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Return how far a map keeps off the parts without effect, in [0, 1]; higher is better.

    Hesse et al. 2023: 1 less the share of such parts that are called important. A part is without effect where its
    removal changes the output by less than a twentieth of it, or raises it. NaN where no part is.

    Parameters
    ----------
    effects
        By how much the output falls when each part alone is put to rest; NaN for a part that is not there.
    outputs
        The output for the whole face.

    Examples
    --------
    >>> distractibility(np.array([[[True, True], [False, True]]]), np.array([[0.01, 3.0]]), np.array([5.0]))
    array([0.5])
    """
    idle = (np.abs(effects) < 0.05 * np.abs(outputs)[:, None]) | (effects < 0)
    distracted = (important & idle[:, None]).sum(axis=2).mean(axis=1)
    return 1 - ratio(doubles(distracted), doubles(idle.sum(axis=1)))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="whether each of two classes' maps has more on the part that counts more for it than the other's has",
    undefined="no two parts count one more for either class, or a map is constant",
    chance="0.5",
    cost=f"one explanation of the other class, {_EACH_PART}",
    reference=_FUNNYBIRDS,
    compared_with="masses known by hand",
    differs=(
        "classes and parts are those that the network itself sets apart, because no two expressions share a part by "
        "design"
    ),
)
def target_sensitivity(first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """Return the share of two parts that the right one of two maps gives more: 0, 0.5 or 1; higher is better.

    Hesse et al. 2023. NaN where a mass is.

    Parameters
    ----------
    first, second
        Mass of the part that counts for the first class, and of the one that counts for the second, by the map of the
        first class and by that of the second.

    Examples
    --------
    >>> target_sensitivity(np.array([[3.0, 1.0]]), np.array([[2.0, 0.5]]))
    array([0.5])
    """
    right = ((first[:, 0] > second[:, 0]).astype(np.float64) + (second[:, 1] > first[:, 1])) / 2
    return np.where(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1), np.nan, right)


def _looked_up(chosen: Bool[np.ndarray, "n t p"], answered: Float[np.ndarray, "n s"]) -> Float64[np.ndarray, "n t"]:
    """Return what is known of each chosen set of parts."""
    numbers = (chosen << np.arange(chosen.shape[2])).sum(axis=2)
    return doubles(np.take_along_axis(answered, numbers, axis=1))


def _mean_of_known(values: Float64[np.ndarray, "n t"]) -> Float64[np.ndarray, " n"]:
    """Return each row's mean over what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=1), doubles(known.sum(axis=1)))


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
