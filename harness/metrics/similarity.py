"""How alike two maps of one image are.

Every function takes maps (n, h, w) and others (n, h, w) and returns one score a pair, (n,): 1 for a map and
itself, higher is more alike. A constant map points nowhere, so its likeness to anything is undefined: NaN,
never 0. A positive rescaling of either map changes nothing. To compare magnitudes without sign, pass
``absolute(maps)``.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Shaped
from skimage.feature import hog
from skimage.metrics import structural_similarity

from harness.metrics._rows import (
    constant,
    finite,
    flat,
    pearson,
    ranks,
    require_same_shape,
    top_k_membership,
    undefined_where,
    unit,
)
from harness.metrics.cards import metric

_CONSTANT_MAP = "the map is constant or not finite"

Similarity = Callable[[Shaped[np.ndarray, "n h w"], Shaped[np.ndarray, "n h w"]], Shaped[np.ndarray, " n"]]

SSIM_WINDOW = 7


def absolute(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w"]:
    """Return the maps without their sign.

    Examples
    --------
    >>> absolute(np.array([[[-1.0, 2.0]]]))
    array([[[1., 2.]]])
    """
    return np.asarray(np.abs(maps))


@metric(
    name="pearson",
    range=(-1.0, 1.0),
    meaning="linear correlation of two maps",
    undefined=_CONSTANT_MAP,
    chance="the transplant null's likeness",
    reference="Pearson 1895",
    compared_with="scipy.stats.pearsonr",
)
def pearson_similarity(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the linear correlation over pixels of each pair, in [-1, 1].

    NaN where either map is constant or not finite.

    Examples
    --------
    >>> maps = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    >>> pearson_similarity(maps, -2 * maps)
    array([-1.])
    """
    require_same_shape(maps, others, "maps and others")
    return pearson(finite(flat(maps)), finite(flat(others)))


@metric(
    name="spearman",
    range=(-1.0, 1.0),
    meaning="rank correlation of two maps",
    undefined=_CONSTANT_MAP,
    chance="the transplant null's likeness",
    reference="Spearman 1904",
    compared_with="scipy.stats.spearmanr",
)
def spearman_similarity(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation over pixels of each pair, in [-1, 1]; equal pixels share their mean rank.

    NaN where either map is constant or not finite.

    Examples
    --------
    >>> maps = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    >>> spearman_similarity(maps, np.exp(maps))
    array([1.])
    """
    require_same_shape(maps, others, "maps and others")
    return pearson(ranks(finite(flat(maps))), ranks(finite(flat(others))))


@metric(
    name="cosine",
    range=(-1.0, 1.0),
    meaning="cosine of the angle between two maps",
    undefined=_CONSTANT_MAP,
    chance="the transplant null's likeness",
    compared_with="scipy.spatial.distance.cosine",
)
def cosine_similarity(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the cosine between each pair as vectors of pixels, in [-1, 1].

    Unlike a correlation it keeps each map's mean. NaN where either map is constant or not finite.

    Examples
    --------
    >>> cosine_similarity(np.array([[[1.0, 0.0]]]), np.array([[[1.0, 1.0]]]))
    array([nan])
    >>> cosine_similarity(np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]]))
    array([0.])
    """
    require_same_shape(maps, others, "maps and others")
    rows, columns = finite(flat(maps)), finite(flat(others))
    scores = (unit(rows) * unit(columns)).sum(axis=1)
    return undefined_where(constant(rows) | constant(columns), np.clip(scores, -1, 1))


@metric(
    name="ssim",
    range=(-1.0, 1.0),
    meaning="structural similarity (SSIM) of two maps",
    undefined=_CONSTANT_MAP,
    chance="the transplant null's likeness",
    reference="Wang et al. 2004, Image quality assessment",
    compared_with="scikit-image structural_similarity",
)
def ssim_similarity(maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the structural similarity of each pair, in [-1, 1], in scikit-image's uniform window of 7.

    Each map is first divided by its own largest absolute value, so that zero stays zero and sign stays sign;
    the data range is then the span from the lowest to the highest value of the two together. NaN where either
    map is constant or not finite. Wang et al. 2004.

    It is made for pictures, and blind to sign where maps are not centred: its factors for level and for structure both
    change sign with the map, and their product does not. Judge sign by a correlation.

    Raises
    ------
    ValueError
        If a side is shorter than the window.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(1, 8, 8))
    >>> ssim_similarity(maps, 3 * maps)
    array([1.])
    """
    require_same_shape(maps, others, "maps and others")
    if min(maps.shape[1:]) < SSIM_WINDOW:
        raise ValueError(f"maps of {maps.shape[1:]} are smaller than SSIM's window of {SSIM_WINDOW} pixels")
    return _each_pair(maps, others, _ssim)


@metric(
    name="hog",
    range=(-1.0, 1.0),
    meaning="likeness of two maps' oriented gradients (HOG)",
    undefined=_CONSTANT_MAP,
    chance="the transplant null's likeness",
    reference="Adebayo et al. 2018, Sanity checks for saliency maps",
    compared_with="scikit-image hog with scipy.stats.pearsonr",
)
def hog_similarity(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"], cell: int = 8
) -> Float64[np.ndarray, " n"]:
    """Return the linear correlation of each pair's histograms of oriented gradients, in [-1, 1].

    Nine orientations, cells of `cell` pixels, blocks of up to 3 x 3 cells. It sees shape and not sign: a map
    and its negative have the same histograms. NaN where either map is constant or not finite, or has constant
    histograms. Adebayo et al. 2018, who used larger cells on larger images.

    Raises
    ------
    ValueError
        If a side is shorter than a cell.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(1, 16, 16))
    >>> hog_similarity(maps, -maps)
    array([1.])
    """
    require_same_shape(maps, others, "maps and others")
    if min(maps.shape[1:]) < cell:
        raise ValueError(f"maps of {maps.shape[1:]} are smaller than a cell of {cell}; give a smaller cell")
    return _each_pair(maps, others, lambda one, other: _hog_correlation(one, other, cell))


@metric(
    range=(0.0, 1.0),
    meaning="share of the highest k pixels that two maps have in common",
    undefined=_CONSTANT_MAP,
    chance="k / pixels",
    compared_with="sets of the highest pixels",
)
def top_k_overlap(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"], k: int
) -> Float64[np.ndarray, " n"]:
    """Return the share of the k highest pixels that each pair has in common, in [0, 1].

    Chance is k / (h w). Where pixels are tied for the last places, the score is its expectation under fair
    and independent lots; a sparse map and itself then score below 1, because its k highest pixels are not
    determined. NaN where either map is constant or not finite.

    Raises
    ------
    ValueError
        If `k` is not between 1 and the number of pixels.

    Examples
    --------
    >>> top_k_overlap(np.array([[[4.0, 3.0, 1.0, 0.0]]]), np.array([[[9.0, 0.0, 5.0, 1.0]]]), k=2)
    array([0.5])
    """
    require_same_shape(maps, others, "maps and others")
    rows, columns = finite(flat(maps)), finite(flat(others))
    if not 1 <= k <= rows.shape[1]:
        raise ValueError(f"k is {k}; give 1 to {rows.shape[1]} pixels")
    counts = np.full(len(rows), k)
    shared = (top_k_membership(rows, counts) * top_k_membership(columns, counts)).sum(axis=1) / k
    return undefined_where(constant(rows) | constant(columns) | np.isnan(rows + columns).any(axis=1), shared)


def _each_pair(
    maps: Float[np.ndarray, "n h w"],
    others: Float[np.ndarray, "n h w"],
    score: Callable[[Float64[np.ndarray, "h w"], Float64[np.ndarray, "h w"]], float],
) -> Float64[np.ndarray, " n"]:
    """Score the defined pairs, each map divided by its largest absolute value."""
    scores = np.full(len(maps), np.nan)
    pairs = zip(maps.astype(np.float64), others.astype(np.float64), strict=True)
    for place, (one, other) in enumerate(pairs):
        if np.isfinite(one).all() and np.isfinite(other).all() and np.ptp(one) > 0 and np.ptp(other) > 0:
            scores[place] = score(one / np.abs(one).max(), other / np.abs(other).max())
    return scores


def _ssim(one: Float64[np.ndarray, "h w"], other: Float64[np.ndarray, "h w"]) -> float:
    """Return the structural similarity over the span of both."""
    span = max(one.max(), other.max()) - min(one.min(), other.min())
    # scikit-image leaves this function untyped.
    measure: Callable[..., float] = structural_similarity
    return float(measure(one, other, win_size=SSIM_WINDOW, data_range=span))


def _hog_correlation(one: Float64[np.ndarray, "h w"], other: Float64[np.ndarray, "h w"], cell: int) -> float:
    """Correlate the histograms of the two."""
    block = min(3, min(one.shape) // cell)
    histograms = [hog(m, pixels_per_cell=(cell, cell), cells_per_block=(block, block)) for m in (one, other)]
    return float(pearson(histograms[0][None], histograms[1][None])[0])
