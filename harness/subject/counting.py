"""Counts the images that pass through a network."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Passes:
    """Images that went through the network since the subject was made."""

    forward: int = 0
    backward: int = 0

    def total(self) -> int:
        """Return how many went either way."""
        return self.forward + self.backward


class CountedNetwork(nn.Module):
    """A network that counts the images passing through it, for libraries that want a module to call."""

    def __init__(self, network: nn.Module, passes: Passes) -> None:
        super().__init__()
        self.network = network
        self._passes = passes

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's logits."""
        self._passes.forward += len(images)
        # Single precision is read by a network in double too, which then rounds at its ends alone.
        logits: Tensor = self.network(images.double() if precision(self.network) == torch.float64 else images)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        """Count the images whose gradient has reached the output."""
        self._passes.backward += len(gradient)


def precision(network: nn.Module) -> torch.dtype:
    """Return the precision of a network's first weights; single where it has none."""
    kinds = (parameter.dtype for parameter in network.parameters() if parameter.is_floating_point())
    return next(kinds, torch.float32)
