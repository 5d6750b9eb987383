"""The layer that class activation maps read where none is named."""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from harness.subject.network import Subject
from harness.subject.passing import everything_passes, noise, spread
from harness.subject.places import as_map
from harness.subject.token_order import disordered_tokens

_NO_FEATURES = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.FractionalMaxPool2d, nn.LPPool2d,
    nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.Dropout, nn.Dropout2d, nn.Identity,
    nn.Upsample, nn.Flatten,
)  # fmt: skip
"""Modules that only pool or pass on what a layer before them found."""

_TRIALS = 64
"""Layers, from the last backwards, that are asked whether everything passes through them; each costs two passes."""


def late_map_layer(subject: Subject) -> str:
    """Return the layer that class activation maps read where none is named: the last feature map, as the network runs.

    It is the last module, a block as a whole included, whose output has places (:func:`as_map`), before pooling and
    head: so after its activation, where a module makes that. A shortcut or a branch is passed over for the block that
    holds it: nothing of the input may reach the logits around the layer. Tokens count where the last such
    picture-shaped map comes early, as the patch embedding of a transformer does; they need a gradient of their own,
    which the last ones have not where the head reads a class token alone, and the picture's order. A layer that runs
    several times in a pass is passed over. Where no layer has places it is the last convolution, or the last layer;
    :func:`map_fault` says where the layer is none to be read.
    """
    try:
        return _late_map_layer(subject) or _last_convolution(subject)
    except Exception:  # a network that cannot be derived; its examination says so, and others need no map layer
        return _last_convolution(subject)


def map_fault(subject: Subject) -> str:
    """Return why the subject's map layer gives no class activation map of the picture, "" where it does.

    Either it holds tokens in another order than the picture's, or something of the picture gets around it, and around
    every other layer that could have been chosen. Whoever names a layer beside which there is another chooses a part.
    """
    layer, known = subject.cam_layer, _faults.setdefault(subject, {})
    if layer not in known:
        disorder = disordered_tokens(subject).get(layer, (0, ""))[1]
        known[layer] = f"{disorder}; name another as cam_layer" if disorder else _branch_fault(subject, layer)
    return known[layer]


_faults: WeakKeyDictionary[Subject, dict[str, str]] = WeakKeyDictionary()


def _branch_fault(subject: Subject, layer: str) -> str:
    """Return why a layer that was chosen is a branch alone, "" where it is none or was named beside a better one."""
    try:
        around = not everything_passes(subject, layer) and late_map_layer(subject) == layer
    except Exception:  # a network that cannot be derived, of which its examination speaks
        return ""
    if not around:
        return ""
    return (
        f"{subject.name!r} has no layer of the picture's places that all of the picture goes through, as networks of "
        f"several branches have not (something gets around {layer!r}); use another explainer"
    )


def _late_map_layer(subject: Subject) -> str:
    """Return the last feature map, "" where there is none."""
    order, places, flowing = _maps_that_ran(subject)
    pictures = [name for name in places if places[name][0] == 4 and name in flowing]
    tokens = _in_order(subject, [name for name in places if places[name][0] == 3 and name in flowing])
    weighty = [name for name in order if name in subject.layers and list(subject.layer(name).parameters(recurse=False))]
    picture = _last_through(subject, pictures)
    before = order[: order.index(picture)] if picture else []
    if picture and (not tokens or 2 * sum(name in weighty for name in before) >= len(weighty)):
        same = [name for name in tokens if places[name][1:] == places[picture][1:]]
        later = [name for name in same if order.index(name) > order.index(picture)]
        # A stage that begins with a patch embedding goes on with tokens of the same places.
        return _last_through(subject, later) or picture
    if not tokens and not pictures:
        return ""
    # An embedding that all passes through is no late map: where it is the only such layer, there is none.
    return _last_through(subject, tokens) or [*pictures, *tokens][-1]


def _in_order(subject: Subject, tokens: Sequence[str]) -> list[str]:
    """Return those layers of tokens that are not known to hold them in another order than the picture's."""
    known = disordered_tokens(subject) if tokens else {}
    return [name for name in tokens if not known.get(name, (0, ""))[1]]


def _last_through(subject: Subject, names: Sequence[str]) -> str:
    """Return the last of some layers that everything passes through, "" where there is none."""
    trials = list(reversed(names))[:_TRIALS]
    return next((name for name in trials if everything_passes(subject, name)), "")


def _last_convolution(subject: Subject) -> str:
    """Return the last convolution to run, or the last layer where there is none."""
    modules = dict(subject.network.named_modules())
    convolutions = [name for name in subject.layers if isinstance(modules[name], nn.Conv2d)]
    return convolutions[-1] if convolutions else subject.layers[-1] if subject.layers else ""


@torch.enable_grad()
def _maps_that_ran(subject: Subject) -> tuple[list[str], dict[str, tuple[int, int, int]], set[str]]:
    """Return modules in the order in which they ended; which give maps, with dimensions, rows and columns; whose count.

    A map counts where the gradient of the logits at its places is not zero, or gradients cannot be had.
    """
    order: list[str] = []
    outputs: dict[str, Tensor] = {}
    pooled: dict[int, int] = {}
    modules = dict(subject.network.named_modules())

    def keep(name: str, output: Tensor) -> Tensor | None:
        order.append(name)
        # What works in place hands on the tensor that was passed on to it, in another version.
        if isinstance(modules[name], _NO_FEATURES) or pooled.get(id(output)) == output._version:
            pooled[id(output)] = output._version
            kept_alive.append(output)
            return None
        laid = as_map(output, subject.spec)
        if laid is None or len(output) != len(pictures) or subject.runs[name] > 1:
            return None  # of no places, or of pieces of a picture
        outputs[name], places[name] = output, (output.ndim, *laid.shape[2:])
        return output.clone()  # what follows may work in place

    kept_alive: list[Tensor] = []
    pictures = noise(subject)
    places: dict[str, tuple[int, int, int]] = {}
    named = [name for name in subject.runs if name]
    with subject.listening(named, lambda name, output: _tensor_only(keep, name, output)):
        logits = subject.network(pictures.clone())
    if not logits.requires_grad:
        return order, places, set(places)
    # Some depend on no picture, such as embeddings of positions.
    derived = {name: output for name, output in outputs.items() if output.requires_grad}
    gradients = torch.autograd.grad(spread(logits), list(derived.values()), allow_unused=True)
    flowing = set()
    for name, gradient in zip(derived, gradients, strict=True):
        at_places = None if gradient is None else as_map(gradient, subject.spec)
        if at_places is not None and bool((at_places != 0).any()):
            flowing.add(name)
    return order, places, flowing


def _tensor_only(keep: Callable[[str, Tensor], Tensor | None], name: str, output: Any) -> Tensor | None:
    """Pass on what is a tensor."""
    return keep(name, output) if isinstance(output, Tensor) else None
