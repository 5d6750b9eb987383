"""The bootstrap interval: against scipy, exact cases, and how often it covers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from scipy.stats import bootstrap, norm
from tiny import EXACT

from harness.rounding import rounding
from harness.statistics import Interval, mean_interval

SAMPLES = arrays(np.float64, st.integers(3, 40), elements=st.floats(-100, 100, width=32))


def covered(truth: float, draw, repeats: int, **options) -> float:
    return float(
        np.mean([i.low <= truth <= i.high for i in (mean_interval(draw(), **options) for _ in range(repeats))])
    )


@pytest.mark.parametrize("confidence", [0.8, 0.99])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(12).gamma(1.5, size=12),
        np.random.default_rng(150).gamma(1.5, size=150),
        np.append(np.linspace(0, 1, 7), [20.0, 21.0]),
        np.array([0.0] * 14 + [1.0] * 4 + [-1.0] * 3),
    ],
    ids=["few", "many", "one-sided", "tied"],
)
def test_agrees_with_scipys_bca(values: np.ndarray, confidence: float) -> None:
    ours = mean_interval(values, confidence=confidence)
    theirs = bootstrap((values,), np.mean, confidence_level=confidence, n_resamples=9_999, rng=0)
    # The same seed draws the same resamples in both, apart by single precision, and by 7e-4 of the width in one
    # case where rounding keeps scipy from seeing a resample tie with the mean.
    bounds = theirs.confidence_interval
    np.testing.assert_allclose([ours.low, ours.high], bounds, rtol=0, atol=8e-4 * (bounds.high - bounds.low))


def test_is_the_normal_interval_for_many_symmetric_values() -> None:
    values = norm.ppf((np.arange(400) + 0.5) / 400)
    ours = mean_interval(values, confidence=0.95)
    # Off by .8%: the resampling error of a .975 quantile.
    assert ours.high == pytest.approx(1.96 * values.std() / 20, rel=0.012)


def test_one_cluster_a_value_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert mean_interval(values, clusters=np.arange(30)) == mean_interval(values)


def test_repeating_each_value_as_a_cluster_changes_no_bound() -> None:
    values = np.random.default_rng(0).normal(size=20)
    once, thrice = (
        mean_interval(values),
        mean_interval(np.repeat(values, 3), clusters=np.repeat(np.arange(20), 3)),
    )
    np.testing.assert_allclose([thrice.low, thrice.high], [once.low, once.high], atol=EXACT)


def test_clusters_may_be_names() -> None:
    values = np.random.default_rng(0).normal(size=6)
    named = mean_interval(values, clusters=np.array(["ann", "ann", "bob", "bob", "cid", "cid"]))
    assert named == mean_interval(values, clusters=np.array([0, 0, 1, 1, 2, 2]))


def test_clusters_of_unlike_size_keep_the_mean_of_the_values() -> None:
    values = np.array([0.0, 0.0, 0.0, 4.0])
    assert mean_interval(values, clusters=np.array([0, 0, 0, 1])).estimate == 1.0


def test_equal_values_give_a_zero_wide_interval_at_their_exact_value() -> None:
    assert mean_interval(np.full(7, 0.1)) == Interval(0.1, 0.1, 0.1, 7, 0.99)


def test_equal_cluster_means_give_a_zero_wide_interval() -> None:
    found = mean_interval(np.array([0.0, 1.0, 0.0, 1.0]), clusters=np.array([0, 0, 1, 1]))
    assert (found.low, found.high) == (0.5, 0.5)


def test_one_value_has_no_bounds() -> None:
    found = mean_interval(np.array([3.0]))
    assert (found.estimate, found.n) == (3.0, 1)
    assert np.isnan([found.low, found.high]).all()


def test_one_cluster_has_no_bounds() -> None:
    found = mean_interval(np.array([3.0, 5.0]), clusters=np.array([1, 1]))
    assert found.estimate == 4.0
    assert np.isnan([found.low, found.high]).all()


def test_no_value_has_no_estimate() -> None:
    found = mean_interval(np.array([]))
    assert found.n == 0
    assert np.isnan([found.estimate, found.low, found.high]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_undefined_values_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="1 undefined of 3 values"):
        mean_interval(np.array([1.0, bad, 2.0]))


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises((ValueError, TypeCheckError), match=r"2 cluster labels for 3 values|clusters"):
        mean_interval(np.array([1.0, 0.0, 2.0]), clusters=np.array([1, 2]))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 99.0])
def test_a_confidence_outside_the_unit_interval_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval(np.array([1.0, 0.0]), confidence=confidence)


def test_a_confidence_beyond_the_correction_ends_at_the_extreme_resamples() -> None:
    values = np.array([0.0] * 9 + [1.0])
    found = mean_interval(values, confidence=1 - 1e-12)
    # The lowest resample holds no 1, the highest of 9,999 five.
    assert [found.low, found.high] == pytest.approx([0.0, 0.5], abs=rounding("float32", len(values)))


@settings(max_examples=40, deadline=None)
@given(SAMPLES)
def test_bounds_lie_within_the_values_and_around_the_estimate(values: np.ndarray) -> None:
    found = mean_interval(values, resamples=999)
    slack = rounding("float32", len(values)) * np.abs(values).max()
    assert values.min() - slack <= found.low <= found.high <= values.max() + slack


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.floats(0.01, 100), st.floats(-10, 10))
def test_scaling_and_shifting_the_values_scales_and_shifts_the_bounds(
    values: np.ndarray, factor: float, shift: float
) -> None:
    plain, moved = mean_interval(values, resamples=999), mean_interval(factor * values + shift, resamples=999)
    # Where nearly all values agree, rounding decides which of two neighbouring resamples is a tie.
    np.testing.assert_allclose(
        [moved.low, moved.high],
        [factor * plain.low + shift, factor * plain.high + shift],
        atol=1e-5 * (factor * np.abs(values).max() + abs(shift)),
    )


@settings(max_examples=40, deadline=None)
@given(SAMPLES)
def test_more_confidence_is_never_narrower(values: np.ndarray) -> None:
    narrow, wide = (mean_interval(values, confidence=c, resamples=999) for c in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_the_seed_alone_decides_the_resamples() -> None:
    values = np.random.default_rng(0).normal(size=25)
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)
    assert mean_interval(values, seed=4) != mean_interval(values, seed=5)


def test_leaves_the_global_generator_as_it_was() -> None:
    before = np.random.get_state()[1].copy()
    mean_interval(np.arange(5.0))
    assert (np.random.get_state()[1] == before).all()


def test_covers_the_mean_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    # .980 here with a standard error of .0057; 4,000 repeats gave .987.
    assert covered(0, lambda: rng.normal(size=50), 600) > 0.968


def test_covers_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(0)
    # .78 here with a standard error of .017: an interval too wide would be as false as one too narrow.
    assert covered(0, lambda: rng.normal(size=50), 600, confidence=0.8) == pytest.approx(0.8, abs=0.04)


def test_clustered_values_are_covered_only_when_clusters_are_named() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 4)

    def draw() -> np.ndarray:
        return np.repeat(rng.normal(size=30), 4) + 0.5 * rng.normal(size=120)

    # .980 with clusters and .755 without; 3,000 repeats gave .977 and .815.
    assert covered(0, draw, 200, clusters=people, resamples=1_999) > 0.95
    assert covered(0, draw, 200, resamples=1_999) < 0.85
