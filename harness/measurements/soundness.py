"""Whether what is attributed is predictive, and whether what is predictive is attributed (Li et al. 2024)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT, Attributions, Measured
from harness.measurements.outputs import Filled, filled
from harness.measurements.scored import rows_against_nulls
from harness.metrics.faithfulness import attribution_completeness, attribution_soundness
from harness.metrics.localization import positive
from harness.perturbation import Fill, removal_order, removed_steps, step_fractions
from harness.store import SCORES, joined


@dataclass(frozen=True)
class Soundness:
    """Attribution-soundness and attribution-completeness under the imputation of their paper, of positive relevance.

    Attributes
    ----------
    fill
        What stands where pixels were removed: noisy linear imputation there.
    steps
        Equal shares of pixels that are shown one after another, and equal shares of the map's largest value that are
        thresholds; neither the first step, of nothing, nor the last.
    per_class
        Images of each class: each step is a pass, and a system to be solved.
    """

    fill: Fill
    steps: int
    per_class: int

    name = "soundness"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return both scores and their gains over one spectrum null and the transplant null."""
        few = attributions.some(self.per_class)
        prepared = filled(few, self.fill)
        maps = {MAP: few.maps, SPECTRUM: next(few.spectrum_nulls(1)), TRANSPLANT: few.transplanted}
        rows = []
        for name, score in (("attribution-soundness", self._sound), ("attribution-completeness", self._complete)):
            rows += rows_against_nulls(few, name, {variant: score(prepared, one) for variant, one in maps.items()})
        return Measured(scores=joined(SCORES, rows))

    def _sound(self, prepared: Filled, maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
        """Show pixels in the map's order, and add up what the map attributes to them."""
        case, shares = prepared.case, step_fractions(self.steps)[1:-1]
        order = removal_order(maps, seed=case.seed, keys=case.keys)
        shown = removed_steps(order, shares, maps.shape[1:])
        attributed = np.einsum("nhw,nshw->ns", positive(maps).astype(np.float64), shown)
        said = [prepared.without(~shown[:, step]).probability for step in range(len(shares))]
        return attribution_soundness(attributed, np.stack(said, axis=1))

    def _complete(self, prepared: Filled, maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
        """Remove all that is attributed more than a share of the largest value, share by share."""
        attributed = positive(maps).astype(np.float64)
        largest = attributed.max(axis=(1, 2), keepdims=True)
        without = [
            prepared.without(attributed > (1 - share) * largest).recognised == 1
            for share in step_fractions(self.steps)[1:-1]
        ]
        found = attribution_completeness(prepared.whole.recognised == 1, np.stack(without, axis=1))
        values: np.ndarray = np.where(largest[:, 0, 0] > 0, found, np.nan)
        return values
