"""Mantel tests: against brute force and scikit-bio, their laws, and planted causes."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from scipy.stats import pearsonr, rankdata, spearmanr
from tiny import EXACT

from harness.statistics import (
    Alternative,
    MonteCarlo,
    kendall_rows,
    mantel,
    partial_mantel,
    pearson_rows,
    spearman_rows,
    symmetrised,
)

SQUARES = arrays(np.int64, (2, 5, 5), elements=st.integers(0, 6))


def drawn(rng: np.random.Generator, k: int) -> np.ndarray:
    return symmetrised(rng.normal(size=(k, k)))


def above(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]


def residuals(of: np.ndarray, given_: np.ndarray) -> np.ndarray:
    design = np.stack([np.ones_like(given_), given_], axis=1)
    return of - design @ np.linalg.lstsq(design, of, rcond=None)[0]


@pytest.mark.parametrize(
    ("statistic", "reference"),
    [(pearson_rows, pearsonr), (spearman_rows, spearmanr)],
    ids=["pearson", "spearman"],
)
@pytest.mark.parametrize("k", [4, 6])
def test_equals_brute_force(statistic, reference, k: int) -> None:
    rng = np.random.default_rng(k)
    a, b = drawn(rng, k), drawn(rng, k)
    every = [reference(above(a[np.ix_(order, order)]), above(b)).statistic for order in permutations(range(k))]
    found = mantel(a, b, statistic=statistic)
    assert found.statistic == pytest.approx(every[0], abs=EXACT)
    assert found.p == np.mean(np.array(every) >= every[0] - EXACT)


@pytest.mark.parametrize(("ours", "method"), [(pearson_rows, "pearson"), (spearman_rows, "spearman")])
def test_agrees_with_scikit_bio(ours, method: str) -> None:
    theirs = pytest.importorskip("skbio.stats.distance").mantel
    rng = np.random.default_rng(0)
    a, b = (np.abs(drawn(rng, 7)) for _ in range(2))
    np.fill_diagonal(a, 0)
    np.fill_diagonal(b, 0)
    statistic, p, _ = theirs(a, b, method=method, permutations=4_999, alternative="greater", seed=1)
    found = mantel(a, b, statistic=ours)
    assert found.statistic == pytest.approx(statistic, abs=EXACT)
    # .001 apart; 4,999 draws have a standard error of at most .007.
    assert found.p == pytest.approx(p, abs=0.015)


def test_counts_all_relabellings_of_seven() -> None:
    a = drawn(np.random.default_rng(0), 7)
    found = mantel(a, a)
    assert (found.orders, found.exact, found.n, found.p) == (5_040, True, 7, 1 / 5_040)


def test_draws_relabellings_beyond_eight() -> None:
    a = drawn(np.random.default_rng(0), 12)
    found = mantel(a, a, monte_carlo=MonteCarlo(draws=199))
    assert (found.orders, found.exact, found.p) == (199, False, 1 / 200)


@settings(max_examples=25, deadline=None)
@given(SQUARES, st.permutations(range(5)))
def test_relabelling_both_changes_nothing(pair: np.ndarray, order: list[int]) -> None:
    a, b = symmetrised(pair[0]), symmetrised(pair[1])
    plain, moved = mantel(a, b), mantel(a[np.ix_(order, order)], b[np.ix_(order, order)])
    np.testing.assert_allclose([moved.statistic, moved.p], [plain.statistic, plain.p], atol=EXACT)


@settings(max_examples=25, deadline=None)
@given(SQUARES, st.floats(0.1, 10), st.floats(-5, 5))
def test_rescaling_one_changes_nothing(pair: np.ndarray, factor: float, shift: float) -> None:
    a, b = symmetrised(pair[0]), symmetrised(pair[1])
    plain, moved = mantel(a, b), mantel(factor * a + shift, b)
    np.testing.assert_allclose([moved.statistic, moved.p], [plain.statistic, plain.p], atol=EXACT)


@settings(max_examples=25, deadline=None)
@given(SQUARES)
def test_either_may_be_relabelled(pair: np.ndarray) -> None:
    a, b = symmetrised(pair[0]), symmetrised(pair[1])
    np.testing.assert_allclose(mantel(a, b).p, mantel(b, a).p, atol=EXACT)


def test_never_reads_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    a, b = drawn(rng, 5), drawn(rng, 5)
    changed = a.copy()
    np.fill_diagonal(changed, [np.nan, 1e9, -3, 0, np.inf])
    assert mantel(changed, b) == mantel(a, b)


def test_similarity_beside_distance_is_found_on_the_other_side() -> None:
    a = drawn(np.random.default_rng(0), 6)
    assert mantel(a, -a).p == 1.0
    assert mantel(a, -a, alternative=Alternative.LESS).p == 1 / 720


@pytest.mark.parametrize(
    ("a", "reason"), [(np.ones((5, 5)), "a is constant off its diagonal"), (np.eye(2), "2 labels")]
)
def test_undefined_matrices_give_no_p_and_say_why(a: np.ndarray, reason: str) -> None:
    found = mantel(a, drawn(np.random.default_rng(0), len(a)))
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason is not None
    assert reason in found.reason


@pytest.mark.parametrize("test", [mantel, lambda a, b: partial_mantel(b, b, a)], ids=["mantel", "partial"])
@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.arange(25).reshape(5, 5), "not symmetric; pass symmetrised"),
        (np.where(np.eye(5, k=1) + np.eye(5, k=-1) > 0, np.nan, 1.0), "8 undefined of 25"),
        (np.eye(4), "the same items|type"),
    ],
)
def test_unfit_matrices_are_refused(test, a: np.ndarray, message: str) -> None:
    with pytest.raises((ValueError, TypeCheckError), match=message):
        test(a, drawn(np.random.default_rng(0), 5))


def test_symmetrised_is_the_mean_with_the_transpose() -> None:
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    found = symmetrised(matrix)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(found, (matrix + matrix.T) / 2)


@pytest.mark.parametrize(
    ("statistic", "prepare"),
    [(pearson_rows, lambda v: v), (spearman_rows, rankdata)],
    ids=["pearson", "spearman"],
)
def test_partial_equals_the_correlation_of_residuals_by_brute_force(statistic, prepare) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (drawn(rng, 5) for _ in range(3))
    known = prepare(above(c))
    fixed = residuals(prepare(above(b)), known)
    every = np.array(
        [
            pearsonr(residuals(prepare(above(a[np.ix_(order, order)])), known), fixed).statistic
            for order in permutations(range(5))
        ]
    )
    found = partial_mantel(a, b, c, statistic=statistic)
    assert found.statistic == pytest.approx(every[0], abs=EXACT)
    assert found.p == np.mean(every >= every[0] - EXACT)


def test_partial_of_kendall_is_kendalls_partial_tau() -> None:
    rng = np.random.default_rng(1)
    a, b, c = (drawn(rng, 5) for _ in range(3))
    ab, ac, bc = (mantel(x, y, statistic=kendall_rows).statistic for x, y in ((a, b), (a, c), (b, c)))
    found = partial_mantel(a, b, c, statistic=kendall_rows).statistic
    assert found == pytest.approx((ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2)), abs=EXACT)


def test_a_common_cause_is_seen_by_mantel_and_removed_by_partial_mantel() -> None:
    rng = np.random.default_rng(2)
    cause = drawn(rng, 7)
    a, b = (cause + 0.3 * drawn(rng, 7) for _ in range(2))
    assert mantel(a, b).p < 0.01
    assert partial_mantel(a, b, cause).p > 0.05


def test_a_link_of_its_own_survives_partial_mantel() -> None:
    rng = np.random.default_rng(3)
    cause, own = drawn(rng, 7), drawn(rng, 7)
    a, b = (cause + own + 0.3 * drawn(rng, 7) for _ in range(2))
    assert partial_mantel(a, b, cause).p < 0.01


@pytest.mark.parametrize("which", ["a", "b"])
def test_partial_is_undefined_where_the_third_explains_all(which: str) -> None:
    rng = np.random.default_rng(0)
    known, other = drawn(rng, 5), drawn(rng, 5)
    pair = {"a": (2 * known + 1, other), "b": (other, -known)}[which]
    found = partial_mantel(*pair, known)
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason == f"given explains {which} wholly"


def test_partial_is_undefined_below_four_items() -> None:
    rng = np.random.default_rng(0)
    found = partial_mantel(*(drawn(rng, 3) for _ in range(3)))
    assert np.isnan(found.p)
    assert found.reason is not None


def test_errs_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(0)
    p = np.array([mantel(drawn(rng, 5), drawn(rng, 5)).p for _ in range(300)])
    # .037 here, standard error .0126.
    assert np.mean(p <= 0.05) <= 0.062


@pytest.mark.parametrize("k", [20, 64])
def test_memory_does_not_grow_with_the_number_of_items(k: int) -> None:
    """What is scored at once is counted in cells, not in orders."""
    seen = []

    def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        seen.append(x.size)
        return pearson_rows(x, y)

    rng = np.random.default_rng(0)
    mantel(drawn(rng, k), drawn(rng, k), statistic=correlation, monte_carlo=MonteCarlo(draws=999))
    assert max(seen) <= 2_048 * 190
