"""How near a map is to attributions that are known exactly, because the network was built so.

Tiles are cells of one picture, (n, t) sums of a map's values; regions are pixels, (n, h, w).
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64

from harness.metrics._rows import doubles, finite, flat, pearson, ranks, ratio, require_same_shape
from harness.metrics.cards import metric
from harness.metrics.localization import localization_auc

_BUILT = "Zhang et al. 2023, AttributionLab: faithfulness of feature attribution under controllable environments"
_PLANTED = "Zhou et al. 2022, Do feature attribution methods correctly attribute features?"
_A_MOSAIC = "one explanation of a mosaic, and one forward a tile, shared by all explainers"
_FOUND = "chance that a pixel of planted evidence has more mass than another"
_UNPLANTED = "its score without the plant"
_NO_MASS = "the map is zero throughout"
_CONSTANT_MAP = "the map is constant or not finite"


def tile_sums(maps: Float[np.ndarray, "n h w"], side: int) -> Float64[np.ndarray, "n t"]:
    """Return the sum of each map over each of `side` x `side` tiles, in reading order.

    Examples
    --------
    >>> tile_sums(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[10., 18., 42., 50.]])
    """
    n, h, w = maps.shape
    cells = doubles(maps).reshape(n, side, h // side, side, w // side)
    return doubles(cells.sum(axis=(2, 4)).reshape(n, side**2))


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="rank correlation, over the tiles of a mosaic, of their sums in the map and their exact parts",
    undefined="the map's sums over tiles, or the tiles' exact parts, are all the same",
    chance="0",
    cost=_A_MOSAIC,
    reference=_BUILT,
    compared_with="scipy spearmanr",
)
@metric(
    name="tile-ranks-absolute",
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="rank correlation, over the tiles of a mosaic, of their mass in the map and the size of their exact parts",
    undefined="the map's mass is the same on all tiles, or their exact parts have one magnitude",
    chance="0",
    cost=_A_MOSAIC,
    reference=_BUILT,
    compared_with="scipy spearmanr",
)
def tile_ranks(sums: Float[np.ndarray, "n t"], truths: Float[np.ndarray, "n t"]) -> Float64[np.ndarray, " n"]:
    """Return Spearman's rank correlation of what a map gives each tile and the tile's exact part, in [-1, 1].

    Higher is better; 0 is chance. NaN where either is the same for all tiles.

    Examples
    --------
    >>> tile_ranks(np.array([[3.0, 1.0, 2.0]]), np.array([[30.0, -10.0, 0.0]]))
    array([1.])
    """
    require_same_shape(sums, truths, "sums and truths")
    return pearson(ranks(finite(sums)), ranks(finite(truths)))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far sums over tiles are from their exact parts, as a share of these",
    undefined="every tile's exact part is zero",
    chance="1 for a map of zeros; 0 is claimed",
    cost=_A_MOSAIC,
    reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
)
def tile_amounts(sums: Float[np.ndarray, "n t"], truths: Float[np.ndarray, "n t"]) -> Float64[np.ndarray, " n"]:
    """Return how far a map's tile sums are from the tiles' exact parts, as a share of those parts' magnitudes.

    0 is exact, and what a map that adds up to what it explains owes; a map of zeros has 1. Residuals and parts are
    added without sign over the tiles of one picture, so that parts that cancel do not make the share large. NaN where
    every part is zero.

    Examples
    --------
    >>> tile_amounts(np.array([[3.0, -1.0]]), np.array([[3.0, -2.0]]))
    array([0.2])
    """
    require_same_shape(sums, truths, "sums and truths")
    return ratio(np.abs(doubles(sums) - truths).sum(axis=1), np.abs(doubles(truths)).sum(axis=1))


@metric(
    name="dead-tile-share",
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="share of absolute mass on a tile that counts nothing, over the tile's area",
    undefined=_NO_MASS,
    chance="1; 0 is exact",
    cost=_A_MOSAIC,
    reference=_BUILT,
)
@metric(
    name="blind-share",
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="share of absolute mass where the network cannot look, over that part's area",
    undefined=_NO_MASS,
    chance="1; 0 is exact",
    cost="two explanations",
    reference=_BUILT,
)
def share_of_area(maps: Float[np.ndarray, "n h w"], regions: Bool[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the share of a map's absolute mass that lies in a region, over the region's share of the picture.

    Where the network cannot look 0 is exact, and 1 is what a map has that knows nothing of it. NaN where the map is
    zero throughout or there is no region.

    Examples
    --------
    >>> share_of_area(np.array([[[1.0, -1.0, 0.0, 2.0]]]), np.array([[[True, True, False, False]]]))
    array([1.])
    """
    require_same_shape(maps, regions, "maps and regions")
    magnitudes, inside = np.abs(flat(maps)), flat(regions)
    mass = ratio((magnitudes * inside).sum(axis=1), magnitudes.sum(axis=1))
    return ratio(mass, inside.mean(axis=1))


@metric(
    name="planted-patch",
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=_FOUND,
    gain=f"{_FOUND}, beyond the map without the plant",
    undefined=_CONSTANT_MAP,
    chance=_UNPLANTED,
    cost="two explanations",
    reference=_PLANTED,
    compared_with="scikit-learn roc_auc_score",
)
@metric(
    name="planted-pair",
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"{_FOUND}, for the worse of two patches that are both needed",
    gain=f"{_FOUND}, for the worse of two patches, beyond the map without the plant",
    undefined=_CONSTANT_MAP,
    chance=_UNPLANTED,
    cost="two explanations, of which one is shared with planted-patch",
    reference=_PLANTED,
    compared_with="scikit-learn roc_auc_score",
)
def patch_found(
    maps: Float[np.ndarray, "n h w"], patch: Bool[np.ndarray, "n h w"], others: Bool[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the chance that a pixel of a patch has more magnitude in the map than a pixel of no patch, in [0, 1].

    Higher is better; .5 is chance. NaN where the map is constant or there is no patch.

    Parameters
    ----------
    patch
        What is to be found.
    others
        Pixels that are left out, because another patch lies there.

    Examples
    --------
    >>> first, last = np.eye(4, dtype=bool)[[0, 3], None, None]
    >>> patch_found(np.array([[[-3.0, 0.0, 1.0, 9.0]]]), first, last)
    array([1.])
    """
    scores = np.full(len(maps), np.nan)
    for number, (values, inside, left_out) in enumerate(zip(flat(maps), flat(patch), flat(others), strict=True)):
        counts = left_out == 0
        chosen = np.abs(values[counts])[None, None]
        scores[number] = localization_auc(chosen, inside[counts][None, None].astype(bool))[0]
    return doubles(scores)


@metric(
    name="planted-pixels",
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="rank correlation, over a planted patch, of what planting adds to the map and to the logit",
    undefined="planting adds the same to the map, or exactly, on every pixel of the patch",
    chance="0",
    cost="none beside those of planted-patch",
    reference=_PLANTED,
    compared_with="scipy spearmanr",
)
def pixel_ranks(
    gained: Float[np.ndarray, "n h w"], parts: Float[np.ndarray, "n h w"], patch: Bool[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation, over a patch's pixels, of what planting it added to a map and what it adds exactly.

    In [-1, 1]; higher is better, 0 is chance. NaN where either is the same for all its pixels.

    Parameters
    ----------
    gained
        The map under the network with the plant, less the map of the same picture under the network without it.
    parts
        Exact part of each pixel.

    Examples
    --------
    >>> pixel_ranks(np.array([[[1.0, 2.0, 9.0]]]), np.array([[[3.0, 5.0, 0.0]]]), np.array([[[True, True, False]]]))
    array([1.])
    """
    scores = np.full(len(gained), np.nan)
    for number, (one, other, inside) in enumerate(zip(flat(gained), flat(parts), flat(patch), strict=True)):
        where = inside > 0
        scores[number] = tile_ranks(one[None, where], other[None, where])[0]
    return doubles(scores)
