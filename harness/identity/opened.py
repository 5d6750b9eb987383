"""The files that somebody's code reads, seen as Python opens them.

What a library opens by itself, in C or Rust, is not seen; what such a file changes in answers is.
"""

import hashlib
import importlib.util
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from harness.identity.sources import Kind, kind_of_file

Reads: TypeAlias = Mapping[str, str]
"""Digests by path."""

LARGE = 2**28
"""Bytes from which on a file is told by its size and time of change: to read it all takes longer than most maps."""

_SYSTEM = ("/proc/", "/sys/", "/dev/")
_hearing: dict[int, dict[str, None]] = {}
_written: set[str] = set()
_by_owner: dict[str, dict[str, str]] = {}


@contextmanager
def watched(*owners: str) -> Iterator[None]:
    """Note what is read meanwhile as what `owners` read: they may keep what they read for their later calls."""
    _listen()
    heard: dict[str, None] = {}
    _hearing[id(heard)] = heard
    try:
        yield
    finally:
        del _hearing[id(heard)]
        read = {name: file_digest(name) for name in heard if name not in _written and _counts(name)}
        for owner in owners:
            _by_owner.setdefault(owner, {}).update(read)


def loading(module: str) -> Any:
    """Watch while a module is loaded; what it reads then is part of its content."""
    return watched(_loaded(module))


def reads_of(*owners: str, modules: Iterable[str] = ()) -> Reads:
    """Return what some owners, and some modules as they were loaded, have read so far."""
    names = [*owners, *map(_loaded, modules)]
    return {path: held for name in names for path, held in _by_owner.get(name, {}).items()}


def note_reads(owner: str, reads: Reads) -> None:
    """Note what an owner has read in another process."""
    _by_owner.setdefault(owner, {}).update(reads)


def as_read(piece: Mapping[str, Any]) -> bool:
    """Whether every file that was read for a piece, an array of paths and digests as its "reads", is what it was."""
    return all(file_digest(path) == held for path, held in piece["reads"].tolist())


def file_digest(path: str) -> str:
    """Return a name of a file's content, "" for one that is not there; nothing but plain files is opened."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            return f"no plain file {about.st_mode}"
        if about.st_size >= LARGE:
            return f"{about.st_size} bytes of {about.st_mtime_ns}"
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _loaded(module: str) -> str:
    """Return as whom a module reads while it is loaded."""
    return f"module {module}"


@cache
def _listen() -> None:
    """Hear of every file that Python opens from now on; a hook of this kind cannot be taken away again."""
    sys.addaudithook(_heard)


def _heard(event: str, facts: tuple[Any, ...]) -> None:
    """Note a file that is opened while somebody is watched."""
    if event != "open" or not _hearing:
        return
    path, _mode, flags = facts
    if not isinstance(path, str | bytes | os.PathLike):
        return
    name = os.path.abspath(os.fsdecode(path))
    if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _written.add(name)
        return
    for heard in tuple(_hearing.values()):
        heard[_source(name)] = None


def _source(name: str) -> str:
    """Return the source behind a compiled file."""
    try:
        return importlib.util.source_from_cache(name) if name.endswith(".pyc") else name
    except ValueError:
        return name


def _counts(name: str) -> bool:
    """Whether a file may be somebody's own."""
    return not name.startswith(_SYSTEM) and kind_of_file(Path(name)) is Kind.OWN
