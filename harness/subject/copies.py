"""Copies of a user's network, which is left as it is."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy

from harness.errors import UsageError
from harness.importing import reason


def copied(network: nn.Module) -> nn.Module:
    """Return a copy of a network; a tensor that it keeps from a pass before is copied by its values.

    Raises
    ------
    UsageError
        Where a part of it cannot be copied; the message names it.
    """
    memo: dict[int, Any] = {}
    for module in network.modules():
        for held in vars(module).values():
            for value in (
                held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else [held]
            ):
                if isinstance(value, Tensor) and not value.is_leaf:
                    memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(network, memo)
    except Exception as error:  # whatever a part of a user's network raises
        raise UsageError(
            f"the network cannot be copied: {_uncopied(network)} ({reason(error)}); keep it elsewhere"
        ) from error


def _uncopied(network: nn.Module) -> str:
    """Return the name of the first attribute that cannot be copied."""
    for name, module in network.named_modules():
        for attribute, value in vars(module).items():
            if attribute not in ("_parameters", "_buffers", "_modules"):
                try:
                    copy.deepcopy(value)
                except Exception:
                    return f"attribute {attribute!r} of {name or 'its outermost module'} ({type(module).__name__})"
    return "one of its parts"


def _unreadable(module: nn.Module) -> str:
    """Return why the layers of a module cannot be read and what to give instead, "" where they can."""
    if hasattr(module, "_orig_mod"):
        return "is made by torch.compile, which hides its layers; give the network before, which is its _orig_mod"
    if isinstance(module, torch.jit.ScriptModule):
        return "is TorchScript, whose layers cannot be read; give the Python module"
    if isinstance(module, GraphModule) and "eval" in vars(module):  # an exported program's own eval raises
        return "is an exported program, which has no layers to read; give the Python module that it was exported from"
    return ""


def evaluated(network: nn.Module, name: str) -> nn.Module:
    """Return a copy of a network in evaluation mode.

    Raises
    ------
    UsageError
        For a network whose layers cannot be read: compiled, scripted or exported, as a whole or in part; the message
        says what to give. Also where torch's default device is not the CPU.
    """
    if torch.get_default_device().type != "cpu":
        raise UsageError(
            f"torch's default device is {torch.get_default_device()}, where all that is drawn would lie; leave it at "
            "the CPU, and say by device= where the network is to run"
        )
    for part, module in network.named_modules():
        what = _unreadable(module)
        if what:
            of = f"subject {name!r}" if not part else f"layer {part!r} of subject {name!r}"
            raise UsageError(f"{of} {what}")
    if any(is_lazy(tensor) for tensor in [*network.parameters(), *network.buffers()]):
        raise UsageError(
            f"subject {name!r} has lazy layers that were never run; give it an image once, before it is handed over"
        )
    copy_of_it = copied(network)
    copy_of_it.eval()  # what a network's own eval returns may be another one
    return copy_of_it
