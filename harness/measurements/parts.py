"""Whether a map weighs the parts of a face as the network does."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from harness.measurements.base import Attributions, Measured
from harness.measurements.causes import causes
from harness.measurements.scored import scored_against_nulls
from harness.metrics.localization import positive
from harness.metrics.parts import part_kendall, part_mass, part_spearman
from harness.store import SCORES, joined


@dataclass(frozen=True)
class Parts:
    """Rank correlation, over the groups of a face's actions, of the map's mass and the group's true effect.

    A group's pixels are those that change when it is put to rest, each counted by its change as a share of the group's
    largest; the map's positive relevance is summed over them. The effect is the fall of the target's logit. Both grow
    with a group, so that chance is not 0: what counts is the gain over the null maps, which keep the sizes. Summed and
    not averaged, because effects add up: a map of the true contributions would rank wrong by its density. A group that
    changes nothing has no pixels and is left out. With at most four groups an image's correlation is coarse (24
    orders); only its mean over images says something.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls drawn an image; their correlations are averaged.
    """

    spectrum_draws: int

    name = "parts"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return both correlations and their gains; nothing where no face was rendered again."""
        truth = causes(attributions)
        if truth is None:
            return Measured()
        shares = truth.shares

        def masses(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n g"]:
            return part_mass(positive(maps), shares)

        rows = scored_against_nulls(
            attributions,
            {
                "part-spearman": lambda maps: part_spearman(masses(maps), truth.effects),
                "part-kendall": lambda maps: part_kendall(masses(maps), truth.effects),
            },
            self.spectrum_draws,
            lacking=truth.lacking,
            shifts=True,
        )
        return Measured(scores=joined(SCORES, rows))
