"""Correlations: against scipy, and undefined where nothing varies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from tiny import EXACT

from harness.statistics import kendall, kendall_rows, pearson, pearson_rows, spearman, spearman_rows

ROWS = [pearson_rows, spearman_rows, kendall_rows]
PAIRS = [(pearson, pearson_rows), (spearman, spearman_rows), (kendall, kendall_rows)]
REFERENCES = [(pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)]
TIED = arrays(np.int64, (2, 8), elements=st.integers(-3, 3))


@pytest.mark.parametrize(("ours", "theirs"), REFERENCES)
@pytest.mark.parametrize("levels", [3, 1_000])
def test_agrees_with_scipy_with_and_without_ties(ours, theirs, levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(20):
        x, y = rng.integers(0, levels, (2, 12))
        assert ours(x, y) == pytest.approx(theirs(x, y).statistic, abs=EXACT)


@pytest.mark.parametrize(("one", "rows"), PAIRS)
def test_rows_are_correlated_one_by_one(one, rows) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 5, 9))
    assert rows(x, y).tolist() == [one(a, b) for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_a_constant_row_is_undefined_and_leaves_the_others(rows, value: float) -> None:
    x = np.array([[value] * 3, [1.0, 2.0, 3.0]])
    found = rows(x, np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]]))
    assert np.isnan(found[0])
    assert found[1] > 0.9


@pytest.mark.parametrize("rows", ROWS)
def test_a_nan_makes_its_row_undefined_alone(rows) -> None:
    x = np.array([[np.nan, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = rows(x, np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]]))
    assert np.isnan(found[0])
    assert found[1] > 0.9


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("d", [0, 1])
def test_fewer_than_two_entries_are_undefined(rows, d: int) -> None:
    assert np.isnan(rows(np.ones((2, d)), np.ones((2, d)))).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_pearson_survives_entries_whose_squares_leave_the_floats(scale: float) -> None:
    assert pearson(scale * np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0])) == pytest.approx(1)


@pytest.mark.parametrize("rows", ROWS)
@settings(max_examples=40, deadline=None)
@given(pair=TIED)
def test_is_symmetric_bounded_and_odd(rows, pair: np.ndarray) -> None:
    x, y = pair[:1], pair[1:]
    forward, backward, negated = rows(x, y)[0], rows(y, x)[0], rows(-x, y)[0]
    np.testing.assert_allclose([backward, -negated], forward, atol=EXACT)
    assert np.isnan(forward) or abs(forward) <= 1


@pytest.mark.parametrize("rows", [spearman_rows, kendall_rows])
@settings(max_examples=40, deadline=None)
@given(pair=TIED)
def test_rank_correlations_ignore_a_monotone_change(rows, pair: np.ndarray) -> None:
    x, y = pair[:1], pair[1:]
    np.testing.assert_array_equal(rows(x**3, y), rows(x, y))


def test_pearson_does_not_ignore_a_monotone_change() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert pearson(x**3, y) != pytest.approx(pearson(x, y), abs=0.01)
