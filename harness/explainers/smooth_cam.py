"""Class activation maps whose weights are averaged: over noise on the picture or on what is seen, or its strength."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers._passes import at_a_time, logits_at
from harness.explainers._randomness import generators, normal
from harness.explainers.base import explainer
from harness.explainers.cam import as_pictures, enlarged, stretched
from harness.subject import Subject
from harness.subject.channels import scaled_by_channel

Masks = Float[Tensor, "k h w"]
Shown = Callable[[Masks, np.random.Generator], Iterator[Masks]]
"""Makes of an image's masks, 0 to 1, those through which it is seen."""


@explainer(name="smoothgrad-cam-plus-plus", family="cam", reference="Omeiza et al. 2019", cost="25 backward")
def smoothgrad_cam_plus_plus(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = 24,
    spread: float = 0.1,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted as in Grad-CAM++ by gradients averaged over noise.

    Of the gradient g of noisy copies at the subject's `cam_layer` the mean, mean square and mean cube are taken; a
    place weighs (mean g^2) / (2 mean g^2 + sum A mean g^3) times the positive part of the mean g, A being the channel
    of the image itself, and nothing where the denominator is zero. The paper has the mean g above the fraction, which
    without noise would not be Grad-CAM++. Never negative.

    Parameters
    ----------
    samples
        Noisy copies of each image.
    spread
        Standard deviation of the noise as a share of the range of values that a pixel can take, in each channel.
    """
    layer = subject.cam_layer
    maps = as_pictures(subject, subject.activations(images, [layer])[layer]).double()
    first, second, third = (torch.zeros_like(maps) for _ in range(3))
    sources = generators(images, seed)
    for _ in range(samples):
        noisy = images + scaled_by_channel(normal(images, sources), subject.spec, spread)
        gradients = as_pictures(subject, subject.layer_gradients(noisy, targets, layer)[1]).double()
        first, second, third = first + gradients, second + gradients**2, third + gradients**3
    below = 2 * second + maps.sum((2, 3), keepdim=True) * third
    shares = torch.where(below != 0, second / below.masked_fill(below == 0, 1.0), torch.zeros_like(below))
    weights = (shares * first.relu() / samples).sum((2, 3), keepdim=True)
    return enlarged((weights * maps).sum(1).relu().to(images.dtype), images)


@explainer(name="ss-cam", family="cam", reference="Wang et al. 2020", cost="10 forward a channel")
def ss_cam(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = 10,
    spread: float = 2.0,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by the target logit of the image seen through noisy channels.

    As Score-CAM, but that noise is added to each channel, enlarged and stretched to 0 to 1, and that weights are the
    softmax over channels of logits averaged over noise. Never negative.

    Parameters
    ----------
    samples
        Noisy copies of each channel.
    spread
        Standard deviation of the noise, channels going from 0 to 1.
    """

    def noisy(masks: Tensor, source: np.random.Generator) -> Iterator[Tensor]:
        for _ in range(samples):
            yield masks + spread * normal(masks[None], [source])[0]

    return _weighted_by_scores(subject, images, targets, noisy, seed)


@explainer(name="is-cam", family="cam", reference="Naidu et al. 2020", cost="10 forward a channel")
def is_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 10
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by the target logit of the image seen ever more through each.

    As Score-CAM, but that each channel, enlarged and stretched to 0 to 1, is multiplied by 1/n, 2/n, up to 1, and that
    the weights are the softmax over channels of the logits' mean. Never negative.

    Parameters
    ----------
    steps
        How many strengths.
    """

    def stronger(masks: Tensor, _source: np.random.Generator) -> Iterator[Tensor]:
        for step in range(1, steps + 1):
            yield step / steps * masks

    return _weighted_by_scores(subject, images, targets, stronger, 0)


def _weighted_by_scores(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], shown: Shown, seed: int
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by the softmax of mean logits of what they show."""
    layer = subject.cam_layer
    maps = as_pictures(subject, subject.activations(images, [layer])[layer])
    weights = []
    for image, channels, target, source in zip(images, maps, targets.tolist(), generators(images, seed), strict=True):
        seen = (
            image * some[:, None]
            for masks in shown(stretched(channels, image), source)
            for some in torch.split(masks, at_a_time(image))
        )
        logits = logits_at(subject, seen)[:, target].view(-1, len(channels))
        weights.append(logits.mean(0).softmax(0))
    return enlarged((torch.stack(weights)[..., None, None] * maps).sum(1).relu(), images)
