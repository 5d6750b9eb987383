"""Comparison of several methods on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.special import chdtrc
from scipy.stats import rankdata

from harness.statistics._inputs import finite
from harness.statistics.clusters import people_interval
from harness.statistics.intervals import Interval
from harness.statistics.multiple import holm
from harness.statistics.permutation import sign_flip_p_two_sided


@dataclass(frozen=True, slots=True)
class Friedman:
    """Friedman's test over `n` images and `k` methods; statistic and p are NaN where `reason` says why."""

    statistic: float
    p: float
    n: int
    k: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods paired by image.

    `effect` is the mean of first minus second with its interval, over the `effect.n` images where both are
    defined; `undefined` counts the others. `p` is two-sided, `p_adjusted` holds over all pairs (Holm).
    """

    first: str
    second: str
    effect: Interval
    p: float
    p_adjusted: float
    undefined: int


def average_ranks(scores: Num[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """Give each method's rank averaged over the images, 1 for the highest score.

    Parameters
    ----------
    scores
        One row an image and one column a method, (n, k), all finite, higher is better; negate the others.

    Returns
    -------
    Float[np.ndarray, "k"]
        In [1, k], ties at their average; NaN where there is no image.

    Raises
    ------
    ValueError
        For NaN or infinite scores: drop images that are incomplete, and count them.

    Examples
    --------
    >>> average_ranks(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.3]])).round(3).tolist()
    [1.167, 1.833]
    """
    scores = finite(scores, "scores")
    if len(scores) == 0:
        return np.full(scores.shape[1], np.nan)
    ranks: Float[np.ndarray, " k"] = rankdata(-scores, axis=1).mean(axis=0)
    return ranks


def friedman(scores: Num[np.ndarray, "n k"]) -> Friedman:
    """Test whether any method ranks differently from the others, by Friedman's statistic.

    Parameters
    ----------
    scores
        One row an image and one column a method, (n, k), all finite.

    Returns
    -------
    Friedman
        Statistic from 0 (equal average ranks) to n(k - 1), corrected for ties; p by its chi-square
        approximation, which is rough below about 10 images. Undefined, with its reason, for fewer than two
        methods or images, or where every image ties all methods.

    Raises
    ------
    ValueError
        For NaN or infinite scores: drop images that are incomplete, and count them.

    References
    ----------
    Friedman, The use of ranks to avoid the assumption of normality, JASA 32 (1937).

    Examples
    --------
    >>> friedman(np.array([[3, 2, 1], [3, 2, 1], [3, 2, 1]])).statistic
    6.0
    """
    scores = finite(scores, "scores")
    n, k = scores.shape
    if n < 2 or k < 2:
        return Friedman(np.nan, np.nan, n, k, f"{n} images and {k} methods, and the test needs two of each")
    deviations = rankdata(scores, axis=1) - (k + 1) / 2
    spread = float((deviations**2).sum())
    if spread == 0:
        return Friedman(np.nan, np.nan, n, k, "every image ties all methods")
    statistic = (k - 1) * float((deviations.sum(axis=0) ** 2).sum()) / spread
    return Friedman(statistic, float(chdtrc(k - 1, statistic)), n, k)


def pairwise(
    names: Sequence[str],
    scores: Num[np.ndarray, "n k"],
    *,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    confidence: float = 0.99,
) -> list[Comparison]:
    """Compare each pair of methods over the images where both are defined.

    Parameters
    ----------
    names
        One name a method, k of them, each once.
    scores
        One row an image and one column a method, (n, k); NaN where a score is undefined.
    clusters
        One label an image, (n,), where images of one person are to be counted and flipped together.
    confidence
        Nominal coverage of each pair's interval, not adjusted for the number of pairs.

    Returns
    -------
    list of Comparison
        k(k - 1)/2 rows in the order of the names. A pair without a common image has NaN throughout and does
        not count as a test.

    Raises
    ------
    ValueError
        For names that do not match the columns or repeat, labels of another length, or infinite scores.

    Examples
    --------
    >>> row, = pairwise(["a", "b"], np.array([[3.0, 1.0], [4.0, 1.0], [5.0, np.nan]]))
    >>> row.first, row.second, row.effect.estimate, row.effect.n, row.undefined, row.p
    ('a', 'b', 2.5, 2, 1, 0.5)
    """
    if len(names) != scores.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"{len(set(names))} names for {scores.shape[1]} columns; name each column once")
    if clusters is not None and len(clusters) != len(scores):
        raise ValueError(f"{len(clusters)} cluster labels for {len(scores)} images; give one an image")
    rows = []
    for i, j in combinations(range(len(names)), 2):
        differences = np.asarray(scores[:, i], dtype=np.float64) - scores[:, j]
        both = ~(np.isnan(scores[:, i]) | np.isnan(scores[:, j]))
        groups = None if clusters is None else clusters[both]
        effect = people_interval(differences[both], groups, confidence=confidence)
        p = sign_flip_p_two_sided(differences[both], groups)
        rows.append(Comparison(names[i], names[j], effect, p, np.nan, int(np.count_nonzero(~both))))
    adjusted = holm(np.array([row.p for row in rows], dtype=np.float64))
    return [replace(row, p_adjusted=float(p)) for row, p in zip(rows, adjusted, strict=True)]
