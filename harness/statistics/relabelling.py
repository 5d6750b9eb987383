"""The permutation test that `permutation` and `mantel` share: one score recomputed under relabellings."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import permutations
from math import factorial

import numpy as np
from jaxtyping import Float, Int

EXACT_UP_TO = 8
"""Largest number of labels whose k! orders (40,320 for 8) are all counted."""

# Scores of orders that are equal in exact arithmetic differ by rounding; correlations are of order 1.
_TIE = 1e-10
# Pairs of labels of all orders that are scored at once: 2,048 orders of 20 labels, so that memory stays small whatever
# the number of draws and of labels.
_BLOCK_PAIRS = 2_048 * 190


class Alternative(Enum):
    """Which scores speak against the null hypothesis."""

    GREATER = "greater"
    LESS = "less"
    TWO_SIDED = "two-sided"


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """How many orders are drawn, and from which seed, where there are too many to count."""

    draws: int = 9_999
    seed: int = 0


MONTE_CARLO = MonteCarlo()
"""What is drawn unless the caller says otherwise; the smallest p it can give is 1e-4."""


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """A statistic with its permutation p-value.

    `n` labels were permuted in `orders` ways: all n! (`exact`), or that many drawn. Where the statistic is
    undefined, it and `p` are NaN, `orders` is 0 and `reason` says why.
    """

    statistic: float
    p: float
    n: int
    orders: int
    exact: bool
    reason: str | None = None


def undefined(n: int, reason: str) -> PermutationResult:
    """Give the result of a test that cannot be made."""
    return PermutationResult(np.nan, np.nan, n, 0, False, reason)


def relabelling_test(
    score: Callable[[Int[np.ndarray, "orders k"]], Float[np.ndarray, " orders"]],
    k: int,
    alternative: Alternative = Alternative.GREATER,
    monte_carlo: MonteCarlo = MONTE_CARLO,
) -> PermutationResult:
    """Give the score of the labels as they are, and the share of orders whose score is at least as extreme.

    Parameters
    ----------
    score
        Maps orders, each a permutation of 0..k-1, (orders, k), to a statistic of order 1, (orders,). An order
        whose score is NaN counts as extreme, so p errs upward.
    k
        Number of labels. All k! orders are counted up to k = 8, so p is a multiple of 1/k!; beyond it
        p = (b + 1) / (m + 1) over m drawn orders.
    alternative
        Which scores are extreme.
    monte_carlo
        What is drawn beyond k = 8.

    Returns
    -------
    PermutationResult
        Undefined, with its reason, for fewer than three labels or a score that is NaN as the labels are.

    References
    ----------
    Phipson & Smyth, Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    if k < 3:
        return undefined(k, f"{k} labels, and a permutation test needs at least 3")
    observed = float(score(np.arange(k)[None])[0])
    if np.isnan(observed):
        return undefined(k, "the statistic is undefined: an input is constant")
    exact = k <= EXACT_UP_TO
    orders = all_orders(k) if exact else _drawn_orders(k, monte_carlo)
    size = max(1, min(2_048, _BLOCK_PAIRS // (k * (k - 1) // 2)))
    blocks = (orders[start : start + size] for start in range(0, len(orders), size))
    extreme = sum(_count_extreme(score(block), observed, alternative) for block in blocks)
    p = extreme / len(orders) if exact else (extreme + 1) / (len(orders) + 1)
    return PermutationResult(observed, p, k, len(orders), exact)


@lru_cache(maxsize=EXACT_UP_TO + 1)
def all_orders(k: int) -> Int[np.ndarray, "orders k"]:
    """Give every order of k labels, the unchanged one first, as a read-only (k!, k) array.

    Examples
    --------
    >>> all_orders(3).tolist()
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    """
    orders = np.array(list(permutations(range(k))), dtype=np.int64).reshape(factorial(k), k)
    orders.flags.writeable = False
    return orders


def _drawn_orders(k: int, monte_carlo: MonteCarlo) -> Int[np.ndarray, "draws k"]:
    """Seeded random orders of k labels."""
    unchanged = np.broadcast_to(np.arange(k), (monte_carlo.draws, k))
    return np.random.default_rng(monte_carlo.seed).permuted(unchanged, axis=1)


def _count_extreme(scores: Float[np.ndarray, " orders"], observed: float, alternative: Alternative) -> int:
    """How many scores speak against the null at least as much as the observed one; NaN does."""
    match alternative:
        case Alternative.GREATER:
            milder = scores < observed - _TIE
        case Alternative.LESS:
            milder = scores > observed + _TIE
        case Alternative.TWO_SIDED:
            milder = np.abs(scores) < abs(observed) - _TIE
    return len(scores) - int(np.count_nonzero(milder))
