"""A subject whose answers are guessed, so that what a run will ask can be counted without asking it."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.subject import InputSpec, Subject
from harness.subject.rewriting import hooked

FEATURES = 16
"""That a guessed answer reads off a picture."""


class Guessing(Subject):
    """A subject whose answers are guessed and counted, as long as nothing looks into the network.

    Every network made of it guesses alike, so that those that are made to answer the same do. An answer does not hang
    on the brightness of the whole picture, since one of these takes that back.
    """

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return a linear function of each image, the same for an image whenever it is asked."""
        if hooked(self._network):
            return super().logits(images)
        self.passes.forward += len(images)
        shown, said = (each.to(images.device) for each in read_off(images[0].numel(), len(self.classes)))
        guessed: Tensor = images.reshape(len(images), -1).to(shown.dtype) @ shown @ said
        return guessed.to(self.dtype)

    def with_network(
        self, network: nn.Module, name: str, cam_layer: str = "", spec: InputSpec | None = None
    ) -> "Guessing":
        """Return a subject that differs in its network alone, and guesses too."""
        made = Guessing.__new__(Guessing)
        vars(made).update(vars(super().with_network(network, name, cam_layer, spec)))
        return made

    @classmethod
    def of(cls, subject: Subject) -> "Guessing":
        """Return a subject that guesses what another would answer; it counts for itself."""
        made = cls(
            subject.network,
            name=subject.name,
            classes=subject.classes,
            spec=subject.spec,
            cam_layer=subject.cam_layer,
            device=subject.device,
        )
        made.fed(subject.feed)
        return made


@lru_cache(maxsize=2)
def read_off(pixels: int, classes: int) -> tuple[Float[Tensor, "pixels f"], Float[Tensor, "f k"]]:
    """Return what a guess reads off a picture, nothing of its mean, and what that says for each class.

    Few features, since a matrix from each pixel to each of a thousand classes would take longer than the network does.
    """
    source = torch.Generator().manual_seed(0)
    shown = torch.randn(pixels, FEATURES, generator=source, dtype=torch.float64)
    said = torch.randn(FEATURES, classes, generator=source) / FEATURES**0.5
    return ((shown - shown.mean(0)) / pixels**0.5).float(), said
