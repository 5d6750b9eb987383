"""Exact values against an enumeration of all orders, their laws, and sampled ones within their stated errors."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats import t as student
from tiny import EXACT

from harness.errors import UsageError
from harness.truth import (
    banzhaf_interactions,
    banzhaf_values,
    coalitions,
    sampled_shapley,
    shapley_interactions,
    shapley_values,
)

PLAYERS = st.integers(1, 6)
SEEDS = st.integers(0, 2**32 - 1)


def table(players: int, seed: int, classes: int = 2) -> np.ndarray:
    """A random game's worths, (1, 2**d, k)."""
    return np.random.default_rng(seed).normal(size=(1, 2**players, classes))


def room(worth: np.ndarray) -> float:
    """How far two ways of adding up a table's worths may differ: its length in half ulps of the largest sum."""
    return float(np.abs(worth).sum() * worth.size * 2**-53)


def by_orders(worth: np.ndarray) -> np.ndarray:
    """Shapley values as the mean marginal contribution over every order of joining, (d, k)."""
    players = worth.shape[0].bit_length() - 1
    total = np.zeros((players, worth.shape[1]))
    for order in itertools.permutations(range(players)):
        held = 0
        for player in order:
            total[player] += worth[held | 1 << player] - worth[held]
            held |= 1 << player
    return total / math.factorial(players)


@given(PLAYERS, SEEDS)
def test_shapley_values_are_the_mean_over_every_order(players: int, seed: int) -> None:
    worth = table(players, seed)
    np.testing.assert_allclose(shapley_values(worth)[0], by_orders(worth[0]), rtol=0, atol=room(worth))


@given(PLAYERS, SEEDS)
def test_banzhaf_values_are_the_slopes_of_the_best_additive_game(players: int, seed: int) -> None:
    worth = table(players, seed)
    held = np.column_stack([np.ones(2**players), coalitions(players)])
    slopes = np.linalg.lstsq(held, worth[0], rcond=None)[0][1:]
    # The columns' condition stays below 2 d, which multiplies the rounding.
    np.testing.assert_allclose(banzhaf_values(worth)[0], slopes, rtol=0, atol=4 * players * room(worth) + EXACT)


@given(PLAYERS, SEEDS)
def test_efficiency(players: int, seed: int) -> None:
    worth = table(players, seed)
    total = shapley_values(worth).sum(axis=1)
    np.testing.assert_allclose(total, worth[:, -1] - worth[:, 0], rtol=0, atol=room(worth))


@pytest.mark.parametrize("values", [shapley_values, banzhaf_values])
@given(players=st.integers(2, 6), seed=SEEDS)
def test_symmetry(values, players: int, seed: int) -> None:
    worth = table(players, seed)
    held = coalitions(players)
    swapped = held.copy()
    swapped[:, [0, 1]] = held[:, [1, 0]]
    alike = worth + worth[:, swapped @ (1 << np.arange(players))]
    found = values(alike)
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=0, atol=room(alike))


@pytest.mark.parametrize("values", [shapley_values, banzhaf_values])
@given(players=st.integers(2, 6), seed=SEEDS)
def test_a_player_that_adds_one_amount_to_every_coalition_is_worth_that(values, players: int, seed: int) -> None:
    worth = table(players, seed)
    without = np.arange(2**players) & ~1
    dummy = worth[:, without] + 0.25 * coalitions(players)[None, :, :1]
    np.testing.assert_allclose(values(dummy)[:, 0], 0.25, rtol=0, atol=room(dummy))


@pytest.mark.parametrize("values", [shapley_values, banzhaf_values, shapley_interactions, banzhaf_interactions])
@given(players=st.integers(2, 5), seed=SEEDS)
def test_linearity(values, players: int, seed: int) -> None:
    one, other = table(players, seed), table(players, seed ^ 1)
    both = values(2 * one - 3 * other)
    atol = 40 * (room(one) + room(other))
    np.testing.assert_allclose(both, 2 * values(one) - 3 * values(other), rtol=0, atol=atol)


AND, OR, XOR = (np.array(found)[None, :, None] for found in ([0.0, 0, 0, 1], [0.0, 1, 1, 1], [0.0, 1, 1, 0]))


@pytest.mark.parametrize(
    ("game", "value", "together"), [(AND, 0.5, 1.0), (OR, 0.5, -1.0), (XOR, 0.0, -2.0)], ids=["and", "or", "xor"]
)
def test_known_games_of_two(game: np.ndarray, value: float, together: float) -> None:
    assert shapley_values(game).tolist() == banzhaf_values(game).tolist() == [[[value], [value]]]
    assert shapley_interactions(game)[0, 0, 1] == banzhaf_interactions(game)[0, 0, 1] == together


@given(st.integers(2, 5), SEEDS)
def test_the_interaction_of_a_pair_is_their_value_as_one_player_less_their_values_alone(d: int, seed: int) -> None:
    """The recursion of Grabisch and Roubens: I(ij) = v(ij as one) - v(i without j) - v(j without i)."""
    worth = table(d, seed, 1)[0, :, 0]
    rows = np.arange(2 ** (d - 2)) << 2  # coalitions of the others
    one = np.concatenate([[worth[r], worth[r | 3]] for r in rows])
    alone = [np.concatenate([[worth[r], worth[r | bit]] for r in rows]) for bit in (1, 2)]
    reduced = [shapley_values(game[None, :, None])[0, 0, 0] for game in (one, *alone)]
    found = shapley_interactions(worth[None, :, None])[0, 0, 1, 0]
    assert found == pytest.approx(reduced[0] - reduced[1] - reduced[2], abs=4 * room(worth))


@given(st.integers(2, 5), SEEDS)
def test_interactions_are_symmetric_and_have_no_diagonal(players: int, seed: int) -> None:
    found = shapley_interactions(table(players, seed))[0]
    np.testing.assert_array_equal(found, found.transpose(1, 0, 2))
    assert not found[range(players), range(players)].any()


def test_many_players_are_refused_before_they_are_asked() -> None:
    with pytest.raises(UsageError, match="8,192 coalitions"):
        coalitions(13)


@pytest.mark.parametrize("size", [1, 3, 12])
def test_a_table_that_is_none_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="2\\*\\*d"):
        shapley_values(np.zeros((1, size, 1)))


# ---------------------------------------------------------------------- sampled


def game_of(worth: np.ndarray):
    """A game from its table, which counts the coalitions asked about."""
    players = worth.shape[0].bit_length() - 1
    return lambda kept: worth[kept @ (1 << np.arange(players))]


def test_sampled_values_add_up_exactly_however_few_the_orders() -> None:
    worth = table(9, 3)
    found = sampled_shapley(game_of(worth[0]), 9, 2, seed=0)
    np.testing.assert_allclose(found.values.sum(axis=0), worth[0, -1] - worth[0, 0], rtol=0, atol=room(worth))
    assert found.asked == 2 + 2 * 2 * 8


def test_an_additive_game_is_known_from_two_orders() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 2))
    found = sampled_shapley(lambda kept: kept @ weights, 6, 2, seed=0)
    # Differences of sums of six numbers.
    np.testing.assert_allclose(found.values, weights, rtol=0, atol=EXACT)
    assert found.errors.max() < EXACT


def covered(pick, exact_of, level: float = 0.95, pairs: int = 16) -> tuple[int, int]:
    """How many of many sampled numbers lie within their interval, and of how many."""
    inside, total = 0, 0
    reach = student.ppf((1 + level) / 2, pairs - 1)
    for seed in range(300):
        worth = table(6, seed, 1)
        estimate = sampled_shapley(game_of(worth[0]), 6, pairs, seed)
        value, error = pick(estimate)
        inside += bool(abs(value - exact_of(shapley_values(worth)[0, :, 0])) <= reach * error)
        total += 1
    return inside, total


@pytest.mark.parametrize(
    ("pick", "exact"),
    [
        (lambda e: (e.values[2, 0], e.errors[2, 0]), lambda v: v[2]),
        (lambda e: (e.values[1, 0] - e.values[4, 0], e.difference_errors[1, 4, 0]), lambda v: v[1] - v[4]),
    ],
    ids=["a value", "a difference"],
)
def test_exact_values_lie_within_the_stated_errors_as_often_as_stated(pick, exact) -> None:
    inside, total = covered(pick, exact)
    # One draw a game; beyond the central 99.9 % of a binomial of .95 the rate is another.
    assert binom.ppf(0.0005, total, 0.95) <= inside <= binom.ppf(0.9995, total, 0.95)


def test_errors_that_are_too_small_would_be_seen() -> None:
    inside, total = covered(lambda e: (e.values[2, 0], 0.6 * e.errors[2, 0]), lambda v: v[2])
    assert inside < binom.ppf(0.0005, total, 0.95)


def test_an_order_used_both_ways_errs_less_than_two_orders() -> None:
    """In a game of pairs both ways cancel: what one gives the first of a pair the other gives the second."""
    held = coalitions(6)
    worth = (held[:, ::2] & held[:, 1::2]).sum(axis=1).astype(float)[:, None]
    found = sampled_shapley(game_of(worth), 6, 4, seed=1)
    # Multiples of one half: exact.
    np.testing.assert_array_equal(found.values[:, 0], 0.5)


@pytest.mark.parametrize(("players", "pairs"), [(3, 1), (1, 4)])
def test_an_error_cannot_be_known_from_one_draw(players: int, pairs: int) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        sampled_shapley(lambda kept: kept[:, :1].astype(float), players, pairs, 0)
