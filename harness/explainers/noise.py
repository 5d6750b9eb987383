"""Gradients of the image under noise: one set of noisy passes serves the mean, the mean square and the variance."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers._passes import gradients_at, remembered
from harness.explainers._randomness import generators, normal
from harness.explainers.base import explainer
from harness.subject import Subject
from harness.subject.channels import scaled_by_channel

SAMPLES = 24
SPREAD = 0.1
COST = "24 backward, shared by the three"


@explainer(name="smoothgrad", family="gradient", reference="Smilkov et al. 2017", cost=COST)
def smoothgrad(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    spread: float = SPREAD,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the gradient's mean under noise, signed, summed over channels.

    Parameters
    ----------
    samples
        Noisy copies of each image.
    spread
        Standard deviation of the noise as a share of the range of values that a pixel can take, in each channel.
    """
    return noisy_moments(subject, images, targets, samples, spread, seed)[0].sum(1)


@explainer(name="smoothgrad-squared", family="gradient", reference="Hooker et al. 2019", cost=COST)
def smoothgrad_squared(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    spread: float = SPREAD,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the mean of the squared gradient under noise, summed over channels; settings as for SmoothGrad."""
    return noisy_moments(subject, images, targets, samples, spread, seed)[1].sum(1)


@explainer(name="vargrad", family="gradient", reference="Adebayo et al. 2018", cost=COST)
def vargrad(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    spread: float = SPREAD,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the gradient's variance under noise, summed over channels; settings as for SmoothGrad."""
    return noisy_moments(subject, images, targets, samples, spread, seed)[2].sum(1)


def noisy_moments(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    samples: int,
    spread: float,
    seed: int,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
    """Return the gradient's mean, mean square and variance over noisy copies of the images."""
    question = ("noise", images, targets, samples, spread, seed)
    mean, square, variance = remembered(subject, lambda: _moments(subject, *question[1:]), *question)
    return mean, square, variance


def _moments(
    subject: Subject, images: Tensor, targets: Tensor, samples: int, spread: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw, pass and average."""
    sources = generators(images, seed)

    def copies() -> Iterator[Tensor]:
        for _ in range(samples):
            yield images + scaled_by_channel(normal(images, sources), subject.spec, spread)

    mean, deviation = torch.zeros_like(images), torch.zeros_like(images)
    # A running mean and sum of squared deviations: the difference of two large means would lose the variance.
    for number, found in enumerate(gradients_at(subject, copies(), targets), start=1):
        step = found - mean
        mean = mean + step / number
        deviation = deviation + step * (found - mean)
    variance = deviation / samples
    return mean, variance + mean**2, variance
