"""How much of a map lies on pixels that are known to matter."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from harness.case import Case
from harness.measurements.base import Explained, Measured, scored_against_nulls
from harness.metrics.localization import relevance_mass
from harness.store import SCORES, joined

MARK = "mark"
"""The evidence that is truth: a patch that alone told the class when the network was trained."""


@dataclass(frozen=True)
class MassOnMark:
    """Share of positive relevance on the planted mark, of the map and of its null maps.

    The mark's pattern tells the class and its place is random, so that neither chance nor a portrait of the class
    finds it.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls drawn an image; their shares are averaged.
    """

    spectrum_draws: int

    name = "localization"
    asks_again = False

    def measure(self, explained: Explained) -> Measured:
        """Return the shares and the gains over the nulls; nothing where the faces have no mark."""
        case = explained.case
        if MARK not in case.faces.evidence:
            return Measured()
        on_mark = self._on_input(case)
        rows = scored_against_nulls(
            explained,
            "mass-on-mark",
            lambda maps: relevance_mass(maps, on_mark),
            higher_is_better=True,
            draws=self.spectrum_draws,
            reason="no positive relevance",
        )
        return Measured(scores=joined(SCORES, rows))

    def _on_input(self, case: Case) -> Bool[np.ndarray, "n h w"]:
        """Return the mark at the network's input size, by the nearest pixel."""
        mark = case.faces.evidence[MARK] > 0
        height, width = case.images.shape[-2:]
        rows = np.arange(height) * mark.shape[1] // height
        columns = np.arange(width) * mark.shape[2] // width
        return mark[:, rows][:, :, columns]
