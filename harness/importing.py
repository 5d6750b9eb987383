"""Python objects that a user names in words: ``file.py:name`` or ``package.module:name``."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.containment import no_exit
from harness.digest import digest
from harness.errors import HarnessError, UsageError, closest
from harness.identity import loading
from harness.origin import USER_FILE


def load_object(text: str) -> Any:
    """Return the object that `text` names.

    Parameters
    ----------
    text
        ``path/to/file.py:name`` or ``package.module:name``. The file's folder (the working folder, for a module) is
        appended to the import path, so that the file finds its neighbours. A file is run once a process, however
        many of its names are asked for.

    Raises
    ------
    UsageError
        Where the text has no ``:name``, the file or module does not exist or raises, or it has no such name.

    Examples
    --------
    >>> load_object("math:sqrt")(9.0)
    3.0
    """
    where, _, name = text.rpartition(":")
    module = load_module(text)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [known for known in vars(module) if not known.startswith("_")]
            raise UsageError(f"{where} has no {name!r}{closest(name, public)}; name something it defines") from None
    return found


def load_module(text: str) -> ModuleType:
    """Return the module of the object that `text` names, as :func:`load_object` finds it.

    Raises
    ------
    UsageError
        As there.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UsageError(f"{text!r} names no object; write file.py:name or package.module:name")
    return _file_module(Path(where)) if where.endswith(".py") else _named_module(where)


def call_without_arguments(text: str) -> Any:
    """Return what the function that `text` names returns; an object that is no function stands for itself.

    Raises
    ------
    UsageError
        Where there is no such function, or it raises.
    """
    found = load_object(text)
    if not callable(found):
        return found
    try:
        with no_exit():
            return found()
    except (Exception, SystemExit) as error:
        raise UsageError(f"{text} raised {reason(error)}; mend it, it is called without arguments") from error


def reason(error: BaseException) -> str:
    """Return what went wrong as one line: the message of our own errors, kind and message of others."""
    message = " ".join(str(error).split())
    if isinstance(error, HarnessError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _file_module(path: Path) -> ModuleType:
    """Run a file as a module of its own, once a process."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}; give the path of a Python file, as seen from {Path.cwd()}")
    path = path.resolve()
    name = f"{USER_FILE}{digest(path)}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported; give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up while it is being run
    _append_to_path(path.parent)
    try:
        with loading(name), no_exit():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"importing {path} failed ({reason(error)}); mend the file") from error
    return module


def _named_module(name: str) -> ModuleType:
    """Import a module by its dotted name."""
    _append_to_path(Path.cwd())
    try:
        with loading(name), no_exit():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"importing module {name!r} failed ({reason(error)}); install it, or name a file as file.py:name"
        ) from error


def _append_to_path(folder: Path) -> None:
    """Let imports find a folder, after everything that they find already."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def has_signature(function: Callable[..., object]) -> bool:
    """Whether it is known what a callable takes: a class makes an object, and some builtins do not say.

    Examples
    --------
    >>> has_signature(len), has_signature(dict), has_signature(getattr)
    (True, False, False)
    """
    if isinstance(function, type):
        return False
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True
