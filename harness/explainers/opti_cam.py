"""The class activation map that, of all weightings of a layer's channels, shows the most of what the answer needs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from harness.explainers._interception import leaves
from harness.explainers.base import explainer
from harness.explainers.cam import as_pictures
from harness.subject import Subject

DECAYS = (0.9, 0.999)
"""Of Adam's means of the gradient and of its square."""
LEAST = 1e-8
"""What Adam adds to the size of a gradient that it divides by."""


@explainer(name="opti-cam", family="cam", reference="Zhang et al. 2024", cost="100 backward")
def opti_cam(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 100,
    rate: float = 0.1,
) -> Float[Tensor, "n h w"]:
    """Return the channels weighted so that the image seen through their sum has the largest target logit, 0 to 1.

    Weights are a softmax over the channels of the subject's `cam_layer`; their sum is enlarged, its least value put to
    0 and its largest to 1, and the image multiplied by it, so that what it hides is zero in input units. From equal
    weights on, Adam climbs. A sum that is even shows nothing: 0.

    Parameters
    ----------
    steps
        How many.
    rate
        Adam's.
    """
    # Adam's steps are of one size however small a gradient is, so that rounding alone would turn some round.
    precise, exact = subject.in_double(), images.double()
    batches = leaves(precise, exact, targets)
    found = [_climbed(precise, leaf.detach(), classes, steps, rate) for leaf, classes in batches]
    return torch.cat(found).to(images.dtype)


def _climbed(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], steps: int, rate: float
) -> Float[Tensor, "n h w"]:
    """Return the sums at which the climb of one micro-batch ends."""
    maps = as_pictures(subject, subject.activations(images, [subject.cam_layer])[subject.cam_layer])
    weights = torch.zeros(maps.shape[:2], dtype=maps.dtype, device=maps.device, requires_grad=True)
    # Adam written out: torch's own first imports its compiler, which changes torch for everybody.
    first, second = torch.zeros_like(weights), torch.zeros_like(weights)
    for step in range(1, steps + 1):
        logits = subject.model(images * _shown(weights, maps, images)[:, None])
        (slope,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), weights)
        first, second = torch.lerp(slope, first, DECAYS[0]), torch.lerp(slope**2, second, DECAYS[1])
        mean, square = first / (1 - DECAYS[0] ** step), second / (1 - DECAYS[1] ** step)
        weights = (weights.detach() + rate * mean / (square.sqrt() + LEAST)).requires_grad_()
    return _shown(weights, maps, images).detach()


def _shown(
    weights: Float[Tensor, "n k"], maps: Float[Tensor, "n k y x"], images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n h w"]:
    """Return weighted sums of channels in the images' size, from 0 to 1."""
    total = (weights.softmax(1)[:, :, None, None] * maps).sum(1, keepdim=True)
    large = functional.interpolate(total, tuple(images.shape[-2:]), mode="bilinear", align_corners=False)[:, 0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    span = high - low
    return (large - low) / span.masked_fill(span == 0, torch.inf)
