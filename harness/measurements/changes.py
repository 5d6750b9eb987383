"""Whether maps that claim to say what a small change would do, do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.measurements.cells import Ordered, share_right, unsettled
from harness.measurements.scored import CONSTANT
from harness.store import NOT_SCORABLE, SCORES, UNDEFINED, joined
from harness.truth import pairs_of
from harness.truth.changes import small_changes
from harness.truth.images import Games, Level

SIGNED, SIZE = "small-changes", "small-changes-size"
SIGN: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {SIGNED: np.asarray, SIZE: np.abs}
"""What is done to values and sums of either before they are compared."""


@dataclass(frozen=True)
class SmallChanges:
    """How many pairs of cells a map orders by what a small change of them does, on the images and cells of the games.

    Only for explainers that claim it: with sign, of a little more light on each cell; without, of the change of each
    pixel's steepest channel that does most, which the network's gradient names and the answers weigh.

    Attributes
    ----------
    games
        Whose images and grids are taken.
    """

    games: Games

    name = "small-changes"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return one score an image and claim; nothing where none is made."""
        claimed, few = [each for each in SIGN if each in attributions.axioms], attributions.some(self.games.per_class)
        lacking = self.games.lacking(attributions.case)
        if not claimed or lacking:
            nothing = np.full(len(few.maps), np.nan)
            rows = [score_rows(few.case, name, MAP, nothing, lacking, NOT_SCORABLE) for name in claimed]
            return Measured(scores=joined(SCORES, rows))
        rows = []
        for name in claimed:
            only = np.zeros(len(few.maps), dtype=np.int64)
            right = [Ordered.of(level, level.of(only), SIGN[name]) for level in self._levels(few, name)]
            values = np.where(few.constant, np.nan, share_right(right, few.maps))
            lost = unsettled(right) != ""
            reason = np.where(lost, "no step changes the answer beyond its rounding", CONSTANT)
            rows.append(score_rows(few.case, name, MAP, values, reason, np.where(lost, NOT_SCORABLE, UNDEFINED)))
        return Measured(scores=joined(SCORES, rows))

    def _levels(self, few: Attributions, name: str) -> list[Level]:
        """Return each grid with what a small change of its cells does to the image's target, the one class of it."""
        case, found = few.case, []
        for grid in self.games.games.grids:
            labels = grid.labels(*case.images.shape[-2:])

            def make(labels: np.ndarray = labels) -> Mapping[str, np.ndarray]:
                direction = torch.ones_like(case.images)
                if name == SIZE:
                    direction = _steepest(case.subject.gradients(case.images, case.target_tensor()))
                return {"done": small_changes(case.subject, case.images, case.targets, labels, direction)}

            done = few.shared((name, grid), make)["done"]
            found.append(Level(labels, pairs_of(grid.cells), done[None, :, :, None]))
        return found


def _steepest(gradients: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return a step of one level up or down in the channel of each pixel that does most: the size that a map shows."""
    best = gradients.abs().argmax(1, keepdim=True)
    return torch.zeros_like(gradients).scatter(1, best, gradients.gather(1, best).sign())
