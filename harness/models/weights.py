"""A user's weights, put into the network that the user's own function makes. No file that could run code is read."""

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.errors import UsageError

_WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "weights")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a ``.safetensors``, or in a ``.pt`` or ``.pth`` of weights alone.

    A checkpoint that keeps its state dict beside other numbers, or under the ``module.`` of data-parallel training, is
    unwrapped.

    Raises
    ------
    UsageError
        Where the file is missing, is neither, or holds more than weights, which could run code.
    """
    if not path.is_file():
        raise UsageError(f"there is no weights file {path}; give its path as seen from {Path.cwd()}")
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for wrapping in _WRAPPINGS:
        inside = found.get(wrapping)
        found = inside if isinstance(inside, Mapping) else found
    weights = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if not weights:
        raise UsageError(f"{path} holds no state dict; save one with torch.save(network.state_dict(), ...)")
    if all(key.startswith("module.") for key in weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    return weights


def put_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a file into a network, in place.

    Where every name in the file begins alike, as with Lightning's ``model.`` or torch.compile's ``_orig_mod.``, and the
    network's do not, they are taken without that.

    Raises
    ------
    UsageError
        Naming the first layer that is missing, left over or of another shape, or whose weights are no plain fractions.
    """
    own = network.state_dict()
    weights = _unprefixed(read_weights(path), own)
    for what, names in (("lacks", own.keys() - weights.keys()), ("has an unknown", weights.keys() - own.keys())):
        if names:
            raise UsageError(
                f"{path} {what} {sorted(names)[0]!r} ({len(names)} so in all); give the weights of the network that "
                "the factory makes"
            )
    for name, value in own.items():
        if weights[name].shape != value.shape:
            raise UsageError(
                f"{path}: {name!r} has shape {tuple(weights[name].shape)}, but the network's has {tuple(value.shape)}; "
                "give the weights of the network that the factory makes"
            )
        if value.is_floating_point() and (weights[name].is_quantized or not weights[name].is_floating_point()):
            kind = str(weights[name].dtype).removeprefix("torch.")
            raise UsageError(
                f"{path}: {name!r} is of {kind}, of which no weights are made here; give them unquantised, as fractions"
            )
    network.load_state_dict(weights)


def _unprefixed(weights: dict[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """Return weights without what all their names begin with, where that gives the network's names."""
    stripped = weights
    while stripped and not stripped.keys() & set(own):
        prefixes = {name.partition(".")[0] for name in stripped}
        if len(prefixes) > 1 or not all("." in name for name in stripped):
            return weights
        stripped = {name.partition(".")[2]: value for name, value in stripped.items()}
    return stripped


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    """Read a safetensors file."""
    try:
        return load_file(path)
    except Exception as error:  # damaged bytes make a reader stumble over anything
        raise UsageError(f"{path} cannot be read as safetensors ({' '.join(str(error).split())})") from error


def _read_torch(path: Path) -> Mapping[str, Any]:
    """Read a file of torch weights; nothing in it is run."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is no pickle, torch warns before it refuses
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = str(error).split("\n")[0][:150]
        raise UsageError(
            f"{path} is no file of weights alone ({what}); what could run code is not read: "
            "save network.state_dict(), best as .safetensors"
        ) from error
    if not isinstance(found, Mapping):
        raise UsageError(f"{path} holds a {type(found).__name__}, not a state dict; save network.state_dict()")
    return found
