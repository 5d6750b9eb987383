"""What belongs to the whole process: looked at before somebody's code and after, and put back."""

import builtins
import math
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from operator import is_
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as torch_module


class Setting(NamedTuple):
    """One thing that holds for the whole process."""

    name: str
    read: Callable[[], Any]
    put: Callable[[Any], object]


def _directory() -> str:
    """Return the working folder, "" where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _put_environment(held: dict[str, str]) -> None:
    """Put the environment's variables back."""
    os.environ.update(held)


def _put_attribute(owner: Any, name: str) -> Callable[[Any], None]:
    """Return what puts one attribute back."""
    return lambda held: setattr(owner, name, held)


def _attribute(name: str, owner: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute), _put_attribute(owner, attribute))


SETTINGS = (
    Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("torch's default device", torch.get_default_device, torch.set_default_device),
    Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting("grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("deterministic algorithms", torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    Setting("anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    Setting("matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Setting("torch.backends.mkldnn", torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    _attribute("torch.backends.cudnn.enabled", torch.backends.cudnn, "enabled"),
    _attribute("torch.backends.cudnn.benchmark", torch.backends.cudnn, "benchmark"),
    _attribute("torch.backends.cudnn.deterministic", torch.backends.cudnn, "deterministic"),
    Setting("NumPy's error handling", np.geterr, lambda held: np.seterr(**held)),
    Setting("the working folder", _directory, os.chdir),
    Setting("environment variables", lambda: dict(os.environ), _put_environment),
    Setting("Python's recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("the standard output", lambda: (sys.stdout, sys.stderr), lambda held: _streams(*held)),
)


FOLLOWERS = frozenset({"Storage"})
"""What torch sets itself as its default dtype is set."""


def _streams(out: Any, err: Any) -> None:
    """Put the standard streams back."""
    sys.stdout, sys.stderr = out, err


@contextmanager
def kept_state() -> Iterator[list[str]]:
    """Put back what code changes meanwhile of the process: settings, functions of libraries and of this package.

    Yields
    ------
    list
        Names of what was changed, filled at the end.
    """
    changed: list[str] = []
    settings = [(setting, setting.read()) for setting in SETTINGS]
    tables = [(owner, dict(vars(owner))) for owner in _owners(len(sys.modules))]
    filters = warnings.filters[:]
    try:
        yield changed
    finally:
        # Functions first: what puts settings back may be among them.
        changed += [name for owner, held in tables for name in _put_functions_back(owner, held)]
        for setting, held in settings:
            now = setting.read()
            if isinstance(held, dict):  # what is added hurts nobody, as an import's environment variables
                now = {name: now.get(name) for name in held}
            if now != held:
                changed.append(setting.name)
                setting.put(held)
        warnings.filters[:] = filters  # type: ignore[index]  # a library's own, which hurt nobody


def _put_functions_back(owner: Any, held: dict[str, Any]) -> list[str]:
    """Put back what stood under its names in a module or class, and return what did not stand there.

    What is new is let be, unless it stands before what a class inherits.
    """
    now = vars(owner)
    if _alike(now, held):
        return []
    other = [name for name, value in held.items() if now.get(name, now) is not value and callable(value)]
    other = [name for name in other if name not in FOLLOWERS]
    bases = owner.__mro__[1:] if isinstance(owner, type) else ()
    before = [name for name in set(now) - set(held) if any(callable(vars(base).get(name)) for base in bases)]
    for name in other:
        setattr(owner, name, held[name])
    for name in before:
        delattr(owner, name)
    return [f"{getattr(owner, '__name__', owner)}.{name}" for name in (*other, *before)]


def _alike(now: Mapping[str, Any], held: dict[str, Any]) -> bool:
    """Whether each thing stands where it stood, told without asking any of them."""
    return len(now) == len(held) and all(map(is_, now, held)) and all(map(is_, now.values(), held.values()))


@contextmanager
def global_hooks_kept() -> Iterator[None]:
    """Drop hooks on all modules that came meanwhile."""
    before = [set(table) for table in global_hook_tables()]
    try:
        yield
    finally:
        for table, kept in zip(global_hook_tables(), before, strict=True):
            for key in set(table) - kept:
                del table[key]


def global_hook_tables() -> list[dict[Any, Any]]:
    """Return torch's tables of hooks that run for every module."""
    return [
        table
        for name, table in sorted(vars(torch_module).items())
        if name.startswith("_global") and name.endswith("_hooks") and isinstance(table, dict)
    ]


@cache
def _libraries() -> tuple[Any, ...]:
    """Return modules and classes whose functions others rely on."""
    layers = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    modules = (builtins, math, os, random, time, np, np.linalg, np.random, torch, torch.autograd, functional, nn)
    return (*modules, torch.Tensor, *sorted(layers, key=lambda kind: kind.__name__))


@lru_cache(maxsize=1)
def _owners(_loaded: int) -> list[Any]:
    """Return these, and what is loaded of this package with its classes, of so many modules that are loaded."""
    package = __name__.partition(".")[0]
    own = [each for name, each in list(sys.modules.items()) if name.partition(".")[0] == package and each]
    classes = [
        kind
        for module in own
        for kind in list(vars(module).values())
        if isinstance(module, ModuleType) and isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    return [*_libraries(), *own, *classes]
