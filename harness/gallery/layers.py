"""Which layers are shown, and what their filters give for one image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.errors import UsageError
from harness.subject import Subject

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Softplus, nn.Sigmoid, nn.Tanh,
)  # fmt: skip
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class Layers:
    """Layers that were chosen, and in what they differ from those that were asked for ("" for nothing)."""

    names: tuple[str, ...]
    note: str = ""


def activation_layers(subject: Subject, count: int = 2) -> Layers:
    """Return the first activations over places, in running order.

    Where fewer than `count` are modules of their own, each of the first convolutions stands for an activation that
    no module makes; a network without places gives its first layers. Layers that run several times a pass are chosen
    where there are no others, and shown as they first run.
    """
    places = _layers_with_places(subject)
    found = [name for name in places if isinstance(subject.layer(name), ACTIVATIONS)]
    if len(found) >= count:
        return Layers(tuple(found[:count]), "; ".join(_reused(subject, found[:count])))
    stages = _stages(subject, places)[:count]
    if not stages:
        names = subject.layers[:count]
        return Layers(names, f"no layer has filters over places; shown is {_listed(names)}, unit by unit")
    before = [name for name in stages if not isinstance(subject.layer(name), ACTIVATIONS)]
    notes = [f"{_listed(before)} is shown before its activation, which no module makes"] if before else []
    if len(stages) < count:
        notes.append(f"layers of filters over places: {len(stages)}, asked for: {count}")
    return Layers(tuple(stages), "; ".join([*notes, *_reused(subject, stages)]))


def _stages(subject: Subject, places: Sequence[str]) -> list[str]:
    """Return for each convolution the activation behind it, or itself where none follows before the next."""
    stages: list[str] = []
    for name in places:
        module = subject.layer(name)
        if isinstance(module, CONVOLUTIONS):
            stages.append(name)
        elif isinstance(module, ACTIVATIONS) and not (stages and isinstance(subject.layer(stages[-1]), ACTIVATIONS)):
            stages[-1:] = [name]
    return stages


def convolution_layers(subject: Subject, wanted: Sequence[int] = (2, 4)) -> Layers:
    """Return the convolutions of these places in running order, counted from 1; the last one for those beyond it.

    One that runs several times a pass counts where it first does; one that is given pieces of a picture does not count.
    """
    whole = _first_outputs(subject, _blank(subject), subject.layers)
    held = [name for name in whole if isinstance(subject.layer(name), CONVOLUTIONS)]
    asked = _listed([ORDINALS[place - 1] if place <= len(ORDINALS) else str(place) for place in wanted])
    if not held:
        return Layers((), "the network has no convolution, or none of the whole picture")
    names = tuple(dict.fromkeys(held[min(place, len(held)) - 1] for place in wanted))
    notes = _reused(subject, names)
    if max(wanted) > len(held):
        are = "are" if len(names) > 1 else "is"
        notes.insert(0, f"of {len(held)} convolutions {_listed(names)} {are} shown; asked for were the {asked}")
    return Layers(names, "; ".join(notes))


def activation_after(subject: Subject, layer: str) -> str:
    """Return the activation behind a layer.

    Raises
    ------
    UsageError
        Where another convolution or the end of the network comes first.
    """
    place = subject.layers.index(layer)
    for name in subject.layers[place + 1 :]:
        if isinstance(subject.layer(name), ACTIVATIONS):
            return name
        if isinstance(subject.layer(name), (*CONVOLUTIONS, nn.Linear)):
            break
    raise UsageError(
        f"no activation module follows {layer} in subject {subject.name!r}; leave out --after-activation to see "
        "the layer's own output"
    )


def filter_outputs(
    subject: Subject, image: Float[Tensor, "1 c h w"], layers: Sequence[str]
) -> dict[str, Float[np.ndarray, "filters h2 w2"]]:
    """Return each layer's own output for one image as it first runs, before any activation or pooling of another layer.

    Raises
    ------
    UsageError
        Where a layer's output has no places.
    """
    found = {}
    held = _first_outputs(subject, image, layers)
    for name in layers:
        if name not in held or held[name].ndim != 4:
            raise UsageError(f"layer {name} of subject {subject.name!r} has no filters over places to show")
        found[name] = held[name][0].float().cpu().numpy()
    return found


def _first_outputs(subject: Subject, image: Float[Tensor, "1 c h w"], layers: Sequence[str]) -> dict[str, Tensor]:
    """Return what layers give for one image where they first run; a layer that gives several outputs for it is none."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        if name not in seen:
            seen[name] = output.detach().clone()  # what follows may work in place

    with torch.no_grad(), subject.listening(layers, keep):
        subject.model(image.to(subject.device))
    return {name: seen[name] for name in layers if seen[name].ndim > 0 and len(seen[name]) == 1}


def _blank(subject: Subject) -> Float[Tensor, "1 c h w"]:
    """Return an image of zeros."""
    spec = subject.spec
    return torch.zeros(1, spec.channels, spec.height, spec.width, device=subject.device, dtype=subject.dtype)


def _layers_with_places(subject: Subject) -> list[str]:
    """Return the layers whose output has filters over places, in running order; those that run once, where any does."""
    held = _first_outputs(subject, _blank(subject), subject.layers)
    places = [name for name, output in held.items() if output.ndim == 4 and min(output.shape[2:]) > 1]
    return [name for name in places if subject.runs[name] == 1] or places


def _reused(subject: Subject, names: Sequence[str]) -> list[str]:
    """Return a note of those layers that run several times a pass."""
    again = [name for name in names if subject.runs[name] > 1]
    are = "are" if len(again) > 1 else "is"
    return [f"{_listed(again)} {are} shown as on the first of several runs a pass"] if again else []


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
