"""Whether the map tells of the class that it is asked for."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, Attributions, Measured, are_constant, score_rows
from harness.metrics.cards import card_of
from harness.metrics.confusion import confusion_matrix
from harness.metrics.randomization import random_logit, target_specificity
from harness.metrics.similarity import SSIM_WINDOW, spearman_similarity, ssim_similarity
from harness.perturbation import Fill, removal_order, removed_steps, step_fractions
from harness.store import SCORES, joined


@dataclass(frozen=True)
class TargetDependence:
    """Maps of the target and of another class: how alike they are, and which of them finds what the target needs.

    The other class is drawn at random, by SSIM (Random Logit, Sixt et al. 2020), and it is the target's rival, by rank
    correlation, which sees sign. A random class is often one that nothing in the picture speaks for; against the rival,
    only what tells the two apart counts.

    Attributes
    ----------
    fill
        What stands where pixels were removed.
    steps
        Steps from nothing to everything removed.
    per_class
        Images of each class.
    """

    fill: Fill
    steps: int
    per_class: int

    name = "targets"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return how alike the maps are, for both other classes, and target-specificity against the rival."""
        few, case = attributions.some(self.per_class), attributions.case
        if len(case.subject.classes) < 2:
            return Measured()
        rivals, others = rivals_of(case)[case.some(self.per_class)], drawn_classes(few.case)
        by_rival = few.explain(few.case.images, rivals)
        by_other, differs = by_rival.copy(), np.flatnonzero(others != rivals)
        if len(differs):
            by_other[differs] = few.explain(few.case.images[torch.from_numpy(differs)], others[differs])
        found = {
            "random-logit": _structural(few.maps, by_other),
            "random-logit-rival": random_logit(few.maps, by_rival, spearman_similarity),
            "target-specificity": np.where(
                few.constant | are_constant(by_rival), np.nan, self._specificity(few, by_rival)
            ),
        }
        said = {name: card_of(name).undefined for name in found}
        said["random-logit"] += f", or the picture is smaller than SSIM's window of {SSIM_WINDOW} pixels"
        rows = [score_rows(few.case, name, MAP, values, said[name]) for name, values in found.items()]
        return Measured(scores=joined(SCORES, rows))

    def _specificity(self, few: Attributions, by_rival: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
        """Return how much more the target loses by its own map than by the rival's."""
        case, replacement, fractions = few.case, self.fill.prepare(few.case.images), step_fractions(self.steps)
        targets = np.arange(len(case.targets)), case.targets

        def deleted(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n steps"]:
            order = removal_order(maps, seed=case.seed, keys=case.keys)
            removed = removed_steps(order, fractions, maps.shape[1:])
            found = [case.subject.probabilities(replacement(removed[:, n], case.seed)) for n in range(len(fractions))]
            return np.stack([each.double().cpu().numpy()[targets] for each in found], axis=1)

        return target_specificity(fractions, deleted(few.maps), deleted(by_rival))


def _structural(maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return Random Logit by SSIM, undefined for pictures smaller than its window."""
    if min(maps.shape[1:]) < SSIM_WINDOW:
        return np.full(len(maps), np.nan)
    return random_logit(maps, others, ssim_similarity)


def drawn_classes(case: EvaluationSet) -> Int[np.ndarray, " n"]:
    """Return a random class other than the target for each image, from the seed and the image alone."""
    k = len(case.subject.classes)
    steps = [np.random.default_rng([case.seed, key, k]).integers(1, k) for key in case.keys]
    drawn: np.ndarray = (case.targets + np.array(steps, dtype=np.int64)) % k
    return drawn


def rivals_of(case: EvaluationSet) -> Int[np.ndarray, " n"]:
    """Return the class that each image's target is most confused with, whichever of the two was right.

    Where two are confused with it equally often, or the faces have no labels, probability decides: the mean over the
    target's images, or the image's own; where that is equal too, as it is of all that lies far behind, the logits.
    """
    if case.faces.labels is None:
        return case.runners_up
    counts = confusion_matrix(case.faces.labels.astype(np.int64), case.targets, len(case.subject.classes))
    rivals = {target: _rival(case, int(target), counts + counts.T) for target in np.unique(case.targets)}
    return np.array([rivals[target] for target in case.targets], dtype=np.int64)


def _rival(case: EvaluationSet, target: int, confused: Int[np.ndarray, "k k"]) -> int:
    """Return the class that a target is most confused with."""
    own = np.flatnonzero(case.targets == target)
    # One count outweighs any mean probability.
    score = confused[target] + case.probabilities[own].mean(0)
    score[target] = -1
    first = np.flatnonzero(score == score.max())
    return int(first[0] if len(first) == 1 else first[case.logits(own).mean(0)[first].argmax()])
