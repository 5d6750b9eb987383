"""Tests that a mean difference is small, rather than not shown to be large."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Num, Shaped

from harness.statistics.permutation import sign_flip_p, sign_flip_p_clustered


class Tost(NamedTuple):
    """p-values of two one-sided tests: mean above the low bound, mean below the high one, and the larger."""

    p_low: float
    p_high: float
    p: float


def noninferiority_p(
    differences: Num[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None = None
) -> float:
    """Give the exact sign-flip p-value for a mean difference below a margin.

    Parameters
    ----------
    differences
        One paired difference a unit, (n,), all finite; smaller is better.
    margin
        The mean that must not be reached. The null hypothesis is a mean of at least this.
    clusters
        One label a difference, (n,), where signs are to be flipped for whole clusters.

    Returns
    -------
    float
        In (0, 1]; NaN for n = 0.

    Raises
    ------
    ValueError
        For NaN or infinite differences, or labels of another length.

    Examples
    --------
    >>> noninferiority_p(np.array([0.0, 0.1, -0.1]), 0.5)
    0.125
    """
    return _above(-differences, -margin, clusters)


def tost(
    differences: Num[np.ndarray, " n"],
    low: float,
    high: float,
    clusters: Shaped[np.ndarray, " n"] | None = None,
) -> Tost:
    """Test by two one-sided sign-flip tests that a mean difference lies between two bounds.

    Parameters
    ----------
    differences
        One paired difference a unit, (n,), all finite.
    low, high
        Bounds of what counts as equivalent, in the units of the differences, low < high.
    clusters
        One label a difference, (n,), where signs are to be flipped for whole clusters.

    Returns
    -------
    Tost
        `p` is the larger of the two: at most alpha, and the mean lies inside at level alpha. NaN for n = 0.

    Raises
    ------
    ValueError
        Where low >= high, for NaN or infinite differences, or labels of another length.

    References
    ----------
    Schuirmann, A comparison of the two one-sided tests procedure and the power approach, J. Pharmacokinet.
    Biopharm. 15 (1987).

    Examples
    --------
    >>> tost(np.array([0.0, 0.1, -0.1]), -0.5, 0.5)
    Tost(p_low=0.125, p_high=0.125, p=0.125)
    """
    if not low < high:
        raise ValueError(f"bounds {low} and {high} leave nothing between; give low < high")
    p_low = _above(differences, low, clusters)
    p_high = noninferiority_p(differences, high, clusters)
    return Tost(p_low, p_high, float(np.maximum(p_low, p_high)))


def _above(differences: Num[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None) -> float:
    """p-value for a mean above the margin, by value or by cluster."""
    if clusters is None:
        return sign_flip_p(differences, margin=margin)
    return sign_flip_p_clustered(differences, clusters, margin=margin)
