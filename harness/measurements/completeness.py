"""Whether maps that claim to add up to what they explain do."""

from dataclasses import dataclass

import numpy as np

from harness.measurements.answers import target_logits
from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.metrics.axioms import completeness
from harness.metrics.cards import card_of

AXIOM = "completeness"


@dataclass(frozen=True)
class Completeness:
    """How far the map's sum is from the fall of the target's logit to the explainer's own baselines.

    As a share of the mean absolute fall; over several baselines their mean logit counts. Only for explainers that claim
    it.
    """

    name = "completeness"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return one score an image; nothing where the axiom is not claimed."""
        if AXIOM not in attributions.axioms:
            return Measured()
        case = attributions.case
        reached = [target_logits(case, baseline) for baseline in attributions.baselines(case.images)]
        drops = target_logits(case, case.images) - np.mean(reached, axis=0)
        values = completeness(attributions.maps, drops)
        return Measured(scores=score_rows(case, AXIOM, MAP, values, card_of(AXIOM).undefined))
