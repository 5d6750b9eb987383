"""Non-inferiority and equivalence: exact cases, and absence of evidence is no evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.statistics import noninferiority_p, sign_flip_p, sign_flip_p_clustered, tost

REALS = arrays(np.float64, st.integers(1, 12), elements=st.floats(-10, 10, width=32))


@settings(max_examples=40, deadline=None)
@given(REALS, st.floats(-5, 5))
def test_noninferiority_is_the_mirrored_test_of_superiority(differences: np.ndarray, margin: float) -> None:
    assert noninferiority_p(differences, margin) == sign_flip_p(-differences, margin=-margin)


@settings(max_examples=40, deadline=None)
@given(REALS)
def test_tost_is_the_worse_of_its_two_tests(differences: np.ndarray) -> None:
    found = tost(differences, -1.0, 2.0)
    assert found.p_low == sign_flip_p(differences, margin=-1.0)
    assert found.p_high == noninferiority_p(differences, 2.0)
    assert found.p == max(found.p_low, found.p_high)


def test_tost_of_mirrored_differences_mirrors() -> None:
    differences = np.random.default_rng(0).normal(0.2, 1, 20)
    found, mirrored = tost(differences, -1.0, 0.5), tost(-differences, -0.5, 1.0)
    assert (found.p_low, found.p_high) == (mirrored.p_high, mirrored.p_low)


def test_precise_zeros_are_equivalent() -> None:
    assert tost(np.random.default_rng(0).normal(0, 0.1, 30), -0.1, 0.1).p < 0.01


def test_few_noisy_values_are_not_equivalent_though_not_different() -> None:
    noisy = np.random.default_rng(1).normal(0, 1, 8)
    assert sign_flip_p(noisy) > 0.05
    assert tost(noisy, -0.1, 0.1).p > 0.05


def test_a_difference_beyond_the_bounds_is_not_equivalent() -> None:
    found = tost(np.random.default_rng(0).normal(0.5, 0.1, 30), -0.1, 0.1)
    assert found.p_low < 1e-5
    assert found.p_high > 0.99


def test_a_mean_on_the_bound_is_rarely_called_equivalent() -> None:
    null = np.random.default_rng(0).normal(0.1, 0.05, (400, 20))
    # .0525 here, standard error .0109.
    assert np.mean([tost(row, -0.1, 0.1).p <= 0.05 for row in null]) <= 0.072


def test_clusters_are_flipped_as_one() -> None:
    differences, people = np.random.default_rng(0).normal(size=12), np.repeat(np.arange(4), 3)
    found = tost(differences, -2.0, 2.0, people)
    assert found.p_low == sign_flip_p_clustered(differences, people, margin=-2.0)
    assert found.p_high == noninferiority_p(differences, 2.0, people)
    assert found.p >= 2**-4


def test_no_difference_is_undefined() -> None:
    assert np.isnan(tost(np.array([]), -1.0, 1.0)).all()


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0)])
def test_bounds_without_room_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low < high"):
        tost(np.zeros(3), low, high)
