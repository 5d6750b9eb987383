"""What every measurement of a run shares: the network, the chosen images, and what the network says of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from harness.digest import digest, image_keys
from harness.faces.faceset import FaceSet, balanced_choice
from harness.subject import Subject

FEW_CLASSES = 20
"""Of so many, tables have a row for each, also where no picture shows it; of more, only for those that occur."""


@dataclass(frozen=True)
class EvaluationSet:
    """A network and the images under which its explainers are judged.

    The class explained is the class that the network predicts, so that pictures without labels can be used; an image
    belongs to the class that is explained for it.

    Attributes
    ----------
    subject
        The trained network.
    faces
        The chosen images, n of them.
    probabilities
        The network's class probabilities for each of them, (n, k).
    seed
        From which every random draw of the run derives.
    judged
        Indices of the classes that tables have a row for, in the subject's order; by default all.
    """

    subject: Subject
    faces: FaceSet
    probabilities: Float[np.ndarray, "n k"]
    seed: int
    judged: tuple[int, ...] | None = None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the judged classes."""
        every = self.subject.classes
        return every if self.judged is None else tuple(every[k] for k in self.judged)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tables should know of the classes they leave out."""
        if self.judged is None:
            return ()
        return (f"{len(self.judged)} of {len(self.subject.classes)} classes occur; tables leave out the others",)

    def places(self, classes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return where each of some judged classes, given as the subject's index, stands among the judged ones."""
        found: np.ndarray = classes if self.judged is None else np.searchsorted(self.judged, classes)
        return found

    @cached_property
    def images(self) -> Float[Tensor, "n c h w"]:
        """The images in the network's input units, on its device."""
        return self.subject.prepare(self.faces.images)

    @cached_property
    def targets(self) -> Int[np.ndarray, " n"]:
        """The class explained for each image: the predicted one."""
        classes: np.ndarray = self.probabilities.argmax(1)
        return classes

    @cached_property
    def runners_up(self) -> Int[np.ndarray, " n"]:
        """The class that each image is next likely to be, after the one explained; needs two classes."""
        left = self.probabilities.copy()
        left[np.arange(len(left)), self.targets] = -1
        second: np.ndarray = left.argmax(1)
        # A softmax in single precision is 0 for all that lies far behind, and equal for what lies near: logits are not.
        tied = np.flatnonzero((left == left.max(1, keepdims=True)).sum(1) > 1)
        if len(tied):
            second[tied] = self._next_by_logits(tied, left[tied])
        return second

    def _next_by_logits(self, index: Int[np.ndarray, " m"], left: Float[np.ndarray, "m k"]) -> Int[np.ndarray, " m"]:
        """Return, of the classes of largest `left`, the one with the largest logit."""
        logits = self.logits(index)
        found: np.ndarray = np.where(left == left.max(1, keepdims=True), logits, -np.inf).argmax(1)
        return found

    def logits(self, index: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m k"]:
        """Ask the network for the logits of the images at `index`."""
        found: np.ndarray = self.subject.logits(self.images[torch.from_numpy(index)]).double().cpu().numpy()
        return found

    @cached_property
    def target_names(self) -> Shaped[np.ndarray, " n"]:
        """Name of the class explained for each image."""
        names: np.ndarray = np.array(self.subject.classes)[self.targets]
        return names

    @cached_property
    def label_names(self) -> Shaped[np.ndarray, " n"]:
        """Name of each image's true class, "" where unknown."""
        labels = self.faces.labels
        names: np.ndarray = np.full(len(self.faces), "") if labels is None else np.array(self.faces.classes)[labels]
        return names

    @cached_property
    def keys(self) -> Int[np.ndarray, " n"]:
        """One integer an image from its content; what is drawn for an image depends on nothing else in the batch."""
        return image_keys(self.images)

    @cached_property
    def digest(self) -> str:
        """Name of the network, the images, what is explained and the seed."""
        return digest(self.subject.digest, self.faces.digest, self.targets, self.seed)

    def target_tensor(self) -> Int[Tensor, " n"]:
        """Return the targets on the network's device."""
        return torch.from_numpy(self.targets).to(self.subject.device)

    def take(self, index: Int[np.ndarray, " k"]) -> "EvaluationSet":
        """Return the set of the images at `index`."""
        return replace(self, faces=self.faces.take(index), probabilities=self.probabilities[index])

    def some(self, per_class: int) -> Int[np.ndarray, " k"]:
        """Return the indices of at most `per_class` images of each explained class."""
        return balanced_choice(self.targets, per_class, self.seed)


def evaluation_set(
    subject: Subject, faces: FaceSet, probabilities: Float[np.ndarray, "n k"], per_class: int | None, seed: int
) -> EvaluationSet:
    """Return the set of at most `per_class` random images of each predicted class, those of known causes first."""
    known = np.zeros(len(faces), bool)
    if faces.counterfactuals is not None:
        known[faces.counterfactuals.faces] = True
    predicted = probabilities.argmax(1)
    index = balanced_choice(predicted, per_class, seed, first=known)
    judged = None
    if len(subject.classes) > FEW_CLASSES:
        labels = predicted if faces.labels is None else faces.labels
        judged = tuple(int(k) for k in np.union1d(predicted, labels))
    return EvaluationSet(subject, faces.take(index), probabilities[index], seed, judged)
