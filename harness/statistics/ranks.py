"""What mean ranks say after Friedman's test: which methods cannot be told apart, and how far judges agree."""

import numpy as np
from jaxtyping import Float, Num
from scipy.stats import studentized_range

from harness.statistics.rankings import average_ranks, friedman


def critical_difference(n: int, k: int, alpha: float) -> float:
    """Return by how much the mean ranks of two methods must differ, at least, for Nemenyi's test to tell them apart.

    With chance alpha at most, any pair of k methods that rank alike differs by so much. It assumes the ranks' variance
    without ties, so ties make it err to the safe side.

    Parameters
    ----------
    n
        Blocks: people, or images where nobody is known.
    k
        Methods that are ranked.
    alpha
        Inside (0, 1), over all pairs together.

    Returns
    -------
    float
        In ranks; NaN for fewer than two blocks or methods.

    Raises
    ------
    ValueError
        For an alpha outside (0, 1).

    References
    ----------
    Nemenyi, Distribution-free multiple comparisons (1963); Demsar, Statistical comparisons of classifiers over multiple
    data sets, JMLR 7 (2006).

    Examples
    --------
    >>> round(critical_difference(14, 4, 0.05), 2)
    1.25
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; give a number between 0 and 1")
    if n < 2 or k < 2:
        return float("nan")
    return float(studentized_range.ppf(1 - alpha, k, np.inf)) * _unit(n, k)


def nemenyi(scores: Num[np.ndarray, "n k"]) -> Float[np.ndarray, "k k"]:
    """Return Nemenyi's p-value of each pair of methods, corrected over all pairs.

    Parameters
    ----------
    scores
        One row a block and one column a method, (n, k), all finite.

    Returns
    -------
    Float[np.ndarray, "k k"]
        Symmetric, 1 on the diagonal; NaN throughout for fewer than two blocks or methods.

    Raises
    ------
    ValueError
        For NaN or infinite scores.

    References
    ----------
    Nemenyi, Distribution-free multiple comparisons (1963).
    """
    n, k = scores.shape
    if n < 2 or k < 2:
        return np.full((k, k), np.nan)
    ranks = average_ranks(scores)
    p: np.ndarray = studentized_range.sf(np.abs(ranks[:, None] - ranks) / _unit(n, k), k, np.inf)
    np.fill_diagonal(p, 1.0)
    # The integral may leave [0, 1] by its rounding.
    held: np.ndarray = np.clip(p, 0.0, 1.0)
    return held


def _unit(n: int, k: int) -> float:
    """Return the standard deviation of a mean rank as the studentized range counts it."""
    return float(np.sqrt(k * (k + 1) / (12 * n)))


def not_told_apart(ranks: Float[np.ndarray, " k"], difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of methods whose mean ranks all lie closer together than a difference.

    Parameters
    ----------
    ranks
        Mean ranks, (k,), all finite.
    difference
        As of :func:`critical_difference`.

    Returns
    -------
    list of tuple
        Places in `ranks`, the best first, of two methods or more; a group that another holds is left out.

    Examples
    --------
    >>> not_told_apart(np.array([3.0, 1.0, 1.5, 2.2]), 0.9)
    [(1, 2), (2, 3), (3, 0)]
    """
    order = np.argsort(ranks, kind="stable")
    groups: list[tuple[int, ...]] = []
    end = 0
    for start, first in enumerate(order):
        near = [int(each) for each in order[start:] if ranks[each] - ranks[first] < difference]
        if len(near) > 1 and start + len(near) > end:
            groups.append(tuple(near))
            end = start + len(near)
    return groups


def kendall_w(ratings: Num[np.ndarray, "m k"]) -> float:
    """Return Kendall's coefficient of concordance: how far judges put things in one order.

    Parameters
    ----------
    ratings
        One row a judge and one column a thing, (m, k), all finite; each judge's own ranks count, ties at their average.

    Returns
    -------
    float
        In [0, 1]: 1 for one order, 1 / m on average for m judges who know nothing of each other; NaN for fewer than two
        of either, or where every judge ties everything.

    Raises
    ------
    ValueError
        For NaN or infinite ratings.

    References
    ----------
    Kendall & Babington Smith, The problem of m rankings, Annals of Mathematical Statistics 10 (1939).

    Examples
    --------
    >>> kendall_w(np.array([[1, 2, 3], [1, 2, 3], [1, 3, 2]])).__round__(3)
    0.778
    """
    m, k = ratings.shape
    if m < 2 or k < 2:
        return float("nan")
    return float(friedman(ratings).statistic / (m * (k - 1)))
