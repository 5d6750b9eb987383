"""The layer that class activation maps read where none is named."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.subject.network import Subject
from harness.subject.spec import InputSpec

_NO_FEATURES = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.FractionalMaxPool2d, nn.LPPool2d,
    nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.Dropout, nn.Dropout2d, nn.Identity,
    nn.Upsample, nn.Flatten,
)  # fmt: skip
"""Modules that only pool or pass on what a layer before them found."""

_PREFIXES = (0, 1, 2, 5)
"""Tokens before those of the picture: none, a class token, one of distillation beside it, four registers beside it."""

_TRIALS = 64
"""Layers, from the last backwards, that are asked whether everything passes through them; each costs two passes."""


def as_map(output: Tensor, spec: InputSpec) -> Tensor | None:
    """Return a layer's output as channels over places, (n, channels, y, x), where it has places; else None.

    Channels may stand first or last: the axes of places are those whose sides are nearer to the picture's. Tokens
    (n, tokens, channels) fill a grid row by row, after 0, 1, 2 or 5 that are of no place; the grid has the picture's
    proportions. A side of 1 is no place.
    """
    found: Tensor | None = None
    if output.ndim == 4:
        first, last = _odds(output.shape[2:], spec), _odds(output.shape[1:3], spec)
        # A map may be a little out of proportion; channels are taken for a side only where they stand far out.
        found = output.permute(0, 3, 1, 2) if first > 2 > last else output
    elif output.ndim == 3:
        grid = token_grid(output.shape[1], spec)
        if grid is not None:
            tokens = output[:, -grid[0] * grid[1] :].transpose(1, 2)
            found = tokens.view(*tokens.shape[:2], *grid)
    return found if found is not None and min(found.shape[2:]) > 1 else None


def _odds(sides: Sequence[int], spec: InputSpec) -> float:
    """Return how many times longer one side is, against the other, than the picture's."""
    shape = sides[0] * spec.width / (sides[1] * spec.height)
    return max(shape, 1 / shape)


def token_grid(tokens: int, spec: InputSpec) -> tuple[int, int] | None:
    """Return rows and columns of the grid that tokens fill."""
    for prefix in _PREFIXES:
        count = tokens - prefix
        rows = round((max(count, 0) * spec.height / spec.width) ** 0.5)
        if rows > 1 and count % rows == 0 and count // rows == round(rows * spec.width / spec.height) > 1:
            return rows, count // rows
    return None


def late_map_layer(subject: Subject) -> str:
    """Return the layer that class activation maps read where none is named: the last feature map, as the network runs.

    It is the last module, a block as a whole included, whose output has places (:func:`as_map`), before pooling and
    head: so after its activation, where a module makes that. A shortcut or a branch is passed over for the block that
    holds it: nothing of the input may reach the logits around the layer. Tokens count where the last picture-shaped
    map comes early, as the patch embedding of a transformer does; they need a gradient of their own, which the last
    ones have not where the head reads a class token alone. A layer that runs several times in a pass is passed over.
    Where no layer has places it is the last convolution, or the last layer.
    """
    try:
        return _late_map_layer(subject) or _last_convolution(subject)
    except Exception:  # a network that cannot be derived; its examination says so, and others need no map layer
        return _last_convolution(subject)


def _late_map_layer(subject: Subject) -> str:
    """Return the last feature map, "" where there is none."""
    order, places, flowing = _maps_that_ran(subject)
    pictures = [name for name in places if places[name][0] == 4 and name in flowing]
    tokens = [name for name in places if places[name][0] == 3 and name in flowing]
    weighty = [name for name in order if name in subject.layers and list(subject.layer(name).parameters(recurse=False))]
    before = order[: order.index(pictures[-1])] if pictures else []
    late = bool(pictures) and 2 * sum(name in weighty for name in before) >= len(weighty)
    for held in (pictures, tokens) if late or not tokens else (tokens, pictures):
        through = _last_through(subject, held)
        if through and held is pictures:
            same = [name for name in tokens if places[name][1:] == places[through][1:]]
            later = [name for name in same if order.index(name) > order.index(through)]
            # A stage that begins with a patch embedding goes on with tokens of the same places.
            return _last_through(subject, later) or through
        if held:
            return through or held[-1]
    return ""


def _last_through(subject: Subject, names: Sequence[str]) -> str:
    """Return the last of some layers that everything passes through, "" where there is none."""
    trials = list(reversed(names))[:_TRIALS]
    return next((name for name in trials if everything_passes(subject, name)), "")


def _last_convolution(subject: Subject) -> str:
    """Return the last convolution to run, or the last layer where there is none."""
    modules = dict(subject.network.named_modules())
    convolutions = [name for name in subject.layers if isinstance(modules[name], nn.Conv2d)]
    return convolutions[-1] if convolutions else subject.layers[-1] if subject.layers else ""


def _maps_that_ran(subject: Subject) -> tuple[list[str], dict[str, tuple[int, int, int]], set[str]]:
    """Return modules in the order in which they ended; which give maps, with dimensions, rows and columns; whose count.

    A map counts where the gradient of the logits at its places is not zero, or gradients cannot be had.
    """
    order: list[str] = []
    outputs: dict[str, Tensor] = {}
    pooled: set[int] = set()
    modules = dict(subject.network.named_modules())

    def keep(name: str, output: Tensor) -> Tensor | None:
        order.append(name)
        if isinstance(modules[name], _NO_FEATURES) or id(output) in pooled:
            pooled.add(id(output))
            kept_alive.append(output)
            return None
        laid = as_map(output, subject.spec)
        if laid is None or len(output) != len(pictures) or subject.runs[name] > 1:
            return None  # of no places, or of pieces of a picture
        outputs[name], places[name] = output, (output.ndim, *laid.shape[2:])
        return output.clone()  # what follows may work in place

    kept_alive: list[Tensor] = []
    pictures = _noise(subject)
    places: dict[str, tuple[int, int, int]] = {}
    named = [name for name in subject.runs if name]
    with torch.enable_grad(), subject.listening(named, lambda name, output: _tensor_only(keep, name, output)):
        logits = subject.network(pictures.clone())
    if not logits.requires_grad:
        return order, places, set(places)
    # Some depend on no picture, such as embeddings of positions.
    derived = {name: output for name, output in outputs.items() if output.requires_grad}
    gradients = torch.autograd.grad(_spread(logits), list(derived.values()), allow_unused=True)
    flowing = set()
    for name, gradient in zip(derived, gradients, strict=True):
        at_places = None if gradient is None else as_map(gradient, subject.spec)
        if at_places is not None and bool((at_places != 0).any()):
            flowing.add(name)
    return order, places, flowing


def _tensor_only(keep: Callable[[str, Tensor], Tensor | None], name: str, output: Any) -> Tensor | None:
    """Pass on what is a tensor."""
    return keep(name, output) if isinstance(output, Tensor) else None


def everything_passes(subject: Subject, layer: str) -> bool:
    """Whether no gradient reaches the input once it is cut at a layer: nothing gets around it."""
    leaf = _noise(subject)
    with torch.enable_grad(), subject.listening([layer], lambda _name, output: output.detach()):
        logits = subject.network(leaf.clone())
    if not logits.requires_grad:
        return True
    (around,) = torch.autograd.grad(_spread(logits), leaf, allow_unused=True)
    return around is None or not bool((around != 0).any())


def _noise(subject: Subject) -> Tensor:
    """Return two different images of noise over the range of the input, to be derived by."""
    spec = subject.spec
    drawn = torch.rand(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    images = spec.low + (spec.high - spec.low) * drawn
    return images.to(subject.device, subject.dtype).requires_grad_()


def _spread(logits: Tensor) -> Tensor:
    """Return a sum of the logits that weighs each of them differently, so that their gradients do not cancel."""
    weights = torch.linspace(1, 2, logits.shape[1], device=logits.device, dtype=logits.dtype)
    return (logits * weights).sum()
