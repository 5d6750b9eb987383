"""Metrics of complexity beside their references."""

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import ConvexHull
from sklearn.neighbors import kneighbors_graph

from benchmarks.metrics_parity.setup import MAPS, Array, Pair, from_quantus, quantus, quiet
from harness.metrics import complexity


def sparseness() -> Pair:
    """Quantus adds 1e-7 to every magnitude, so let the largest be 1."""
    return complexity.sparseness(MAPS), np.array(quantus("Sparseness", abs=True, normalise=True))


def entropy_complexity() -> Pair:
    """Quantus adds 1e-12 inside the logarithm."""
    return complexity.entropy_complexity(MAPS), np.array(quantus("Complexity", abs=True, normalise=False))


def pixels_above_floor() -> Pair:
    """Normalise each map by itself before Quantus sees it."""
    own = MAPS / np.abs(MAPS).max(axis=(1, 2), keepdims=True)
    theirs = quantus("EffectiveComplexity", maps=own, abs=True, normalise=False, eps=0.01)
    return complexity.pixels_above_floor(MAPS), np.array(theirs, dtype=float)


def histogram_entropy() -> Pair:
    """Compare histogram entropies."""
    with quiet():
        measure = from_quantus("functions.complexity_func", "discrete_entropy")
        theirs = np.array([measure(a=m, x=None, n_bins=100) for m in MAPS])
    return complexity.histogram_entropy(MAPS), theirs


def mst_compactness() -> Pair:
    """Take the graph of nearest neighbours of one library, the tree and the hull of another."""
    return complexity.mst_compactness(MAPS), np.array([_compact(np.abs(one)) for one in MAPS])


def _compact(magnitudes: Array) -> float:
    """Return a hundred diagonals, times pixels over the tree's length, over the root of the hull's area."""
    points = np.argwhere(magnitudes >= np.percentile(magnitudes, 80)).astype(np.float64)
    graph = kneighbors_graph(points, min(20, len(points) - 1), mode="distance")
    length = float(minimum_spanning_tree(graph.maximum(graph.T)).sum())
    return float(100 * np.hypot(*magnitudes.shape) * len(points) / length / np.sqrt(ConvexHull(points).volume))
