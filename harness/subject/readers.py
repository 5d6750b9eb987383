"""Which part of a network reads the output of which, and whether anything else does."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def only_readers(network: nn.Module, images: Float[Tensor, "n c h w"]) -> dict[str, str]:
    """Return the parts of a network whose output one other part alone reads, by name, and that part's name.

    Every operation that is given the output, or a view of it, reads it, whichever line of whose code asks for it; so
    does who calls the network, of what it returns. Both parts run once, and the reader is handed the output itself.
    Of a network with compiled parts, whose operations are not seen, nothing is known, nor of one that takes a number
    out of a tensor: what it then does may be something else for another picture.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in network.modules()):
        return {}
    seen = _Seen(network)
    try:
        with torch.no_grad(), seen:
            for tensor in _tensors(network(images)):
                seen.note_read(tensor, "")
    finally:
        seen.leave()
    return seen.only_readers()


NUMBERS = frozenset(
    {"__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__", "item", "tolist", "numpy", "equal",
     "allclose", "is_nonzero", "nonzero"}
)  # fmt: skip
"""What takes numbers out of a tensor into the program, or has a shape that hangs on them."""


class _Seen(TorchFunctionMode):
    """Notes what is made and read while a network runs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.running = [""]
        self.ran = Counter[str]()
        self.counts = False
        self.made: dict[int, tuple[str, Tensor]] = {}
        self.handed: dict[str, str] = {}
        self.readers: dict[str, set[str]] = defaultdict(set)
        self.handles = [handle for name, module in network.named_modules() for handle in self._listen(name, module)]

    def _listen(self, name: str, module: nn.Module) -> Iterator[Any]:
        """Note when a part begins, with what it is handed, and when it ends, with what it made."""
        yield module.register_forward_pre_hook(partial(self._begins, name))
        yield module.register_forward_hook(partial(self._ends, name))

    def _begins(self, name: str, _module: nn.Module, inputs: Sequence[Any]) -> None:
        self.running.append(name)
        self.ran[name] += 1
        if inputs and isinstance(inputs[0], Tensor):
            maker, output = self.made.get(_storage(inputs[0]), ("", None))
            if output is inputs[0]:
                self.handed[name] = maker

    def _ends(self, name: str, module: nn.Module, _inputs: Sequence[Any], output: Any) -> None:
        self.running.pop()
        if isinstance(output, Tensor) and not any(module.children()):
            self.made[_storage(output)] = name, output

    def leave(self) -> None:
        """Stop listening."""
        for handle in self.handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts |= getattr(func, "__name__", "") in NUMBERS
        for tensor in _tensors((args, kwargs)):
            self.note_read(tensor, self.running[-1])
        return func(*args, **(kwargs or {}))

    def note_read(self, tensor: Tensor, reader: str) -> None:
        """Note that a part reads a tensor; what is made inside of it, it may read."""
        maker, _ = self.made.get(_storage(tensor), ("", None))
        if maker:
            self.readers[maker].add(reader)

    def only_readers(self) -> dict[str, str]:
        """Return who alone reads whose output."""
        if self.counts:
            return {}
        return {
            maker: reader
            for reader, maker in self.handed.items()
            if self.ran[maker] == self.ran[reader] == 1 and self.readers[maker] == {reader}
        }


def _storage(tensor: Tensor) -> int:
    """Return what tells a tensor's memory from that of others, as long as either lives."""
    return int(tensor.untyped_storage()._cdata)


def _tensors(held: Any) -> Iterator[Tensor]:
    """Yield the tensors in an operation's arguments or in what a network returns."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, dict):
        for value in held.values():
            yield from _tensors(value)
    elif isinstance(held, list | tuple):
        for value in held:
            yield from _tensors(value)
