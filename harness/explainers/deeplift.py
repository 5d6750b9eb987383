"""DeepLIFT: differences from a baseline's activations, handed back as slopes of each step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers._interception import (
    ACTIVATIONS,
    LINEAR,
    MOVES,
    POOLS,
    Call,
    Rewriting,
    leaves,
    require_reached,
    with_backward,
)
from harness.explainers.base import COMPLETENESS, explainer
from harness.explainers.baselines import Baseline, baseline_pictures, plain, plain_baseline
from harness.subject import Subject

SMALLEST = 1e-6
"""Differences below it have no slope of their own; the gradient stands in."""

INCOMPLETE = 0.01
"""Share of all contributions by which they may miss the rise of the logit.

Each of some hundred thousand units adds the rounding of its own values, 2**-24 of them, in random directions: less than
a thousandth together, also where a step below SMALLEST has the gradient for its slope. One activation of two that is
not met misses a third.
"""

ROUNDED = 2.0**-14
"""Share of a logit by which single precision may round it: 2**-24 for each of a thousand steps, all one way.

A picture that is its own baseline has no contributions, and its two logits may differ by so much.
"""

SUMS = frozenset(
    {"add", "add_", "sub", "sub_", "mean", "sum", "avg_pool2d", "adaptive_avg_pool2d", "batch_norm", "interpolate"}
)
"""Names of functions that are linear and have no weights to multiply by."""


def _shades(subject: Subject, images: Tensor, *, baselines: int, **_: Any) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield plain pictures from the darkest to the brightest."""
    for shade in torch.linspace(0, 1, baselines, dtype=torch.float64).tolist():
        yield plain(subject.spec, images, shade)


@explainer(
    name="deeplift",
    family="backprop",
    reference="Shrikumar et al. 2017",
    cost="1 backward of 2 images",
    axioms={COMPLETENESS},
    baselines=plain_baseline,
)
def deeplift(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, baseline: Baseline = 0.0
) -> Float[Tensor, "n h w"]:
    """Return each pixel's part in the difference of the target logit from that of a baseline (rescale rule).

    Channels are summed. The map adds up to the difference.

    Parameters
    ----------
    baseline
        A value of every pixel in input units, or a word; see :func:`~harness.explainers.baselines.baseline_pictures`.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule, or one is missed: then the map does not add up.
    """
    return contributions(subject, images, baseline_pictures(subject, images, baseline), targets)


@explainer(
    name="deeplift-shap",
    family="backprop",
    reference="Lundberg and Lee 2017",
    cost="8 backward of 2 images",
    axioms={COMPLETENESS},
    baselines=_shades,
)
def deeplift_shap(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, baselines: int = 8
) -> Float[Tensor, "n h w"]:
    """Return DeepLIFT averaged over plain baselines spaced evenly from the darkest to the brightest.

    Parameters
    ----------
    baselines
        How many shades.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule, or one is missed: then the map does not add up.
    """
    shades = _shades(subject, images, baselines=baselines)
    return torch.stack([contributions(subject, images, shade, targets) for shade in shades]).mean(0)


def contributions(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    baselines: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
) -> Float[Tensor, "n h w"]:
    """Return DeepLIFT's contributions under the rescale rule, one baseline an image, channels summed."""
    both = torch.stack([images, baselines], 1)
    found = []
    for pair, classes in leaves(subject, both.flatten(1, 2), targets, share=2):
        image, baseline = pair.chunk(2, dim=1)
        with Rewriting(_RULES, MOVES | LINEAR | SUMS):
            logits = subject.model(torch.cat([image, baseline]))
        require_reached(subject, logits)
        chosen = logits[: len(classes)].gather(1, classes[:, None])
        slope = torch.autograd.grad(chosen.sum(), pair)[0].chunk(2, dim=1)[0]
        maps = ((image - baseline).detach() * slope).sum(1)
        _require_complete(subject, maps, *(half.gather(1, classes[:, None])[:, 0] for half in _halves(logits.detach())))
        found.append(maps)
    return torch.cat(found)


def _require_complete(
    subject: Subject, maps: Float[Tensor, "n h w"], answers: Float[Tensor, " n"], baseline: Float[Tensor, " n"]
) -> None:
    """Refuse maps that do not add up to the rise of the logit: something was out of the rules' reach."""
    rises = answers - baseline
    missed = (maps.sum((1, 2)) - rises).abs()
    beyond = missed - INCOMPLETE * (maps.abs().sum((1, 2)) + rises.abs()) - ROUNDED * (answers.abs() + baseline.abs())
    if bool((beyond > 0).any()):
        worst = int(beyond.argmax())
        raise UsageError(
            f"contributions to {subject.name!r} add up to {float(maps[worst].sum()):.3g} where the logit rises by "
            f"{float(rises[worst]):.3g}: it computes something that DeepLIFT's rules do not meet (an activation "
            "written by masks, a batch cut or joined on the way); use another explainer"
        )


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what belongs to images and what to baselines."""
    if len(x) % 2:
        raise UsageError("the network cuts its batch, so that images and their baselines part; use another explainer")
    image, baseline = x.chunk(2)
    return image, baseline


def _rescaled(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Run an activation on images and baselines; its slope becomes that of the line between the two."""
    held = args[0].detach().clone()

    def run(x: Tensor) -> Tensor:
        output: Tensor = function(x, *args[1:], **kwargs)
        return output

    def back(gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = held.clone().requires_grad_()
            # A second clone, because an activation may work in place and a leaf must not.
            output = run(leaf.clone())
            (plain,) = torch.autograd.grad(output, leaf, gradient)
        rise, step = (half[0] - half[1] for half in (_halves(output.detach()), _halves(held)))
        own = torch.where(step.abs() < SMALLEST, _halves(plain)[0], _halves(gradient)[0] * rise / step)
        return torch.cat([own, torch.zeros_like(own)])

    return with_backward(args[0], run, back)


def _maximum_rescaled(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Run a maximum; a difference of maxima is handed to where each of the two maxima came from.

    A rise above the baseline's maximum goes to the image's largest value, a fall below it to the baseline's.
    """
    held = args[0].detach().clone()
    with torch.no_grad():
        indices = _indices(function, held, args[1:], kwargs)

    def run(x: Tensor) -> Tensor:
        output: Tensor = function(x, *args[1:], **kwargs)
        return output

    def back(gradient: Tensor) -> Tensor:
        slope, (image, baseline), (there, here) = _halves(gradient)[0], _halves(held), _halves(indices)
        largest, reference = (part.flatten(2).gather(2, i.flatten(2)) for part, i in ((image, there), (baseline, here)))
        top = torch.maximum(largest, reference)
        moved = torch.zeros_like(image).flatten(2)
        moved.scatter_add_(2, there.flatten(2), slope.flatten(2) * (top - reference))
        moved.scatter_add_(2, here.flatten(2), slope.flatten(2) * (largest - top))
        step = (image - baseline).flatten(2)
        plain = torch.zeros_like(moved).scatter_add_(2, there.flatten(2), slope.flatten(2))
        own = torch.where(step.abs() < SMALLEST, plain, moved / step).view_as(image)
        return torch.cat([own, torch.zeros_like(own)])

    return with_backward(args[0], run, back)


def _indices(function: Call, x: Tensor, rest: Sequence[Any], kwargs: Mapping[str, Any]) -> Int[Tensor, "n k y x"]:
    """Return where each window's largest value is."""
    with_indices = {**dict(kwargs), "return_indices": True}
    name = "max_pool2d_with_indices" if function.__name__ == "max_pool2d" else "adaptive_max_pool2d_with_indices"
    found: tuple[Tensor, Tensor] = getattr(functional, name)(x, *rest[:5], **with_indices)
    return found[1]


def _scaled(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Multiply or divide by a constant."""
    if sum(isinstance(arg, Tensor) and arg.requires_grad for arg in args) > 1:
        raise UsageError("the network multiplies what it computes by what it computes, for which DeepLIFT has no rule")
    output: Tensor = function(*args, **kwargs)
    return output


_RULES = {
    **dict.fromkeys(ACTIVATIONS, _rescaled),
    **dict.fromkeys(POOLS, _maximum_rescaled),
    **dict.fromkeys(("mul", "mul_", "div", "div_"), _scaled),
}
