"""What a module hands on, where it hands on several things: blocks of transformers do, features first."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def first_of(output: Any) -> Any:
    """Return the first of several values that a module gave where that is a tensor, else what it gave.

    Examples
    --------
    >>> import torch
    >>> first_of((torch.ones(2), None)).tolist(), first_of([1, 2])
    ([1.0, 1.0], [1, 2])
    """
    several = isinstance(output, tuple) and len(output) > 0 and isinstance(output[0], Tensor)
    return output[0] if several else output


def with_first(output: Any, first: Tensor) -> Any:
    """Return what a module gave with another tensor in place of that which :func:`first_of` returns."""
    return (first, *output[1:]) if isinstance(output, tuple) else first


def on_first(hook: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Return a forward hook ``(module, inputs, output)`` that hears, and may change, the first output alone."""

    def heard(module: Any, inputs: Any, output: Any) -> Any:
        instead = hook(module, inputs, first_of(output))
        return None if instead is None else with_first(output, instead)

    return heard
