"""Adjustment of p-values for many tests.

A NaN is a test that could not be made: it stays NaN and does not count.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float


def holm(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Adjust p-values so that rejecting those below alpha errs anywhere with probability at most alpha.

    Parameters
    ----------
    p
        p-values in [0, 1] in any order, (m,); NaN where a test was not made.

    Returns
    -------
    Float[np.ndarray, "m"]
        Adjusted p in the given order, never below `p`, at most 1, NaN where `p` is.

    Raises
    ------
    ValueError
        For a p-value outside [0, 1].

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6 (1979).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.06,  nan, 0.06])
    """
    return _adjusted(p, lambda ascending: np.maximum.accumulate(ascending * np.arange(len(ascending), 0, -1)))


def hochberg(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Adjust p-values so that rejecting those below alpha errs anywhere with probability at most alpha.

    A step-up procedure: where the largest p lies below alpha all are rejected, so that an intersection-union test of
    all is its first step. It needs tests that are independent or positively dependent, as those of one map's scores.

    Parameters
    ----------
    p
        p-values in [0, 1] in any order, (m,); NaN where a test was not made.

    Returns
    -------
    Float[np.ndarray, "m"]
        Adjusted p in the given order, never below `p`, at most the largest, NaN where `p` is.

    Raises
    ------
    ValueError
        For a p-value outside [0, 1].

    References
    ----------
    Hochberg, A sharper Bonferroni procedure for multiple tests of significance, Biometrika 75 (1988); Sarkar, Some
    probability inequalities for ordered MTP2 random variables: a proof of the Simes conjecture, Ann. Statist. 26
    (1998), for its dependence.

    Examples
    --------
    >>> hochberg(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.04,  nan, 0.04])
    """
    return _adjusted(p, lambda ascending: _smallest_beyond(ascending * np.arange(len(ascending), 0, -1)))


def benjamini_hochberg(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Adjust p-values so that of those below alpha an expected share of at most alpha is false.

    Parameters
    ----------
    p
        p-values in [0, 1] in any order, (m,), independent or positively dependent; NaN where a test was not
        made.

    Returns
    -------
    Float[np.ndarray, "m"]
        Adjusted p in the given order, never below `p`, at most 1, NaN where `p` is.

    Raises
    ------
    ValueError
        For a p-value outside [0, 1].

    References
    ----------
    Benjamini & Hochberg, Controlling the false discovery rate, JRSS B 57 (1995).

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.04,  nan, 0.04])
    """
    return _adjusted(p, _step_up)


def _step_up(ascending: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Smallest of p * m / rank over this and every larger p."""
    return _smallest_beyond(ascending * len(ascending) / np.arange(1, len(ascending) + 1))


def _smallest_beyond(values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Return the smallest of each value and those after it."""
    return np.minimum.accumulate(values[::-1])[::-1]


def _adjusted(
    p: Float[np.ndarray, " m"], adjust: Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]]
) -> Float[np.ndarray, " m"]:
    """Apply an adjustment of ascending p-values to those that are defined."""
    if np.any((p < 0) | (p > 1)):
        raise ValueError("a p-value lies outside [0, 1]; give probabilities, NaN where a test was not made")
    adjusted = np.full(p.shape, np.nan)
    made = np.flatnonzero(~np.isnan(p))
    ascending = made[np.argsort(p[made], kind="stable")]
    adjusted[ascending] = np.minimum(adjust(p[ascending].astype(np.float64)), 1)
    return adjusted
