"""Exact permutation tests of a mean difference and of a correlation."""

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from harness.statistics._inputs import ROUNDING, cluster_codes, finite
from harness.statistics.correlation import RowCorrelation, spearman_rows
from harness.statistics.relabelling import (
    MONTE_CARLO,
    Alternative,
    MonteCarlo,
    PermutationResult,
    relabelling_test,
    undefined,
)

# Up to here the sums of two halves, 2**14 each, are compared in 3 ms; two values more double that.
_PAIRED_UP_TO = 28
# Grid cells a value: 1 to 4 ms up to 150 values, and p errs upward by a few percent of itself at most.
_CELLS_A_VALUE = 256
_LEAST_CELLS = 40_000
# 2**512 subsets can be counted in a float before the counts are scaled down, exactly, by a power of two.
_BLOCK = 512


def sign_flip_p(differences: Num[np.ndarray, " n"], *, margin: float = 0.0) -> float:
    """Give the exact one-sided sign-flip p-value for a mean difference above a margin.

    The null hypothesis is that the differences lie symmetrically about a centre of at most `margin`; p is the
    share of the 2**n sign patterns of `differences - margin` whose sum is at least the observed one, that is,
    whose flipped gains and losses sum to at most the observed losses. They are counted, never drawn. Up to 28
    values the count is exact. Beyond it sums are kept on a grid, gains rounded down to it and losses up: p is
    never below its exact value, and above it by a few percent of itself at most.

    Parameters
    ----------
    differences
        One paired difference a unit, (n,), all finite. Positive speaks against the null.
    margin
        The mean that has to be exceeded, in the units of the differences.

    Returns
    -------
    float
        In [2**-n, 1]; NaN for n = 0. Differences equal to the margin speak for neither side, so p is 1 where
        all are. Past about 1,000 values p stops at the smallest normal float, 2e-308.

    Raises
    ------
    ValueError
        For NaN or infinite differences.

    References
    ----------
    Fisher, The Design of Experiments (1935). Counting by halves after Horowitz & Sahni, Computing partitions
    with applications to the knapsack problem, J. ACM 21 (1974); by convolution after Pagano & Tritchler, On
    obtaining permutation distributions in polynomial time, JASA 78 (1983).

    Examples
    --------
    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.125
    """
    differences = finite(differences, "differences")
    if len(differences) == 0:
        return float("nan")
    scale = max(float(np.abs(differences).max()), abs(margin))
    return _flip_p(differences - margin, ROUNDING * scale)


def sign_flip_p_clustered(
    differences: Num[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"], *, margin: float = 0.0
) -> float:
    """Give the exact one-sided sign-flip p-value where differences of one cluster share their sign.

    Parameters
    ----------
    differences
        One paired difference a unit, (n,), all finite. Positive speaks against the null.
    clusters
        One label a difference, (n,); signs are flipped for whole clusters.
    margin
        The mean difference that has to be exceeded.

    Returns
    -------
    float
        In [2**-k, 1] for k clusters; NaN for n = 0.

    Raises
    ------
    ValueError
        For NaN or infinite differences, or labels of another length.

    Examples
    --------
    >>> sign_flip_p_clustered(np.array([1.0, 2.0, 3.0]), np.array(["ann", "ann", "bob"]))
    0.25
    """
    differences = finite(differences, "differences")
    codes = cluster_codes(clusters, len(differences))
    if len(differences) == 0:
        return float("nan")
    sizes = np.bincount(codes)
    scale = max(float(np.abs(differences).max()), abs(margin)) * int(sizes.max())
    return _flip_p(np.bincount(codes, weights=differences - margin), ROUNDING * scale)


def sign_flip_p_two_sided(
    differences: Num[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"] | None = None
) -> float:
    """Give the exact two-sided sign-flip p-value for a mean difference other than zero.

    Parameters
    ----------
    differences
        One paired difference a unit, (n,), all finite.
    clusters
        One label a difference, (n,), where signs are to be flipped for whole clusters.

    Returns
    -------
    float
        Twice the smaller one-sided p, at most 1; NaN for n = 0.

    Raises
    ------
    ValueError
        For NaN or infinite differences, or labels of another length.

    Examples
    --------
    >>> sign_flip_p_two_sided(np.array([-1.0, -2.0, -3.0]))
    0.25
    """
    differences = finite(differences, "differences")
    leading = differences if differences.sum() > 0 else -differences
    p = sign_flip_p(leading) if clusters is None else sign_flip_p_clustered(leading, clusters)
    return float(np.minimum(1.0, 2 * p))


def exact_correlation(
    x: Num[np.ndarray, " k"],
    y: Num[np.ndarray, " k"],
    *,
    statistic: RowCorrelation = spearman_rows,
    alternative: Alternative = Alternative.TWO_SIDED,
    monte_carlo: MonteCarlo = MONTE_CARLO,
) -> PermutationResult:
    """Give the correlation of two vectors and its permutation p-value.

    Parameters
    ----------
    x, y
        Vectors, (k,), all finite. All k! orders of `y` are counted up to k = 8, drawn beyond.
    statistic
        A row-wise correlation: `spearman_rows`, `pearson_rows`, `kendall_rows`.
    alternative
        Which correlations speak against the null.
    monte_carlo
        What is drawn beyond k = 8.

    Returns
    -------
    PermutationResult
        Undefined, with its reason, where k < 3 or an input is constant.

    Raises
    ------
    ValueError
        For NaN or infinite input, or vectors of different length.

    Examples
    --------
    >>> result = exact_correlation(np.arange(4), np.array([1.0, 3.0, 5.0, 6.0]))
    >>> round(result.statistic, 9), round(result.p * 24), result.orders
    (1.0, 2, 24)
    """
    x, y = finite(x, "x"), finite(y, "y")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} values and y {len(y)}; pair them first")
    for name, values in (("x", x), ("y", y)):
        if len(values) and np.ptp(values) == 0:
            return undefined(len(x), f"{name} is constant")

    def score(orders: Int[np.ndarray, "orders k"]) -> Float[np.ndarray, " orders"]:
        """Correlation under each order of `y`."""
        return statistic(np.broadcast_to(x, orders.shape), y[orders])

    return relabelling_test(score, len(x), alternative, monte_carlo)


def _flip_p(excess: Float[np.ndarray, " n"], rounding: float) -> float:
    """Share of sign patterns whose sum is at least the observed one, never 0."""
    gains, losses = excess[excess > rounding], -excess[excess < -rounding]
    n = len(gains) + len(losses)
    share = paired_share(gains, losses) if n <= _PAIRED_UP_TO else convolved_share(gains, losses)
    return min(max(share, float(np.finfo(np.float64).tiny)), 1.0)


def paired_share(gains: Float[np.ndarray, " g"], losses: Float[np.ndarray, " l"]) -> float:
    """Give the exact share of subsets of gains and losses whose sum is at most that of the losses.

    Takes time and memory in 2**(n / 2); all input positive. Sums that differ by rounding alone are equal.
    """
    sizes = np.concatenate([gains, losses])
    limit = float(losses.sum()) + ROUNDING * float(sizes.sum())
    one, other = _subset_sums(sizes[::2]), np.sort(_subset_sums(sizes[1::2]))
    return float(np.searchsorted(other, limit - one, side="right").sum() / 2.0 ** len(sizes))


def convolved_share(gains: Float[np.ndarray, " g"], losses: Float[np.ndarray, " l"]) -> float:
    """Give the share of subsets of gains and losses whose sum is at most that of the losses, on a grid.

    Takes time in n**2 and is never below the exact share; all input positive.
    """
    n = len(gains) + len(losses)
    if len(losses) == 0:
        return float(np.ldexp(1.0, -n))
    cells = max(_LEAST_CELLS, _CELLS_A_VALUE * n)
    step = float(losses.sum()) / cells
    # No subset within the observed losses holds a gain larger than all of them together.
    gain_steps = np.floor(np.minimum(gains / step, 2.0 * cells + n)).astype(np.int64)
    loss_steps = np.ceil(losses / step).astype(np.int64)
    return _share_within(np.sort(np.concatenate([gain_steps, loss_steps])), int(loss_steps.sum()))


def _subset_sums(sizes: Float[np.ndarray, " n"]) -> Float[np.ndarray, " subsets"]:
    """Sum of every subset."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums, sums + size])
    return sums


def _share_within(weights: Int[np.ndarray, " n"], capacity: int) -> float:
    """Share of the 2**n subsets of ascending weights whose sum is at most the capacity."""
    counts = np.zeros(capacity + 1)
    counts[0] = 1
    reach = 0
    for start in range(0, len(weights), _BLOCK):
        block = weights[start : start + _BLOCK]
        for weight in block[block <= capacity]:
            reach = min(capacity, reach + int(weight))
            counts[weight : reach + 1] += counts[: reach + 1 - weight]
        counts = np.ldexp(counts, -len(block))
    return float(counts.sum())
