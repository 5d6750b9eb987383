"""The permutation test of a correlation: against brute force and scipy, and where it is undefined."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from scipy import stats
from tiny import EXACT

from harness.statistics import (
    Alternative,
    MonteCarlo,
    exact_correlation,
    kendall_rows,
    pearson_rows,
    spearman_rows,
)
from harness.statistics.relabelling import all_orders, relabelling_test

TIED = arrays(np.int64, (2, 5), elements=st.integers(0, 3))
EXTREME = {
    Alternative.GREATER: lambda r, observed: r >= observed - EXACT,
    Alternative.LESS: lambda r, observed: r <= observed + EXACT,
    Alternative.TWO_SIDED: lambda r, observed: abs(r) >= abs(observed) - EXACT,
}


@pytest.mark.parametrize("alternative", list(Alternative))
@pytest.mark.parametrize("statistic", [spearman_rows, pearson_rows, kendall_rows])
@settings(max_examples=15, deadline=None)
@given(pair=TIED.filter(lambda pair: (np.ptp(pair, axis=1) > 0).all()))
def test_equals_brute_force(statistic, alternative: Alternative, pair: np.ndarray) -> None:
    x, y = pair
    found = exact_correlation(x, y, statistic=statistic, alternative=alternative)
    every = [statistic(x[None], y[list(order)][None])[0] for order in permutations(range(5))]
    assert found.p == np.mean([EXTREME[alternative](r, every[0]) for r in every])


def test_agrees_with_scipys_exact_test() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 6))
    theirs = stats.permutation_test(
        (x,), lambda v: stats.spearmanr(v, y).statistic, permutation_type="pairings", n_resamples=np.inf
    )
    # scipy's two-sided p doubles the smaller tail; without ties the null distribution is symmetric.
    assert exact_correlation(x, y).p == pytest.approx(theirs.pvalue, abs=EXACT)


@pytest.mark.parametrize("k", [3, 4, 7, 8])
def test_perfect_agreement_has_the_smallest_p_of_all_orders(k: int) -> None:
    found = exact_correlation(np.arange(k), np.arange(k) ** 2)
    assert found.p == 2 / factorial(k)
    assert (found.orders, found.exact, found.n) == (factorial(k), True, k)


def test_one_sided_tests_take_their_sides() -> None:
    x = np.arange(6)
    assert exact_correlation(x, x, alternative=Alternative.GREATER).p == 1 / 720
    assert exact_correlation(x, x, alternative=Alternative.LESS).p == 1.0


def test_beyond_eight_orders_are_drawn_and_p_is_never_zero() -> None:
    found = exact_correlation(np.arange(30), np.arange(30), monte_carlo=MonteCarlo(draws=499))
    assert (found.p, found.orders, found.exact) == (1 / 500, 499, False)


def test_drawn_orders_agree_with_counted_ones() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 9))
    drawn = exact_correlation(x, y).p
    # Against Student's approximation: .001 apart; 9,999 draws have a standard error of .005.
    assert drawn == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.015)


def test_the_seed_alone_decides_the_drawn_orders() -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 12))
    first, again, other = (exact_correlation(x, y, monte_carlo=MonteCarlo(999, seed)).p for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.ones(5), np.arange(5), "x is constant"),
        (np.arange(5), np.full(5, 0.1), "y is constant"),
        (np.arange(2), np.arange(2), "2 labels"),
        (np.array([]), np.array([]), "0 labels"),
    ],
)
def test_undefined_input_gives_no_p_and_says_why(x: np.ndarray, y: np.ndarray, reason: str) -> None:
    found = exact_correlation(x, y)
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason is not None
    assert reason in found.reason


def test_undefined_values_are_refused() -> None:
    with pytest.raises(ValueError, match="y holds 1 undefined of 4"):
        exact_correlation(np.arange(4), np.array([1.0, np.nan, 3.0, 4.0]))


def test_unpaired_vectors_are_refused() -> None:
    with pytest.raises((ValueError, TypeCheckError), match=r"pair them|parameter 'y'"):
        exact_correlation(np.arange(4), np.arange(5))


def test_an_undefined_score_of_an_order_counts_against_the_claim() -> None:
    def score(orders: np.ndarray) -> np.ndarray:
        return np.where(orders[:, 0] == 0, orders[:, 0] + 1.0, np.nan)

    assert relabelling_test(score, 4).p == 1.0


def test_orders_are_all_there_and_different() -> None:
    orders = all_orders(5)
    assert len(np.unique(orders, axis=0)) == 120
    assert (np.sort(orders, axis=1) == np.arange(5)).all()


def test_shared_orders_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        all_orders(3)[0, 0] = 1


def test_errs_no_more_often_than_stated() -> None:
    pairs = np.random.default_rng(0).normal(size=(300, 2, 5))
    p = np.array([exact_correlation(x, y).p for x, y in pairs])
    # .020 here, standard error .0126: over 120 orders few values of p lie near .05.
    assert np.mean(p <= 0.05) <= 0.05
