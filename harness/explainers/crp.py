"""Concept relevance propagation: relevance that passes through some channels of a layer and no others."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers._interception import leaves, require_reached
from harness.explainers.base import explainer
from harness.explainers.cam import as_pictures, hooked
from harness.explainers.relevance import dense_epsilon_else, first_layer, flat_rule, propagation, z_plus_rule
from harness.subject import Subject


@explainer(name="crp", family="backprop", reference="Achtibat et al. 2023", cost="1 backward")
def crp(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, channels: int = 5
) -> Float[Tensor, "n h w"]:
    """Return relevance that reaches each pixel through the channels that are most relevant, signed, channels summed.

    The target logit is handed down to the subject's `cam_layer`. There the channels with the largest shares of it,
    places summed, keep theirs, those of others are dropped, and what is kept is handed down to the pixels. Rules are
    those of lrp-epsilon-plus-flat, as in the paper. With all channels kept it is that map; without biases a map of some
    adds up to their part of the logit, but for what epsilon takes.

    Parameters
    ----------
    channels
        How many are kept; at most all.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule, or the layer's output is no picture, or is merged with what
        follows it, or changed in place.
    """
    precise, exact = subject.in_double(), images.double()
    found = [_through_few(precise, leaf, classes, channels) for leaf, classes in leaves(precise, exact, targets)]
    return torch.cat(found).to(images.dtype)


def _through_few(
    subject: Subject, leaf: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], channels: int
) -> Float[Tensor, "n h w"]:
    """Return the maps of one micro-batch."""
    seen: list[Tensor] = []
    versions: list[int] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen.append(output)
        versions.append(output._version)

    composite = first_layer(flat_rule, dense_epsilon_else(z_plus_rule))
    with hooked(subject.layer(subject.cam_layer), keep), propagation(composite):
        logits = subject.model(leaf)
    require_reached(subject, logits)
    output = subject.only_output(subject.cam_layer, seen, len(leaf))
    chosen = logits.gather(1, targets[:, None])
    # The gradient of a logit is 1, so relevance is found as a share of the logit and scaled by it.
    (shares,) = torch.autograd.grad(chosen.sum(), output, retain_graph=True, allow_unused=True)
    if shares is None or output._version != versions[0]:
        raise UsageError(
            f"what layer {subject.cam_layer!r} of {subject.name!r} gives is merged with the normalisation after it, or "
            "changed in place; name the layer after it as cam_layer"
        )
    kept = shares * _on_most_relevant(subject, shares, channels)
    (pixels,) = torch.autograd.grad(output, leaf, kept)
    found: Tensor = pixels.sum(1) * chosen.detach()[:, :, None]
    return found


def _on_most_relevant(subject: Subject, shares: Tensor, channels: int) -> Tensor:
    """Return ones on the channels of each image with the largest shares, zeros elsewhere, laid out as the layer is."""
    each = as_pictures(subject, shares).sum((2, 3))
    most = each.topk(min(channels, each.shape[1]), dim=1).indices
    chosen = torch.zeros_like(each).scatter(1, most, 1.0)
    laid = torch.zeros_like(shares)
    as_pictures(subject, laid).copy_(chosen[:, :, None, None].expand_as(as_pictures(subject, laid)))
    return laid
