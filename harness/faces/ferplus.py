"""FERPlus: the same pictures as FER2013's, each judged by ten people (Barsoum et al. 2016).

Its file (``fer2013new.csv``) holds votes and no pixels: row by row they are of the pictures of ``fer2013.csv`` or
``icml_face_data.csv``, which has to lie beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.faces.naming import places_by_name
from harness.faces.tables import TEST_USAGES, TRAINING_USAGES, load_table, records

PIXELS = ("fer2013.csv", "icml_face_data.csv")
"""The tables that hold the pictures, the first that is there."""

VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "nf"),
)
"""What people could vote for; the last three are no classes of FER2013, NF being no face."""


def holds_votes(path: Path) -> bool:
    """Whether a table is one of votes."""
    return set(VOTES) <= set(_header(path))


def load_votes(path: Path, usage: str | None = None, *, training: bool = False) -> FaceSet:
    """Return the pictures that most of the votes for give one expression, labelled so, in FER2013's order of classes.

    A picture is left out where two are tied for most votes, and where most are for contempt, unknown or no face; how
    many is noted. Its id is its row, from 0, as in FER2013's own table.

    Parameters
    ----------
    path
        The table of votes.
    usage
        Which split to read, or ``"all"``; by default ``PublicTest`` and ``PrivateTest``.
    training
        Read ``Training`` by default.

    Raises
    ------
    UsageError
        Where the pictures are not beside it, are not as many, or the first row whose votes are no numbers.
    """
    pixels = next((path.with_name(name) for name in PIXELS if path.with_name(name).is_file()), None)
    if pixels is None:
        raise UsageError(f"{path} holds votes and no pixels; put {' or '.join(PIXELS)} beside it")
    usages, votes = _read(path)
    faces = load_table(pixels, "all")
    if len(faces) != len(votes):
        raise UsageError(
            f"{path} has {len(votes)} rows, but {pixels} has {len(faces)}; they are of one set, row by row"
        )
    wanted = _wanted(path, usages, usage, TRAINING_USAGES if training else TEST_USAGES)
    labels = majority(votes)
    kept = wanted & (labels >= 0)
    if not kept.any():
        raise UsageError(f"{path} has no picture of that split with one expression of most votes; choose another split")
    left_out = int((wanted & (labels < 0)).sum())
    note = f"{left_out} of {int(wanted.sum())} pictures are left out: their votes are tied, or for no class of FER2013"
    named = path.stem if usage is None else f"{path.stem}#{usage}"
    chosen = replace(faces, name=named, classes=EXPRESSIONS, labels=np.maximum(labels, 0)).take(np.flatnonzero(kept))
    return replace(chosen, notes=(*chosen.notes, note)) if left_out else chosen


def majority(votes: Int[np.ndarray, "n 10"]) -> Int[np.ndarray, " n"]:
    """Return the expression of most votes, as an index into FER2013's classes, -1 where there is none.

    Examples
    --------
    >>> votes = [[0, 8, 1, 0, 0, 0, 0, 1, 0, 0], [5, 5, 0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 9, 0, 0]]
    >>> majority(np.array(votes))
    array([ 3, -1, -1])
    """
    places = places_by_name(VOTES, EXPRESSIONS)
    most = votes.max(axis=1)
    alone = (votes == most[:, None]).sum(axis=1) == 1
    found: np.ndarray = np.where(alone & (most > 0), places[votes.argmax(axis=1)], -1)
    return found


def _header(path: Path) -> list[str]:
    """Return the names of a table's columns, plainly written."""
    return [name.strip().casefold() for name in next(records(path), [])]


def _read(path: Path) -> tuple[list[str], Int[np.ndarray, "n 10"]]:
    """Return each row's split, "" where no column tells, and its votes in the order of :data:`VOTES`."""
    header = _header(path)
    places = [header.index(name) for name in VOTES]
    split = header.index("usage") if "usage" in header else None
    usages, votes = list[str](), list[Sequence[int]]()
    rows = records(path)
    next(rows)
    for number, row in enumerate(rows):
        try:
            votes.append([int(row[place]) for place in places])
            usages.append("" if split is None else row[split].strip().casefold())
        except (ValueError, IndexError):
            raise UsageError(
                f"{path} row {number} has no whole number of votes for each of {', '.join(VOTES)}"
            ) from None
    return usages, np.array(votes, np.int64).reshape(-1, len(VOTES))


def _wanted(path: Path, usages: Sequence[str], usage: str | None, preferred: Sequence[str]) -> np.ndarray:
    """Return which rows are of the split to read."""
    if usage is not None and usage.casefold() == "all":
        return np.ones(len(usages), bool)
    found = np.isin(usages, preferred if usage is None else [usage.casefold()])
    if not found.any() and usage is None:
        return np.ones(len(usages), bool)
    if not found.any():
        raise UsageError(f"{path} has no rows of Usage {usage!r}; it has {', '.join(sorted(set(usages)))}, and all")
    return found
