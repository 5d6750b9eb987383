"""The gradient without its high frequencies."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.explainers._passes import input_gradients
from harness.explainers.base import explainer
from harness.subject import Subject

CUTOFF = 15 / 224
"""Cycles a pixel up to which the paper keeps frequencies of most networks for ImageNet: 15 cycles in 224 pixels."""


@explainer(
    name="forgrad",
    family="gradient",
    reference="Muzellec et al. 2023",
    cost="1 backward, shared with gradient",
    axioms=("implementation-invariance", "linearity"),
)
def forgrad(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, cutoff: float = CUTOFF
) -> Float[Tensor, "n h w"]:
    """Return the target logit's gradient up to a spatial frequency, signed, summed over channels.

    Parameters
    ----------
    cutoff
        Highest frequency that is kept, in cycles a pixel and in any direction: 0 leaves the gradient's mean, from .71
        on all is kept. The paper searches it for each network, by what is most faithful.
    """
    return low_passed(input_gradients(subject, images, targets).sum(1), cutoff)


def low_passed(maps: Float[Tensor, "n h w"], cutoff: float) -> Float[Tensor, "n h w"]:
    """Return maps without the frequencies above `cutoff` cycles a pixel."""
    height, width = maps.shape[-2:]
    # In double precision, in which what a transform adds up does not show in a map.
    spectrum = torch.fft.rfft2(maps.double()) * _kept(height, width, cutoff).to(maps.device)
    found: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return found.to(maps.dtype)


def _kept(height: int, width: int, cutoff: float) -> Bool[Tensor, "h half"]:
    """Return which frequencies of a real transform are kept."""
    down, across = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
    kept: Tensor = (down[:, None] ** 2 + across**2).sqrt() <= cutoff
    return kept
