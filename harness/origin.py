"""Where a function of somebody's was defined, in words that they would use, and whether two are one."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

USER_FILE = "harness_user_"
"""Begins the names of modules that are files of somebody's, run by their path."""


def said_origin(origin: str) -> str:
    """Return ``module:name`` as who wrote it would say it: ``file.py:name`` where the module is a file of theirs.

    Examples
    --------
    >>> said_origin("package.module:name")
    'package.module:name'
    """
    module, _, name = origin.partition(":")
    file = getattr(sys.modules.get(module), "__file__", None)
    return f"{Path(file).name}:{name}" if module.startswith(USER_FILE) and file else origin


def same_code(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions are one that was read twice, as a file is that another one imports.

    What holds something of its own beside its code, as a function within a function does, is itself alone.
    """
    plain = [each for each in (one, other) if inspect.isfunction(each) and each.__closure__ is None]
    held = [(each.__code__, each.__code__.co_filename) for each in plain]
    return len(held) == 2 and held[0] == held[1]
