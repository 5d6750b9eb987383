"""Axioms over several networks, of explainers that claim them: equal answers, and sums."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.metrics.axioms import implementation_invariance, linearity
from harness.metrics.cards import card_of
from harness.networks.equal import SAME, Pair, channel_pairs, largest_difference, twin, weighted_sum
from harness.networks.random import layer_groups
from harness.store import SCORES, joined

TRIED = 8
"""Images on which a twin is seen to answer alike."""
WEIGHTS = (0.75, -0.5)
"""Of the subject and of its random network: of two signs, and exact in floating point."""


@dataclass(frozen=True)
class Invariance:
    """Whether two networks of equal answers get equal maps, and a weighted sum of networks the weighted sum of maps.

    The equal network has its channels in another order and at other scales; the second summand is the network with
    every layer drawn at random. Only for explainers that claim the axiom.

    Attributes
    ----------
    per_class
        Images of each class.
    """

    per_class: int

    name = "invariance"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return one score an image for each axiom that is claimed."""
        if not attributions.axioms & set(AXIOMS):
            return Measured()
        some = attributions.some(self.per_class)
        rows = [_rows(some, axiom) for axiom in AXIOMS if axiom in some.axioms]
        return Measured(scores=joined(SCORES, rows))


def _rows(some: Attributions, axiom: str) -> pd.DataFrame:
    """Return the rows of one axiom."""
    values = AXIOMS[axiom](some)
    if values is None:
        values, reason = np.full(len(some.maps), np.nan), "no network of equal answers could be made"
    else:
        reason = card_of(axiom).undefined
    return score_rows(some.case, axiom, MAP, values, reason)


def _same_function(some: Attributions) -> np.ndarray | None:
    """Return how far the maps on a network of equal answers are from the subject's; None where there is none."""
    case = some.case
    held = some.shared(("twin",), lambda: _known_pairs(case))
    pairs = [pair for pair, kept in zip(channel_pairs(case.subject), held["kept"], strict=True) if kept]
    if not pairs or not held["apart"] <= SAME:
        return None
    return implementation_invariance(some.maps, some.explain(case.images, case.targets, twin(case.subject, pairs, 0)))


def _known_pairs(case: EvaluationSet) -> dict[str, np.ndarray]:
    """Return which pairs of layers can be changed alone without changing an answer, and what changing all does."""
    pairs, images = channel_pairs(case.subject), case.images[:TRIED]

    def apart(changed: list[Pair]) -> float:
        return largest_difference(case.subject, twin(case.subject, changed, 0), images)

    kept = [apart([pair]) <= SAME for pair in pairs]
    together = apart([pair for pair, held in zip(pairs, kept, strict=True) if held])
    return {"kept": np.array(kept, dtype=bool), "apart": np.array(together)}


def _sum(some: Attributions) -> np.ndarray:
    """Return how far the maps on the sum of two networks are from the sum of their maps."""
    case = some.case
    drawn = some.random_network(layer_groups(case.subject, 1)[0], 0)
    added = weighted_sum(case.subject, drawn, WEIGHTS)
    combined, other = (some.explain(case.images, case.targets, subject) for subject in (added, drawn))
    return linearity(combined, (some.maps, other), WEIGHTS)


AXIOMS: dict[str, Callable[[Attributions], np.ndarray | None]] = {
    "implementation-invariance": _same_function,
    "linearity": _sum,
}
"""What each axiom's scores are made of."""
