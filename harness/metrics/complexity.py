"""How concentrated a map is: a description, not a virtue, but where a paper claims one (MST-C).

Sign is dropped: what counts is how much relevance a pixel has. A map whose pixels are all of one magnitude
singles out none, and a map with NaN is no map: both are NaN here, never 0. A positive rescaling of the map
changes nothing.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import ConvexHull, KDTree

from harness.metrics._rows import constant, doubles, finite, flat, ratio, shares, undefined_where
from harness.metrics.cards import NULL_SCORE, metric

_REACH = 2.0**-30
"""Distances on a grid of pixels that differ at all differ by more than this share, up to thousands of pixels away."""
_ONE_MAGNITUDE = "all pixels have one magnitude, or a value is not finite"


@metric(
    range=(0.0, 1.0),
    meaning="Gini index of the map's magnitudes",
    undefined=_ONE_MAGNITUDE,
    chance=NULL_SCORE,
    reference="Chalasani et al. 2020, Concise explanations of neural networks using adversarial training",
    compared_with="Quantus 0.6 Sparseness",
    differs="undefined for a constant map, and nothing is added to the values; Quantus adds 1e-7 and gives 0",
)
def sparseness(maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the Gini index of each map's magnitudes, from 0 (spread evenly) to 1 - 1 / (h w) (one pixel).

    Chalasani et al. 2020. NaN for a map of one magnitude throughout.

    Examples
    --------
    >>> sparseness(np.array([[[0.0, 0.0, 0.0, -2.0]]]))
    array([0.75])
    """
    magnitudes = np.sort(np.abs(finite(flat(maps))), axis=1)
    pixels = magnitudes.shape[1]
    weights = 2 * np.arange(1, pixels + 1) - pixels - 1
    gini = ratio(magnitudes @ weights.astype(np.float64), pixels * magnitudes.sum(axis=1))
    return undefined_where(_undefined(magnitudes), gini)


@metric(
    range=(0.0, math.inf),
    meaning="entropy of the map's magnitudes, in nats",
    undefined=_ONE_MAGNITUDE,
    chance=NULL_SCORE,
    reference="Bhatt et al. 2020, Evaluating and aggregating feature-based model explanations",
    compared_with="Quantus 0.6 Complexity",
    differs="undefined for a constant map, and nothing is added to the values",
)
def entropy_complexity(maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the entropy, in nats, of each map's magnitudes as shares of their sum, from 0 to ln(h w).

    Bhatt et al. 2020: 0 for one pixel, ln(h w) for all alike. NaN for a map of one magnitude throughout.

    Examples
    --------
    >>> entropy_complexity(np.array([[[0.0, 0.0, 0.0, -2.0]]]))
    array([0.])
    """
    magnitudes = np.abs(finite(flat(maps)))
    part = shares(magnitudes)
    surprise = np.zeros_like(part)
    np.log(part, out=surprise, where=part != 0)
    return undefined_where(_undefined(magnitudes), doubles(np.abs((part * surprise).sum(axis=1))))


@metric(
    range=(1.0, math.inf),
    meaning="pixels above a hundredth of the map's largest magnitude",
    undefined=_ONE_MAGNITUDE,
    chance=NULL_SCORE,
    reference="after Hedstroem et al. 2023, Quantus",
    compared_with="Quantus 0.6 EffectiveComplexity",
    differs=(
        "the floor is a share of the map's own largest magnitude; Quantus's is a share of the batch's, so that a map's "
        "score changes with its company. Quantus names it after the effective complexity of Nguyen & Rodriguez "
        "Martinez 2020, which asks the network how many pixels suffice; this asks the map alone"
    ),
)
def pixels_above_floor(maps: Float[np.ndarray, "n h w"], floor: float = 0.01) -> Float64[np.ndarray, " n"]:
    """Return how many pixels have a magnitude above `floor` times the map's own largest, from 1 to h w.

    After Hedstroem et al. 2023 (EffectiveComplexity in Quantus). NaN for a map of one magnitude throughout.

    Raises
    ------
    ValueError
        If `floor` is not in [0, 1).

    Examples
    --------
    >>> pixels_above_floor(np.array([[[0.0, 0.001, 1.0, -2.0]]]))
    array([2.])
    """
    if not 0 <= floor < 1:
        raise ValueError(f"the floor is {floor}; give a share of the largest magnitude, at least 0 and below 1")
    magnitudes = np.abs(finite(flat(maps)))
    above = magnitudes > floor * magnitudes.max(axis=1, keepdims=True)
    return undefined_where(_undefined(magnitudes), doubles(above.sum(axis=1)))


@metric(
    range=(0.0, math.inf),
    meaning="entropy of the histogram of the map's values, in nats",
    undefined="the map is constant or not finite",
    chance=NULL_SCORE,
    reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
    compared_with="Quantus 0.6 discrete_entropy",
    differs="undefined for a constant map; Quantus gives 0",
)
def histogram_entropy(maps: Float[np.ndarray, "n h w"], bins: int = 100) -> Float64[np.ndarray, " n"]:
    """Return the entropy, in nats, of each map's histogram over equal bins of its own range, from 0 to ln(bins).

    Hedstroem et al. 2024, the complexity that EfficientMPRT compares. It keeps the sign. NaN for a constant
    map.

    Raises
    ------
    ValueError
        If there are fewer than two bins.

    Examples
    --------
    >>> histogram_entropy(np.array([[[0.0, 0.0, 1.0, 1.0]]])).round(4)
    array([0.6931])
    """
    if bins < 2:
        raise ValueError(f"{bins} bins; give at least two")
    rows = finite(flat(maps))
    undefined = _undefined(rows)
    scores = np.full(len(rows), np.nan)
    for place in np.flatnonzero(~undefined):
        counts = np.histogram(rows[place], bins=bins)[0]
        part = counts[counts > 0] / rows.shape[1]
        scores[place] = -(part * np.log(part)).sum()
    return scores


@metric(
    higher_is_better=True,
    range=(0.0, math.inf),
    meaning="how small the area of the map's highest fifth of pixels is, and how short the tree that joins them",
    undefined=f"{_ONE_MAGNITUDE}, or fewer than two pixels are left",
    chance=NULL_SCORE,
    reference="Mesgari et al. 2026, Structural compactness as a complementary criterion for explanation quality",
    compared_with="scikit-learn kneighbors_graph, scipy minimum_spanning_tree and ConvexHull",
    differs=(
        "undefined for a constant map; Quantus's MSTC, which came after 0.6, gives 0 for one of zeros. Neighbours that "
        "are equally near all count; there the search decides. Zeros are no high pixels; there a map that is zero on "
        "four fifths of its pixels is the whole picture"
    ),
)
def mst_compactness(
    maps: Float[np.ndarray, "n h w"], quantile: float = 0.8, neighbours: int = 20
) -> Float64[np.ndarray, " n"]:
    """Return MST-C of each map: a hundred diagonals of the picture, times spread, times cohesion; higher is better.

    Mesgari et al. 2026, for whom a compact map is a legible one; it says nothing of whether a map is right. The pixels
    are those of a magnitude at the quantile or above, zeros never among them. Spread is 1 over the root of the area of
    their convex hull, or over the diagonal where they lie on a line; cohesion is their number over the length of the
    minimum spanning forest of the graph that joins each with its nearest neighbours.

    Examples
    --------
    >>> square = np.zeros((1, 4, 4))
    >>> square[0, :2, :2] = 1.0
    >>> mst_compactness(square).round(4)
    array([754.2472])
    """
    scores = np.full(len(maps), np.nan)
    magnitudes = np.abs(finite(flat(maps)))
    for place in np.flatnonzero(~_undefined(magnitudes)):
        high = (magnitudes[place] >= np.quantile(magnitudes[place], quantile)) & (magnitudes[place] > 0)
        points = np.argwhere(high.reshape(maps.shape[1:])).astype(np.float64)
        if len(points) >= 2:
            scores[place] = 100 * math.hypot(*maps.shape[1:]) * _compactness(points, neighbours, maps.shape[1:])
    return scores


def _compactness(points: Float64[np.ndarray, "p 2"], neighbours: int, shape: tuple[int, ...]) -> float:
    """Return how few pixels of area and of tree a set of pixels takes."""
    flat_set = len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2
    side = math.hypot(*shape) if flat_set else math.sqrt(ConvexHull(points).volume)  # a plane hull's volume is its area
    return len(points) / (side * _tree_length(points, neighbours))


def _tree_length(points: Float64[np.ndarray, "p 2"], neighbours: int) -> float:
    """Return the length of the minimum spanning forest of the graph that joins each point with its nearest ones."""
    tree, most = KDTree(points), min(neighbours, len(points) - 1)
    reach = doubles(tree.query(points, k=[most + 1])[0])[:, 0]  # the nearest of all is the point itself
    near = tree.query_ball_point(points, reach * (1 + _REACH), return_sorted=True)
    ends = np.concatenate([np.asarray(each, dtype=np.int64) for each in near])
    starts = np.repeat(np.arange(len(points)), [len(each) for each in near])
    apart = np.sqrt(((points[starts] - points[ends]) ** 2).sum(axis=1))
    graph = csr_array((apart, (starts, ends)), shape=(len(points), len(points)))
    return float(minimum_spanning_tree(graph.maximum(graph.T)).sum())


def _undefined(rows: Float64[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
    """Say which rows single out nothing or hold what is no number."""
    return np.asarray(constant(rows) | np.isnan(rows).any(axis=1), dtype=bool)
