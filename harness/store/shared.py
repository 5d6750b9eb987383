"""Pieces that runs share: what one has made, the next one takes, whatever its folder.

They lie in a folder of the user's own, apart by arithmetic and by answers of the network as in a run folder, and
besides by the code of this package and the versions of everything installed. Whatever fails here costs time, never a
run: then a piece is made again.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

import harness
from harness.errors import UsageError
from harness.fetching import cache_folder
from harness.store.pieces import FINISHED

SWITCH, OFF = "HARNESS_STORE", "off"
"""The environment variable that names another folder, and what it says where runs share nothing."""
LIMIT = 4 * 2**30
"""Bytes that stay: some sixty quick runs."""
HOUR = 3600.0
ROOM = "explanation-pieces"
"""A folder of our own within the one that is named, so that nothing else that lies there is ever taken for a piece."""


@dataclass(frozen=True)
class SharedPieces:
    """A folder of pieces that runs share.

    Attributes
    ----------
    path
        The folder; it need not exist.
    limit
        Bytes that stay after :meth:`trim`.
    """

    path: Path
    limit: int = LIMIT

    def take(self, name: str, into: Path) -> bool:
        """Bring the files of a piece, whole or damaged, into a folder; whether there were any."""
        kept = self.place(name)
        try:
            files = [kept / FINISHED, *(file for file in kept.iterdir() if file.name != FINISHED)]
            os.utime(files[0])
            into.mkdir(parents=True, exist_ok=True)
            for file in reversed(files):  # what says that the piece is whole comes last
                _replaced(file, into / file.name)
        except OSError:
            return False
        return True

    def give(self, name: str, piece: Path) -> None:
        """Keep a copy of a piece that was just made, in place of the one that is there."""
        kept = self.place(name)
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".giving-"))
            try:
                for file in piece.iterdir():
                    if not file.name.startswith("."):
                        _linked(file, made / file.name)
                if kept.exists():
                    kept.rename(made / "before")
                made.rename(kept)
                shutil.rmtree(kept / "before", ignore_errors=True)
            except OSError:
                shutil.rmtree(made, ignore_errors=True)
                raise

    def tidy(self) -> None:
        """Trim the pieces, unless that was done within the last hour: it looks at every file."""
        noted = self.path / "tidied"
        with suppress(OSError):
            if not noted.exists() or time.time() - noted.stat().st_mtime > HOUR:
                self.trim()
                noted.touch()

    def trim(self, limit: int | None = None) -> None:
        """Take away what was used least recently, until no more is left than the limit; one process at a time."""
        with suppress(OSError, Timeout), FileLock(self.path / "lock", timeout=0):
            self._trim(self.limit if limit is None else limit)

    def size(self) -> int:
        """Return the bytes of all pieces."""
        return sum(held for _, held, _ in self._pieces())

    def _trim(self, limit: int) -> None:
        """Take away pieces, the least recently used first, and the folders that this leaves empty."""
        pieces = sorted(self._pieces())
        left = sum(held for _, held, _ in pieces)
        for _, held, piece in pieces:
            if left <= limit:
                break
            shutil.rmtree(piece, ignore_errors=True)
            left -= held
        for folder in sorted((each for each in self.path.rglob("*") if each.is_dir()), reverse=True):
            with suppress(OSError):  # it is not empty
                folder.rmdir()

    def _pieces(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each piece was last used, its bytes and its folder; what a killed process left is a piece too."""
        for folder in self.path.glob("*/*/*"):
            with suppress(OSError):  # another process may be taking it away
                files = [file.stat() for file in folder.iterdir()]
                used = max((each.st_mtime for each in files), default=folder.stat().st_mtime)
                yield used, sum(each.st_size for each in files), folder

    def place(self, name: str) -> Path:
        """Return the folder in which a piece lies, or would lie."""
        place = Path(name)
        return self.path / _surroundings() / place.parent.name / place.name


def shared_pieces(environment: Mapping[str, str] = os.environ) -> SharedPieces | None:
    """Return the pieces that this user's runs share: in ``$HARNESS_STORE``, else below the user's cache.

    Returns
    -------
    SharedPieces or None
        None where the variable says ``off``, or there is no home to keep anything in.

    Raises
    ------
    UsageError
        Where the variable names something that is no folder.
    """
    asked = environment.get(SWITCH)
    if asked == OFF:
        return None
    try:
        within = Path(asked) if asked else cache_folder()
        if asked and within.exists() and not within.is_dir():
            raise UsageError(f"{SWITCH}={asked} is no folder; name another, or {OFF}")
    except (RuntimeError, OSError):
        return None
    return SharedPieces(within / ROOM)


@cache
def _surroundings() -> str:
    """Return a name of the code that makes pieces: this package's, and what is installed beside it."""
    own = Path(harness.__file__).parent
    code = [file.read_text(encoding="utf-8") for file in sorted(own.rglob("*.py"))]
    beside = sorted({each.name for entry in sys.path for each in Path(entry or ".").glob("*.dist-info")})
    return hashlib.sha256("\0".join((sys.version, *code, *beside)).encode()).hexdigest()[:16]


def _replaced(file: Path, target: Path) -> None:
    """Give a file another name, in place of what had it."""
    target.unlink(missing_ok=True)
    _linked(file, target)


def _linked(file: Path, target: Path) -> None:
    """Give a file another name, or copy it where the file system cannot."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)
