"""The sign-flip test: against full enumeration and scipy, its laws, and how often it errs."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, norm, permutation_test
from tiny import EXACT

from harness.statistics import sign_flip_p, sign_flip_p_clustered, sign_flip_p_two_sided
from harness.statistics.permutation import convolved_share, paired_share

# Six decimals: differences a million times smaller than the others are not taken for rounding.
REALS = arrays(np.float64, st.integers(1, 14), elements=st.floats(-10, 10).map(lambda x: round(x, 6)))
WHOLE = arrays(np.int64, st.integers(1, 14), elements=st.integers(-5, 5))


def enumerated(differences: np.ndarray) -> float:
    signs = np.array(list(product([-1, 1], repeat=len(differences))))
    sums = signs @ np.abs(differences)
    return float(np.mean(sums >= differences.sum() - EXACT * np.abs(differences).sum()))


def split(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return differences[differences > 0], -differences[differences < 0]


@settings(max_examples=60, deadline=None)
@given(REALS)
def test_equals_full_enumeration(differences: np.ndarray) -> None:
    assert sign_flip_p(differences) == enumerated(differences)


@settings(max_examples=60, deadline=None)
@given(WHOLE)
def test_equals_full_enumeration_on_whole_numbers(differences: np.ndarray) -> None:
    assert sign_flip_p(differences) == enumerated(differences)


@settings(max_examples=60, deadline=None)
@given(WHOLE, st.sampled_from([0.1, 1 / 3, 0.7]))
def test_ties_survive_rounding_of_the_differences(differences: np.ndarray, unit: float) -> None:
    assert sign_flip_p(unit * differences) == enumerated(differences)


@pytest.mark.parametrize("seed", range(3))
def test_equals_scipys_exact_test(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.4, 1, 12)
    theirs = permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert sign_flip_p(differences) == theirs.pvalue


@settings(max_examples=60, deadline=None)
@given(WHOLE.filter(np.any))
def test_convolution_equals_full_enumeration_on_whole_numbers(differences: np.ndarray) -> None:
    assert convolved_share(*split(differences.astype(float))) == enumerated(differences)


@settings(max_examples=100, deadline=None)
@given(REALS.filter(np.any))
def test_convolution_never_lies_below_the_exact_count(differences: np.ndarray) -> None:
    gains, losses = split(differences)
    assert convolved_share(gains, losses) >= paired_share(gains, losses) * (1 - EXACT)


@pytest.mark.parametrize("power", [1, 3], ids=["normal", "heavy-tailed"])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6, 1.0])
def test_convolution_agrees_with_the_exact_count_where_it_takes_over(shift: float, power: int) -> None:
    gains, losses = split(np.random.default_rng(0).normal(shift, 1, 28) ** power)
    # At most 1.1e-3 of p above over these.
    assert convolved_share(gains, losses) == pytest.approx(paired_share(gains, losses), rel=1.5e-3)


@pytest.mark.parametrize(("n", "losses"), [(60, 20), (150, 40), (150, 75), (400, 150)])
def test_is_the_binomial_tail_where_all_differences_have_one_size(n: int, losses: int) -> None:
    differences = np.where(np.arange(n) < losses, -0.1, 0.1)
    assert sign_flip_p(differences) == pytest.approx(binom.cdf(losses, n, 0.5), rel=EXACT)


@pytest.mark.parametrize("n", [150, 400])
def test_is_near_the_normal_tail_for_many_values(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.12, 1, n)
    z = differences.sum() / np.sqrt((differences**2).sum())
    # 1.0% above at 150 and 2.5% at 400: rounding towards a larger p.
    assert sign_flip_p(differences) == pytest.approx(norm.sf(z), rel=0.03)


@pytest.mark.parametrize("n", [1, 10, 60, 1_000])
def test_reaches_the_smallest_possible_p(n: int) -> None:
    assert sign_flip_p(np.linspace(1, 2, n)) == 2.0**-n


def test_never_reports_zero() -> None:
    assert sign_flip_p(np.ones(2_000)) > 0


def test_many_values_count_beyond_the_largest_float() -> None:
    differences = np.tile([1.0, -1.0], 600)
    assert sign_flip_p(differences) == pytest.approx(binom.cdf(600, 1_200, 0.5), rel=EXACT)


def test_a_loss_too_small_to_matter_leaves_p_near_its_least() -> None:
    differences = np.append(np.ones(20), -1e-9)
    assert sign_flip_p(differences) == 2.0**-20


@settings(max_examples=60, deadline=None)
@given(REALS, st.sampled_from([2.0**-30, 0.25, 8.0, 2.0**40]))
def test_scaling_changes_nothing(differences: np.ndarray, factor: float) -> None:
    assert sign_flip_p(factor * differences) == sign_flip_p(differences)


@settings(max_examples=60, deadline=None)
@given(REALS, st.floats(-5, 5), st.floats(0, 5))
def test_a_larger_margin_is_never_easier(differences: np.ndarray, margin: float, more: float) -> None:
    lower, higher = sign_flip_p(differences, margin=margin), sign_flip_p(differences, margin=margin + more)
    assert higher >= lower


@settings(max_examples=60, deadline=None)
@given(WHOLE, st.integers(-5, 5))
def test_a_margin_is_a_shift(differences: np.ndarray, margin: int) -> None:
    assert sign_flip_p(differences, margin=float(margin)) == sign_flip_p(differences - margin)


@settings(max_examples=60, deadline=None)
@given(REALS, st.integers(0, 5))
def test_differences_equal_to_the_margin_change_nothing(differences: np.ndarray, zeros: int) -> None:
    assert sign_flip_p(np.append(differences, np.zeros(zeros))) == sign_flip_p(differences)


def test_a_difference_that_is_zero_but_for_rounding_is_no_evidence() -> None:
    assert sign_flip_p(np.array([0.1 + 0.2, 1.0]), margin=0.3) == 0.5


def test_nothing_but_zeros_is_no_evidence() -> None:
    assert sign_flip_p(np.full(9, 0.3), margin=0.3) == 1.0


def test_no_difference_is_undefined() -> None:
    assert np.isnan(sign_flip_p(np.array([])))


def test_undefined_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="1 undefined of 2 values"):
        sign_flip_p(np.array([1.0, np.nan]))


def test_two_sided_doubles_the_smaller_tail() -> None:
    differences = np.array([1.0, 2.0, 3.0, -0.5])
    assert sign_flip_p_two_sided(differences) == sign_flip_p_two_sided(-differences) == 2 * 2 / 16


def test_two_sided_is_one_where_the_sum_is_zero() -> None:
    assert sign_flip_p_two_sided(np.array([1.0, -1.0, 2.0, -2.0])) == 1.0


def test_one_cluster_a_difference_changes_nothing() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 30)
    assert sign_flip_p_clustered(differences, np.arange(30), margin=0.1) == sign_flip_p(differences, margin=0.1)


@settings(max_examples=60, deadline=None)
@given(WHOLE, st.data())
def test_clusters_flip_as_one(differences: np.ndarray, data) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(differences), max_size=len(differences))))
    groups = np.unique(labels)
    signs = np.array(list(product([-1, 1], repeat=len(groups))))
    sums = (signs[:, np.searchsorted(groups, labels)] * differences).sum(axis=1)
    assert sign_flip_p_clustered(differences, labels) == np.mean(sums >= differences.sum())


def test_the_margin_counts_once_a_difference_in_a_cluster() -> None:
    differences, people = np.array([1.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1])
    assert sign_flip_p_clustered(differences, people, margin=0.9) == 0.25
    assert sign_flip_p_clustered(differences, people, margin=1.0) == 1.0


def test_errs_no_more_often_than_stated() -> None:
    null = np.random.default_rng(0).laplace(size=(1_000, 25))
    p = np.array([sign_flip_p(row) for row in null])
    # .050, .011 and .502 here; standard errors .0069, .0031 and .0158.
    assert np.mean(p <= 0.05) <= 0.064
    assert np.mean(p <= 0.01) <= 0.016
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.032)


def test_finds_a_planted_effect() -> None:
    assert sign_flip_p(np.random.default_rng(0).normal(1, 1, 40)) < 1e-5


def test_unnamed_clusters_err_and_named_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 5)
    null = np.repeat(rng.normal(size=(300, 12)), 5, axis=1) + 0.3 * rng.normal(size=(300, 60))
    # .023 named (standard error .0126) and .217 unnamed.
    assert np.mean([sign_flip_p_clustered(row, people) <= 0.05 for row in null]) <= 0.075
    assert np.mean([sign_flip_p(row) <= 0.05 for row in null]) > 0.15
