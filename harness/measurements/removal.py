"""Taking pixels away in a map's order, and putting them back: one trajectory serves every removal metric."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from harness.case import Case
from harness.measurements.base import (
    MAP,
    SPECTRUM,
    TRANSPLANT,
    Explained,
    Measured,
    curve_rows,
    rows_against_nulls,
)
from harness.metrics.faithfulness import area_under_curve
from harness.perturbation import (
    Fill,
    Replacement,
    removal_order,
    removed_steps,
    step_fractions,
)
from harness.store import CURVES, SCORES, joined

Trajectories = dict[str, Float[np.ndarray, "n steps"]]


@dataclass(frozen=True)
class Removal:
    """Deletion and insertion curves of a map and of its null maps.

    Deletion takes the most relevant pixels first and follows the target's probability; a faithful map makes it fall
    early. Insertion starts from the filled image and shows the most relevant pixels first; a faithful map makes it
    rise early (Petsiuk et al. 2018). The gain is how much better the map does than its own null, image by image.

    Attributes
    ----------
    fill
        What stands where pixels were removed.
    steps
        Steps from nothing to everything removed.
    spectrum_draws
        Spectrum nulls drawn an image; their curves are averaged.
    """

    fill: Fill
    steps: int
    spectrum_draws: int

    name = "removal"
    asks_again = False

    def measure(self, explained: Explained) -> Measured:
        """Return areas, gains and curves for the map, the spectrum null and the transplant null."""
        case = explained.case
        replacement = self.fill.prepare(case.images)
        draws = [self._trajectories(case, replacement, null) for null in explained.spectrum_nulls(self.spectrum_draws)]
        variants = {
            MAP: self._trajectories(case, replacement, explained.maps),
            SPECTRUM: _mean(draws),
            TRANSPLANT: self._trajectories(case, replacement, explained.transplanted),
        }
        known = {name: _undefined_where(explained.lacks(name), found) for name, found in variants.items()}
        return self._rows(explained, known)

    def _trajectories(self, case: Case, replacement: Replacement, maps: Float[np.ndarray, "n h w"]) -> Trajectories:
        """Return the target's probability at each step of deletion and insertion."""
        order = removal_order(maps, seed=case.seed, keys=case.keys)
        removed = removed_steps(order, step_fractions(self.steps), maps.shape[1:])
        deleted = [self._target_probability(case, replacement, removed[:, step]) for step in range(self.steps + 1)]
        # The pixels shown first are those that deletion removes first, so the ends of both curves are the same images.
        shown = [self._target_probability(case, replacement, ~removed[:, step]) for step in range(1, self.steps)]
        return {
            "deletion": np.stack(deleted, axis=1),
            "insertion": np.stack([deleted[-1], *shown, deleted[0]], axis=1),
        }

    def _target_probability(self, case: Case, replacement: Replacement, removed: np.ndarray) -> Float[np.ndarray, " n"]:
        """Return the probability of each image's target with some of its pixels filled."""
        probabilities = case.subject.probabilities(replacement(removed, case.seed))
        targets = torch.from_numpy(case.targets).to(probabilities.device)
        return probabilities.gather(1, targets[:, None])[:, 0].double().cpu().numpy()

    def _rows(self, explained: Explained, variants: dict[str, Trajectories]) -> Measured:
        """Return the score and curve rows of all variants."""
        case, fractions = explained.case, step_fractions(self.steps)
        scores, curves = [], []
        for metric, higher in (("deletion", False), ("insertion", True)):
            areas = {name: area_under_curve(fractions, found[metric]) for name, found in variants.items()}
            scores += rows_against_nulls(explained, f"{metric}-auc", areas, higher_is_better=higher, reason="")
            everyone = np.arange(len(case.targets))
            curves += [
                curve_rows(case, metric, name, everyone, fractions, found[metric]) for name, found in variants.items()
            ]
        return Measured(scores=joined(SCORES, scores), curves=joined(CURVES, curves))


def _mean(found: list[Trajectories]) -> Trajectories:
    """Return the mean of several draws' curves."""
    return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}


def _undefined_where(undefined: np.ndarray, found: Trajectories) -> Trajectories:
    """Return the curves with NaN for the images at which they mean nothing."""
    return {name: np.where(undefined[:, None], np.nan, values) for name, values in found.items()}
