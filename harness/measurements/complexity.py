"""How concentrated a map is."""

from dataclasses import dataclass

from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.metrics.cards import card_of
from harness.metrics.complexity import entropy_complexity, histogram_entropy, pixels_above_floor, sparseness
from harness.store import SCORES, joined

METRICS = {
    "sparseness": sparseness,
    "entropy-complexity": entropy_complexity,
    "pixels-above-floor": pixels_above_floor,
    "histogram-entropy": histogram_entropy,
}


@dataclass(frozen=True)
class Complexity:
    """Sparseness, entropies and effective size of the maps: a description, of which nothing is claimed.

    No null map is set beside it: a spectrum null has the map's own values, so that it scores the same, and the maps of
    other images are scored for themselves.
    """

    name = "complexity"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return one score an image and metric; no pass of the network is needed."""
        case, maps = attributions.case, attributions.maps
        rows = [score_rows(case, name, MAP, metric(maps), card_of(name).undefined) for name, metric in METRICS.items()]
        return Measured(scores=joined(SCORES, rows))
