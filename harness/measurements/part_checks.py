"""FunnyBirds' protocols (Hesse et al. 2023) on faces whose parts were rendered at rest.

A part is a group of facial actions, and removing it puts it to rest. Rendered are the face with each group at rest,
with each group acting alone, and with none acting; of a face in which four groups act that leaves out the pairs. A
group that changes no pixel is not there: it is no part of any set, and is never important.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int

from harness.effects import EVERYTHING
from harness.measurements.answers import target_logits
from harness.measurements.base import MAP, Attributions, Measured, are_constant, score_rows
from harness.measurements.causes import Causes, causes, effects_on
from harness.measurements.scored import CONSTANT, scored_against_nulls
from harness.metrics.cards import card_of
from harness.metrics.localization import positive
from harness.metrics.parts import (
    deletion_check,
    distractibility,
    important_parts,
    part_mass,
    preservation_check,
    target_sensitivity,
)
from harness.store import SCORES, joined
from harness.truth.changes import ROUNDINGS


@dataclass(frozen=True)
class PartChecks:
    """Preservation check, deletion check and distractibility, of positive relevance.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls an image; scores are averaged over them.
    """

    spectrum_draws: int

    name = "part-checks"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the three scores and their gains; nothing where no face was rendered again."""
        truth = causes(attributions)
        if truth is None:
            return Measured()
        case = attributions.case
        answered = answered_sets(attributions, truth)
        whole = attributions.shared(("whole logits",), lambda: {"logits": target_logits(case, case.images)})["logits"]
        effects = np.where(truth.acting, truth.effects, np.nan)

        def important(maps: Float[np.ndarray, "n h w"]) -> Bool[np.ndarray, "n t p"]:
            relevance = positive(maps)
            return important_parts(part_mass(relevance, truth.shares), relevance.sum(axis=(1, 2), dtype=np.float64))

        scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "preservation-check": lambda maps: preservation_check(important(maps), answered),
            "deletion-check": lambda maps: deletion_check(important(maps), answered),
            "distractibility": lambda maps: distractibility(important(maps), effects, whole),
        }
        rows = scored_against_nulls(attributions, scores, self.spectrum_draws, lacking=truth.lacking)
        return Measured(scores=joined(SCORES, rows))


@dataclass(frozen=True)
class PartTargets:
    """Target sensitivity: whether the maps of two classes differ on parts as these count for either.

    The classes are the predicted one and its runner-up; the parts those two of which one counts more for the first and
    the other more for the second, by the widest gap. Masses are signed.

    Attributes
    ----------
    per_class
        Images of each class: each is a map more.
    """

    per_class: int

    name = "part-targets"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the score, without a null; nothing where no face was rendered again."""
        few = attributions.some(self.per_class)
        truth = causes(few)
        if truth is None or len(few.case.subject.classes) < 2:
            return Measured()
        case, rivals = few.case, few.case.runners_up
        found = effects_on(few, rivals, "runner-up")
        chosen = told_apart(truth.effects, found, truth.acting)
        other = few.explain(case.images, rivals)
        masses = [part_mass(maps, truth.shares) for maps in (few.maps, other)]
        first, second = (np.take_along_axis(each, np.maximum(chosen, 0), axis=1) for each in masses)
        lacking = (chosen < 0).any(axis=1) | few.constant | are_constant(other)
        values = np.where(lacking, np.nan, target_sensitivity(first, second))
        name = "target-sensitivity"
        rows = score_rows(case, name, MAP, values, card_of(name).undefined_beside(CONSTANT))
        said = np.where(truth.lacking != "", truth.lacking, rows["reason"])
        return Measured(scores=rows.assign(reason=said))


def answered_sets(attributions: Attributions, truth: Causes) -> Float[np.ndarray, "n s"]:
    """Return whether each face keeps its answer with each set of groups acting, NaN where that was not rendered.

    Group i is in the sets whose number has 2**i in it. Groups that are not there change nothing about a set.
    """
    count = len(truth.groups)
    held = attributions.shared(("part sets", count), partial(_answered, attributions, truth))["answered"]
    numbers = np.arange(2**count)
    present = (truth.acting << np.arange(count)).sum(axis=1)
    found: np.ndarray = np.take_along_axis(held, numbers[None] & present[:, None], axis=1)
    return np.where((truth.lacking != "")[:, None], np.nan, found)


def _answered(attributions: Attributions, truth: Causes) -> dict[str, np.ndarray]:
    """Ask the network about every set that was rendered, each under the number of the groups that are there."""
    case, known = attributions.case, attributions.case.faces.counterfactuals
    count = len(truth.groups)
    found = np.full((len(case.targets), 2**count), np.nan)
    if known is None:
        return {"answered": found}
    there = truth.acting[known.faces]
    bits = 1 << np.arange(count)
    whole = (there * bits).sum(axis=1)
    places = [place for place, group in enumerate(known.groups) if group != EVERYTHING]
    few = case.take(known.faces)

    def keep(pictures: np.ndarray, sets: Int[np.ndarray, " m"]) -> None:
        logits = few.subject.logits(few.subject.prepare(pictures)).double().cpu().numpy()
        found[known.faces, sets] = clearly(logits, few.targets, float(torch.finfo(few.subject.dtype).eps))

    if EVERYTHING in known.groups:
        keep(known.at_rest[:, known.groups.index(EVERYTHING)], np.zeros(len(whole), dtype=np.int64))
    for number, place in enumerate(places):
        if number < known.alone.shape[1]:
            keep(known.alone[:, number], whole & bits[number])
        keep(known.at_rest[:, place], whole & ~bits[number])
    keep(few.faces.images, whole)
    return {"answered": found}


def clearly(logits: Float64[np.ndarray, "n k"], targets: Int[np.ndarray, " n"], eps: float) -> Bool[np.ndarray, " n"]:
    """Return whether the target is ahead of every other class by more than rounding; at rest several may be level.

    Examples
    --------
    >>> clearly(np.array([[2.0, 1.0], [2.0, 2.0]]), np.array([0, 0]), 1e-7)
    array([ True, False])
    """
    own = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    others = np.where(np.arange(logits.shape[1]) == targets[:, None], -np.inf, logits).max(axis=1)
    ahead: np.ndarray = own - others > ROUNDINGS * eps * np.abs(logits).max(axis=1)
    return ahead


def told_apart(
    first: Float[np.ndarray, "n g"], second: Float[np.ndarray, "n g"], there: Bool[np.ndarray, "n g"]
) -> Int[np.ndarray, "n 2"]:
    """Return two parts of which one counts more for the first class and the other more for the second; -1 without.

    By the widest gap, the smaller of the two classes' counting.

    Parameters
    ----------
    first, second
        What each part does for either class.
    there
        Which parts are there.
    """
    own, other = (np.where(there, each, np.nan) for each in (first, second))
    gaps = np.minimum(own[:, :, None] - own[:, None], other[:, None] - other[:, :, None])
    flat = np.nan_to_num(gaps, nan=-np.inf).reshape(len(gaps), -1)
    best = flat.argmax(axis=1)
    pairs = np.stack(np.unravel_index(best, gaps.shape[1:]), axis=1)
    apart = np.take_along_axis(flat, best[:, None], axis=1) > 0
    found: np.ndarray = np.where(apart, pairs, -1).astype(np.int64)
    return found
