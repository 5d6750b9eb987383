"""The lowest and the highest picture, followed through what a network does to its picture before any layer reads it.

A network may normalise its picture, flatten it, cut it into patches. What its first layers read lies between what the
same steps make of a black and of a white picture, wherever each value is moved, or risen or lowered with its pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import torch
from torch import Tensor

from harness.explainers._interception import LINEAR, Call
from harness.explainers.baselines import plain
from harness.subject import InputSpec

Limits: TypeAlias = tuple[Tensor, Tensor]
"""The least and the largest that each value can be."""


class Followed:
    """Follows limits while a network runs, as what `Rewriting` calls `following`.

    Parameters
    ----------
    spec
        Says what black and white are in each channel.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self._held: dict[int, tuple[Tensor, int, Limits]] = {}

    def of(self, x: Any) -> Limits | None:
        """Return the limits of the picture or of what was made of it; None of anything else."""
        if not isinstance(x, Tensor) or not x.requires_grad:
            return None
        tensor, version, limits = self._held.get(id(x), (None, 0, None))
        if tensor is x:
            return limits if version == x._version else None
        # Weights record no gradient, so that what does and was made by nothing is the picture.
        return (plain(self.spec, x, 0.0), plain(self.spec, x, 1.0)) if x.is_leaf else None

    def __call__(self, function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[Any], None]:
        """Take the limits of what a function reads, before it runs; return what takes its output."""
        if function.__name__ in LINEAR:
            return lambda _output: None
        read = [self._of_one_or_several(each) for each in args]
        followed = [place for place, limits in enumerate(read) if limits is not None]

        def after(output: Any) -> None:
            if followed and (isinstance(output, Tensor) or _several(output)):
                corners = product(*(read[place] or () for place in followed))
                at = [dict(zip(followed, corner, strict=True)) for corner in corners]
                self._keep(output, [self._at(function, args, kwargs, each) for each in at])

        return after

    def _of_one_or_several(self, value: Any) -> tuple[Any, Any] | None:
        """Return the limits of an argument, which may be several tensors."""
        if not _several(value):
            return self.of(value)
        parts = [self.of(each) or (each, each) for each in value]
        followed = any(self.of(each) is not None for each in value)
        return ([low for low, _ in parts], [high for _, high in parts]) if followed else None

    def _at(
        self, function: Call, args: Sequence[Any], kwargs: Mapping[str, Any], corner: Mapping[int, Any]
    ) -> list[Tensor]:
        """Return what a function gives where some of its arguments are others."""
        with torch.no_grad():
            given = [corner.get(place, each) for place, each in enumerate(args)]
            # A function may work in place.
            output = function(*(each.clone() if isinstance(each, Tensor) else each for each in given), **kwargs)
        return [output] if isinstance(output, Tensor) else list(output)

    def _keep(self, output: Any, corners: Sequence[Sequence[Tensor]]) -> None:
        """Note the least and the largest of what a function gives at its arguments' limits."""
        given = [output] if isinstance(output, Tensor) else output
        for each, found in zip(given, zip(*corners, strict=True), strict=True):
            if each.is_floating_point():
                several = torch.stack(found)
                self._held[id(each)] = each, each._version, (several.amin(0), several.amax(0))


def _several(value: Any) -> bool:
    """Say whether a value is several tensors."""
    return isinstance(value, tuple | list) and len(value) > 0 and all(isinstance(each, Tensor) for each in value)
