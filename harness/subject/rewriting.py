"""A network for answers alone: the same function in fewer and quicker steps.

- A batch normalisation becomes part of the convolution before it, which can multiply and add in its own weights.
- An activation that never falls stands behind the maximum pooling that reads it, where there is a quarter to do: the
  largest of activated values is the largest value, activated, bit for bit.
- An activation of what nobody else reads writes over it, and needs no memory of its own.
- Maxima over blocks are taken of shifted views, where that is quicker than a pooling that notes places for a way back:
  several times where images lie channel by channel, and wherever blocks do not overlap.

What an explainer may hang hooks on, derive or change is the network as it was; the rewritten copy serves
:meth:`harness.subject.Subject.logits` alone.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.rounding import rounding
from harness.subject.copies import copied
from harness.subject.counting import precision
from harness.subject.readers import only_readers
from harness.subject.spec import InputSpec
from harness.subject.state import Names, checksums, structure

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
FRESH = (*CONVOLUTIONS, *NORMS, nn.Linear)
"""Parts whose output is memory of its own, not a view of what they read."""
RISING = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh)
"""Activations that never fall where their input rises, but for a leaky one that leaks with the other sign."""
OVERWRITING = (*RISING, nn.ELU, nn.CELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)
"""Activations that can write over what they read."""
SPARED = (*NORMS, *OVERWRITING, nn.MaxPool2d)
"""Where none of these is, there is nothing to spare."""

SAME = rounding("float64", 10_000, conditioning=1e4)
"""How far answers in double precision may lie apart, as a share of the largest: ten thousand operations in a row, whose
errors later layers make ten thousand times larger, lie below it; a function that is another one above."""

Marks = tuple[Any, ...]


def marks(network: nn.Module, names: Names) -> Marks:
    """Return what tells cheaply that a network is as it was, but for values that were changed behind its back.

    Its parts with their modes, hooks and attributes, and its tensors' places and versions. What is changed through
    ``.data`` or an array of the same memory moves no version: see :func:`harness.subject.state.checksums`.

    Parameters
    ----------
    names
        Which attributes count, as :func:`harness.subject.state.lasting` says.
    """
    modules = tuple(
        (id(module), module.training, *(len(vars(module)[hooks]) for hooks in HOOKS)) for module in network.modules()
    )
    held = (*network.parameters(), *network.buffers())
    places = tuple((tensor.data_ptr(), tensor._version, tensor.shape, tensor.stride()) for tensor in held)
    return modules, places, structure(network, names)


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooked(network: nn.Module) -> bool:
    """Whether anything listens to a part of a network."""
    return any(vars(module)[hooks] for module in network.modules() for hooks in HOOKS)


class Answering(NamedTuple):
    """What answers for a network, and what tells that it still may.

    Attributes
    ----------
    model
        What is asked.
    marks
        Those of the network when it was made.
    read
        The network's tensors of which it has copies, or what was computed of them.
    values
        Their checksums when it was made.
    """

    model: nn.Module
    marks: Marks
    read: tuple[Tensor, ...] = ()
    values: tuple[int, ...] = ()

    def stands(self, now: Marks) -> bool:
        """Whether it answers for a network whose marks are these now."""
        return self.marks == now and self.values == checksums(self.read)


def share(made: nn.Module, network: nn.Module) -> tuple[Tensor, ...]:
    """Let a rewritten copy read the network's own weights where it changed none, and return the tensors left over.

    What is shared cannot become stale, and needs no look at its values before each answer. Buffers are not shared: a
    pass may write to them.
    """
    own = dict(network.named_parameters(remove_duplicate=False))
    for name, parameter in list(made.named_parameters(remove_duplicate=False)):
        theirs = own.get(name)
        if theirs is not None and theirs.stride() == parameter.stride() and torch.equal(theirs, parameter):
            above, _, last = name.rpartition(".")
            made.get_submodule(above)._parameters[last] = own.pop(name)
    return (*network.buffers(), *own.values())


def rewritten(network: nn.Module, spec: InputSpec, device: torch.device) -> nn.Module:
    """Return a copy that answers the same in fewer steps, or the network itself where there is nothing to spare.

    Parts are changed where each runs once and one alone reads the other's output, as a pass over noise shows. Whether
    the function is the same is then asked of both in double precision: a normalisation whose weights the network reads
    would show. A network that is not in single or double precision, or does not run in double, stays as it is.
    """
    kind = precision(network)
    if kind not in (torch.float32, torch.float64) or not any(isinstance(each, SPARED) for each in network.modules()):
        return network
    try:
        images = _noise(spec, device)
        readers = only_readers(copied(network), images.to(kind))  # a pass may change what a network keeps
        exact = copied(network).double()
        with torch.no_grad():
            wanted = exact(images)
            if not _rewrite(exact, readers):
                return network
            found = exact(images)
        scale = float(wanted.abs().max())
        if not float((found - wanted).abs().max()) <= SAME * max(scale, 1.0):
            return network
        made = copied(network)
        _rewrite(made, readers)
        return made
    except Exception:  # whatever a user's network raises where it is run or taken apart so
        return network


def _noise(spec: InputSpec, device: torch.device) -> Tensor:
    """Return two images of noise over the range of the input, in double precision."""
    shape = (2, spec.channels, spec.height, spec.width)
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (spec.low + (spec.high - spec.low) * drawn).to(device)


def _rewrite(network: nn.Module, readers: Mapping[str, str]) -> int:
    """Change a network, of which `readers` says who alone reads whose output; return how much there was to change."""
    parts: dict[str, Any] = dict(network.named_modules())
    norms = [pair for pair in readers.items() if isinstance(parts[pair[0]], CONVOLUTIONS) and _folds(parts[pair[1]])]
    pooled = [pair for pair in readers.items() if _rises(parts[pair[0]]) and type(parts[pair[1]]) is nn.MaxPool2d]
    spent = [name for maker, name in readers.items() if type(parts[maker]) in FRESH and _overwrites(parts[name])]
    blocks = [name for name, part in parts.items() if _takes_maxima(part)]
    for convolution, norm in norms:
        _put(network, convolution, fuse_conv_bn_eval(parts[convolution], parts[norm]))
        _put(network, norm, nn.Identity())
    for name in spent:
        parts[name].inplace = True
    for name in blocks:
        _put(network, name, Maxima(parts[name]))
    for activation, pool in pooled:
        parts[activation].inplace = True  # over what the pooling has just made
        _put(network, pool, nn.Sequential(network.get_submodule(pool), parts[activation]))
        _put(network, activation, nn.Identity())
    return len(norms) + len(pooled) + len(spent) + len(blocks)


def _folds(part: nn.Module) -> bool:
    """Whether a part is a normalisation by what was seen in training."""
    return isinstance(part, NORMS) and part.running_mean is not None and not part.training


def _rises(part: nn.Module) -> bool:
    """Whether a part is an activation that never falls."""
    return type(part) in RISING and getattr(part, "negative_slope", 0.0) >= 0


def _overwrites(part: nn.Module) -> bool:
    """Whether a part is an activation that could write over what it reads and does not."""
    return type(part) in OVERWRITING and not part.inplace


def _takes_maxima(part: nn.Module) -> bool:
    """Whether a part takes maxima of neighbours, and says no more of them."""
    return (
        type(part) is nn.MaxPool2d and not part.return_indices and not part.ceil_mode and _both(part.dilation) == (1, 1)
    )


def _both(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return a size in rows and columns."""
    return (size, size) if isinstance(size, int) else tuple(size)


class Maxima(nn.Module):
    """Max-pooling without a way back.

    Parameters
    ----------
    pool
        Of a dilation of 1, that gives no indices and takes no part of a block.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = _both(pool.kernel_size), _both(pool.stride), _both(pool.padding)
        self.apart = self.kernel == self.stride and self.padding == (0, 0)

    def forward(self, x: Float[Tensor, "*batch h w"]) -> Float[Tensor, "*batch h2 w2"]:
        """Return the largest value of each block."""
        slow = not self.apart and x.is_contiguous(memory_format=torch.channels_last)
        if slow or x.device.type != "cpu":  # where what is said of speed was not measured
            return functional.max_pool2d(x, self.kernel, self.stride, self.padding)
        if any(self.padding):
            (down, across), least = self.padding, float("-inf")
            x = functional.pad(x, (across, across, down, down), value=least)
        return self._along(self._along(x, -2), -1)

    def _along(self, x: Float[Tensor, "*batch h w"], axis: int) -> Float[Tensor, "*batch h2 w2"]:
        """Return the largest of each block's rows, or columns."""
        kernel, stride = self.kernel[axis], self.stride[axis]
        span = x.shape[axis] - kernel + 1
        return reduce(torch.maximum, (_every(x.narrow(axis, first, span), axis, stride) for first in range(kernel)))


def _every(x: Float[Tensor, "*batch h w"], axis: int, stride: int) -> Float[Tensor, "*batch h2 w2"]:
    """Return every so many rows, or columns, from the first on."""
    return x[..., ::stride, :] if axis == -2 else x[..., ::stride]


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in another's place."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
