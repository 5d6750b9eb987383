"""How concentrated a map is."""

from dataclasses import dataclass

from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.measurements.scored import scored_against_nulls
from harness.metrics.cards import card_of
from harness.metrics.complexity import (
    entropy_complexity,
    histogram_entropy,
    mst_compactness,
    pixels_above_floor,
    sparseness,
)
from harness.store import SCORES, joined

METRICS = {
    "sparseness": sparseness,
    "entropy-complexity": entropy_complexity,
    "pixels-above-floor": pixels_above_floor,
    "histogram-entropy": histogram_entropy,
}


@dataclass(frozen=True)
class Complexity:
    """Sparseness, entropies, effective size and compactness of the maps.

    Beside compactness alone null maps are set: a spectrum null has the map's own values, so that what asks for no
    places scores it the same. Of none of them anything is claimed.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls an image; scores are averaged over them.
    """

    spectrum_draws: int

    name = "complexity"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return one score an image and metric; no pass of the network is needed."""
        case, maps = attributions.case, attributions.maps
        rows = [score_rows(case, name, MAP, metric(maps), card_of(name).undefined) for name, metric in METRICS.items()]
        rows += scored_against_nulls(attributions, {"mst-compactness": mst_compactness}, self.spectrum_draws)
        return Measured(scores=joined(SCORES, rows))
