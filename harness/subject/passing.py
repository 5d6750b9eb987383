"""What of the picture passes through a layer, told by gradients."""

import torch
from torch import Tensor

from harness.subject.network import Subject


@torch.enable_grad()
def everything_passes(subject: Subject, layer: str) -> bool:
    """Whether no gradient reaches the input once it is cut at a layer: nothing gets around it."""
    leaf = noise(subject)
    with subject.listening([layer], lambda _name, output: output.detach()):
        logits = subject.network(leaf.clone())
    if not logits.requires_grad:
        return True
    (around,) = torch.autograd.grad(spread(logits), leaf, allow_unused=True)
    return around is None or not bool((around != 0).any())


def noise(subject: Subject) -> Tensor:
    """Return two different images of noise over the range of the input, to be derived by."""
    spec = subject.spec
    drawn = torch.rand(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    images = spec.low + (spec.high - spec.low) * drawn
    return images.to(subject.device, subject.dtype).requires_grad_()


def spread(logits: Tensor) -> Tensor:
    """Return a sum of the logits that weighs each of them differently, so that their gradients do not cancel."""
    weights = torch.linspace(1, 2, logits.shape[1], device=logits.device, dtype=logits.dtype)
    return (logits * weights).sum()
