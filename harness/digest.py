"""Names for content: equal inputs have equal digests, on every machine and in every process."""

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int


def digest(*parts: Any) -> str:
    """Return a 16-digit hexadecimal name of `parts`.

    Parameters
    ----------
    *parts
        Strings, numbers, None, paths (their text, not their file), arrays, tensors, and lists, tuples and mappings
        of these.

    Raises
    ------
    TypeError
        For a part whose content has no agreed form, such as an arbitrary object.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1), digest("a", 1) == digest("a", 2)
    (True, False)
    """
    sha = hashlib.sha256()
    for part in parts:
        _feed(sha, part)
    return sha.hexdigest()[:16]


def _feed(sha: Any, part: Any) -> None:
    """Feed one part to the hash, its type first so that 1 and "1" differ."""
    if isinstance(part, torch.Tensor):
        part = part.detach().cpu().contiguous().numpy()
    if isinstance(part, np.ndarray):
        if part.dtype == object:
            raise TypeError("an object array has no digest")
        sha.update(f"array {part.dtype.str} {part.shape}".encode())
        sha.update(np.ascontiguousarray(part).tobytes())
    elif isinstance(part, Mapping):
        sha.update(f"mapping {len(part)}".encode())
        for key in sorted(part):
            _feed(sha, key)
            _feed(sha, part[key])
    elif isinstance(part, list | tuple):
        sha.update(f"sequence {len(part)}".encode())
        for item in part:
            _feed(sha, item)
    elif part is None or isinstance(part, str | int | float | bool | np.generic | Path):
        value = part.item() if isinstance(part, np.generic) else str(part) if isinstance(part, Path) else part
        sha.update(f"{type(value).__name__} {json.dumps(value)};".encode())
    else:
        raise TypeError(f"no digest for a {type(part).__name__}")


def file_sha256(path: Path) -> str:
    """Return the full SHA-256 of a file, as published digests are stated."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function or class whose code runs, behind decorators, partials and objects that can be called.

    Examples
    --------
    >>> underlying(functools.partial(sorted, reverse=True)).__name__
    'sorted'
    """
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        return underlying(function.func)
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function)


def image_keys(images: torch.Tensor | np.ndarray) -> Int[np.ndarray, " n"]:
    """Return one non-negative integer an image, from its content: seeds that do not depend on the batch."""
    array = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else images
    return np.array([int(digest(image), 16) >> 1 for image in array], dtype=np.int64)
