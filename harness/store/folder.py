"""The folder of a run."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from harness.errors import UsageError
from harness.importing import reason
from harness.names import LONGEST
from harness.store.examples import Examples
from harness.store.pieces import FINISHED, Files, file_name, is_whole, note, read_piece, sha256
from harness.store.record import RunRecord
from harness.store.schema import BLANK, EFFECTS, EXAMINATIONS, IDENTITY, IMAGES, LADDER, PERSONS, SCHEMA_VERSION, frame
from harness.store.shared import SharedPieces, shared_pieces

Read = TypeVar("Read")
TURNS = "cache/turns"
"""Where those who need the same piece at once keep from making it twice."""
OWN_DIGEST = "digest of the rest"
"""Under which ``run.json`` says what it says itself."""


class RunFolder:
    """The folder of one run: reads what is there, writes whole files or none.

    Parameters
    ----------
    path
        The folder.
    pieces
        Under which name of the cache pieces are kept: those of one name never serve another.
    shared
        Where pieces are taken from that other runs have made, and those of this one are given to.

    Attributes
    ----------
    waited
        Seconds for which others made what was asked for.
    """

    def __init__(self, path: Path, pieces: str = "", shared: SharedPieces | None = None) -> None:
        self.path = path
        self.shared = shared
        self._pieces = pieces
        self.waited = 0.0
        self._written: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def of(self, name: str) -> "RunFolder":
        """Return the folder with pieces that are kept apart, within those of this one, under another name."""
        return RunFolder(self.path, self._within(name), self.shared)

    @classmethod
    def sharing(cls, path: Path) -> "RunFolder":
        """Return a folder that shares pieces with this user's other runs."""
        return cls(path, shared=shared_pieces())

    def _within(self, name: str) -> str:
        """Return what a name within this folder's is called."""
        return "-".join(part for part in (self._pieces, name) if part)

    @property
    def pieces(self) -> str:
        """Under which name of the cache pieces are kept."""
        return self._pieces

    # ------------------------------------------------------------------ reading

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """Return a finished run.

        Raises
        ------
        UsageError
            Where the folder is not a finished run of this schema.
        """
        try:
            made = (path / "run.json").is_file()
        except OSError as error:
            raise UsageError(f"{str(path)[:LONGEST]} can be no run folder: {error.strerror}") from error
        if not made:
            raise UsageError(f"{path} holds no finished run (no run.json); make one with: harness run --out {path}")
        run = cls(path)
        version = run._told.get("schema_version")
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"{path} has schema version {version}, this is {SCHEMA_VERSION}; run it again into a new folder"
            )
        _ = run.record
        return run

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def record(self) -> RunRecord:
        """What ``run.json`` says: command, seeds, versions, digests, passes, seconds, device."""
        try:
            return RunRecord.read(self._told)
        except ValueError as error:
            raise UsageError(f"{self.path / 'run.json'}: {error}; run it again into the same folder") from error

    @cached_property
    def _told(self) -> dict[str, Any]:
        """The names and values of ``run.json``, whatever its version."""
        file = self.path / "run.json"
        try:
            loaded: Any = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{file} is damaged ({error}); run it again into the same folder") from error
        if not isinstance(loaded, dict):
            raise UsageError(f"{file} is damaged (it holds no object); run it again into the same folder")
        if loaded.pop(OWN_DIGEST, None) not in (None, _digest_of(loaded)):
            raise UsageError(f"{file} is damaged (it is not what was written); run it again into the same folder")
        return loaded

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row an image, score and variant; see :data:`SCORES`."""
        return self._table("scores")

    @cached_property
    def named_scores(self) -> pd.DataFrame:
        """The scores with what each is called in a column ``name``: as ``run.json`` says, else by these columns."""
        told = {tuple(getattr(fact, key) for key in IDENTITY): name for name, fact in self.record.metrics.items()}
        held = self.scores[list(IDENTITY)].drop_duplicates()
        names = [told.get(which, _called(*which)) for which in map(tuple, held.to_numpy().tolist())]
        return self.scores.merge(held.assign(name=names), how="left", on=list(IDENTITY))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a point of an image's curve; see :data:`CURVES`."""
        return self._table("curves")

    @cached_property
    def matrices(self) -> pd.DataFrame:
        """Class by class tables; see :data:`MATRICES`."""
        return self._table("matrices")

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row an explainer, check and class; see :data:`VERDICTS`."""
        return self._table("verdicts")

    @cached_property
    def ladder(self) -> pd.DataFrame:
        """How far each explainer can be believed, or nothing where no claim decides; see :data:`LADDER`."""
        return self._table("ladder", LADDER)

    @cached_property
    def persons(self) -> pd.DataFrame:
        """Who is on each image, or nothing; see :data:`PERSONS`."""
        return self._table("persons", PERSONS)

    @cached_property
    def images(self) -> pd.DataFrame:
        """What each image is called, or nothing; a run made with names has to have them. See :data:`IMAGES`."""
        return self._table("images", IMAGES)

    def called(self, image: int) -> str:
        """Return what an image is called: its name, else its number."""
        return self._names.get(image, str(image))

    @cached_property
    def _names(self) -> dict[int, str]:
        """The name of each image that has one."""
        return dict(zip(self.images["image"].tolist(), self.images["name"].tolist(), strict=True))

    @cached_property
    def blank(self) -> pd.DataFrame:
        """The images for which a map is constant, or nothing; see :data:`BLANK`."""
        return self._table("blank", BLANK)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What each face part does for the true class, or nothing; see :data:`EFFECTS`."""
        return self._table("effects", EFFECTS)

    @cached_property
    def examinations(self) -> pd.DataFrame:
        """Whether each metric puts the truth before noise and blind controls, or nothing; see :data:`EXAMINATIONS`."""
        return self._table("examinations", EXAMINATIONS)

    @cached_property
    def examples(self) -> Examples:
        """A few images with the maps of every explainer."""
        held = self._read("examples.npz", _arrays)
        return Examples(**{name: held[name] for name in Examples.__dataclass_fields__})

    def read_json(self, name: str) -> dict[str, Any]:
        """Return what :meth:`write_json` wrote."""
        return self._read(name, _object)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return what :meth:`write_arrays` wrote."""
        return self._read(name, _arrays)

    def table(self, name: str) -> pd.DataFrame:
        """Return what :meth:`write_table` wrote."""
        return self._table(name)

    def _table(self, name: str, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Read one table; of those that not every run has, with `columns`, what ``run.json`` names has to be there."""
        file = f"{name}.parquet"
        if columns is not None and not (self.path / file).is_file() and self._noted(file) is None:
            return frame(columns)
        return self._read(file, pd.read_parquet)

    def _read(self, name: str, read: Callable[[Path], Read]) -> Read:
        """Read one file, or say that it is missing or damaged."""
        file = self.path / name
        if not file.is_file():
            raise UsageError(f"{file} is missing; run it again into the same folder to restore it")
        self._check_belongs(name)
        try:
            return read(file)
        except Exception as error:  # damaged bytes make a reader stumble over anything
            raise UsageError(f"{file} is damaged ({reason(error)}); run it again into the same folder") from error

    def _check_belongs(self, name: str) -> None:
        """Refuse a file that is not the one that ``run.json`` names."""
        file, noted = self.path / name, self._noted(name)
        if noted is not None and sha256(file) != noted:
            raise UsageError(
                f"{file} is not the file that run.json speaks of (damaged, or of another run); run it again into the "
                "same folder"
            )

    def _noted(self, name: str) -> str | None:
        """Return the digest of a file that ``run.json`` names, None where it names none."""
        return self._told.get("files", {}).get(name) if (self.path / "run.json").is_file() else None

    # ------------------------------------------------------------------ writing

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write ``name.parquet``."""
        self._belongs(f"{name}.parquet", lambda file: table.to_parquet(file, index=False))

    def write_examples(self, examples: Examples) -> None:
        """Write ``examples.npz``."""
        self.write_arrays("examples.npz", vars(examples))

    def write_record(self, record: RunRecord) -> None:
        """Write ``run.json``, which marks the run as finished and names the files that belong to it."""
        said = replace(record, files=dict(sorted(self._written.items()))).told()
        own = _digest_of(json.loads(json.dumps(said)))
        self.write_json("run.json", {**said, OWN_DIGEST: own})

    def write_json(self, name: str, held: Mapping[str, Any]) -> None:
        """Write a text file of names and values."""
        self.write_text(name, json.dumps(held, indent=2) + "\n")

    def first_json(self, name: str, held: Mapping[str, Any]) -> dict[str, Any]:
        """Write a text file of names and values unless there is one, and return what is there.

        Of several processes that call this at once one writes, and all return the same.
        """
        self._whole(name, lambda file: file.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8"), first=True)
        return self.read_json(name)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        self._whole(name, lambda file: file.write_text(text, encoding="utf-8"))

    def write_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write a compressed npz file."""
        self._belongs(name, lambda file: _savez(file, arrays))

    def forget_pieces(self) -> int:
        """Take away the pieces of a run, and return their bytes; tables and page stay."""
        with self.alone():
            kept = [each for each in (self.path / "cache").iterdir() if each.is_dir()]
            held = sum(file.stat().st_size for each in kept for file in each.rglob("*") if file.is_file())
            for each in kept:
                shutil.rmtree(each, ignore_errors=True)
        return held

    def unfinished(self) -> None:
        """Take away ``run.json``, so that a run in progress is not read as a finished one."""
        try:
            (self.path / "run.json").unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    # ------------------------------------------------------------------ cache

    def remembered(
        self,
        key: str,
        make: Callable[[], Mapping[str, Any]],
        holds: Callable[[Mapping[str, Any]], bool] = lambda _held: True,
    ) -> dict[str, Any]:
        """Return the arrays and tables stored under `key`, made once by `make`, and again where one no longer `holds`.

        Tables (pandas) and arrays may be mixed; each is written whole, so that a killed run leaves nothing half done.
        """
        name = self.piece(key)
        held = _if(holds, read_piece(self.path / name))
        if held is None:
            with self._in_turn(name):
                held = _if(holds, read_piece(self.path / name))  # made meanwhile
                held = held or _if(holds, read_piece(self.path / name) if self.taken(name) else None)
                if held is None:
                    self._write_piece(name, make())
                    held = read_piece(self.path / name)
                    self.given(name)
        if held is None:
            raise UsageError(f"{self.path / name} does not hold what was just written; choose another --out")
        return held

    def kept(self, key: str) -> dict[str, Any] | None:
        """Return what is stored under `key`, here or by another run; None where nothing whole is."""
        name = self.piece(key)
        if (held := read_piece(self.path / name)) is None:
            with self._in_turn(name):  # which may bring it
                held = read_piece(self.path / name) or (read_piece(self.path / name) if self.taken(name) else None)
        return held

    def piece(self, key: str) -> str:
        """Return under which name of the folder the piece of a key lies, or would lie."""
        return "/".join(part for part in ("cache", self._pieces, key) if part)

    def taken(self, name: str) -> bool:
        """Take a piece that another run has made, whole or damaged; whether there was one."""
        return self.shared is not None and self.shared.take(name, self.path / name)

    def given(self, name: str) -> None:
        """Let other runs have a piece."""
        if self.shared is not None:
            self.shared.give(name, self.path / name)

    def _write_piece(self, name: str, parts: Mapping[str, Any]) -> None:
        """Write the files of a piece, and last what says that they are whole."""
        digests = {}
        for part, value in parts.items():
            file = file_name(part, value)
            if isinstance(value, pd.DataFrame):
                self.write_table(f"{name}/{part}", value)
            else:
                self.write_arrays(f"{name}/{file}", {"value": value})
            digests[file] = self._written.pop(f"{name}/{file}")
        self.write_text(f"{name}/{FINISHED}", note(digests))

    def lay(self, name: str, files: Files) -> None:
        """Keep a piece that was made on another machine, under its name in this folder.

        Raises
        ------
        UsageError
            Where its files are not what their maker wrote, or would lie outside the cache.
        """
        if not is_whole(files) or Path(name).parts[:1] != ("cache",) or ".." in Path(name).parts:
            raise UsageError(f"{name} did not arrive as it was made; run it again into the same folder")
        for file in (*(each for each in files if each != FINISHED), FINISHED):
            self._whole(f"{name}/{file}", partial(_put, files[file]))

    @contextmanager
    def _in_turn(self, name: str) -> Iterator[None]:
        """Keep others from making a piece meanwhile, which they then find; the wait counts in `waited`."""
        began = time.perf_counter()
        lock = FileLock(self.path / TURNS / hashlib.sha256(name.encode()).hexdigest())
        try:
            (self.path / TURNS).mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            self.waited += time.perf_counter() - began
            yield
        finally:
            lock.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands out of this folder meanwhile; the lock goes with the process, however it ends.

        Raises
        ------
        UsageError
            Where another is at work here, or the folder cannot be written.
        """
        file = self.path / "cache" / "lock"
        lock = FileLock(file, timeout=0)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            said = f"another command is at work in {self.path}; wait until it has ended, or choose another --out"
            raise UsageError(said) from None
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            shutil.rmtree(self.path / TURNS, ignore_errors=True)  # of a command that was killed
            for half in self.path.rglob(".writing-*"):
                half.unlink(missing_ok=True)
            yield
        finally:
            shutil.rmtree(self.path / TURNS, ignore_errors=True)
            lock.release()

    def _belongs(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file that is part of the results, which ``run.json`` will name with its digest."""
        self._written[name] = self._whole(name, write)

    def _whole(self, name: str, write: Callable[[Path], object], *, first: bool = False) -> str:
        """Write beside the file and move it into place, so that a reader sees the old file or the new one.

        The `first` file of its name stays. Return the digest of what was written.
        """
        file = self.path / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".writing-", suffix=file.suffix)
            os.close(handle)
            try:
                os.chmod(temporary, 0o644)
                write(Path(temporary))
                written = sha256(Path(temporary))
                if first:
                    _link(Path(temporary), file)
                else:
                    os.replace(temporary, file)
                return written
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(file.parent, error) from error


def _if(holds: Callable[[Mapping[str, Any]], bool], held: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a piece that there is and that holds, else None."""
    return held if held is not None and holds(held) else None


def _called(metric: str, output: str, fill: str, kind: str) -> str:
    """Return what a score is called of which nothing is told."""
    return " ".join(part for part in (metric, output, fill, kind if kind != "score" else "") if part)


def _digest_of(info: Mapping[str, Any]) -> str:
    """Return a digest of what ``run.json`` says."""
    return hashlib.sha256(json.dumps(info).encode()).hexdigest()


def _link(temporary: Path, file: Path) -> None:
    """Give a whole file its name, unless another has it."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        return
    except OSError:  # no links on this file system: then the first of two that write at once may be lost
        if not file.exists():
            os.replace(temporary, file)


def _unwritable(folder: Path, error: OSError) -> UsageError:
    """Say that a folder cannot be written."""
    return UsageError(f"cannot write to {folder} ({error.strerror or reason(error)}); choose another --out")


def _object(file: Path) -> dict[str, Any]:
    """Read names and values."""
    held: Any = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(held, dict):
        raise ValueError("it holds no object")
    return held


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """Read arrays under their names."""
    with np.load(file, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _put(data: bytes, file: Path) -> None:
    """Write bytes as they are."""
    file.write_bytes(data)


def _savez(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays under their names."""
    np.savez_compressed(file, allow_pickle=False, **arrays)
