"""Betting on a bounded mean: exact wealth, and how often it is fooled or finds out when looked at all the time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import EXACT

from harness.statistics import Stopped, betting_wealth, decided_at, stopped

SHARES = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1))


def test_the_wealth_is_the_mean_over_the_bets() -> None:
    values, bets = np.array([0.7, 0.2, 1.0]), 0.9 * np.arange(1, 21) / 20
    by_hand = np.mean([np.cumprod(1 + bet * (values - 0.4) / 0.4) for bet in bets], axis=0)
    np.testing.assert_allclose(betting_wealth(values, 0.4, low=0.0, high=1.0), by_hand, rtol=EXACT)


@settings(max_examples=60, deadline=None)
@given(SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter_in_the_end(values: np.ndarray, random) -> None:
    turned = np.array(random.sample(values.tolist(), len(values)))
    ends = [betting_wealth(each, 0.3, low=0.0, high=1.0)[-1] for each in (values, turned)]
    assert ends[0] == pytest.approx(ends[1], rel=1000 * EXACT)


@settings(max_examples=60, deadline=None)
@given(SHARES, st.floats(0.1, 9), st.floats(-5, 5))
def test_units_do_not_matter(values: np.ndarray, factor: float, shift: float) -> None:
    plain = betting_wealth(values, 0.5, low=0.0, high=1.0)
    moved = factor * values + shift
    bounds = {"low": min(shift, float(moved.min())), "high": max(factor + shift, float(moved.max()))}
    np.testing.assert_allclose(betting_wealth(moved, 0.5 * factor + shift, **bounds), plain, rtol=1e-5)


def test_values_at_the_margin_move_nothing() -> None:
    assert betting_wealth(np.full(5, 0.5), 0.5, low=0.0, high=1.0).tolist() == [1.0] * 5


NULLS = {
    "even": lambda rng, shape: rng.random(shape),
    "yes or no": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "rarely low": lambda rng, shape: np.where(rng.random(shape) < 0.1, 0.0, 0.5 / 0.9),
    "rarely high": lambda rng, shape: np.where(rng.random(shape) < 0.1, 1.0, 0.4 / 0.9),
}


@pytest.mark.parametrize("name", NULLS)
def test_looking_after_every_value_errs_no_more_often_than_stated(name: str) -> None:
    values = NULLS[name](np.random.default_rng(0), (2_000, 300))
    wealth = betting_wealth(values, 0.5, low=0.0, high=1.0)
    # Ville holds for any length: three standard errors of .05 over 2,000 runs.
    assert (wealth.max(axis=1) >= 20).mean() < 0.05 + 0.0147
    # A fair game: 1 on average after the first value, where four standard errors are at most .042.
    assert wealth[:, 0].mean() == pytest.approx(1, abs=0.042)


def test_a_fixed_test_looked_at_after_every_value_does_err_more_often() -> None:
    values = np.random.default_rng(0).random((2_000, 300)) - 0.5
    n = np.arange(1, 301)
    z = np.cumsum(values, axis=1) / np.sqrt(n / 12)
    assert (z[:, 9:].max(axis=1) > 1.645).mean() > 0.2


def test_an_effect_is_found_long_before_the_end() -> None:
    values = np.random.default_rng(0).beta(7, 3, (300, 200))
    found = [decided_at(each, 0.01) for each in betting_wealth(values, 0.5, low=0.0, high=1.0)]
    assert None not in found
    assert np.median(np.array(found, float)) < 60


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"margin": 1.0}, "margin 1.0 lies outside"),
        ({"most": 1.0}, "most is 1.0"),
        ({"high": 0.8}, "outside"),
        ({"values": np.array([np.nan])}, "1 undefined of 1 values"),
    ],
)
def test_what_makes_no_bet_is_refused(changed: dict[str, object], said: str) -> None:
    asked = {"values": np.array([0.1, 0.9]), "margin": 0.5, "low": 0.0, "high": 1.0} | changed
    with pytest.raises(ValueError, match=said):
        betting_wealth(asked.pop("values"), asked.pop("margin"), **asked)


# ---------------------------------------------------------------------- claims that hold together or not at all

CLAIMS, PEOPLE, RUNS, LEVEL = 4, 60, 1_500, 0.05
STEP = np.sqrt(LEVEL * (1 - LEVEL) / RUNS)


def shares(rng: np.random.Generator, means: list[float], *, tied: bool = False, coins: bool = False) -> np.ndarray:
    """Differences of shares in [-1, 1], of given means, (runs, claims, people): all or nothing as `coins`, else even.

    Tied claims share what a person does. Coins vary most, and so fool a gambler's opponent as often as anything can.
    """
    own, mean = rng.random((RUNS, 1 if tied else len(means), PEOPLE)), np.array(means)[:, None]
    drawn: np.ndarray = np.where(own < (1 + mean) / 2, 1.0, -1.0) if coins else mean + 0.8 * (own - 0.5)
    return drawn


def outcomes(values: np.ndarray) -> list[Stopped]:
    return [stopped(each, 0.05, LEVEL, low=-1.0, high=1.0) for each in values]


def share_of(found: list[Stopped], holds: bool | None) -> float:
    return float(np.mean([one.holds is holds for one in found]))


@pytest.mark.parametrize("tied", [True, False])
def test_claims_of_which_one_is_false_are_rarely_said_to_hold(tied: bool) -> None:
    """Looked at after every person: one mean lies at the margin, the others far beyond it."""
    found = outcomes(shares(np.random.default_rng(0), [0.05, 0.9, 0.9, 0.9], tied=tied, coins=True))
    assert LEVEL / 5 < share_of(found, True) < LEVEL + 3 * STEP
    # Were any one claim enough, nearly all would be.
    assert share_of(outcomes(shares(np.random.default_rng(0), [0.9] * CLAIMS, tied=tied, coins=True)), True) > 0.95


@pytest.mark.parametrize("tied", [True, False])
def test_claims_that_are_all_true_are_rarely_refuted(tied: bool) -> None:
    """Looked at after every person, all means at the margin: the least for which they are true."""
    found = outcomes(shares(np.random.default_rng(0), [0.05] * CLAIMS, tied=tied, coins=True))
    assert share_of(found, False) < LEVEL + 3 * STEP
    assert not tied or share_of(found, False) > LEVEL / 5, "of claims that are one it is not safe for nothing"


def test_asking_stops_long_before_the_last_person_where_the_effect_is_large() -> None:
    rng = np.random.default_rng(0)
    for mean, holds in ((0.5, True), (-0.4, False)):
        found = outcomes(shares(rng, [mean] * CLAIMS))
        assert share_of(found, holds) > 0.95
        assert np.median([one.n for one in found]) < PEOPLE / 2


def test_the_last_claim_to_be_shown_says_when_all_are() -> None:
    values = np.array([np.full(40, 1.0), np.full(40, 0.7)])
    each = [decided_at(betting_wealth(row, 0.05, low=-1.0, high=1.0), 0.01) for row in values]
    assert each[0] < each[1]
    assert stopped(values, 0.05, 0.01, low=-1.0, high=1.0) == Stopped(each[1], True)


def test_one_claim_that_fails_refutes_all_of_them_though_the_others_hold() -> None:
    values = np.array([np.full(60, 1.0), np.full(60, -1.0)])
    found = stopped(values, 0.05, 0.01, low=-1.0, high=1.0)
    alone = stopped(values[1:], 0.05, 0.01, low=-1.0, high=1.0)
    assert (found.holds, alone.holds) == (False, False)
    assert found.n > alone.n, "the mean of two wealths is half of one"


def test_what_is_never_shown_is_open_after_all() -> None:
    assert stopped(np.full((2, 9), 0.05), 0.05, 0.01, low=-1.0, high=1.0) == Stopped(9, None)


@pytest.mark.parametrize(("claims", "level"), [(0, 0.01), (2, 1.0)])
def test_no_claim_and_no_level_are_refused(claims: int, level: float) -> None:
    with pytest.raises(ValueError, match="give a claim at least and a level between 0 and 1"):
        stopped(np.zeros((claims, 5)), 0.05, level, low=-1.0, high=1.0)
