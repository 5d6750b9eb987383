"""The gradient and what is read off it or off its mean along a straight path."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers._passes import gradients_at, input_gradients
from harness.explainers.base import COMPLETENESS, explainer
from harness.explainers.baselines import Baseline, baseline_pictures, plain_baseline
from harness.subject import Subject


@explainer(
    name="gradient",
    family="gradient",
    reference="Baehrens et al. 2010",
    cost="1 backward, shared with saliency",
    axioms=("implementation-invariance", "linearity", "small-changes"),
)
def gradient(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the target logit's gradient, signed, summed over channels.

    It is logit per input unit: how the logit would move if all channels of the pixel rose together.
    """
    return input_gradients(subject, images, targets).sum(1)


@explainer(
    name="saliency",
    family="gradient",
    reference="Simonyan et al. 2013",
    cost="1 backward, shared with gradient",
    axioms=("implementation-invariance", "small-changes-size"),
)
def saliency(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the largest absolute gradient over channels, never negative."""
    return input_gradients(subject, images, targets).abs().amax(1)


@explainer(
    name="input-x-gradient",
    family="gradient",
    reference="Shrikumar et al. 2016",
    cost="1 backward, shared with gradient",
    axioms=("implementation-invariance", "linearity"),
)
def input_x_gradient(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the image in input units times the gradient, signed, summed over channels.

    Zero in input units, usually mid-grey, is the reference it silently takes.
    """
    return (images * input_gradients(subject, images, targets)).sum(1)


@explainer(
    name="integrated-gradients",
    family="gradient",
    reference="Sundararajan et al. 2017",
    cost="32 backward",
    axioms=(COMPLETENESS, "implementation-invariance", "linearity"),
    baselines=plain_baseline,
)
def integrated_gradients(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 32,
    baseline: Baseline = 0.0,
) -> Float[Tensor, "n h w"]:
    """Return the gradient averaged from a baseline to the image, times their difference.

    Channels are summed. The average is Gauss-Legendre quadrature. The map sums to the logit of the image less
    that of the baseline, up to the error of the quadrature.

    Parameters
    ----------
    steps
        Points of the quadrature.
    baseline
        A value of every pixel in input units, or a word; see :func:`~harness.explainers.baselines.baseline_pictures`.
    """
    return path_integral(subject, baseline_pictures(subject, images, baseline), images, targets, steps)


def path_integral(
    subject: Subject,
    start: Float[Tensor, "n c h w"],
    end: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    steps: int,
) -> Float[Tensor, "n h w"]:
    """Return each pixel's integral of the gradient along the straight path from `start` to `end`."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    points = (torch.lerp(start, end, float(node)) for node in (1 + nodes) / 2)
    total = torch.zeros_like(end)
    for weight, found in zip(weights / 2, gradients_at(subject, points, targets), strict=True):
        total += float(weight) * found
    return (total * (end - start)).sum(1)
