"""Pieces of a run between machines: a shelf before the run's folder, and folders of workers that do not see it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.store.folder import RunFolder
from harness.store.pieces import Files, packed
from harness.store.shared import SharedPieces

MAKE, WAIT = "make", "wait"
"""What a shelf says of a piece that it does not have: make it, or ask again, since somebody makes it."""


class Shelf:
    """Gives out the pieces of a run folder and takes in what workers make; who needs a piece waits for who makes it.

    Parameters
    ----------
    folder
        Of the run.
    shared
        As of a run folder.
    """

    def __init__(self, folder: Path, shared: SharedPieces | None = None) -> None:
        self._folder = RunFolder(folder, shared=shared)
        self._makers: dict[str, int] = {}

    def asked(self, name: str, worker: int) -> Files | str:
        """Return the files of a piece, :data:`MAKE` where the worker is to make it, :data:`WAIT` where another does."""
        held = packed(self._folder.path / name)
        if held is None and self._folder.taken(name):
            held = packed(self._folder.path / name)
        if held is not None:
            return held
        return MAKE if self._makers.setdefault(name, worker) == worker else WAIT

    def kept(self, name: str, files: Files, worker: int) -> str:
        """Take in a piece that a worker made; return why it is not kept, "" where it is."""
        try:
            self._folder.lay(name, files)
        except UsageError as error:
            return str(error)
        self._folder.given(name)
        self.dropped(name, worker)
        return ""

    def dropped(self, name: str, worker: int) -> None:
        """Let others make what a worker was to make."""
        if self._makers.get(name) == worker:
            del self._makers[name]

    def left(self, worker: int) -> None:
        """Let others make all that a worker was to make, which is lost."""
        self._makers = {name: maker for name, maker in self._makers.items() if maker != worker}


class Lender(ABC):
    """The line from a worker to the shelf."""

    @abstractmethod
    def asked(self, name: str) -> Files | None:
        """Return the files of a piece once somebody has made it; None where the asker is to make it."""

    @abstractmethod
    def kept(self, name: str, files: Files) -> None:
        """Hand in a piece."""

    @abstractmethod
    def dropped(self, name: str) -> None:
        """Let others make what this worker was to make."""


class AwayFolder(RunFolder):
    """A worker's own folder in place of the run's, which it need not see: pieces come from a shelf and go there.

    Parameters
    ----------
    path
        Where the worker keeps what it made and was given.
    lender
        The line to the shelf.
    pieces
        As of a run folder.
    """

    def __init__(self, path: Path, lender: Lender, pieces: str = "") -> None:
        super().__init__(path, pieces)
        self._lender = lender

    def of(self, name: str) -> "AwayFolder":
        """Return the folder with pieces that are kept apart, within those of this one, under another name."""
        return AwayFolder(self.path, self._lender, self._within(name))

    @contextmanager
    def _in_turn(self, name: str) -> Iterator[None]:
        """Bring the piece from the shelf, or keep others from making it meanwhile; the wait counts in `waited`."""
        began = time.perf_counter()
        files = self._lender.asked(name)
        if files is not None:
            self.lay(name, files)
        self.waited += time.perf_counter() - began
        try:
            yield
        except BaseException:
            self._lender.dropped(name)
            raise

    def kept(self, key: str) -> dict[str, Any] | None:
        """Return what is stored under `key`; what is not, others may make."""
        held = super().kept(key)
        if held is None:
            self._lender.dropped(self.piece(key))
        return held

    def _write_piece(self, name: str, parts: Mapping[str, Any]) -> None:
        """Write a piece here, and hand it in."""
        super()._write_piece(name, parts)
        files = packed(self.path / name)
        if files is not None:  # else the caller finds that it is not there
            self._lender.kept(name, files)
