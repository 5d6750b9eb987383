"""What is sent to workers on other machines, once for all of them: the jobs with all that they hold.

Networks, images and explainers travel with the jobs that hold them. What is defined in files of the user's own, or at a
prompt, is sent as it is, since a worker need not see those files; what is installed is sent by its name. In the place
of the run's folder a worker has one of its own.
"""

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from types import FunctionType
from typing import Any

import ray.cloudpickle

from harness.engines.local import Job
from harness.errors import UsageError
from harness.identity.sources import Kind, file_of, kind_of_module
from harness.importing import reason
from harness.store import RunFolder

cloudpickle: Any = ray.cloudpickle  # without types


@dataclass(frozen=True)
class Parcel:
    """The jobs of a run and what a worker is asked beside.

    Attributes
    ----------
    jobs
        In the order of the plan.
    begin
        Sets a worker up; returns why it cannot take part, "" where it can.
    spent
        Seconds that a worker has spent on pieces.
    """

    jobs: Sequence[Job]
    begin: Callable[[], str]
    spent: Callable[[], float]


def packed(parcel: Parcel, parts: Mapping[str, object]) -> bytes:
    """Return a parcel as bytes.

    Parameters
    ----------
    parcel
        What is sent.
    parts
        What it holds that may be of a kind that cannot be sent, by what a user calls it.

    Raises
    ------
    UsageError
        Where something cannot be sent; the message names it.
    """
    with _own_modules_by_value():
        try:
            return _bytes_of(parcel)
        except Exception as error:  # whatever an object says that cannot be sent
            what, why = next(_unsendable(parts), ("this run", reason(error)))
            raise UsageError(
                f"{what} cannot be sent to workers of Ray ({why}); make what it holds when it is called, or leave "
                "--engine ray out"
            ) from error


def opened(data: bytes, folder: RunFolder) -> Parcel:
    """Return the parcel whose bytes were sent; `folder` stands for the run's."""
    found: Parcel = _Opener(BytesIO(data), folder).load()
    return found


def _bytes_of(thing: object) -> bytes:
    """Return an object as bytes."""
    file = BytesIO()
    _Packer(file).dump(thing)
    return file.getvalue()


def _unsendable(parts: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what cannot be sent, and why."""
    for what, part in parts.items():
        try:
            _bytes_of(part)
        except Exception as error:  # as above
            yield what, reason(error)


class _Packer(cloudpickle.CloudPickler):  # type: ignore[misc]
    """Writes a folder as the name of its pieces: the one that the worker has takes its place."""

    def persistent_id(self, thing: Any) -> str | None:
        return thing.pieces if isinstance(thing, RunFolder) else None

    def reducer_override(self, thing: Any) -> Any:
        """Write an installed function by its name also where its decorator has put something else under it."""
        if isinstance(thing, FunctionType) and (kind := kind_of_module(thing.__module__)) is not Kind.OWN:
            name = (thing.__module__, thing.__qualname__)
            if getattr(_called(*name), "function", None) is thing:
                return _function_of, name
            plain = inspect.unwrap(thing)  # annotations are checked around it in tests, by what cannot be sent
            if kind is Kind.HOUSE and plain is not thing and "<locals>" in thing.__qualname__:
                return _itself, (plain,)
        return super().reducer_override(thing)


def _called(module: str, name: str) -> Any:
    """Return what is called so in a loaded module, None where nothing is."""
    return getattr(sys.modules.get(module), name, None)


def _function_of(module: str, name: str) -> Any:
    """Return the function that a decorator has put something else in the place of, which holds it."""
    return getattr(importlib.import_module(module), name).function


def _itself(thing: Any) -> Any:
    """Return what is given."""
    return thing


class _Opener(pickle.Unpickler):
    """Reads what a packer wrote; one folder of each name."""

    def __init__(self, file: BytesIO, folder: RunFolder) -> None:
        super().__init__(file)
        self._folder, self._of = folder, dict[str, RunFolder]()

    def persistent_load(self, pieces: str) -> RunFolder:
        return self._of.setdefault(pieces, self._folder.of(pieces))


@contextmanager
def _own_modules_by_value() -> Iterator[None]:
    """Send what modules of the user's own define as it is meanwhile, not by a name that no worker knows."""
    before = {"__main__", *cloudpickle.list_registry_pickle_by_value()}  # what runs as a script is sent so anyway
    own = [
        module
        for name, module in list(sys.modules.items())
        if file_of(name) is not None and kind_of_module(name) is Kind.OWN
        if module.__name__ == name and name not in before
    ]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
