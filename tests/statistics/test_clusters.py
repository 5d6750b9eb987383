"""The test of a mean over people: exact cases, what skew does to it, and whether as many people as said settle it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import skew, ttest_1samp
from tiny import EXACT

from harness.statistics import (
    Spread,
    images_of,
    least_units,
    mean_above_p,
    mean_below_p,
    mean_interval,
    people_interval,
    people_to_settle,
    sign_flip_p,
    sign_flip_p_clustered,
    sign_flip_p_rows,
    skew_guarded_p_rows,
    spread,
)
from harness.statistics.clusters import guarded_p

REALS = arrays(np.float64, st.integers(2, 12), elements=st.floats(-10, 10, width=16))


# ---------------------------------------------------------------------- people as the sample


def test_one_image_a_person_gives_what_images_give() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 25)
    assert mean_above_p(values, 0.1, np.arange(25)) == mean_above_p(values, 0.1)
    assert sign_flip_p_clustered(values, np.arange(25), margin=0.1) == sign_flip_p(values, margin=0.1)


@settings(max_examples=40, deadline=None)
@given(REALS, st.integers(2, 4))
def test_photographing_everyone_again_changes_nothing(values: np.ndarray, times: int) -> None:
    people = np.repeat(np.arange(len(values)), times)
    # Sums of equal numbers are their multiples up to rounding, which p follows.
    assert mean_above_p(np.repeat(values, times), 0.5, people) == pytest.approx(mean_above_p(values, 0.5), rel=1e-5)


def test_people_of_unlike_numbers_of_images_are_flipped_whole() -> None:
    values, people = np.array([1.0, 2.0, -0.5, 4.0, 1.0]), np.array(["ann", "ann", "bob", "cid", "cid"])
    # Sums 3, -.5 and 5: of eight patterns of signs two reach 7.5 (all as they are, and bob turned).
    assert sign_flip_p_clustered(values, people) == 2 / 8
    assert mean_above_p(values, 0.0, people) >= 2 / 8


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(3, 9), elements=st.floats(-10, 10, width=16)))
def test_studentising_sign_flips_changes_nothing(sums: np.ndarray) -> None:
    bits = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
    flipped = (2 * bits - 1) * sums
    spread_about_0 = np.sqrt((flipped**2).mean(1))
    np.testing.assert_allclose(spread_about_0, spread_about_0[0], rtol=EXACT)


@settings(max_examples=60, deadline=None)
@given(REALS, st.floats(-3, 3, width=16))
def test_below_mirrors_above(values: np.ndarray, margin: float) -> None:
    assert mean_below_p(values, margin) == mean_above_p(-values, -margin)


def test_the_claim_needs_both_p_values() -> None:
    values = np.random.default_rng(3).exponential(size=15) - 0.3
    both = sign_flip_p(values), float(skew_guarded_p_rows(values[None])[0])
    assert mean_above_p(values, 0.0) == max(both)
    assert mean_above_p(-values, -0.9) == max(
        sign_flip_p(0.9 - values), float(skew_guarded_p_rows(0.9 - values[None])[0])
    )


def test_no_value_has_no_p() -> None:
    assert np.isnan(mean_above_p(np.array([]), 0.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_undefined_values_are_refused(bad: float) -> None:
    for ask in (mean_above_p, mean_below_p, spread):
        with pytest.raises(ValueError, match="1 undefined of 2 values"):
            ask(np.array([bad, 1.0]), 0.0)


# ---------------------------------------------------------------------- the guard against skew


def test_without_skewness_the_guard_is_students_t() -> None:
    scaled = np.array([0.2, 0.8, -0.5])
    # A told skewness of 0: that of the sample one standard error above it.
    error = np.sqrt(6 * 20 * 19 / (18 * 21 * 23))
    sample = np.linspace(-1, 1, 20)
    expected = ttest_1samp(sample + 0.4, 0, alternative="greater").pvalue
    assert guarded_p(np.array([0.4 / sample.std(ddof=1)]), np.array([error]), 20)[0] == pytest.approx(
        expected, rel=1000 * EXACT
    )
    assert (np.diff(guarded_p(np.sort(scaled), np.full(3, error), 20)) < 0).all()


def test_the_skewness_is_the_corrected_one() -> None:
    values = np.random.default_rng(0).exponential(size=12)
    found = spread(values, 0.0)
    assert found is not None
    assert found.skewness == pytest.approx(skew(values, bias=False), rel=1000 * EXACT)
    assert found.deviation == pytest.approx(values.std(ddof=1), rel=EXACT)


def test_a_tail_on_the_other_side_makes_the_guard_stricter() -> None:
    scaled, even = np.array([0.7]), np.zeros(1)
    assert guarded_p(scaled, even - 1, 20)[0] > guarded_p(scaled, even, 20)[0] > guarded_p(scaled, even + 1, 20)[0]


@pytest.mark.parametrize(("value", "p"), [(0.1, 0.0), (-0.1, 1.0), (0.0, 1.0)])
def test_equal_numbers_leave_the_word_to_the_signs(value: float, p: float) -> None:
    assert skew_guarded_p_rows(np.full((1, 6), value))[0] == p
    assert mean_above_p(np.full(6, value), 0.0) == (2.0**-6 if value > 0 else 1.0)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.integers(2, 12), elements=st.integers(-100, 100).map(lambda eighths: eighths / 8)))
def test_many_rows_give_what_one_gives(values: np.ndarray) -> None:
    rows = np.stack([values, -values])
    assert sign_flip_p_rows(rows)[0] == sign_flip_p(values)
    single = [float(skew_guarded_p_rows(row[None])[0]) for row in rows]
    np.testing.assert_allclose(skew_guarded_p_rows(rows), single, rtol=EXACT)


def test_drawn_signs_give_about_the_exact_p() -> None:
    sums = np.random.default_rng(1).normal(0.4, 1, (3, 30))
    exact = np.array([sign_flip_p(row) for row in sums])
    # Four standard errors of a share of 19,999 draws.
    assert (np.abs(sign_flip_p_rows(sums) - exact) < 4 * np.sqrt(exact / 19_999) + 1e-4).all()


def decided(draw, people: int, images: int, ask, repeats: int = 4_000) -> float:
    """How often a mean of exactly 0 is said to be above it, or below, whichever is more."""
    rng = np.random.default_rng(0)
    shared, own = draw(rng, (repeats, people, 1)), draw(rng, (repeats, people, images))
    scores = np.sqrt(0.35) * shared + np.sqrt(0.65) * own
    return max(float((ask(sign * scores) < 0.01).mean()) for sign in (1, -1))


def guarded(scores: np.ndarray) -> np.ndarray:
    sums = scores.sum(2)
    return np.maximum(sign_flip_p_rows(sums, draws=1_999), skew_guarded_p_rows(sums))


def images_alone(scores: np.ndarray) -> np.ndarray:
    return sign_flip_p_rows(scores.reshape(len(scores), -1)[:1_000], draws=1_999)


DRAWS = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.01),
    "few values": (lambda rng, shape: rng.choice([-1.0, 0.0, 0.0, 1.0], shape), 0.01),
    "exponential": (lambda rng, shape: rng.exponential(size=shape) - 1, 0.02),
    "bounded": (lambda rng, shape: rng.beta(1, 8, shape) - 1 / 9, 0.02),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("people", [10, 40])
def test_false_claims_are_as_rare_as_stated_with_several_images_a_person(name: str, people: int) -> None:
    draw, stated = DRAWS[name]
    # Three standard errors of the rate over 4,000 samples.
    assert decided(draw, people, 5, guarded) < stated + 3 * np.sqrt(stated / 4_000)


def test_taking_images_for_people_errs_ten_times_as_often() -> None:
    assert decided(DRAWS["normal"][0], 20, 10, images_alone) > 0.1


def test_signs_alone_err_more_where_people_are_skewed() -> None:
    def signs(scores: np.ndarray) -> np.ndarray:
        return sign_flip_p_rows(scores.sum(2), draws=1_999)

    draw = DRAWS["exponential"][0]
    assert decided(draw, 20, 1, signs) > 2 * decided(draw, 20, 1, guarded)


# ---------------------------------------------------------------------- the interval


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(3, 12), elements=st.integers(-100, 100).map(lambda eighths: eighths / 8)))
def test_the_interval_ends_where_the_guard_stops_rejecting(values: np.ndarray) -> None:
    found = people_interval(values, confidence=0.9)
    if np.ptp(values) == 0:
        assert (found.low, found.high) == (values[0], values[0])
        return
    at_ends = skew_guarded_p_rows(np.stack([values - found.low, found.high - values]))
    np.testing.assert_allclose(at_ends, 0.05, rtol=1e-5)


def test_the_interval_of_one_image_a_person_is_that_of_images() -> None:
    values = np.random.default_rng(0).exponential(size=15)
    assert people_interval(values, np.arange(15)) == people_interval(values)


def test_photographing_everyone_again_moves_no_bound() -> None:
    values = np.random.default_rng(0).exponential(size=15)
    once, thrice = people_interval(values), people_interval(np.repeat(values, 3), np.repeat(np.arange(15), 3))
    assert (thrice.low, thrice.high, thrice.n) == (pytest.approx(once.low), pytest.approx(once.high), 45)


UNLIKE = np.repeat(np.arange(15), [1, 2, 1, 4, 1, 3, 1, 2, 6, 1, 2, 1, 3, 1, 2])
"""Who is on each image, where people have unlike numbers of them."""


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("margin", [-0.4, -0.2, 0.2, 0.4])
def test_a_margin_that_the_guard_rejects_lies_outside_however_many_images_each_has(name: str, margin: float) -> None:
    """Sums of unlike many images change their spread with the margin, so that ends read off at the mean are others."""
    for seed in range(20):
        values = DRAWS[name][0](np.random.default_rng(seed), len(UNLIKE))
        found = people_interval(values, UNLIKE, confidence=0.9)
        sums = np.bincount(UNLIKE, values - margin)
        above, below = skew_guarded_p_rows(np.stack([sums, -sums]))
        assert (found.low > margin) == (above < 0.05)
        assert (found.high < margin) == (below < 0.05)


def test_few_people_of_very_unlike_numbers_of_images_have_no_bounds() -> None:
    """No margin is rejected there, however far: one person has nearly all the images."""
    who = np.repeat(np.arange(4), [1, 1, 1, 60])
    values = np.random.default_rng(0).normal(size=63)
    sums = np.stack([np.bincount(who, values + far) for far in np.geomspace(1, 1e9, 50)])
    assert (skew_guarded_p_rows(sums) > 0.005).all()
    found = people_interval(values, who)
    assert np.isnan([found.low, found.high]).all()
    assert found.estimate == values.mean()


def test_a_bound_far_away_is_found() -> None:
    """Few people of unlike numbers of images: the nearest rejected margin lies beyond 20 standard errors."""
    who = np.repeat(np.arange(4), [7, 6, 6, 7])
    rng = np.random.default_rng(1)
    far = 0
    for _ in range(40):
        values = rng.gamma(1, 1, 26)
        found = people_interval(values, who)
        error = np.bincount(who, values - values.mean()).std(ddof=1) / 6.5 / 2
        far += found.estimate - found.low > 20 * error
        for end, side in ((found.low, 1), (found.high, -1)):
            sums = side * np.bincount(who, values - end)
            assert skew_guarded_p_rows(sums[None])[0] == pytest.approx(0.005)
    assert far


def test_fewer_than_two_people_have_no_bounds() -> None:
    for values, who in ((np.array([]), None), (np.array([3.0]), None), (np.array([3.0, 5.0]), np.zeros(2, int))):
        found = people_interval(values, who)
        assert np.isnan([found.low, found.high]).all()
        assert found.n == len(values)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("people", [5, 20])
def test_the_interval_holds_the_truth_as_often_as_stated_where_a_bootstrap_does_not(name: str, people: int) -> None:
    rng, draw, who = np.random.default_rng(0), DRAWS[name][0], np.repeat(np.arange(people), 3)
    shared = np.repeat(draw(rng, (600, people)), 3, axis=1)
    drawn = np.sqrt(0.35) * shared + np.sqrt(0.65) * draw(rng, (600, 3 * people))

    def held(interval) -> float:
        return float(np.mean([each.low <= 0 <= each.high for each in map(interval, drawn)]))

    # Stated .98; two standard errors of a share of 600.
    ours = held(lambda values: people_interval(values, who))
    assert ours > 0.98 - 0.0115
    assert ours > held(lambda values: mean_interval(values[:], clusters=who, resamples=499))


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("people", "numbers"), [(5, [1, 2, 1, 4, 6]), (20, [1, 2, 1, 4, 6]), (5, [1, 1, 1, 1, 10])])
def test_the_interval_holds_the_truth_nearly_as_often_with_unlike_numbers_of_images(
    name: str, people: int, numbers: list[int]
) -> None:
    rng, draw = np.random.default_rng(0), DRAWS[name][0]
    who = np.repeat(np.arange(people), np.resize(numbers, people))
    drawn = np.sqrt(0.35) * draw(rng, (600, people))[:, who] + np.sqrt(0.65) * draw(rng, (600, len(who)))
    found = [people_interval(values, who) for values in drawn]
    # Stated .97; two standard errors of a share of 600. Without bounds it holds every mean.
    assert np.mean([not (each.low > 0 or each.high < 0) for each in found]) > 0.97 - 0.014


# ---------------------------------------------------------------------- what would settle it


@pytest.mark.parametrize("level", [0.3, 0.01, 1e-4])
def test_the_fewest_people_are_the_first_that_reach_the_level(level: float) -> None:
    n = least_units(level)
    assert 2.0**-n < level <= 2.0 ** -(n - 1)
    assert mean_above_p(np.ones(n), 0.0) < level <= mean_above_p(np.ones(n - 1), 0.0)


@pytest.mark.parametrize("level", [0.0, 1.0, 2.0])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level is"):
        least_units(level)
    with pytest.raises(ValueError, match="level is"):
        people_to_settle(Spread(20, 20, 0.1, 0.2, 0.0), level)


@pytest.mark.parametrize("power", [0.4, 1.0])
def test_a_power_outside_its_range_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="power is"):
        people_to_settle(Spread(20, 20, 0.1, 0.2, 0.0), 0.01, power)


def test_an_effect_at_the_margin_is_never_settled() -> None:
    found = spread(np.array([0.1, 0.2, 0.3]), 0.2)
    assert found is not None
    assert (found.shift, people_to_settle(found, 0.01)) == (0.0, None)


def test_a_constant_effect_needs_what_the_test_can_resolve() -> None:
    found = spread(np.full(4, 0.5), 0.2)
    assert found is not None
    assert people_to_settle(found, 0.001) == least_units(0.001) == 10


def test_an_effect_of_nearly_nothing_needs_more_than_can_be_had() -> None:
    assert people_to_settle(Spread(20, 20, 1e-6, 1.0, 0.0), 0.01) is None


def test_one_person_says_nothing_of_the_spread() -> None:
    assert spread(np.arange(4.0), 0.0, np.zeros(4, int)) is None


def test_images_follow_people() -> None:
    assert images_of(30, Spread(20, 50, 0.1, 0.2, 0.0)) == 75


def test_stricter_levels_more_power_and_smaller_effects_need_more() -> None:
    base = Spread(20, 20, 0.1, 0.2, 0.0)
    few = people_to_settle(base, 0.01)
    more = [
        people_to_settle(base, 0.001),
        people_to_settle(base, 0.01, 0.95),
        people_to_settle(Spread(20, 20, 0.05, 0.2, 0.0), 0.01),
        people_to_settle(Spread(20, 20, 0.1, 0.2, -1.0), 0.01),
    ]
    assert few is not None
    assert all(each is not None and each > few for each in more)


@pytest.mark.parametrize("effect", [0.5, -0.8])
@pytest.mark.parametrize("name", DRAWS)
def test_as_many_people_as_are_said_settle_it(name: str, effect: float) -> None:
    rng, draw = np.random.default_rng(0), DRAWS[name][0]
    deviation = float(draw(rng, (100_000,)).std())
    known = draw(rng, (20_000, 3)) + effect * deviation
    found = spread(known.ravel(), 0.0, np.repeat(np.arange(20_000), 3))
    assert found is not None
    people = people_to_settle(found, 0.001)
    sums = np.sign(effect) * (draw(rng, (1_000, people, 3)) + effect * deviation).sum(2)
    p = np.maximum(sign_flip_p_rows(sums), skew_guarded_p_rows(sums))
    # Planned for .8, stated as .75; two standard errors of a share of 1,000.
    assert (p < 0.001).mean() > 0.75 - 0.027
