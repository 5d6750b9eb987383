"""Whose a module is, and the source files that it is made of."""

import ast
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path

HOUSE = Path(__file__).parents[1]
LIBRARIES = frozenset({"site-packages", "dist-packages"})
"""What the folders of installed libraries are called, in whatever environment."""


class Kind(Enum):
    """Whose a piece of code is."""

    OWN = "the user's own"
    HOUSE = "this package's"
    FOREIGN = "an installed library's, or Python's"


def kind_of_file(file: Path) -> Kind:
    """Return whose a file is, by where it lies."""
    name = str(file)
    if name.startswith(f"{HOUSE}{os.sep}"):
        return Kind.HOUSE
    # Libraries of another environment, which a path file or PYTHONPATH brings in, are libraries too.
    return Kind.FOREIGN if name.startswith(_installed()) or LIBRARIES & set(file.parts) else Kind.OWN


def kind_of_module(name: str | None) -> Kind:
    """Return whose a module is; one without a file, as a prompt's, is the user's own unless it is Python's."""
    top = (name or "").partition(".")[0]
    if top == HOUSE.name:
        return Kind.HOUSE
    file = file_of(name or "") or file_of(top)
    if file is not None:
        return kind_of_file(file)
    return Kind.FOREIGN if top in sys.stdlib_module_names or top in sys.builtin_module_names else Kind.OWN


def file_of(name: str) -> Path | None:
    """Return the source file of a loaded module."""
    held = getattr(sys.modules.get(name), "__file__", None)
    file = Path(held) if isinstance(held, str) else None
    return file if file is not None and file.is_file() else None


def sources(file: Path) -> Mapping[Path, bytes]:
    """Return the source of a file and of every file of the user's own that it imports, wherever it does."""
    found: dict[Path, bytes] = {}
    left = [file]
    while left:
        each = left.pop()
        if each in found:
            continue
        try:
            found[each] = each.read_bytes()
        except OSError:
            continue
        left += [path for name in _imports(found[each], _package(each)) for path in _files(name, each.parent)]
    return found


@cache
def _installed() -> tuple[str, ...]:
    """Return how files of Python itself and of installed libraries begin, as they are called and where they lead."""
    paths = sysconfig.get_paths()
    names = [*(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages()]
    roots = [Path(name) for name in (*names, site.getusersitepackages())]
    return tuple(f"{root}{os.sep}" for root in dict.fromkeys([*roots, *(root.resolve() for root in roots)]))


def _package(file: Path) -> tuple[str, ...]:
    """Return the names of the packages that a file lies in."""
    names: list[str] = []
    folder = file.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return tuple(names)


@lru_cache(maxsize=1000)
def _imports(source: bytes, package: tuple[str, ...]) -> frozenset[str]:
    """Return the full names that a source imports, or may import."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(name for node in ast.walk(tree) for name in _named(node, package))


def _named(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Yield what one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else ()
        base = [*above, *([node.module] if node.module else [])]
        yield from (".".join([*base, alias.name]) for alias in node.names)


def _files(name: str, beside: Path) -> Iterator[Path]:
    """Yield the files of the user's own that make up a module: its packages', and its own."""
    parts = name.split(".")
    if parts[0] == HOUSE.name:
        return
    for root in dict.fromkeys([beside, *(Path(entry or ".").resolve() for entry in sys.path)]):
        for depth in range(1, len(parts) + 1):
            stem = root.joinpath(*parts[:depth])
            for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
                if kind_of_file(file) is Kind.OWN and file.is_file():
                    yield file
