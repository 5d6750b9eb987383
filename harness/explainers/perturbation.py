"""Explainers that hide parts of the image and watch what the network answers.

A hidden pixel takes the image's own mean, a channel at a time.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.explainers._passes import at_a_time, logits_at, remembered
from harness.explainers._randomness import generators
from harness.explainers._segments import SEGMENTS, painted, segments_of
from harness.explainers.base import explainer
from harness.perturbation.masks import Purpose, colour_mask_bank, grid_mask_bank
from harness.subject import InputSpec, Subject


@explainer(name="occlusion", family="perturbation", reference="Zeiler and Fergus 2014", cost="about 122 forward")
def occlusion(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    window: float = 1 / 6,
    stride: float = 1 / 12,
) -> Float[Tensor, "n h w"]:
    """Return each pixel's mean drop of the target logit over the windows that hide it, signed.

    Parameters
    ----------
    window, stride
        Sides of the window and of its steps, as shares of the image's shorter side.
    """
    side = min(images.shape[-2:])
    sizes = max(1, round(window * side)), max(1, round(stride * side))
    hidden = windows(images.shape[-2], images.shape[-1], *sizes).to(images.device)
    drops = torch.stack(logit_drops(subject, images, targets, [hidden] * len(images)))
    return torch.einsum("nm,mhw->nhw", drops, hidden.to(drops)) / hidden.sum(0)


@explainer(name="feature-ablation", family="perturbation", reference="Kokhlikyan et al. 2020", cost="36 forward")
def feature_ablation(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, segments: int = SEGMENTS
) -> Float[Tensor, "n h w"]:
    """Return the drop of the target logit when each pixel's segment is hidden alone, signed.

    Parameters
    ----------
    segments
        How many segments are asked for.
    """
    labels = [segments_of(image, segments) for image in images]
    hidden = [_one_at_a_time(label).to(images.device) for label in labels]
    drops = logit_drops(subject, images, targets, hidden)
    return torch.stack([painted(drop, label) for drop, label in zip(drops, labels, strict=True)])


@explainer(name="rise", family="perturbation", reference="Petsiuk et al. 2018", cost="512 forward")
def rise(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    masks: int = 512,
    grid: int = 7,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return each pixel's mean target probability over smooth random masks, weighted by how much it is kept.

    It is a probability: never negative, and the same everywhere where the answer never changes. The masks of a seed
    serve every image, and are not those that metrics use.

    Parameters
    ----------
    masks
        How many.
    grid
        Cells along each side of the coarse masks.
    """
    bank = grid_mask_bank(masks, _size(images), grid=grid, seed=seed, purpose=Purpose.EXPLAIN)
    keep = torch.from_numpy(bank).to(images)
    means = images.mean((2, 3), keepdim=True)
    several = (
        torch.lerp(mean, image, some[:, None])
        for image, mean in zip(images, means, strict=True)
        for some in torch.split(keep, at_a_time(image))
    )
    answers = logits_at(subject, several).softmax(1).view(len(images), masks, -1)
    chosen = answers[torch.arange(len(images)), :, targets.to(answers.device)]
    # The paper divides by the half that masks keep on average; by what these kept, a pixel that they happened to keep
    # more often does not look more relevant for it.
    return torch.einsum("nm,mhw->nhw", chosen, keep) / keep.sum(0)


@explainer(name="mc-rise", family="perturbation", reference="Hatakeyama et al. 2020", cost="512 forward")
def mc_rise(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    masks: int = 512,
    grid: int = 7,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return by how much more probable the target is where each pixel is kept than where it is painted over, signed.

    Smooth random masks keep half of the picture and paint the rest black, white and, in a picture of three channels,
    red, green and blue, each cell by chance. Per colour the paper has a map: the mean probability where a pixel has the
    colour less that where it is kept. This is their mean, turned round. Masks of a seed serve every image.

    Parameters
    ----------
    masks
        How many.
    grid
        Cells along each side of the coarse masks.
    """
    colours = plain_colours(subject.spec).to(images)
    bank = colour_mask_bank(masks, _size(images), grid=grid, colours=len(colours), seed=seed, purpose=Purpose.EXPLAIN)
    painted = torch.from_numpy(bank).to(images)
    keep = 1 - painted.sum(1)
    over = torch.einsum("mqhw,qc->mchw", painted, colours)
    several = (
        some[:, None] * image + colour
        for image in images
        for some, colour in zip(*(torch.split(each, at_a_time(image)) for each in (keep, over)), strict=True)
    )
    answers = logits_at(subject, several).softmax(1)
    chosen = answers.view(len(images), masks, -1)[torch.arange(len(images)), :, targets.to(answers.device)]
    # Where masks happened never to keep a pixel, or never to paint it with a colour, nothing is known of that.
    kept = _weighted_mean(chosen, keep[:, None])
    return (kept - _weighted_mean(chosen, painted)).mean(1)


@explainer(name="shapley-sampling", family="perturbation", reference="Castro et al. 2009", cost="about 330 forward")
def shapley_sampling(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    pairs: int = 5,
    segments: int = SEGMENTS,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the Shapley value of each pixel's segment for the target logit, estimated from random orders.

    The values of an image's segments add up to its logit less that of its mean colour. Each order is used forwards and
    backwards, which cancels much of the error.

    Parameters
    ----------
    pairs
        How many orders, each used both ways.
    segments
        How many segments are asked for.
    """
    sources = generators(images, seed)
    found = []
    for image, target, source in zip(images, targets, sources, strict=True):
        labels = segments_of(image, segments)
        drawn = [source.permutation(labels.max() + 1) for _ in range(pairs)]
        orders = np.array([order for one in drawn for order in (one, one[::-1])])
        found.append(painted(_mean_steps(subject, image, int(target), labels, orders), labels))
    return torch.stack(found)


def plain_colours(spec: InputSpec) -> Float[Tensor, "colours c"]:
    """Return black, white and, of three channels, red, green and blue in input units."""
    black, white = (torch.tensor(spec.shade(pixel), dtype=torch.float64) for pixel in (0.0, 1.0))
    ways = [torch.zeros(spec.channels), torch.ones(spec.channels), *(torch.eye(3) if spec.channels == 3 else ())]
    return torch.stack([torch.lerp(black, white, way.double()) for way in ways])


def windows(height: int, width: int, window: int, stride: int) -> Bool[Tensor, "m height width"]:
    """Return square windows as masks of what they hide; the last of a row may hang over the edge."""
    rows, columns = (_bands(side, window, stride) for side in (height, width))
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1)


def logit_drops(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    hidden: Sequence[Bool[Tensor, "_ h w"]],
) -> list[Float[Tensor, " _"]]:
    """Return by how much each image's target logit falls when each of its masks is hidden."""
    whole = subject.logits(images)
    parts = hidden_logits(subject, images, hidden)
    return [
        logits[target] - part[:, target] for logits, part, target in zip(whole, parts, targets.tolist(), strict=True)
    ]


def hidden_logits(
    subject: Subject, images: Float[Tensor, "n c h w"], hidden: Sequence[Bool[Tensor, "_ h w"]]
) -> list[Float[Tensor, "_ k"]]:
    """Return the logits of each image with each of its masks hidden."""
    means = images.mean((2, 3), keepdim=True)
    several = (
        torch.where(some[:, None], mean, image)
        for image, mean, masks in zip(images, means, hidden, strict=True)
        for some in torch.split(masks, at_a_time(image))
    )
    return list(torch.split(logits_at(subject, several), [len(masks) for masks in hidden]))


def kept_segments_logits(
    subject: Subject,
    image: Float[Tensor, "c h w"],
    labels: Int[np.ndarray, "h w"],
    kept: Bool[np.ndarray, "m segments"],
) -> Float[Tensor, "m k"]:
    """Return the logits of one image with only some of its segments shown, one set a row."""

    def ask() -> tuple[Tensor]:
        hidden = torch.from_numpy(~kept[:, labels]).to(image.device)
        return (hidden_logits(subject, image[None], [hidden])[0],)

    logits: Tensor = remembered(subject, ask, "segments", image, labels, kept)[0]
    return logits


def _mean_steps(
    subject: Subject, image: Tensor, target: int, labels: np.ndarray, orders: Int[np.ndarray, "orders segments"]
) -> Float[Tensor, " segments"]:
    """Return by how much showing each segment raises the target logit, averaged over orders of showing."""
    count, segments = orders.shape
    ranks = np.argsort(orders, axis=1)
    kept = ranks[:, None, :] < np.arange(segments + 1)[None, :, None]
    # All orders begin with nothing and end with everything: those two are asked for once.
    ends, inner = kept[:1, [0, -1]], kept[:, 1:-1]
    asked = np.concatenate([ends.reshape(2, segments), inner.reshape(-1, segments)])
    answers = kept_segments_logits(subject, image, labels, asked)[:, target].double()
    middle = answers[2:].view(count, segments - 1)
    path = torch.cat([answers[0].expand(count, 1), middle, answers[1].expand(count, 1)], 1)
    steps = path.diff(dim=1).gather(1, torch.from_numpy(ranks).to(path.device))
    return steps.mean(0).to(image.dtype)


def _weighted_mean(answers: Float[Tensor, "n m"], weights: Float[Tensor, "m q h w"]) -> Float[Tensor, "n q h w"]:
    """Return each pixel's mean answer over masks by its weight in them; where it has none, the mean answer."""
    total = weights.sum(0)
    found = torch.einsum("nm,mqhw->nqhw", answers, weights) / total.masked_fill(total == 0, 1.0)
    return torch.where(total == 0, answers.mean(1)[:, None, None, None], found)


def _one_at_a_time(labels: Int[np.ndarray, "h w"]) -> Bool[Tensor, "segments h w"]:
    """Return each segment as a mask of its own."""
    return torch.from_numpy(labels[None] == np.arange(labels.max() + 1)[:, None, None])


def _size(images: Float[Tensor, "n c h w"]) -> tuple[int, int]:
    """Return height and width."""
    return images.shape[-2], images.shape[-1]


def _bands(side: int, window: int, stride: int) -> Bool[Tensor, "m side"]:
    """Return the bands of one axis, from the first pixel on, until the side is covered."""
    starts = torch.arange(0, max(1, side - window + stride), stride)
    pixels = torch.arange(side)
    return (pixels >= starts[:, None]) & (pixels < starts[:, None] + window)
