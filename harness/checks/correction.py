"""What an explainer's claims make of each other's p-values: passes by rungs, fails one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from harness.statistics import hierarchical, hochberg

FINE = "-fine"
"""Ends the name of a check that looks at parts of one cell; its rung stands without it, at a coarser resolution."""


@dataclass(frozen=True)
class Corrected:
    """Claims (m) over everything, in the first column, and in k classes, (m, k + 1) each; NaN where nothing is tested.

    Attributes
    ----------
    p, p_fail
        Adjusted, for a claim and against it.
    level, level_fail
        At which each is tested in the end.
    """

    p: Float[np.ndarray, "m k1"]
    p_fail: Float[np.ndarray, "m k1"]
    level: Float[np.ndarray, "m k1"]
    level_fail: Float[np.ndarray, "m k1"]


def corrected(
    p: Float[np.ndarray, "m k1"], p_fail: Float[np.ndarray, "m k1"], steps: Sequence[str], alpha: float
) -> Corrected:
    """Adjust p-values so that alpha bounds the chance of a false pass among the claims, and that of a false fail.

    Classes come under their claim over everything (see :func:`harness.statistics.hierarchical`). A rung is reached only
    where all its claims hold, so that the largest p of them is that of the rung (an intersection-union test, Berger
    1982), and passes are corrected over rungs, in their order: the lowest that is not yet known to be reached is worth
    most alpha. Where a rung is not reached its claims are made by Hochberg's procedure at the rung's share, of which
    reaching it, all together, is the first step. A rung falls with any of its claims, so that fails are corrected over
    all of them.

    Parameters
    ----------
    p, p_fail
        One-sided; NaN where there is nothing to test.
    steps
        The step of each claim: its rung as a number, with :data:`FINE` at a finer resolution; others have no order.
    alpha
        Chance, at most, of one false pass or more, and of one false fail or more.
    """
    names = list(dict.fromkeys(steps))
    of_step = np.array([names.index(step) for step in steps])
    together = np.stack([_largest(p[of_step == number]) for number in range(len(names))])
    passes = hierarchical(together[:, 0], together[:, 1:], alpha, order=_ladder_order(names))
    fails = hierarchical(p_fail[:, 0], p_fail[:, 1:], alpha)
    shares = np.concatenate([passes.whole_share[:, None], passes.part_share], axis=1)[of_step]
    of_steps = np.concatenate([passes.whole[:, None], passes.parts], axis=1)[of_step]
    within = np.empty_like(p)
    for number in range(len(names)):
        within[of_step == number] = np.stack([hochberg(column) for column in p[of_step == number].T], axis=1)
    # What is no surer than its step stands and falls with it.
    surer = within < together[of_step]
    alone = np.minimum(of_steps, within / np.where(shares > 0, shares, 1.0))
    of_fails = np.concatenate([fails.whole[:, None], fails.parts], axis=1)
    fail_shares = np.concatenate([fails.whole_share[:, None], fails.part_share], axis=1)
    # A claim that is not tested has nothing of its step's.
    made = (np.where(surer, alone, of_steps), alpha * shares), (of_fails, alpha * fail_shares)
    (adjusted, level), (adjusted_fail, level_fail) = (
        [np.where(np.isnan(own), np.nan, each) for each in pair] for own, pair in zip((p, p_fail), made, strict=True)
    )
    return Corrected(adjusted, adjusted_fail, level, level_fail)


def _ladder_order(steps: Sequence[str]) -> Int[np.ndarray, " s"] | None:
    """Return the place of each rung and resolution on the ladder; None where claims stand on no rung.

    An explainer is believed up to the first rung that it is not known to reach, so the lowest is worth most alpha.
    """
    rungs = [step.removesuffix(FINE) for step in steps]
    if not all(rung.isdigit() for rung in rungs):
        return None
    return np.array([2 * int(rung) + step.endswith(FINE) for rung, step in zip(rungs, steps, strict=True)])


def _largest(p: Float[np.ndarray, "claims kinds"]) -> Float[np.ndarray, " kinds"]:
    """Return the largest p of each column, NaN where none is known."""
    known: Float[np.ndarray, " kinds"] = np.where(np.isnan(p), -np.inf, p).max(axis=0)
    return np.where(np.isinf(known), np.nan, known)
