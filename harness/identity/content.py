"""Names for what code is and holds: equal things have equal names, in every process; what nothing tells has none.

A function is its bytecode, defaults, closure, attributes and the globals that it refers to, with the source of its
module and of everything of the user's own that this imports; an object is its class and its state. Of this package the
source counts, of installed libraries the name: what another version of these changes shows in answers.
"""

import copyreg
import functools
import inspect
import logging
import os
import sys
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.digest import digest, underlying
from harness.identity.opened import reads_of
from harness.identity.sources import Kind, file_of, kind_of_module, sources

NOTHING_TO_TELL = (type(threading.Lock()), type(threading.RLock()), logging.Logger, weakref.ref, threading.local)
"""Kinds of objects that hold nothing a result depends on."""

LIBRARIES = ("torch", "numpy", "captum", "lime", "builtins")
"""What explainers are made of, and what another version of changes shows in their maps."""

NO_PART = frozenset(
    {"__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__abstractmethods__", "_abc_impl"}
    | {"__slotnames__", "__firstlineno__", "__static_attributes__"}
)
"""What Python notes in a class."""

_PLAIN = (
    *(bool, int, float, str, tuple, Tensor),
    *(types.FunctionType, types.MethodType, functools.partial),
)
"""What counts of a library's layer: what it computes with, and what was put in place of its own methods."""

_PROCESS = uuid.uuid4().hex
_unread: list[object] = []  # kept, so that no other object gets their place
_MODULE_OWN = frozenset(vars(nn.Module()))
_MODULE_HOOKS = tuple(name for name in sorted(_MODULE_OWN) if name.endswith("_hooks"))


@dataclass(frozen=True)
class Content:
    """What something is.

    Attributes
    ----------
    digest
        Equal where content is.
    files
        Digests of the user's own source and data files that belong to it, by name.
    unread
        What it holds that nothing tells, in words: its digest is that of no other process.
    """

    digest: str
    files: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def content(thing: object) -> Content:
    """Return what a function, a class or an object is; one with a method ``__digest__`` says it itself.

    Examples
    --------
    >>> make = lambda factor: lambda x: factor * x
    >>> content(make(2)).digest == content(make(2)).digest, content(make(2)).digest == content(make(3)).digest
    (True, False)
    """
    reader = _Reader(_home(thing))
    try:
        name = reader.name(thing)
    except RecursionError:
        name = reader.unreadable(thing)
    files = {path.name: held for path, held in sorted(reader.files.items())}
    return Content(name, files, tuple(dict.fromkeys(reader.unread)))


def same_content(one: object, other: object) -> bool:
    """Whether two things are one, or of one content."""
    return one is other or content(one).digest == content(other).digest


def _home(thing: object) -> str:
    """Return the package that a function is from, whose code counts though it may be installed."""
    first = thing[0] if isinstance(thing, tuple) and thing else thing
    top = str(getattr(underlying(first), "__module__", "")).partition(".")[0] if callable(first) else ""
    return "" if top in sys.stdlib_module_names or top in LIBRARIES else top


class _Reader:
    """Names things, each once, and notes the files that they come from; `home` is a package taken for one's own."""

    def __init__(self, home: str = "") -> None:
        self._home = home
        self.files: dict[Path, str] = {}
        self.unread: list[str] = []
        self._named: dict[int, str] = {}
        self._modules: dict[str, str] = {}
        self._kept: list[object] = []

    def name(self, thing: Any) -> str:
        """Return the name of anything; of what is being named already, how far back that began."""
        if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
            return digest(type(thing).__qualname__, repr(thing))
        if id(thing) not in self._named:
            self._kept.append(thing)
            self._named[id(thing)] = f"thing {len(self._named)}"
            self._named[id(thing)] = self._name(thing)
        return self._named[id(thing)]

    def unreadable(self, thing: object) -> str:
        """Return a name that no other object and no other process has."""
        _unread.append(thing)
        self.unread.append(f"a {type(thing).__module__}.{type(thing).__qualname__}")
        return digest("unread", _PROCESS, id(thing))

    def _name(self, thing: Any) -> str:
        """Return the name of what is no plain value."""
        own = getattr(type(thing), "__digest__", None)
        if own is not None:
            return digest("own", type(thing).__qualname__, str(own(thing)))
        for kinds, read in self._readers():
            if isinstance(thing, kinds):
                return digest(type(thing).__qualname__, *read(thing))
        return digest(*self._state(thing))

    def _readers(self) -> Iterator[tuple[Any, Callable[[Any], Iterator[str]]]]:
        """Yield which kinds are read how."""
        yield (Tensor, np.ndarray), self._numbers
        yield (torch.dtype, torch.device, torch.memory_format, torch.layout, np.dtype, np.generic), self._said
        yield torch.Generator, lambda made: iter([self.name(made.get_state())])
        yield os.PathLike, lambda path: iter([os.fspath(path)])
        yield types.ModuleType, self._module
        yield type, self._class
        yield types.FunctionType, self._function
        yield types.MethodType, lambda method: map(self.name, (method.__func__, method.__self__))
        yield functools.partial, lambda made: map(self.name, (made.func, made.args, made.keywords))
        yield (types.BuiltinFunctionType, types.MethodWrapperType), self._builtin
        yield (staticmethod, classmethod), lambda made: map(self.name, (made.__func__,))
        yield property, lambda made: map(self.name, (made.fget, made.fset))
        yield types.CodeType, self._code
        yield types.CellType, self._cell
        yield NOTHING_TO_TELL, lambda _thing: iter(())
        yield nn.Module, self._network
        yield (list, tuple), lambda held: map(self.name, held)
        yield (set, frozenset), lambda held: iter(sorted(map(self.name, held)))

    # ------------------------------------------------------------------ values

    def _numbers(self, held: Any) -> Iterator[str]:
        if isinstance(held, np.ndarray):
            yield digest(held) if held.dtype != object else self.name(held.tolist())
            return
        yield digest(str(held.dtype), list(held.shape))
        plain = held.detach().cpu()
        if plain.layout is not torch.strided or plain.is_quantized or plain.is_meta:
            yield self.unreadable(held)
            return
        yield digest(plain.contiguous().resolve_conj().resolve_neg().flatten().view(torch.uint8))

    def _said(self, thing: Any) -> Iterator[str]:
        yield repr(thing)

    def _cell(self, cell: types.CellType) -> Iterator[str]:
        try:
            yield self.name(cell.cell_contents)
        except ValueError:  # it is filled later
            yield "empty"

    def _state(self, thing: Any) -> Iterator[str]:
        """Yield an object's class and what copying or pickling would keep of it."""
        kind = self._kind(type(thing).__module__)
        yield self.name(type(thing))
        held = getattr(thing, "__wrapped__", None) if callable(thing) else None
        if held is not None:
            yield self.name(held)
        attributes = vars(thing) if hasattr(thing, "__dict__") else {}
        if kind is not Kind.FOREIGN and attributes:
            yield self._mapping(attributes)
        try:
            reduce = copyreg.dispatch_table.get(type(thing))
            kept = reduce(thing) if reduce else thing.__reduce_ex__(4)
        except RecursionError:
            raise
        except Exception:  # whatever an object says that cannot be copied
            if kind is Kind.FOREIGN or not attributes:
                yield self.unreadable(thing)
            return
        yield from (kept,) if isinstance(kept, str) else self._kept_state(kept)

    def _kept_state(self, kept: tuple[Any, ...]) -> Iterator[str]:
        """Yield what an object is made again from."""
        make, arguments, state, items, pairs = (*kept, None, None, None)[:5]
        yield self.name(make)
        for part in (*arguments, state):
            # Types come back from here too, as their names.
            yield self._mapping(part) if type(part) is dict else self.name(part)
        yield from (self.name(item) for item in items or ())
        yield from (digest(self.name(key), self.name(value)) for key, value in pairs or ())

    def _mapping(self, held: Mapping[Any, Any]) -> str:
        return digest("mapping", *(digest(self.name(key), self.name(value)) for key, value in held.items()))

    # ------------------------------------------------------------------ code

    def _kind(self, module: str | None) -> Kind:
        kind = kind_of_module(module)
        at_home = bool(self._home) and (module or "").partition(".")[0] == self._home
        return Kind.OWN if kind is Kind.FOREIGN and at_home else kind

    def _module(self, module: types.ModuleType) -> Iterator[str]:
        yield from self._module_called(module.__name__)

    def _module_called(self, name: str) -> Iterator[str]:
        """Yield a module's name, its source where it is this package's, and of one's own all that it imports."""
        if name not in self._modules:
            self._modules[name] = digest(*self._module_parts(name))
        yield self._modules[name]

    def _module_parts(self, name: str) -> Iterator[str]:
        kind, file = self._kind(name), file_of(name)
        yield "own" if kind is Kind.OWN else name  # one's own file may have several names, and lie elsewhere tomorrow
        if kind is Kind.HOUSE and file is not None:
            yield digest(file.read_text(encoding="utf-8"))
        if kind is Kind.OWN and file is not None:
            found = {path: digest(source.decode("utf-8", "replace")) for path, source in sources(file).items()}
            found |= {Path(path): held for path, held in reads_of(modules=[name]).items()}
            self.files |= found
            yield from (digest(path.name, held) for path, held in sorted(found.items()))

    def _class(self, kind: type) -> Iterator[str]:
        """Yield a class's name and, where it is one's own, its source and what it holds."""
        yield kind.__qualname__
        yield from self._module_called(kind.__module__)
        if self._kind(kind.__module__) is not Kind.OWN:
            return
        yield from (self.name(base) for base in kind.__bases__)
        for name, held in list(vars(kind).items()):
            if name not in NO_PART and (isinstance(held, property) or not inspect.isdatadescriptor(held)):
                yield digest(name, self.name(held))

    def _builtin(self, function: Any) -> Iterator[str]:
        yield f"{getattr(function, '__module__', '')}.{function.__qualname__}"
        held = function.__self__
        if not isinstance(held, types.ModuleType | type | None):
            yield self.name(held)

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        """Yield what a function is made of, by whose it is."""
        module = function.__globals__.get("__name__")
        kind = kind_of_module(module)
        if kind is Kind.HOUSE and isinstance(plain := inspect.unwrap(function), types.FunctionType):
            function = plain  # annotations are checked around it in tests
        yield function.__qualname__
        yield from self._module_called(str(module))
        yield from (self.name(cell) for cell in function.__closure__ or ())
        if kind is not Kind.OWN:
            return
        yield self.name(function.__code__)
        yield from (self.name(held) for held in (function.__defaults__, function.__kwdefaults__))
        yield self._mapping({key: held for key, held in vars(function).items() if key != "__wrapped__"})
        names = sorted(_names(function.__code__))
        yield from self._globals(names, function.__globals__)

    def _globals(self, names: list[str], held: Mapping[str, Any]) -> Iterator[str]:
        """Yield what names refer to in a module, and in modules of one's own that are among them."""
        for name in names:
            if name in held:
                yield digest(name, self.name(held[name]))
                inner = held[name]
                if isinstance(inner, types.ModuleType) and self._kind(inner.__name__) is Kind.OWN:
                    inside = vars(inner)
                    yield from (digest(name, each, self.name(inside[each])) for each in names if each in inside)

    def _code(self, code: types.CodeType) -> Iterator[str]:
        """Yield what a function does, and not where it stands."""
        yield code.co_code.hex()
        yield digest(list(code.co_names), list(code.co_varnames), list(code.co_freevars), list(code.co_cellvars))
        yield digest(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        yield from (self.name(held) for held in code.co_consts)

    # ------------------------------------------------------------------ networks

    def _network(self, network: nn.Module) -> Iterator[str]:
        """Yield a network's class, weights, buffers, hooks and attributes; of a library's layer what is plain."""
        yield self.name(type(network))
        yield network.extra_repr()
        for table in (network._parameters, network._buffers, network._modules):
            yield self._mapping(table)
        yield from (digest(table, *map(self.name, vars(network)[table].values())) for table in _MODULE_HOOKS)
        own = self._kind(type(network).__module__) is not Kind.FOREIGN
        for key, held in vars(network).items():
            if key not in _MODULE_OWN and (own or isinstance(held, _PLAIN)):
                yield digest(key, self.name(held))


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code and the code within it look up."""
    inner = (held for held in code.co_consts if isinstance(held, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
