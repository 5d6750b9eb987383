"""Correlation coefficients of two vectors, and of many pairs at once.

All lie in [-1, 1] and are NaN where either vector is constant, has fewer than two entries or holds NaN.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Num
from scipy.stats import rankdata

RowCorrelation: TypeAlias = Callable[[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]], Float[np.ndarray, " n"]]
"""A function that correlates row i of one batch with row i of another."""


def pearson_rows(x: Num[np.ndarray, "n d"], y: Num[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Give Pearson's correlation of each row of `x` with the same row of `y`.

    Parameters
    ----------
    x, y
        Two batches of vectors, (n, d).

    Returns
    -------
    Float[np.ndarray, "n"]
        In [-1, 1]; NaN where a row is constant, holds NaN or has fewer than two entries.

    Examples
    --------
    >>> pearson_rows(np.array([[1, 2, 3], [1, 1, 1]]), np.array([[3, 2, 1], [1, 2, 3]]))
    array([-1., nan])
    """
    return _cosines(_centred(x), _centred(y))


def spearman_rows(x: Num[np.ndarray, "n d"], y: Num[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Give Spearman's rank correlation, ties at their average rank, row by row.

    Parameters
    ----------
    x, y
        Two batches of vectors, (n, d).

    Returns
    -------
    Float[np.ndarray, "n"]
        In [-1, 1]; NaN where a row is constant, holds NaN or has fewer than two entries.

    Examples
    --------
    >>> spearman_rows(np.array([[1, 2, 9]]), np.array([[1, 4, 5]]))
    array([1.])
    """
    return pearson_rows(_ranks(x), _ranks(y))


def kendall_rows(x: Num[np.ndarray, "n d"], y: Num[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Give Kendall's tau-b, which allows for ties, row by row.

    Parameters
    ----------
    x, y
        Two batches of vectors, (n, d); time grows with d squared.

    Returns
    -------
    Float[np.ndarray, "n"]
        In [-1, 1]; NaN where a row is constant, holds NaN or has fewer than two entries.

    References
    ----------
    Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).

    Examples
    --------
    >>> kendall_rows(np.array([[1, 2, 3, 4]]), np.array([[1, 2, 4, 3]])).round(4)
    array([0.6667])
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    agreement, untied_x, untied_y = (np.zeros(len(x)) for _ in range(3))
    for i in range(x.shape[1] - 1):
        order_x = np.sign(x[:, i + 1 :] - x[:, i, None])
        order_y = np.sign(y[:, i + 1 :] - y[:, i, None])
        agreement += (order_x * order_y).sum(axis=1)
        untied_x += np.abs(order_x).sum(axis=1)
        untied_y += np.abs(order_y).sum(axis=1)
    return _ratio(agreement, np.sqrt(untied_x * untied_y))


def pearson(x: Num[np.ndarray, " d"], y: Num[np.ndarray, " d"]) -> float:
    """Give Pearson's correlation of two vectors.

    Parameters
    ----------
    x, y
        Vectors, (d,).

    Returns
    -------
    float
        In [-1, 1]; NaN where a vector is constant, holds NaN or has fewer than two entries.
    """
    return float(pearson_rows(x[None], y[None])[0])


def spearman(x: Num[np.ndarray, " d"], y: Num[np.ndarray, " d"]) -> float:
    """Give Spearman's rank correlation of two vectors, ties at their average rank.

    Parameters
    ----------
    x, y
        Vectors, (d,).

    Returns
    -------
    float
        In [-1, 1]; NaN where a vector is constant, holds NaN or has fewer than two entries.
    """
    return float(spearman_rows(x[None], y[None])[0])


def kendall(x: Num[np.ndarray, " d"], y: Num[np.ndarray, " d"]) -> float:
    """Give Kendall's tau-b of two vectors.

    Parameters
    ----------
    x, y
        Vectors, (d,).

    Returns
    -------
    float
        In [-1, 1]; NaN where a vector is constant, holds NaN or has fewer than two entries.
    """
    return float(kendall_rows(x[None], y[None])[0])


def _ranks(x: Num[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Average ranks along each row, NaN throughout a row that holds NaN."""
    ranks: Float[np.ndarray, "n d"] = rankdata(x, axis=1).astype(np.float64)
    return ranks


def _centred(x: Num[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows less their mean, at most 1 in size; zero exactly where the row is constant."""
    x = np.asarray(x, dtype=np.float64)
    if x.shape[1] == 0:
        return x
    constant = x.min(axis=1) == x.max(axis=1)
    centred = x - x.mean(axis=1, keepdims=True)
    # The mean of equal numbers need not equal them in floats: a constant row must not leave a remainder.
    centred[constant] = 0
    # Squares of very small or very large entries would leave the range of floats.
    size = np.abs(centred).max(axis=1, keepdims=True)
    scaled: Float[np.ndarray, "n d"] = centred / np.where(size > 0, size, 1)
    return scaled


def _cosines(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Cosine of the angle between the rows."""
    return _ratio((x * y).sum(axis=1), np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1)))


def _ratio(part: Float[np.ndarray, " n"], whole: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Divide, the result held to [-1, 1] against rounding, NaN where there is nothing to divide by."""
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    held: Float[np.ndarray, " n"] = np.clip(quotient, -1, 1)
    return held
