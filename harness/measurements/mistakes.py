"""Whether maps say why the network was wrong: removing what misled it turns its answer back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from harness.evaluation_set import EvaluationSet
from harness.faces.faceset import balanced_choice
from harness.measurements.base import Attributions, Measured
from harness.measurements.scored import scored_against_nulls
from harness.metrics.confusion import turn_back
from harness.perturbation import Fill, removal_order, removed_steps
from harness.store import SCORES, joined


@dataclass(frozen=True)
class TurnBack:
    """Of misclassified images, what speaks for the predicted class more than for the true one is removed.

    The map of that is the difference of the two classes' maps; it is judged against its own spectrum null.

    Attributes
    ----------
    fill
        What stands where pixels were removed.
    spectrum_draws
        Spectrum nulls drawn an image.
    per_class
        Misclassified images of each predicted class.
    share
        Of the pixels, how many are removed: a tenth is what a mouth, or two eyes, takes up.
    """

    fill: Fill
    spectrum_draws: int
    per_class: int
    share: float = 0.1

    name = "mistakes"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the turn, the turns by the null maps and the gains; nothing without labels or mistakes."""
        labels, targets = attributions.case.faces.labels, attributions.case.targets
        wrong = np.flatnonzero(labels != targets) if labels is not None else np.zeros(0, dtype=np.int64)
        if labels is None or not len(wrong):
            return Measured()
        index = wrong[balanced_choice(targets[wrong], self.per_class, attributions.case.seed)]
        case = attributions.case.take(index)
        true = labels[index].astype(np.int64)
        of_true = attributions.explain(case.images, true)
        rows = scored_against_nulls(
            Attributions(case, attributions.maps[index] - of_true),
            {"turn-back": lambda maps: self._turned(case, true, maps)},
            self.spectrum_draws,
            beside=("the same map for both classes",),
        )
        return Measured(scores=joined(SCORES, rows))

    def _turned(
        self, case: EvaluationSet, true: Int[np.ndarray, " n"], maps: Float[np.ndarray, "n h w"]
    ) -> Float[np.ndarray, " n"]:
        """Return how far removal in the order of the maps moves the answer from the predicted class to the true one."""
        order = removal_order(maps, seed=case.seed, keys=case.keys)
        removed = removed_steps(order, [self.share], maps.shape[1:])[:, 0]
        after = case.subject.probabilities(self.fill.prepare(case.images)(removed, case.seed))
        return turn_back(case.probabilities, after.double().cpu().numpy(), true, case.targets)
