"""A network for answers alone: batch normalisations are part of the convolutions before them.

In evaluation a normalisation multiplies each channel by a number and adds another, which the convolution before it can
do in its weights: the same function in fewer steps, a fifth to a tenth of a pass less. What an explainer may hang hooks
on, derive or change is the network as it was; the folded copy serves :meth:`harness.subject.Subject.logits` alone.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.rounding import rounding
from harness.subject.copies import copied
from harness.subject.counting import precision
from harness.subject.spec import InputSpec

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

SAME = rounding("float64", 10_000, conditioning=1e4)
"""How far answers in double precision may lie apart, as a share of the largest: ten thousand operations in a row, whose
errors later layers make ten thousand times larger, lie below it; a function that is another one above."""

Marks = tuple[tuple[object, ...], ...]


def marks(network: nn.Module) -> Marks:
    """Return what tells that a network is as it was: its parts with their modes and hooks, its tensors' versions."""
    modules = tuple(
        (id(module), module.training, *(len(vars(module)[hooks]) for hooks in HOOKS)) for module in network.modules()
    )
    held = (*network.parameters(), *network.buffers())
    return (*modules, *((tensor.data_ptr(), tensor._version) for tensor in held))


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooked(network: nn.Module) -> bool:
    """Whether anything listens to a part of a network."""
    return any(vars(module)[hooks] for module in network.modules() for hooks in HOOKS)


def folded(network: nn.Module, spec: InputSpec, device: torch.device) -> nn.Module:
    """Return a copy whose batch normalisations are folded into the convolutions before them, or the network itself.

    A pair is folded where both run once and the one's output is what the other reads. Whether that leaves the function
    as it was is then asked of both in double precision, on noise: a convolution that is read elsewhere too, or a
    normalisation whose weights the network reads, would show. A network of which nothing can be folded, or that is
    not in single or double precision, or does not run in double, stays as it is.
    """
    kind = precision(network)
    if kind not in (torch.float32, torch.float64) or not any(isinstance(module, NORMS) for module in network.modules()):
        return network
    try:
        images = _noise(spec, device)
        pairs = _pairs(network, images.to(kind))
        exact = copied(network).double()
        with torch.no_grad():
            wanted = exact(images)
            found = _fold(exact, pairs)(images)
            scale = float(wanted.abs().max())
            if not pairs or not float((found - wanted).abs().max()) <= SAME * max(scale, 1.0):
                return network
        return _fold(copied(network), pairs)
    except Exception:  # whatever a user's network raises where it is run or taken apart so
        return network


def _noise(spec: InputSpec, device: torch.device) -> Tensor:
    """Return two images of noise over the range of the input, in double precision."""
    shape = (2, spec.channels, spec.height, spec.width)
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (spec.low + (spec.high - spec.low) * drawn).to(device)


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Return the names of each convolution and the normalisation that reads its output."""
    made: list[tuple[str, Tensor]] = []
    ran, found = Counter[str](), list[tuple[str, str]]()

    def note_output(name: str, output: Any) -> None:
        ran[name] += 1
        made.append((name, output))

    def note_input(name: str, inputs: Sequence[Any]) -> None:
        ran[name] += 1
        found.extend((maker, name) for maker, output in made if inputs and inputs[0] is output)

    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: note_output(name, output))
        for name, module in network.named_modules()
        if isinstance(module, CONVOLUTIONS)
    ]
    handles += [
        module.register_forward_pre_hook(lambda _m, inputs, name=name: note_input(name, inputs))
        for name, module in network.named_modules()
        if isinstance(module, NORMS) and module.running_mean is not None and not module.training
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    readers = Counter(maker for maker, _ in found)
    return [(maker, name) for maker, name in found if ran[maker] == ran[name] == readers[maker] == 1]


def _fold(network: nn.Module, pairs: Sequence[tuple[str, str]]) -> nn.Module:
    """Fold the pairs of a network, which is changed."""
    for convolution, norm in pairs:
        made = fuse_conv_bn_eval(network.get_submodule(convolution), network.get_submodule(norm))  # type: ignore[type-var, arg-type]
        _put(network, convolution, made)
        _put(network, norm, nn.Identity())
    return network


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in another's place."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
