"""How much of a map lies on pixels that are known to matter."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from harness.case import Case
from harness.measurements.base import Measured, score_rows
from harness.metrics.localization import relevance_mass
from harness.perturbation import spectrum_null, transplant_pairs
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

    def measure(self, case: Case, maps: Float[np.ndarray, "n h w"]) -> Measured:
        """Return the shares and the gains over the nulls; nothing where the faces have no mark."""
        if MARK not in case.faces.evidence:
            return Measured()
        on_mark = self._on_input(case)
        draws = [
            relevance_mass(spectrum_null(maps, seed=case.seed + draw, keys=case.keys), on_mark)
            for draw in range(self.spectrum_draws)
        ]
        donors = transplant_pairs(case.targets, seed=case.seed, persons=case.faces.persons)
        transplanted = np.where(donors < 0, np.nan, relevance_mass(maps[np.maximum(donors, 0)], on_mark))
        found, reason = relevance_mass(maps, on_mark), "no positive relevance, or no other image of the class"
        rows = [score_rows(case, "mass-on-mark", "map", found, reason)]
        for name, null in (("spectrum-null", np.mean(draws, axis=0)), ("transplant-null", transplanted)):
            rows.append(score_rows(case, "mass-on-mark", name, null, reason))
            rows.append(score_rows(case, "mass-on-mark-gain", name, found - null, reason))
        return Measured(scores=joined(SCORES, rows))

    def _on_input(self, case: Case) -> Bool[np.ndarray, "n h w"]:
        """Return the mark at the network's input size, by the nearest pixel."""
        mark = case.faces.evidence[MARK] > 0
        height, width = case.images.shape[-2:]
        rows = np.arange(height) * mark.shape[1] // height
        columns = np.arange(width) * mark.shape[2] // width
        return mark[:, rows][:, :, columns]
