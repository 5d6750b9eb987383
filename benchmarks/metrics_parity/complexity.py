"""Metrics of complexity beside their references."""

import numpy as np

from benchmarks.metrics_parity.setup import MAPS, Pair, from_quantus, quantus, quiet
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
