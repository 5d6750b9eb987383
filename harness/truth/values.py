"""What each player is worth: exact values and interactions from the worth of all coalitions, sampled ones above.

A table of worths has one row a coalition, of 2**d: coalition s holds player j where bit j of s is set. Values are
linear in the table, so that one table gives those of every class, and of every difference of classes.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from harness.errors import UsageError

MOST_EXACT = 12
"""Players up to which all coalitions are asked: 4,096."""


def coalitions(players: int) -> Bool[np.ndarray, "s {players}"]:
    """Return every coalition, in the order of a table of worths.

    Raises
    ------
    UsageError
        Where there are more players than :data:`MOST_EXACT`.

    Examples
    --------
    >>> coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if players > MOST_EXACT:
        raise UsageError(
            f"{players} cells have {2**players:,} coalitions; ask for at most {MOST_EXACT} cells, or sample them"
        )
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


def shapley_values(worth: Float[np.ndarray, "n s k"]) -> Float64[np.ndarray, "n d k"]:
    """Return the Shapley value of each player: its mean marginal contribution over all orders of joining.

    Shapley 1953. The values of all players add up to the worth of all less that of none.

    Examples
    --------
    >>> shapley_values(np.array([0.0, 1.0, 3.0, 10.0])[None, :, None])[0, :, 0]
    array([4., 6.])
    """
    return _weighted(worth, _shapley_weights(_players(worth)))


def banzhaf_values(worth: Float[np.ndarray, "n s k"]) -> Float64[np.ndarray, "n d k"]:
    """Return the Banzhaf value of each player: its mean marginal contribution over all coalitions of the others.

    Banzhaf 1965. They are the slopes of the additive game that fits all worths best (Hammer and Holzman 1992).

    Examples
    --------
    >>> banzhaf_values(np.array([0.0, 1.0, 3.0, 10.0])[None, :, None])[0, :, 0]
    array([4., 6.])
    """
    players = _players(worth)
    return _weighted(worth, np.full(players, 0.5 ** (players - 1)))


def shapley_interactions(worth: Float[np.ndarray, "n s k"]) -> Float64[np.ndarray, "n d d k"]:
    """Return how much each pair is worth together beyond what both are worth apart, as Shapley averages it.

    Grabisch and Roubens 1999. Symmetric; the diagonal, where there is no pair, is 0.

    Examples
    --------
    >>> shapley_interactions(np.array([0.0, 1.0, 3.0, 10.0])[None, :, None])[0, 0, 1]
    array([6.])
    """
    d = _players(worth)
    weights = [math.factorial(s) * math.factorial(d - s - 2) / math.factorial(d - 1) for s in range(d - 1)]
    return _paired(worth, np.array(weights, dtype=np.float64))


def banzhaf_interactions(worth: Float[np.ndarray, "n s k"]) -> Float64[np.ndarray, "n d d k"]:
    """Return how much each pair is worth together beyond what both are worth apart, on average over coalitions.

    Symmetric; the diagonal, where there is no pair, is 0.
    """
    d = _players(worth)
    return _paired(worth, np.full(max(0, d - 1), 0.5 ** max(0, d - 2)))


@dataclass(frozen=True)
class Estimate:
    """Sampled values and how far they may be off.

    Attributes
    ----------
    values
        One a player and class.
    errors
        Standard error of each.
    difference_errors
        Standard error of the difference of each pair of players: the values of one sample hang together.
    asked
        Coalitions that were asked about, with what was asked twice.
    """

    values: Float64[np.ndarray, "d k"]
    errors: Float64[np.ndarray, "d k"]
    difference_errors: Float64[np.ndarray, "d d k"]
    asked: int


def sampled_shapley(
    game: Callable[[Bool[np.ndarray, "m d"]], Float[np.ndarray, "m k"]], players: int, pairs: int, seed: int
) -> Estimate:
    """Return Shapley values estimated from random orders of joining, each used forwards and backwards.

    Castro et al. 2009; antithetic orders after Mitchell et al. 2022. The two walks of a pair hang together and their
    mean is one draw; the standard error is that of the mean over pairs. The values of all players add up to the worth
    of all less that of none exactly, however few the pairs.

    Parameters
    ----------
    game
        From coalitions to worths.
    players
        How many, at least 2.
    pairs
        How many orders, at least 2 for an error to be known.
    seed
        Not negative.

    Raises
    ------
    ValueError
        Below 2 pairs or players.
    """
    if pairs < 2 or players < 2:
        raise ValueError(f"{pairs} pairs of orders of {players} players; give at least 2 of each")
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.permutation(players) for _ in range(pairs)])
    orders = np.stack([drawn, drawn[:, ::-1]], axis=1)
    ranks = np.argsort(orders, axis=2)
    # All walks begin with nothing and end with everything: those two are asked about once.
    inner = ranks[:, :, None, :] < np.arange(1, players)[:, None]
    ends = np.stack([np.zeros(players, bool), np.ones(players, bool)])
    asked = np.concatenate([ends, inner.reshape(-1, players)])
    worth = np.asarray(game(asked), dtype=np.float64)
    between = worth[2:].reshape(pairs, 2, players - 1, -1)
    none, every = (np.broadcast_to(end, (pairs, 2, 1, end.size)) for end in worth[:2])
    steps = np.diff(np.concatenate([none, between, every], axis=2), axis=2)
    draws = np.take_along_axis(steps, ranks[..., None], axis=2).mean(axis=1)
    apart = draws[:, :, None] - draws[:, None, :]
    return Estimate(draws.mean(axis=0), _standard_error(draws), _standard_error(apart), len(asked))


def _standard_error(draws: Float64[np.ndarray, "pairs ..."]) -> Float64[np.ndarray, "..."]:
    """Return the standard error of the mean over the first axis."""
    error: np.ndarray = draws.std(axis=0, ddof=1) / math.sqrt(len(draws))
    return error


def _players(worth: Float[np.ndarray, "n s k"]) -> int:
    """Return how many players a table of worths is about, or say that it is none."""
    players: int = worth.shape[1].bit_length() - 1
    if worth.shape[1] != 2**players or players < 1:
        raise ValueError(f"a table of {worth.shape[1]} worths; give one for each of the 2**d coalitions")
    return players


def _shapley_weights(players: int) -> Float64[np.ndarray, " {players}"]:
    """Return the share of orders in which a player joins one coalition of each size."""
    return np.array([1 / (players * math.comb(players - 1, size)) for size in range(players)], dtype=np.float64)


@cache
def _without(players: int, *who: int) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Return the rows of the coalitions that hold none of some players, and their sizes."""
    held = coalitions(players)
    rows = np.flatnonzero(~held[:, list(who)].any(axis=1))
    return rows, held[rows].sum(axis=1)


def _weighted(worth: Float[np.ndarray, "n s k"], weights: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, "n d k"]:
    """Return each player's contributions to the coalitions of the others, weighted by their size."""
    exact = worth.astype(np.float64)
    found = []
    for player in range(len(weights)):
        rows, sizes = _without(len(weights), player)
        found.append(np.einsum("nsk,s->nk", exact[:, rows + (1 << player)] - exact[:, rows], weights[sizes]))
    return np.stack(found, axis=1)


def _paired(worth: Float[np.ndarray, "n s k"], weights: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, "n d d k"]:
    """Return each pair's surplus over the coalitions of the others, weighted by their size."""
    exact, players = worth.astype(np.float64), _players(worth)
    found = np.zeros((len(worth), players, players, worth.shape[2]))
    for one, other in itertools.combinations(range(players), 2):
        rows, sizes = _without(players, one, other)
        a, b = 1 << one, 1 << other
        surplus = exact[:, rows + a + b] - exact[:, rows + a] - exact[:, rows + b] + exact[:, rows]
        found[:, one, other] = found[:, other, one] = np.einsum("nsk,s->nk", surplus, weights[sizes])
    return found
