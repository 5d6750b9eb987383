"""Networks with some of their layers drawn at random, for the parameter randomisation tests."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.subject import Subject

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PARAMETRIZATION = re.compile(r"(^|\.)parametrizations\..*")
"""What torch adds to a layer's name for the parts of which a weight of it is computed."""
SAME = 1e-3
"""How far a weight may lie from what it was set to: far above rounding, far below a weight that does not follow."""


def layer_groups(subject: Subject, most: int) -> tuple[tuple[str, ...], ...]:
    """Return the layers that have weights, from the output to the input, in at most `most` groups of alike size.

    Examples
    --------
    >>> from harness.subject import InputSpec, Subject
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    >>> layer_groups(Subject(network, name="s", classes="ab", spec=InputSpec(8, 8)), 5)
    (('3',), ('0',))
    """
    weighted = _weighted_layers(subject)[::-1]
    parts = np.array_split(np.array(weighted, dtype=object), min(most, len(weighted)))
    return tuple(tuple(str(name) for name in part) for part in parts)


def _weighted_layers(subject: Subject) -> list[str]:
    """Return every module that holds weights of its own, in running order.

    One that is not seen to run, because it has parts or its parent reads its weights, follows the one defined before.
    What weights are computed of (a direction and a length, say) is held by the layer that has the weights.
    """
    running = {name: position for position, name in enumerate(_in_running_order(subject))}
    place, placed = -1, {}
    for name, module in subject.network.named_modules():
        if PARAMETRIZATION.search(name) is None and _own(module):
            place = running.get(name, place)
            placed[name] = place
    return sorted(placed, key=lambda name: placed[name])


def _in_running_order(subject: Subject) -> list[str]:
    """Return the layers as they run, those whose weights are computed among them, in place of what computes them."""
    return list(dict.fromkeys(PARAMETRIZATION.sub("", name) for name in subject.layers))


def _own(layer: nn.Module) -> list[nn.Parameter]:
    """Return a layer's own parameters, and those of which its own weights are computed."""
    return [*layer.parameters(recurse=False), *_computed(layer).parameters()]


def _computed(layer: nn.Module) -> nn.ModuleDict:
    """Return what computes each of a layer's weights that is computed, by its name."""
    found = layer.parametrizations if parametrize.is_parametrized(layer) else None
    return found if isinstance(found, nn.ModuleDict) else nn.ModuleDict()


def randomized(subject: Subject, layers: Sequence[str], *, seed: int, images: Float[Tensor, "n c h w"]) -> Subject:
    """Return the subject with `layers` drawn at random and every activation kept at its scale.

    Weights are drawn from a normal distribution of the trained weights' own size (root mean square); biases and the
    scales and shifts of normalisations are the trained ones in random order. Then, layer by layer in running order, a
    random layer's output is brought to the standard deviation that it has in the trained network on `images`, and batch
    normalisation behind the first random layer takes its statistics from what now reaches it. Without that, activations
    of a random network fade or explode and maps change for a reason that has nothing to do with what was learned (after
    Binder et al. 2023). A module that gives no tensor of its own as it runs is drawn and not brought to scale, nor is
    one whose weights are computed so that they have the same size whatever is drawn (spectral normalisation).

    A layer's draw depends on `seed` and the layer alone, so that each step of a cascade keeps the layers of the step
    before.

    Parameters
    ----------
    layers
        Names of modules with weights, as :func:`layer_groups` gives them.
    seed
        Same seed, same network.
    images
        What activations are measured on; some dozens are enough.
    """
    drawn = subject.with_network(subject.network, f"{subject.name} (random)")
    for position, name in enumerate(_weighted_layers(subject)):
        if name in layers:
            _draw(drawn.layer(name), torch.Generator().manual_seed(seed * 10_007 + position))
    seen = [name for name in _in_running_order(subject) if name in layers]
    _keep_scale(drawn, subject.spreads(images, seen), images)
    return drawn


@torch.no_grad()
def _draw(layer: nn.Module, generator: torch.Generator) -> None:
    """Replace a layer's own parameters by random ones of the same spread."""
    for parameter in _own(layer):
        if parameter.ndim >= 2:
            values = torch.randn(parameter.shape, generator=generator) * parameter.square().mean().sqrt().cpu()
        else:
            values = parameter.cpu().flatten()[torch.randperm(parameter.numel(), generator=generator)]
        parameter.copy_(values.view(parameter.shape))


@torch.no_grad()
def _keep_scale(drawn: Subject, wanted: Mapping[str, float], images: Tensor) -> None:
    """Bring each random layer's output to the wanted spread, and normalisations to what reaches them, in one pass."""

    def take_statistics(layer: Any, by_place: tuple[Tensor, ...], by_name: dict[str, Tensor]) -> None:
        reaching = (*by_place, *by_name.values())[0]
        axes = [axis for axis in range(reaching.ndim) if axis != 1]
        layer.running_mean.copy_(reaching.mean(axes))
        layer.running_var.copy_(reaching.var(axes, correction=0))

    def rescale(layer: nn.Module, output: Tensor, spread: float) -> Tensor:
        found = output.std(correction=0)
        ratio = spread / found if spread > 0 and found > 0 else 1.0
        if not _scaled_weights(layer, float(ratio)):
            return output
        for parameter in layer.parameters(recurse=False):
            parameter.mul_(ratio)
        return output * ratio

    handles = []
    order = _in_running_order(drawn)
    first = min((order.index(name) for name in wanted), default=-1)
    for position, name in enumerate(order):
        layer = drawn.layer(name)
        if isinstance(layer, BATCH_NORMS) and layer.track_running_stats:
            if position > first:  # what runs before the first random layer is as it was trained
                handles.append(layer.register_forward_pre_hook(take_statistics, with_kwargs=True))
        elif name in wanted:
            handles.append(layer.register_forward_hook(lambda m, _i, out, spread=wanted[name]: rescale(m, out, spread)))
    try:
        drawn.model(images.contiguous(memory_format=drawn.feed.layout()))
    finally:
        for handle in handles:
            handle.remove()


def _scaled_weights(layer: nn.Module, ratio: float) -> bool:
    """Multiply the weights that a layer computes, where it has such; say whether they let themselves be multiplied."""
    held = [parameter.clone() for parameter in _own(layer)]
    for name in _computed(layer):
        wanted = getattr(layer, name) * ratio
        # It may have no way back to what it is computed of, or not from this.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            setattr(layer, name, wanted)
        if not torch.allclose(getattr(layer, name), wanted, rtol=SAME, atol=0):
            for parameter, kept in zip(_own(layer), held, strict=True):
                parameter.copy_(kept)
            return False
    return True
