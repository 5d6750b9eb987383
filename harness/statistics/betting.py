"""Tests of a bounded mean that may be looked at after every image: betting against the null, wealth is the evidence."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from harness.statistics._inputs import finite

_BETS = 20


def betting_wealth(
    values: Num[np.ndarray, "*rows n"], margin: float, *, low: float, high: float, most: float = 0.9
) -> Float[np.ndarray, "*rows n"]:
    """Give the wealth of a gambler who bets on a mean above a margin, after each value.

    Under the null, that each value's mean given those before is at most the margin, every bet is fair or worse, so the
    wealth is a supermartingale that begins at 1: by Ville's inequality it ever reaches 1 / alpha with probability at
    most alpha, however often one looks and whenever one stops. The mean of several fixed bets is held (Waudby-Smith &
    Ramdas's hedged bets, with a constant grid), so nothing need be known of the spread, and the wealth does not hang
    on the order of the values.

    Parameters
    ----------
    values
        One number an independent unit in the order of arrival, (..., n), inside [low, high]. Of people with several
        images, each person's mean.
    margin
        The mean to be exceeded, inside (low, high). For a mean below one, turn values, margin and bounds about 0.
    low, high
        Bounds that the values cannot leave, known beforehand.
    most
        Largest share of the wealth at risk in one bet, inside (0, 1); the grid has 20 bets up to it.

    Returns
    -------
    Float[np.ndarray, "*rows n"]
        Not negative. ``1 / wealth.max()`` up to any time, at most 1, is a p-value at that time.

    Raises
    ------
    ValueError
        For values outside the bounds, NaN, a margin outside them, or a share outside (0, 1).

    References
    ----------
    Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024).

    Examples
    --------
    >>> betting_wealth(np.ones(3), 0.5, low=0.0, high=1.0, most=0.5).round(3).tolist()
    [1.262, 1.615, 2.091]
    """
    values = finite(values, "values")
    if not low < margin < high:
        raise ValueError(f"margin {margin} lies outside ({low}, {high}); give bounds on both sides of it")
    if not 0 < most < 1:
        raise ValueError(f"most is {most}; give a share between 0 and 1")
    if values.size and (values.min() < low or values.max() > high):
        raise ValueError(
            f"values run from {values.min()} to {values.max()}, outside [{low}, {high}]; give their bounds"
        )
    # The worst value, low, then takes exactly the share that is bet.
    shares = most * np.arange(1, _BETS + 1) / _BETS
    gains = (values - margin) / (margin - low)
    wealth: np.ndarray = np.exp(np.cumsum(np.log1p(shares[:, None] * gains[..., None, :]), axis=-1)).mean(-2)
    return wealth


def decided_at(wealth: Float[np.ndarray, " n"], level: float) -> int | None:
    """Return after how many values the wealth first reached 1 / level, or None.

    Examples
    --------
    >>> decided_at(np.array([1.0, 12.0, 3.0]), 0.1), decided_at(np.array([1.0, 2.0]), 0.1)
    (2, None)
    """
    reached = np.flatnonzero(wealth >= 1 / level)
    return int(reached[0]) + 1 if len(reached) else None


@dataclass(frozen=True, slots=True)
class Stopped:
    """When claims that hold together or not at all were decided: after `n` units, whether they hold; None if never."""

    n: int
    holds: bool | None


def stopped(values: Num[np.ndarray, "claims n"], margin: float, level: float, *, low: float, high: float) -> Stopped:
    """Look after every unit, and stop as soon as all claims are shown to hold, or it is shown that not all do.

    Each claim is that a mean exceeds the margin. They hold where each gambler against a claim's null has reached 1 /
    level at some time: where one claim is false, hers does with probability at most level (Ville's inequality), however
    often one looks. They do not all hold where the mean wealth of those who bet on means below the margin reaches
    1 / level: a mean of wealths is fair where all claims are true, whatever they share. The two errors are each at most
    level, whenever one stops.

    Parameters
    ----------
    values
        One row a claim and one column a unit in the order of arrival, (claims, n), inside [low, high]. The order must
        not follow from the values.
    margin
        The mean to be exceeded, inside (low, high).
    level
        Inside (0, 1).
    low, high
        Bounds that the values cannot leave, known beforehand.

    Returns
    -------
    Stopped
        After all n units, and undecided, where neither is shown.

    Raises
    ------
    ValueError
        As :func:`betting_wealth`; for no claims or a level outside (0, 1).

    References
    ----------
    Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024); Vovk & Wang,
    E-values: calibration, combination and applications, Annals of Statistics 49 (2021); Berger, Multiparameter
    hypothesis testing and acceptance sampling, Technometrics 24 (1982).

    Examples
    --------
    >>> stopped(np.ones((2, 30)), 0.5, 0.01, low=0.0, high=1.0)
    Stopped(n=10, holds=True)
    """
    if not 0 < level < 1 or not len(values):
        raise ValueError(f"{len(values)} claims at level {level}; give a claim at least and a level between 0 and 1")
    above = betting_wealth(values, margin, low=low, high=high)
    below = betting_wealth(-np.asarray(values, dtype=np.float64), -margin, low=-high, high=-low)
    reached = [decided_at(each, level) for each in above]
    known = [n for n in reached if n is not None]
    held = max(known) if len(known) == len(reached) else None
    refuted = decided_at(below.mean(axis=0), level)
    if held is None and refuted is None:
        return Stopped(values.shape[1], None)
    if refuted is None or (held is not None and held <= refuted):
        return Stopped(held or 0, True)
    return Stopped(refuted, False)
