"""Class activation maps: a layer's channels, weighted by what they do for the target, enlarged.

All read the subject's `cam_layer`, tokens as the grid that they fill; enlargement is bilinear. A layer that runs
several times in one pass, or on several pieces of the picture, is refused: which run a map would be of, nobody could
tell from it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers._interception import leaves
from harness.explainers._passes import at_a_time, logits_at, remembered
from harness.explainers.base import explainer
from harness.importing import reason
from harness.subject import Subject, map_fault, map_of, on_first

SHARED = "1 backward, shared by the family"

Score: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""``score(logits (n, k), targets (n,)) -> (n,)``: what is explained, where it is not the target logit."""


@explainer(name="cam", family="cam", reference="Zhou et al. 2016", cost="2 backward, shared in part")
def cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the channels weighted as the dense layer above their averages weighs them, signed.

    Raises
    ------
    UsageError
        Where what follows the layer is not an average over the picture and one dense layer.
    """
    maps, gradients = layer_and_gradients(subject, images, targets)
    blank = torch.zeros_like(images)
    weights = layer_and_gradients(subject, blank, targets)[1].mean((2, 3), keepdim=True)
    # Linear in the channels' averages: the same gradient at every place, and for a blank image too.
    if (gradients - weights).abs().max() > 1e-5 * weights.abs().max():
        raise UsageError(
            f"cam needs an average over the picture and one dense layer above {subject.cam_layer!r}, which "
            f"{subject.name!r} has not; use grad-cam"
        )
    return enlarged((weights * maps).sum(1), images)


@explainer(name="grad-cam", family="cam", reference="Selvaraju et al. 2017", cost=SHARED)
def grad_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by their mean gradient, never negative."""
    maps, gradients = layer_and_gradients(subject, images, targets)
    return enlarged((gradients.mean((2, 3), keepdim=True) * maps).sum(1).relu(), images)


@explainer(name="grad-cam-plus-plus", family="cam", reference="Chattopadhay et al. 2018", cost=SHARED)
def grad_cam_plus_plus(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by their positive gradients, places weighing unlike.

    A place whose weight has a denominator of zero counts nothing.
    """
    maps, gradients = layer_and_gradients(subject, images, targets)
    # Both terms of the published quotient are divided by the squared gradient, which may be too small to square.
    below = 2 + maps.sum((2, 3), keepdim=True) * gradients
    weights = torch.where((gradients > 0) & (below != 0), gradients / below, torch.zeros_like(gradients))
    return enlarged((weights.sum((2, 3), keepdim=True) * maps).sum(1).relu(), images)


@explainer(name="grad-cam-elementwise", family="cam", reference="Gildenblat 2021 (pytorch-grad-cam)", cost=SHARED)
def grad_cam_elementwise(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the sum over channels of what is positive in channel x gradient, never negative."""
    maps, gradients = layer_and_gradients(subject, images, targets)
    return enlarged((maps * gradients).relu().sum(1), images)


@explainer(name="hires-cam", family="cam", reference="Draelos and Carin 2020", cost=SHARED)
def hires_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the sum over channels of channel x gradient, signed."""
    maps, gradients = layer_and_gradients(subject, images, targets)
    return enlarged((maps * gradients).sum(1), images)


@explainer(name="xgrad-cam", family="cam", reference="Fu et al. 2020", cost=SHARED)
def xgrad_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by their gradient's mean, values weighing; never negative.

    A channel whose values add up to zero counts nothing.
    """
    maps, gradients = layer_and_gradients(subject, images, targets)
    total = maps.sum((2, 3), keepdim=True)
    shares = (maps * gradients).sum((2, 3), keepdim=True)
    weights = torch.where(total != 0, shares / total, torch.zeros_like(total))
    return enlarged((weights * maps).sum(1).relu(), images)


@explainer(name="layer-cam", family="cam", reference="Jiang et al. 2021", cost=SHARED)
def layer_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the positive part of the sum over channels of channel x positive gradient, never negative."""
    maps, gradients = layer_and_gradients(subject, images, targets)
    return enlarged((maps * gradients.relu()).sum(1).relu(), images)


@explainer(name="eigen-cam", family="cam", reference="Muhammad and Yeasin 2020", cost="1 forward", target_free=True)
def eigen_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return each place's coordinate on the first principal component of the channels, signed; targets do not matter.

    Of the channels less their means over places, as pytorch-grad-cam has it; the paper leaves the means in. A component
    has no sign of its own; it is given the one that makes it agree with the channels' mean.
    """
    maps = as_pictures(subject, subject.activations(images, [subject.cam_layer])[subject.cam_layer])
    places = maps.flatten(2).transpose(1, 2).double()
    centred = places - places.mean(1, keepdim=True)
    component = torch.linalg.svd(centred, full_matrices=False).Vh[:, :1]
    along = (centred * component).sum(2)
    agrees = (along * centred.mean(2)).sum(1, keepdim=True) >= 0
    signed = torch.where(agrees, along, -along).view(len(maps), *maps.shape[2:])
    return enlarged(signed.to(images.dtype), images)


@explainer(name="score-cam", family="cam", reference="Wang et al. 2020", cost="1 forward a channel")
def score_cam(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by the target logit of the image seen through each.

    Each channel is enlarged and stretched to 0 to 1, the image multiplied by it, so that what it hides is zero in input
    units; weights are the softmax over channels of the logits.
    """
    maps = as_pictures(subject, subject.activations(images, [subject.cam_layer])[subject.cam_layer])
    seen = (
        image * some[:, None]
        for image, channels in zip(images, maps, strict=True)
        for some in torch.split(stretched(channels, image), at_a_time(image))
    )
    logits = logits_at(subject, seen).view(len(images), maps.shape[1], -1)
    scores = logits.gather(2, _beside(targets, logits)).softmax(1)
    return enlarged((scores[..., None] * maps).sum(1).relu(), images)


@explainer(name="ablation-cam", family="cam", reference="Desai and Ramaswamy 2020", cost="1 forward a channel")
def ablation_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by the fall of the target logit when each is set to zero.

    The fall is not divided by the logit as in the paper: that only scales a map, and turns it round where the logit is
    negative.
    """
    layer = subject.cam_layer
    maps = as_pictures(subject, subject.activations(images, [layer])[layer])
    channels = maps.shape[1]
    falls = []
    for image in images:
        without = [
            _logits_without(subject, image, numbers)
            for numbers in torch.split(torch.arange(-1, channels, device=images.device), subject.feed.forward_batch)
        ]
        falls.append(torch.cat(without))
    logits = torch.stack(falls)
    chosen = logits.gather(2, _beside(targets, logits))[..., 0]
    weights = (chosen[:, :1] - chosen[:, 1:])[:, :, None, None]
    return enlarged((weights * maps).sum(1).relu(), images)


@explainer(name="shapley-cam", family="cam", reference="Cai 2025", cost="2 backward")
def shapley_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the positive part of the channels weighted by gradient less half the curvature times channel.

    What is explained is the target logit plus the log of its probability, as the paper proposes: of the logit alone, a
    network that is linear in pieces has no curvature and this would be Grad-CAM.
    """

    def score(logits: Tensor, classes: Tensor) -> Tensor:
        both = logits + logits.log_softmax(1)
        return both.gather(1, classes[:, None])[:, 0]

    maps, gradients, curved = _score_gradients(subject, images, targets, score, curvature=True)
    weights = (gradients - curved / 2).mean((2, 3), keepdim=True)
    return enlarged((weights * maps).sum(1).relu(), images)


@explainer(name="finer-cam", family="cam", reference="Zhang et al. 2025", cost="1 backward")
def finer_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, rivals: int = 3
) -> Float[Tensor, "n h w"]:
    """Return Grad-CAM of the target logit's lead over the classes whose logits are nearest, weighed by probability.

    Parameters
    ----------
    rivals
        How many classes; at most all others.
    """

    def score(logits: Tensor, classes: Tensor) -> Tensor:
        chosen = logits.gather(1, classes[:, None])
        away = (logits - chosen).abs().scatter(1, classes[:, None], torch.inf)
        near = away.topk(min(rivals, logits.shape[1] - 1), largest=False).indices
        rivals_logits = logits.gather(1, near)
        # Their probabilities, as shares of their sum: which may be too small to be divided by.
        return (rivals_logits.softmax(1) * (chosen - rivals_logits)).sum(1)

    maps, gradients, _ = _score_gradients(subject, images, targets, score)
    return enlarged((gradients.mean((2, 3), keepdim=True) * maps).sum(1).relu(), images)


def layer_and_gradients(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "n k y x"], Float[Tensor, "n k y x"]]:
    """Return the channels of the subject's map layer, and the gradients of the target logits at them.

    Raises
    ------
    UsageError
        Where the layer's output is not a picture.
    """
    layer = subject.cam_layer
    maps, gradients = remembered(
        subject,
        lambda: subject.layer_gradients(images, targets, layer),
        "layer gradients",
        images,
        targets,
        layer,
    )
    found = as_pictures(subject, gradients)
    if bool((gradients != 0).any()) and not bool((found != 0).any()):
        raise UsageError(
            f"no gradient reaches the places of layer {subject.cam_layer!r} of {subject.name!r}: its head reads the "
            "class token alone; name an earlier layer as cam_layer, or none"
        )
    return as_pictures(subject, maps), found


def enlarged(maps: Float[Tensor, "n y x"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Return maps in the images' size, bilinear."""
    size = tuple(images.shape[-2:])
    return functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def stretched(channels: Float[Tensor, "k y x"], image: Float[Tensor, "c h w"]) -> Float[Tensor, "k h w"]:
    """Return channels in the image's size, each from 0 to 1; where it is even, zeros."""
    size = tuple(image.shape[-2:])
    large = functional.interpolate(channels[None], size, mode="bilinear", align_corners=False)[0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    return torch.where(high > low, (large - low) / (high - low), torch.zeros_like(large))


def as_pictures(subject: Subject, maps: Tensor) -> Float[Tensor, "n k y x"]:
    """Return the layer's output as channels over places, or say why it has none."""
    if fault := map_fault(subject):
        raise UsageError(fault)
    found = map_of(subject, subject.cam_layer, maps)
    if found is None and maps.ndim == 4:
        return maps  # a single row, column or place is a map too, if a poor one
    if found is None:
        raise UsageError(
            f"layer {subject.cam_layer!r} of {subject.name!r} gives {tuple(maps.shape[1:])} an image, "
            "not channels of a picture; name a convolution as cam_layer"
        )
    return found


def _beside(targets: Int[Tensor, " n"], logits: Float[Tensor, "n m k"]) -> Int[Tensor, "n m 1"]:
    """Return the targets as indices into several sets of logits an image."""
    return targets.to(logits.device)[:, None, None].expand(-1, logits.shape[1], 1)


def _logits_without(subject: Subject, image: Tensor, numbers: Int[Tensor, " m"]) -> Float[Tensor, "m k"]:
    """Return the logits of one image with one channel at zero a row; a number of -1 leaves all."""

    def silence(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept = output.clone()
        maps = as_pictures(subject, kept)  # looks at the copy, not another one
        channels = torch.arange(maps.shape[1], device=output.device)
        maps.mul_((channels != numbers[:, None])[:, :, None, None])
        return kept

    with hooked(subject.layer(subject.cam_layer), silence), torch.no_grad():
        logits: Tensor = subject.model(image.expand(len(numbers), -1, -1, -1).contiguous())
    return logits


def _score_gradients(
    subject: Subject, images: Tensor, targets: Tensor, score: Score, *, curvature: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the layer's channels, the score's gradient at them, and its curvature times them, zero if not asked."""
    found: list[Sequence[Tensor]] = []
    for leaf, classes in leaves(subject, images, targets):
        seen: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: Any, output: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(output)
            return output.clone()  # what follows may work in place

        with hooked(subject.layer(subject.cam_layer), keep):
            value = score(subject.model(leaf), classes).sum()
        output = subject.only_output(subject.cam_layer, seen, len(leaf))
        (gradients,) = torch.autograd.grad(value, output, create_graph=curvature)
        curved = _curvature(subject, gradients, output) if curvature else torch.zeros_like(output)
        found.append([as_pictures(subject, part.detach()) for part in (output, gradients, curved)])
    maps, gradients, curved = (torch.cat(parts) for parts in zip(*found, strict=True))
    return maps, gradients, curved


def _curvature(subject: Subject, gradients: Tensor, output: Tensor) -> Tensor:
    """Return the change of the gradients along a layer's output at its places."""
    along = torch.zeros_like(output)
    as_pictures(subject, along).copy_(as_pictures(subject, output.detach()))
    try:
        (curved,) = torch.autograd.grad(gradients, output, along)
    except RuntimeError as error:
        raise UsageError(
            f"{subject.name!r} cannot be derived twice at layer {subject.cam_layer!r} ({reason(error)}); use grad-cam"
        ) from error
    return curved


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """Keep a forward hook on a module while the context lasts; of several outputs it gets the first."""
    handle = module.register_forward_hook(on_first(hook))
    try:
        yield
    finally:
        handle.remove()
