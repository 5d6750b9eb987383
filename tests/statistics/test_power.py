"""How many images would settle a claim: where the test it plans for indeed settles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.statistics import images_to_settle, mean_interval, sign_flip_p

REALS = arrays(np.float64, st.integers(2, 30), elements=st.floats(-10, 10, width=16))


def repeated(values: np.ndarray, n: int) -> np.ndarray:
    """As many values of the same shape, and of exactly the same mean and spread."""
    found = np.quantile(values, (np.arange(n) + 0.5) / n, method="averaged_inverted_cdf")
    return (found - found.mean()) / found.std() * values.std() + values.mean()


@pytest.mark.parametrize("effect", [0.1, 0.2, 0.4, -0.2])
def test_that_many_images_bring_the_test_to_alpha(effect: float) -> None:
    values = np.random.default_rng(0).normal(size=60)
    values += effect - values.mean()
    n = images_to_settle(values, 0.0, 0.01)
    assert n is not None
    p = sign_flip_p(np.sign(effect) * repeated(values, n))
    # Between .0086 and .0103 over these four.
    assert p == pytest.approx(0.01, abs=0.002)


def test_that_many_images_bring_the_interval_to_the_margin() -> None:
    values = np.random.default_rng(0).normal(size=60)
    values += 0.3 - values.mean()
    n = images_to_settle(values, 0.1, 0.005)
    assert n is not None
    # .108 at n = 141: a skewed sample moves the interval, not the test.
    assert mean_interval(repeated(values, n)).low == pytest.approx(0.1, abs=0.012)


@pytest.mark.parametrize(("values", "margin"), [([1.0, -1.0], 0.0), ([0.1, 0.2, 0.3], 0.2), ([0.3, 0.3], 0.3)])
def test_an_effect_equal_to_the_margin_is_never_settled(values: list[float], margin: float) -> None:
    assert images_to_settle(np.array(values), margin, 0.01) is None


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_say_nothing_of_the_spread(values: list[float]) -> None:
    assert images_to_settle(np.array(values), 0.0, 0.01) is None


def test_a_constant_effect_needs_what_the_test_can_resolve() -> None:
    n = images_to_settle(np.ones(3), 0.0, 0.01)
    assert n == 7
    assert sign_flip_p(np.ones(7)) < 0.01 < sign_flip_p(np.ones(6))


@settings(max_examples=60, deadline=None)
@given(REALS)
def test_a_stricter_level_never_needs_fewer(values: np.ndarray) -> None:
    loose, strict = images_to_settle(values, 0.0, 0.05), images_to_settle(values, 0.0, 0.01)
    assert (loose is None) == (strict is None)
    assert loose is None or loose <= strict


@settings(max_examples=60, deadline=None)
@given(REALS, st.sampled_from([0.25, 4.0]))
def test_scale_and_direction_change_nothing(values: np.ndarray, factor: float) -> None:
    assert images_to_settle(-factor * values, 0.0, 0.01) == images_to_settle(values, 0.0, 0.01)


def test_half_the_effect_needs_about_four_times_as_many() -> None:
    spread = np.tile([1.0, -1.0], 20)
    near, far = images_to_settle(spread + 0.05, 0.0, 0.01), images_to_settle(spread + 0.1, 0.0, 0.01)
    assert near == pytest.approx(4 * far, rel=0.02)


def test_undefined_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="undefined"):
        images_to_settle(np.array([np.nan, 1.0]), 0.0, 0.01)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 5.0])
def test_a_level_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        images_to_settle(np.arange(3.0), 0.0, alpha)
