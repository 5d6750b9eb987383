"""The gradient with other rules at the activations, and with the biases' share."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers._interception import (
    ACTIVATIONS,
    LINEAR,
    Call,
    Rewriting,
    Rule,
    leaves,
    may_be_an_activation,
    rewritten_gradients,
    scale_and_shift,
    with_backward,
)
from harness.explainers._passes import remembered
from harness.explainers._written import Written
from harness.explainers.base import explainer
from harness.explainers.cam import grad_cam
from harness.subject import Subject, as_map, order_fault

IN_ROWS = frozenset(("conv1d", "conv_transpose1d"))
"""Convolutions whose places stand in a row, behind their channels."""

BIASED = LINEAR | IN_ROWS | {"conv_transpose2d", "conv_transpose3d", "batch_norm"}
"""Names of functions that add a bias by themselves."""


@explainer(
    name="guided-backprop", family="backprop", reference="Springenberg et al. 2015", cost="1 backward, shared with CAM"
)
def guided_backprop(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the gradient, its negative part being dropped at each activation, summed over channels.

    What is left passes with the activation's own slope: at a ReLU this is the published rule; at a leaky ReLU the
    small slope of its negative side is kept, so that only the sign of what flows back is guided.

    Raises
    ------
    UsageError
        Where the network has no activation that can be reached, or one that may be out of reach.
    """
    return guided_gradients(subject, images, targets).sum(1)


@explainer(name="deconvnet", family="backprop", reference="Zeiler and Fergus 2014", cost="1 backward")
def deconvnet(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return what flows back when each activation passes all that is positive, whatever its input; channels summed.

    A leaky ReLU counts as a ReLU here. Maxima pass to where they came from.

    Raises
    ------
    UsageError
        Where the network has no activation that can be reached, or one that may be out of reach.
    """
    return _with_every_activation(subject, images, targets, _positive_part_back).sum(1)


@explainer(name="guided-grad-cam", family="backprop", reference="Selvaraju et al. 2017", cost="2 backward, shared")
def guided_grad_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return guided backpropagation times Grad-CAM, signed, summed over channels.

    Raises
    ------
    UsageError
        Where the network has no activation that can be reached, or one that may be out of reach.
    """
    where: Tensor = grad_cam(subject, images, targets)
    return guided_gradients(subject, images, targets).sum(1) * where


@explainer(name="full-grad", family="backprop", reference="Srinivas and Fleuret 2019", cost="1 backward")
def full_grad(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return the image's share of the logit plus every picture-shaped bias's share, never negative.

    Each share (input x gradient, and bias x gradient of each convolution, transposed ones with them, of each batch
    normalisation and of each dense layer that runs over places or tokens of the picture) is made absolute, stretched to
    0 to 1 an image, enlarged and summed over channels, as the paper does for display; of a convolution over volumes the
    depths count as channels. What a network adds by hand (``x + b``, ``addmm``, a class token, positions) and what
    other normalisations add has no share.
    """
    found = []
    for leaf, classes in leaves(subject, images, targets):
        parts = full_gradients(subject, leaf, classes)
        if fault := order_fault(subject, 0):
            raise UsageError(f"{fault}; use another explainer")
        if any(part.ndim > 2 and len(part) != len(leaf) for part in parts):
            raise UsageError(
                f"a layer of {subject.name!r} gives several pictures an image, which full-grad cannot lay on one; "
                "use another explainer"
            )
        laid = [part if part.ndim == 4 else as_map(part, subject.spec) for part in parts if part.ndim > 2]
        pictures = [part for part in laid if part is not None]
        shown = [_enlarged_channels(_stretched(part.abs()), leaf).sum(1) for part in pictures]
        found.append(torch.stack(shown).sum(0))
    return torch.cat(found)


def guided_gradients(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Return guided backpropagation before channels are summed."""
    found: Tensor = remembered(
        subject,
        lambda: (_with_every_activation(subject, images, targets, _own_slope_on_positive),),
        "guided",
        images,
        targets,
    )[0]
    return found


def _with_every_activation(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], rule: Rule
) -> Float[Tensor, "n c h w"]:
    """Return what flows back where every activation has a rule; refuse one that may be written past it.

    Bounds on the picture, and those that keep a norm from 0, are no activations.
    """
    rules = dict.fromkeys(ACTIVATIONS, rule)

    def rewriting() -> Rewriting:
        written = Written()
        return Rewriting(rules, refused=may_be_an_activation, following=written, spared=written.bounds)

    return rewritten_gradients(subject, images, targets, rewriting, ACTIVATIONS)


def full_gradients(
    subject: Subject, leaf: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> list[Float[Tensor, "_ ..."]]:
    """Return input x gradient, then bias x gradient of each convolution, dense layer and batch normalisation.

    In a network whose activations are linear in pieces, and which adds nothing by hand, they add up to the target
    logit. Shares of places have their channels second, those of tokens and of places in a row last.

    Raises
    ------
    UsageError
        Where a convolution runs several times: whether all its runs see the whole picture, nothing tells.
    """
    met: list[object] = []
    biases: list[Tensor] = []
    outputs: list[Tensor] = []
    axes: list[str] = []
    rows: list[Tensor] = []  # what convolutions over places in a row gave

    def listen(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        output: Tensor = function(*args, **kwargs)
        bias = _bias(function.__name__, args, kwargs)
        if bias is not None:
            if output.ndim > 2 and len(args) > 1 and any(args[1] is weight for weight in met):
                raise UsageError(
                    f"a layer of {subject.name!r} runs several times a pass, so full-grad cannot tell which part of "
                    "the picture each run is of; use another explainer"
                )
            met.extend(args[1:2])
            # A dense layer has its channels last, everything else has them second.
            last = function.__name__ == "linear"
            biases.append(bias if last else bias.reshape(1, -1, *[1] * (output.ndim - 2)))
            outputs.append(output)
            in_a_row = function.__name__ in IN_ROWS or any(args[0] is row for row in rows)
            axes.append("dense" if last else "row" if in_a_row else "places")
            # A copy goes on, so that an activation in place cannot change the value whose gradient is asked for.
            output = output.clone()
            rows.extend([output] if in_a_row else [])
        return output

    with Rewriting(dict.fromkeys(BIASED, listen)):
        logits = subject.model(leaf)
    chosen = logits.gather(1, targets[:, None]).sum()
    held = [leaf, *outputs]
    # What the logits do not read has no share.
    found = torch.autograd.grad(chosen, held, allow_unused=True)
    gradients = [torch.zeros_like(of) if each is None else each for of, each in zip(held, found, strict=True)]
    with torch.no_grad():
        shares = [bias * gradient for bias, gradient in zip(biases, gradients[1:], strict=True)]
        return [leaf.detach() * gradients[0], *map(_in_order, shares, axes)]


def _in_order(share: Tensor, axes: str) -> Tensor:
    """Return a share with its channels second, or last where places are tokens; depths count as channels."""
    if axes == "dense":
        return share.movedim(-1, 1) if share.ndim == 4 else share
    if axes == "row":
        return share.transpose(1, 2)
    return share.flatten(1, -3) if share.ndim == 5 else share


def _own_slope_on_positive(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Run an activation and let only what is positive flow back into it."""
    output: Tensor = function(*args, **kwargs)
    output.register_hook(lambda gradient: gradient.clamp(min=0))  # type: ignore[no-untyped-call]
    return output


def _positive_part_back(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Run an activation and pass back what is positive as if it were not there."""
    return with_backward(args[0], lambda x: function(x, *args[1:], **kwargs), lambda g: g.clamp(min=0))


def _bias(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return what the function adds whatever its input."""
    if name == "batch_norm":
        return scale_and_shift(args, kwargs)[1]
    given: Tensor | None = kwargs.get("bias", args[2] if len(args) > 2 else None)
    return given


def _stretched(part: Float[Tensor, "n k y x"]) -> Float[Tensor, "n k y x"]:
    """Return each image's values between 0 and 1; where all are equal, zeros."""
    low, high = part.amin((1, 2, 3), keepdim=True), part.amax((1, 2, 3), keepdim=True)
    return torch.where(high > low, (part - low) / (high - low), torch.zeros_like(part))


def _enlarged_channels(part: Float[Tensor, "n k y x"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
    """Return every channel in the images' size."""
    return functional.interpolate(part, tuple(images.shape[-2:]), mode="bilinear", align_corners=False)
