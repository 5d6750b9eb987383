"""How much of a map lies on pixels that are known to matter."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from harness.case import Case
from harness.measurements.base import Measured, score_rows
from harness.metrics.localization import relevance_mass
from harness.perturbation import spectrum_null
from harness.store import SCORES, joined

MARK = "mark"
"""The evidence that is truth: a patch that alone told the class when the network was trained."""


@dataclass(frozen=True)
class MassOnMark:
    """Share of positive relevance on the planted mark, of the map and of its spectrum null.

    The transplant null says nothing here: the mark of a class is at the same place in all its images.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls drawn an image; their shares are averaged.
    """

    spectrum_draws: int

    def measure(self, case: Case, maps: Float[np.ndarray, "n h w"]) -> Measured:
        """Return the shares and the gain over the null; nothing where the faces have no mark."""
        if MARK not in case.faces.evidence:
            return Measured()
        on_mark = self._on_input(case)
        draws = [
            relevance_mass(spectrum_null(maps, seed=case.seed + draw, keys=case.keys), on_mark)
            for draw in range(self.spectrum_draws)
        ]
        found, null = relevance_mass(maps, on_mark), np.mean(draws, axis=0)
        reason = "no positive relevance"
        return Measured(
            scores=joined(
                SCORES,
                [
                    score_rows(case, "mass-on-mark", "map", found, reason),
                    score_rows(case, "mass-on-mark", "spectrum-null", null, reason),
                    score_rows(case, "mass-on-mark-gain", "spectrum-null", found - null, reason),
                ],
            )
        )

    def _on_input(self, case: Case) -> Bool[np.ndarray, "n h w"]:
        """Return the mark at the network's input size, by the nearest pixel."""
        mark = case.faces.evidence[MARK] > 0
        height, width = case.images.shape[-2:]
        rows = np.arange(height) * mark.shape[1] // height
        columns = np.arange(width) * mark.shape[2] // width
        return mark[:, rows][:, :, columns]
