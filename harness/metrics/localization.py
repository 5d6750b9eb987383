"""Whether a map points at what is known to matter.

Every function takes maps (n, h, w), signed, and evidence (n, h, w), True where a pixel is known to be
relevant, and returns one score an image. Where a score weighs relevance it must be told what to do with the
sign: ``positive`` counts what speaks for the class, ``absolute`` (of :mod:`harness.metrics.similarity`) what
speaks at all. An image without evidence has no score: NaN. So has a constant map wherever only the order of
pixels counts. Ties are settled by expectation, never by the order in which pixels are stored.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped
from scipy.ndimage import distance_transform_edt

from harness.metrics._rows import (
    constant,
    doubles,
    flat,
    ranks,
    ratio,
    require_same_shape,
    top_k_membership,
    undefined_where,
)
from harness.metrics.cards import NEVER, NULL_SCORE, metric

_NO_EVIDENCE = "the map is constant or holds NaN, or there is no evidence"
_CAUSES = "the pixels that change as the parts that speak for the class are put to rest (or, lacking those, the mark)"
_AREA = "the evidence's share of the image"

Mass = Callable[[Shaped[np.ndarray, "n h w"]], Shaped[np.ndarray, "n h w"]]


def positive(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w"]:
    """Return the maps with what speaks against the class put to 0.

    Examples
    --------
    >>> positive(np.array([[[-1.0, 2.0]]]))
    array([[[0., 2.]]])
    """
    return np.asarray(np.maximum(maps, 0))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"whether the map's highest pixel is one of {_CAUSES}",
    variants={"pointing-game-{}": "whether the map's highest pixel is one of the pixels of evidence {}"},
    undefined=_NO_EVIDENCE,
    chance=_AREA,
    reference="Zhang et al. 2018, Top-down neural attention by excitation backprop",
    compared_with="Quantus 0.6 PointingGame",
    differs=(
        "a tie for the highest pixel scores the share that hits; Quantus lets a constant map hit always. A run allows "
        "no distance, Zhang et al. 15 pixels of a photograph"
    ),
)
def pointing_game(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"], tolerance: float = 0.0
) -> Float64[np.ndarray, " n"]:
    """Return 1 where the map's highest pixel lies on the evidence or within `tolerance` pixels of it, else 0.

    Zhang et al. 2018. Where several pixels are tied for the highest, the share of them that hit. Higher is
    better; chance is the share of the image that counts as a hit. NaN for a constant map, a map with NaN, or
    no evidence.

    Parameters
    ----------
    tolerance
        Euclidean distance in pixels between pixel centres.

    Examples
    --------
    >>> evidence = np.array([[[True, False, False]]])
    >>> [pointing_game(np.array([[[0.0, 1.0, 0.0]]]), evidence, d).item() for d in (0.0, 1.0)]
    [0.0, 1.0]
    """
    rows, known = _rows(maps, evidence)
    hits = flat(np.stack([distance_transform_edt(~e) <= tolerance for e in evidence])) if len(rows) else known
    highest = doubles(rows == rows.max(axis=1, keepdims=True))
    return undefined_where(_orderless(rows, known), ratio((highest * hits).sum(axis=1), highest.sum(axis=1)))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"share of positive relevance on {_CAUSES}",
    variants={
        "mass-on-mark": "share of the map's positive relevance on the planted mark",
        "relevance-mass-displacement": "share of positive relevance on the pixels that the expression moved most",
        "relevance-mass-{}": "share of positive relevance on the pixels of evidence {}",
    },
    undefined="there is no mass or no evidence",
    chance=_AREA,
    reference="Arras et al. 2022, CLEVR-XAI",
    compared_with="Quantus 0.6 RelevanceMassAccuracy",
    differs="the treatment of sign is an argument; Quantus divides signed sums, which may exceed 1 or change sign",
)
def relevance_mass(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"], mass: Mass = positive
) -> Float64[np.ndarray, " n"]:
    """Return the share of relevance that lies on the evidence, in [0, 1]; higher is better.

    Arras et al. 2022 (relevance mass accuracy); with ``positive`` also the energy-based pointing game. By
    chance it is the evidence's share of the image. NaN without evidence or without any mass.

    Parameters
    ----------
    mass
        What to make of the sign: ``positive`` or ``absolute``.

    Raises
    ------
    ValueError
        If the mass is negative somewhere, because then a share means nothing.

    Examples
    --------
    >>> relevance_mass(np.array([[[3.0, 1.0, -5.0]]]), np.array([[[True, False, False]]]))
    array([0.75])
    """
    rows, known = _rows(mass(maps), evidence)
    if (rows < 0).any():
        raise ValueError("relevance to be weighed is negative; give `mass` a treatment of the sign")
    shares = ratio((rows * known).sum(axis=1), rows.sum(axis=1))
    return undefined_where(known.sum(axis=1) == 0, shares)


@metric(
    higher_is_better=True,
    range=(0.0, math.inf),
    meaning=f"how many times denser relevance is on {_CAUSES}",
    variants={"attribution-localization-{}": "how many times denser relevance is on the pixels of evidence {}"},
    undefined="there is no mass or no evidence",
    chance="1",
    reference="Kohlbrenner et al. 2020, Towards best practice in explaining neural network decisions with LRP",
    compared_with="Quantus 0.6 AttributionLocalisation",
    differs=(
        f"divides by {_AREA}, as in the paper; Quantus's weight multiplies by it, and takes the size of the batch "
        "without its first two images for that of the image"
    ),
)
def attribution_localization(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"], mass: Mass = positive
) -> Float64[np.ndarray, " n"]:
    """Return how many times denser relevance is on the evidence than over the whole image; higher is better.

    Kohlbrenner et al. 2020, the size-weighted form: :func:`relevance_mass` over the evidence's share of the
    image, in [0, pixels / evidence pixels]. By chance it is 1, however large the evidence. NaN where the mass
    is.

    Examples
    --------
    >>> attribution_localization(np.array([[[3.0, 0.0, 1.0]]]), np.array([[[True, False, False]]]))
    array([2.25])
    """
    return ratio(relevance_mass(maps, evidence, mass), flat(evidence).mean(axis=1))


@metric(
    name="relevance-rank",
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"share of the map's highest pixels, as many as there are, among {_CAUSES}",
    variants={
        "relevance-rank-{}": "share of the map's highest pixels, as many as there are, among the pixels of evidence {}"
    },
    undefined=_NO_EVIDENCE,
    chance=_AREA,
    reference="Arras et al. 2022, CLEVR-XAI",
    compared_with="Quantus 0.6 RelevanceRankAccuracy",
    differs="ties by expectation; Quantus takes tied pixels in the order in which they are stored",
)
def relevance_rank_accuracy(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the share of the map's highest pixels, as many as the evidence has, that lie on it, in [0, 1].

    Arras et al. 2022. Higher is better; by chance it is the evidence's share of the image. Ties by
    expectation. NaN for a constant map or no evidence.

    Examples
    --------
    >>> relevance_rank_accuracy(np.array([[[3.0, 2.0, 1.0]]]), np.array([[[True, False, True]]]))
    array([0.5])
    """
    rows, known = _rows(maps, evidence)
    sizes = known.sum(axis=1)
    top = top_k_membership(rows, sizes.astype(np.int64))
    return undefined_where(_orderless(rows, known), ratio((top * known).sum(axis=1), sizes))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"share of the map's highest twentieth among {_CAUSES}",
    variants={"top-k-intersection-{}": "share of the map's highest twentieth among the pixels of evidence {}"},
    undefined=_NO_EVIDENCE,
    chance=_AREA,
    reference="Theiner et al. 2022, Interpretable semantic photo geolocation",
    compared_with="Quantus 0.6 TopKIntersection",
    differs="ties by expectation; Quantus takes tied pixels in the order in which they are stored",
)
def top_k_intersection(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"], k: int
) -> Float64[np.ndarray, " n"]:
    """Return the share of the map's k highest pixels that lie on the evidence, in [0, 1].

    Theiner et al. 2022. Higher is better; by chance it is the evidence's share of the image. It cannot reach
    1 where the evidence has fewer than k pixels. Ties by expectation. NaN for a constant map or no evidence.

    Raises
    ------
    ValueError
        If `k` is not between 1 and the number of pixels.

    Examples
    --------
    >>> top_k_intersection(np.array([[[3.0, 2.0, 1.0]]]), np.array([[[True, False, True]]]), k=1)
    array([1.])
    """
    rows, known = _rows(maps, evidence)
    if not 1 <= k <= rows.shape[1]:
        raise ValueError(f"k is {k}; give 1 to {rows.shape[1]} pixels")
    top = top_k_membership(rows, np.full(len(rows), k))
    return undefined_where(_orderless(rows, known), (top * known).sum(axis=1) / k)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"chance that one of {_CAUSES} is higher in the map than another pixel",
    variants={
        "localization-auc-{}": "chance that one of the pixels of evidence {} is higher in the map than another pixel"
    },
    undefined=f"{_NO_EVIDENCE}, or everything is evidence",
    chance="0.5",
    reference="Fawcett 2006, An introduction to ROC analysis",
    compared_with="Quantus 0.6 AUC",
    differs="a constant map is undefined; Quantus gives .5",
)
def localization_auc(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the chance that a pixel on the evidence is higher than one off it, ties counting half.

    The area under the receiver operating curve, in [0, 1]; higher is better, .5 by chance. NaN for a constant
    map, or where the evidence is nothing or everything. Fawcett 2006.

    Examples
    --------
    >>> localization_auc(np.array([[[3.0, 2.0, 1.0]]]), np.array([[[True, False, False]]]))
    array([1.])
    """
    rows, known = _rows(maps, evidence)
    on = known.sum(axis=1)
    off = rows.shape[1] - on
    wins = (ranks(rows) * known).sum(axis=1) - on * (on + 1) / 2
    return undefined_where(_orderless(rows, known), ratio(wins, on * off))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=f"overlap of the map's raised pixels with {_CAUSES}",
    variants={"intersection-over-union-{}": "overlap of the map's raised pixels with the pixels of evidence {}"},
    undefined=f"{_NO_EVIDENCE}, or the map has no positive value",
    chance=NULL_SCORE,
    reference="Zhou et al. 2016, Learning deep features for discriminative localization",
    compared_with="scikit-learn jaccard_score on the thresholded map",
    differs="of pixels; Zhou et al. compare boxes, drawn round the largest connected part",
)
def intersection_over_union(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"], level: float = 0.2
) -> Float64[np.ndarray, " n"]:
    """Return the overlap of the evidence with the pixels of at least `level` times the map's highest value.

    In [0, 1], higher is better; chance depends on how many pixels the map raises, so judge it against null
    maps. NaN for a constant map, one with no positive value, or no evidence. Zhou et al. 2016, who took a
    level of .2.

    Raises
    ------
    ValueError
        If `level` is not in (0, 1].

    Examples
    --------
    >>> intersection_over_union(np.array([[[5.0, 4.0, 0.0]]]), np.array([[[True, False, False]]]))
    array([0.5])
    """
    if not 0 < level <= 1:
        raise ValueError(f"the level is {level}; give a share of the highest value, above 0 and up to 1")
    rows, known = _rows(maps, evidence)
    highest = rows.max(axis=1, keepdims=True)
    raised = doubles(rows >= level * highest)
    both = (raised * known).sum(axis=1)
    undefined = _orderless(rows, known) | (highest[:, 0] <= 0)
    return undefined_where(undefined, ratio(both, raised.sum(axis=1) + known.sum(axis=1) - both))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of positive relevance on the quarters of a mosaic that show the class",
    gain="share of positive relevance on those quarters, beyond its null map's",
    undefined="there is no positive relevance or no target tile",
    chance="the target tiles' share of the mosaic",
    reference="Arias-Duart et al. 2022, Focus! Rating XAI methods and finding biases",
    compared_with="Quantus 0.6 Focus",
    differs="without positive relevance undefined; Quantus gives 0",
)
def focus(maps: Float[np.ndarray, "n h w"], target_tiles: Bool[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the share of positive relevance that lies on a mosaic's tiles of the explained class, in [0, 1].

    Arias-Duart et al. 2022. Higher is better; by chance it is the tiles' share, .5 for two of four. NaN
    without any positive relevance or without such a tile.

    Parameters
    ----------
    maps
        Explaining one class on mosaics of images of several.
    target_tiles
        Where each mosaic shows that class.

    Examples
    --------
    >>> focus(np.array([[[3.0, -1.0], [1.0, 0.0]]]), np.array([[[True, True], [False, False]]]))
    array([0.75])
    """
    return relevance_mass(maps, target_tiles, positive)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of mosaics that the network itself answers with the class",
    undefined=NEVER,
    chance="the class's share of the network's answers",
    cost="one forward",
    compared_with="answers known by hand",
)
def mosaic_answer(predicted: Int[np.ndarray, " n"], targets: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return 1 where the network answers a mosaic with the explained class, 0 elsewhere; higher is better.

    No score of a map: where it is no higher than chance, :func:`focus` says nothing of maps.

    Examples
    --------
    >>> mosaic_answer(np.array([2, 0]), np.array([2, 1]))
    array([1., 0.])
    """
    return doubles(predicted == targets)


def _rows(
    maps: Float[np.ndarray, "n h w"], evidence: Bool[np.ndarray, "n h w"]
) -> tuple[Float64[np.ndarray, "n f"], Float64[np.ndarray, "n f"]]:
    """Return both as rows of doubles, once they match."""
    require_same_shape(maps, evidence, "maps and evidence")
    return flat(maps), flat(evidence)


def _orderless(rows: Float64[np.ndarray, "n f"], known: Float64[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
    """Say which images cannot be scored by the order of their pixels."""
    undefined = constant(rows) | np.isnan(rows).any(axis=1) | (known.sum(axis=1) == 0)
    return np.asarray(undefined, dtype=bool)
