"""What tells that a network is the one it was: its parts, what they hold beside tensors, and its tensors' values."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from harness.subject.copies import copied
from harness.subject.counting import precision
from harness.subject.spec import InputSpec

Names: TypeAlias = Mapping[type, frozenset[str]]
"""Attributes that count, by the type of the module that holds them."""

MODULES_OWN = frozenset(vars(nn.Module()))
"""What every module has: its tensors, its parts, its hooks and its mode, which are looked at by themselves."""

SIMPLE = frozenset({type(None), bool, int, float, complex, str, bytes})
SAID = (torch.dtype, torch.device, torch.memory_format, torch.layout, np.generic, Enum)
"""Values that their text tells."""

MOST, DEEPEST = 10_000, 8
"""Longest list that is looked through, and lists within lists: what is beyond is told by its kind and its length."""

BEYOND = 16
"""How far beyond the range of pictures noise goes that is to show what a pass changes."""

COLUMNS = 4093
"""Words of 8 bytes in a row, of which a checksum adds up columns; a prime, which no side of a tensor is a multiple of.

Adding reads memory as fast as it can be read, 20 times as fast as hashing. The sums of columns are what is hashed, so
that values which change places are seen as well.
"""


# ---------------------------------------------------------------------- parts and attributes


def lasting(network: nn.Module, spec: InputSpec, device: torch.device) -> dict[type, frozenset[str]]:
    """Return the attributes that a network's function may hang on and that plain passes leave as they are.

    What a pass changes itself, such as a counter or what it keeps of the last pictures, tells nothing of who else
    changed it. So some noise goes through a copy, once with a way back. Of what is put on a module later, that alone
    counts which stands before something of its class: nobody reads the rest.
    """
    if not any(_may_move(module) for module in network.modules()):
        return present(network)
    probe = copied(network)
    for module in probe.modules():  # whoever listens must not hear of these passes
        for name in MODULES_OWN:
            if name.endswith("_hooks"):
                vars(module)[name].clear()
    before = [_noted(module) for module in probe.modules()]
    _pass_noise(probe, spec, device)
    moved: dict[type, set[str]] = {}
    for module, old, new in zip(network.modules(), before, map(_noted, probe.modules()), strict=False):
        moved.setdefault(type(module), set()).update(key for key in {*old, *new} if old.get(key, old) != new.get(key))
    return {kind: names - moved.get(kind, set()) for kind, names in present(network).items()}


def present(network: nn.Module, known: Names = MappingProxyType({})) -> dict[type, frozenset[str]]:
    """Return the names of what modules hold beside tensors and parts, and their classes: of kinds not yet known."""
    found: dict[type, frozenset[str]] = dict(known)
    for module in network.modules():
        kind = type(module)
        if kind not in known:
            found[kind] = (found.get(kind) or frozenset(dir(kind))) | set(vars(module)) - MODULES_OWN
    return found


def _may_move(module: nn.Module) -> bool:
    """Whether a pass might change what a module holds beside tensors: none of torch's own layers does."""
    return not type(module).__module__.startswith("torch.nn.") and not vars(module).keys() <= MODULES_OWN


def _noted(module: nn.Module) -> dict[str, Any]:
    """Return what a module holds beside tensors and parts, as it can be compared."""
    return {key: told(value) for key, value in vars(module).items() if key not in MODULES_OWN}


def _pass_noise(network: nn.Module, spec: InputSpec, device: torch.device) -> None:
    """Let pictures through a network, two with a way back and one alone; leave torch's generator alone.

    They are lighter and darker than any that it has seen, so that a network which keeps extremes shows it.
    """
    drawn = torch.rand(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    images = (spec.low + (spec.high - spec.low) * drawn).to(device, precision(network))
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            leaf = (BEYOND * images).requires_grad_()
            torch.autograd.grad(network(leaf).sum(), leaf)
            network(-BEYOND * images[:1])
    except Exception:  # whatever a user's network raises, as where it has no gradient
        return


def structure(network: nn.Module, names: Names) -> tuple[Any, ...]:
    """Return of each module its type, its parts and the attributes that count, as they can be compared.

    A module put in another's place has another type, or is the same function.
    """
    modules = list(network.modules())
    number = {id(module): place for place, module in enumerate(modules)}
    return tuple(
        (
            type(module),
            *((name, number[id(part)]) for name, part in module._modules.items() if part is not None),
            *_attributes(module, names.get(type(module), frozenset())),
        )
        for module in modules
    )


def state(model: nn.Module, names: Names) -> tuple[Any, ...]:
    """Return all that an explainer must leave alone of what counts a network's passes, and of the network in it."""
    network: nn.Module = model.network  # type: ignore[assignment]
    hooks = {
        name: [len(table) for attribute, table in sorted(vars(module).items()) if attribute.endswith("_hooks")]
        for name, module in model.named_modules()
    }
    modes = [module.training for module in network.modules()]
    needs = [(parameter.requires_grad, parameter.grad is not None) for parameter in network.parameters()]
    values = dict(network.state_dict()), dict(network.named_buffers())
    return *values, hooks, modes, needs, repr(structure(model, names))


def _attributes(module: nn.Module, names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield what a module holds under some names; a method put in place of its class's is among it."""
    for key, value in vars(module).items():
        if (key in names and key not in MODULES_OWN) or key == "forward":
            yield key, value if type(value) in SIMPLE else told(value)


def told(value: Any, depth: int = 0) -> Any:
    """Return a value as it can be compared with what it is later, in a copy too: of any other object, its type."""
    kind = type(value)
    if kind in SIMPLE or isinstance(value, FunctionType | BuiltinFunctionType):
        return value  # a function is one thing in all copies
    if isinstance(value, Tensor | np.ndarray):
        return kind, str(value.dtype), tuple(value.shape), checksum(value)
    if isinstance(value, SAID):
        return kind, repr(value)
    if isinstance(value, MethodType):
        return value.__func__, type(value.__self__)
    if isinstance(value, partial):
        value = (value.func, value.args, value.keywords)
    if not isinstance(value, list | tuple | dict | set | frozenset):
        return kind
    if len(value) > MOST or depth == DEEPEST:
        return kind, len(value)
    if not isinstance(value, dict) and SIMPLE.issuperset(map(type, value)):
        return kind, tuple(value) if isinstance(value, list | tuple) else frozenset(value)
    if isinstance(value, set | frozenset):
        return kind, frozenset(told(each, depth + 1) for each in value)
    items = [*value.items()] if isinstance(value, dict) else value
    return kind, tuple(told(each, depth + 1) for each in items)


# ---------------------------------------------------------------------- values


def checksums(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Return a number for the values of each tensor, however they were changed."""
    return tuple(map(checksum, tensors))


def checksum(values: Tensor | np.ndarray) -> int:
    """Return a number that is another where values are others, and the same where they are the same.

    Where memory cannot be read, as that of a sparse tensor, it is how often the tensor was changed openly.
    """
    try:
        with torch._C.DisableTorchFunction():  # whoever listens to what a network does must not hear of this
            return _checksum(torch.as_tensor(values).detach())
    except (RuntimeError, TypeError, NotImplementedError):
        return values._version if isinstance(values, Tensor) else 0


def _checksum(tensor: Tensor) -> int:
    if not tensor.is_contiguous():  # to the order of memory, which copies nothing that lies together
        tensor = tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))
    flat = tensor.reshape(-1)
    if flat.storage_offset() * flat.element_size() % 8:
        flat = flat.clone()
    plain = flat.view(torch.uint8)
    whole = len(plain) // (8 * COLUMNS) * 8 * COLUMNS
    if not whole:
        return zlib.crc32(plain.cpu().numpy().data)
    sums = plain[:whole].view(torch.int64).view(-1, COLUMNS).sum(0)
    return zlib.crc32(sums.cpu().numpy().data, zlib.crc32(plain[whole:].cpu().numpy().data))
