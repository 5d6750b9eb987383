"""What the network answers when part of an image is gone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import Attributions
from harness.perturbation import Fill, Replacement

Removed = Bool[np.ndarray, "n h w"]
"""Which pixels are gone."""


@dataclass(frozen=True)
class Outputs:
    """What one pass of each image says of its explained class.

    Attributes
    ----------
    probability, logit
        Of the class.
    recognised
        1 where it is the class predicted, 0 elsewhere.
    """

    probability: Float[np.ndarray, "n ..."]
    logit: Float[np.ndarray, "n ..."]
    recognised: Float[np.ndarray, "n ..."]

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> "Outputs":
        """Return the same with each array changed."""
        return Outputs(**{name: change(values) for name, values in vars(self).items()})

    @staticmethod
    def joined(found: "Sequence[Outputs]", how: Callable[[list[np.ndarray]], np.ndarray]) -> "Outputs":
        """Return several as one, each array made by `how` from theirs."""
        return Outputs(**{name: how([getattr(one, name) for one in found]) for name in Outputs.__dataclass_fields__})


def outputs(case: EvaluationSet, images: Float[Tensor, "n c h w"], targets: Int[np.ndarray, " n"]) -> Outputs:
    """Return what the network says of each image's class, all from one pass."""
    logits = case.subject.logits(images)
    chosen = torch.from_numpy(targets).to(logits.device)[:, None]
    found = (
        logits.softmax(1).gather(1, chosen)[:, 0],
        logits.gather(1, chosen)[:, 0],
        logits.argmax(1) == chosen[:, 0],
    )
    return Outputs(*(values.double().cpu().numpy() for values in found))


@dataclass(frozen=True)
class Filled:
    """The images of an evaluation set under one fill, and the answers that no map has a part in.

    Attributes
    ----------
    case
        Whose images.
    replacement
        The images prepared for the fill.
    whole, empty
        Answers with nothing and with everything removed.
    """

    case: EvaluationSet
    replacement: Replacement
    whole: Outputs
    empty: Outputs

    def without(self, removed: Removed) -> Outputs:
        """Return the answers with these pixels filled."""
        return outputs(self.case, self.replacement(removed, self.case.seed), self.case.targets)

    def without_of(self, index: Int[np.ndarray, " m"], removed: Removed) -> Outputs:
        """Return the answers of the images at `index` alone, `removed` being given for all."""
        images = self.replacement(removed, self.case.seed)[torch.from_numpy(index)]
        return outputs(self.case, images, self.case.targets[index])

    def take(self, index: Int[np.ndarray, " m"], fill: Fill) -> "Filled":
        """Return the same of some of the images."""
        case, some = self.case.take(index), partial(np.take, indices=index, axis=0)
        return replace(
            self,
            case=case,
            replacement=fill.prepare(case.images),
            whole=self.whole.map(some),
            empty=self.empty.map(some),
        )


def filled(attributions: Attributions, fill: Fill) -> Filled:
    """Return a set under a fill; the whole and the empty image are passed once for all explainers and null maps."""
    case = attributions.case
    replacement = fill.prepare(case.images)
    shape = (len(case.targets), *case.images.shape[2:])

    def make() -> dict[str, np.ndarray]:
        ends = [outputs(case, replacement(np.full(shape, gone), case.seed), case.targets) for gone in (False, True)]
        return {name: np.stack([getattr(end, name) for end in ends]) for name in Outputs.__dataclass_fields__}

    held = attributions.shared(("whole and empty", repr(fill)), make)
    whole, empty = (Outputs(**{name: held[name][end] for name in Outputs.__dataclass_fields__}) for end in (0, 1))
    return Filled(case, replacement, whole, empty)
