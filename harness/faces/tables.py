"""FER2013 and its relatives as comma-separated tables: one face a row, its pixels in one column.

Three headers are known: ``emotion,pixels,Usage`` (``fer2013.csv``; ``icml_face_data.csv`` has the same with spaces and
in another order), ``label,feature``, and the unlabelled ``id,feature`` and ``pixels``. A table may also list files: a
column ``path``, ``file`` or ``filename``, within the table's folder, beside ``label``, ``class``, ``emotion`` or none.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
from jaxtyping import Int

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.faces.folders import stacked_pictures
from harness.faces.naming import expression_classes, numbered_classes, order_notes, places_by_name
from harness.names import one_line

TEST_USAGES = ("publictest", "privatetest")
"""The splits that are read unless another is asked for."""

TRAINING_USAGES = ("training",)
"""The split that is learnt from unless another is asked for."""

USAGES = (*TRAINING_USAGES, *TEST_USAGES)
"""FER2013's splits. Where one of them is read, a row of any other Usage is a misspelling and would be lost unseen."""

_LABELLED = (("emotion", "pixels"), ("label", "feature"))
_UNLABELLED = ({"id", "feature"}, {"pixels"})
_PATHS = ("path", "file", "filename")
_PATH_LABELS = ("label", "labels", "class", "emotion", "target", "category")


def load_table(
    path: Path, usage: str | None = None, *, training: bool = False, classes: Sequence[str] | None = None
) -> FaceSet:
    """Return the faces of a table, (n, side, side), labelled in FER2013's order of classes or in the subject's own.

    The file is read row by row: memory is that of the pictures kept, whatever the size of the text. Rows count from
    0 below the header, and that number is each picture's id. Files that a table lists are read as a folder's are
    (:func:`harness.faces.folders.load_folder`), and named as they are written there.

    Parameters
    ----------
    path
        The table.
    usage
        Which split to read, as named in its column ``Usage``, or ``"all"``. By default ``PublicTest`` and
        ``PrivateTest`` where the table has them, else everything.
    training
        Read ``Training`` by default, not the test splits.
    classes
        The subject's classes, which label numbers index unless all of them are expressions. A label may be a name, and
        is one where classes are called by numbers and every label is such a name.

    Raises
    ------
    UsageError
        Naming file, row and column of the first thing that is wrong.
    """
    columns = _columns(path)
    preferred = TRAINING_USAGES if training else TEST_USAGES
    wanted = _wanted(path, columns, usage, preferred)
    notes = _notes(path, columns, usage, preferred, wanted, classes)
    if columns.listed:
        return _listed(path, usage, columns, wanted, numbered_classes(classes), notes)
    pixels, texts, ids, side = bytearray(), list[str](), list[int](), 0
    for number, row in _wanted_rows(path, columns, wanted):
        picture = _picture(_Cell(path, number, columns.names[columns.pixels]), row[columns.pixels], side)
        side = side or isqrt(len(picture))
        pixels += picture
        ids.append(number)
        if columns.label is not None:
            texts.append(row[columns.label])
    if not ids:
        raise UsageError(f"{path} has no rows below its header; give a table with at least one picture")
    return FaceSet(
        name=path.stem if usage is None else f"{path.stem}#{usage}",
        images=np.frombuffer(pixels, np.uint8).reshape(-1, side, side),
        classes=numbered_classes(classes),
        labels=_labels(path, columns, ids, texts, numbered_classes(classes)) if columns.label is not None else None,
        ids=np.array(ids, dtype=np.int64),
        notes=notes,
    )


def _notes(
    path: Path,
    columns: "_Columns",
    usage: str | None,
    preferred: tuple[str, ...],
    wanted: frozenset[str] | None,
    classes: Sequence[str] | None,
) -> tuple[str, ...]:
    """Return what a reader should know of which rows and columns are read, and of which classes numbers are."""
    notes = list(order_notes(classes)) if columns.label is not None else []
    if notes and not _NUMBER.fullmatch(next(_wanted_rows(path, columns, wanted))[1][columns.label or 0].strip()):
        notes = []
    if (
        usage is None
        and wanted is not None
        and any(_usage(row, columns) not in wanted for _, row in _rows(path, columns))
    ):
        notes.append(f"of {path} only rows of Usage {' and '.join(sorted(wanted))} are read; #all reads every row")
    if usage is None and wanted is None and columns.usage is not None:
        there = sorted({one_line(row[columns.usage].strip()) for _, row in _rows(path, columns)})
        some = ", ".join(there[:4]) + (" and more" if len(there) > 4 else "")
        notes.append(
            f"{path} has no row of Usage {' or '.join(preferred)}, so that every row is read, of Usage {some}; "
            f"#{there[0]} reads one"
        )
    known = {columns.pixels, columns.label, columns.usage}
    others = [name.strip() for place, name in enumerate(columns.names) if place not in known]
    if columns.listed and columns.label is None and others:
        notes.append(
            f"{path} has no column of labels that is known ({', '.join(_PATH_LABELS)}); {', '.join(others)} is not read"
        )
    return tuple(notes)


def _listed(
    path: Path,
    usage: str | None,
    columns: "_Columns",
    wanted: frozenset[str] | None,
    named: Sequence[str],
    notes: tuple[str, ...],
) -> FaceSet:
    """Return the pictures of the files that a table lists; labels that are not all numbers are names of classes."""
    rows = list(_wanted_rows(path, columns, wanted))
    if not rows:
        raise UsageError(f"{path} has no rows below its header; give a table with at least one picture")
    files = [path.parent / row[columns.pixels].strip() for _, row in rows]
    for (number, row), file in zip(rows, files, strict=True):
        if not file.is_file():
            said = row[columns.pixels].strip()[:80]
            raise _Cell(path, number, columns.names[columns.pixels]).error(
                f"there is no file {said!r} in the table's folder; mend the path, or remove the row"
            )
    classes, labels = tuple(named), None
    if columns.label is not None:
        texts = [row[columns.label].strip() for _, row in rows]
        if all(text.isdecimal() for text in texts):
            labels = _labels(path, columns, [number for number, _ in rows], texts, classes)
        else:
            classes = expression_classes(sorted(set(texts)))
            labels = places_by_name(texts, classes)
    images, seen_of_them = stacked_pictures(files)
    return FaceSet(
        name=path.stem if usage is None else f"{path.stem}#{usage}",
        images=images,
        classes=classes,
        labels=labels,
        ids=np.array([number for number, _ in rows], dtype=np.int64),
        names=tuple(one_line(Path(row[columns.pixels].strip()).as_posix()) for _, row in rows),
        notes=(*notes, *seen_of_them),
    )


def column(path: Path, name: str) -> list[str]:
    """Return the cells of one column below the header, in the order of the rows, which ids count.

    Raises
    ------
    UsageError
        Where the table has no such column, or cannot be read.
    """
    columns = _columns(path)
    plain = [each.strip().casefold() for each in columns.names]
    if name.strip().casefold() not in plain:
        there = ", ".join(each.strip() for each in columns.names)
        raise UsageError(f"{path} has no column {name!r}; its header is {there}")
    place = plain.index(name.strip().casefold())
    return [row[place] for _, row in _rows(path, columns)]


@dataclass(frozen=True)
class _Columns:
    """The header, and the places of the columns that matter; where files are `listed`, `pixels` is that of paths."""

    names: tuple[str, ...]
    pixels: int
    label: int | None
    usage: int | None
    listed: bool = False


@dataclass(frozen=True)
class _Cell:
    """Where in a table something is wrong."""

    path: Path
    row: int
    column: str

    def error(self, what: str) -> UsageError:
        """Return an error that names the place."""
        return UsageError(f"{self.path} row {self.row}, column {self.column.strip()}: {what}")


class _Pixels(dict[str, int]):
    """The value of each way to write a pixel; "7" is looked up, "007" and "7.0" are worked out."""

    def __missing__(self, word: str) -> int:
        try:
            value = float(word)
        except ValueError:
            raise _BadPixelError(f"{word[:20]!r} is not a number; write whole numbers 0 to 255") from None
        if not 0 <= value <= 255 or value != int(value):
            raise _BadPixelError(f"{word[:20]} is not a pixel; write whole numbers 0 to 255")
        return int(value)


class _BadPixelError(Exception):
    """A word that is no pixel."""


_PIXELS = _Pixels({str(value): value for value in range(256)})


def records(path: Path) -> Iterator[list[str]]:
    """Yield the non-blank records of a file, its header first.

    Raises
    ------
    UsageError
        Where it cannot be read.
    """
    csv.field_size_limit(2**31 - 1)  # a picture of 224 x 224 is longer than the csv module's usual most
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (record for record in csv.reader(file) if record)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table ({error}); give comma-separated text") from error


def _columns(path: Path) -> _Columns:
    """Read the header and recognise which table it is."""
    names = next(records(path), None)
    if names is None:
        raise UsageError(f"{path} is empty; give a table with a header and at least one picture")
    plain = [name.strip().casefold() for name in names]
    usage = plain.index("usage") if "usage" in plain else None
    for label, pixels in _LABELLED:
        if label in plain and pixels in plain:
            return _Columns(tuple(names), plain.index(pixels), plain.index(label), usage)
    if set(plain) in _UNLABELLED:
        return _Columns(tuple(names), plain.index("pixels" if "pixels" in plain else "feature"), None, usage)
    paths = next((plain.index(word) for word in _PATHS if word in plain), None)
    if paths is not None:
        label_of_path = next((plain.index(word) for word in _PATH_LABELS if word in plain), None)
        return _Columns(tuple(names), paths, label_of_path, usage, listed=True)
    expected = " or ".join(f"{label!r} and {pixels!r}" for label, pixels in _LABELLED)
    said = ", ".join(repr(name.strip()[:20]) for name in names[:6])
    raise UsageError(
        f"{path} lacks a column: its header is {said}; a table of pictures has {expected}, one of files 'path'"
    )


def _rows(path: Path, columns: _Columns) -> Iterator[tuple[int, list[str]]]:
    """Yield (row number, fields) below the header, with as many fields as the header has."""
    found = records(path)
    next(found)
    for number, row in enumerate(found):
        if len(row) != len(columns.names):
            raise UsageError(
                f"{path} row {number} has {len(row)} columns, not the header's {len(columns.names)} "
                f"({', '.join(name.strip() for name in columns.names)}); mend or remove the row"
            )
        yield number, row


def _wanted_rows(path: Path, columns: _Columns, wanted: frozenset[str] | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of the splits to read."""
    for number, row in _rows(path, columns):
        if wanted is None or _usage(row, columns) in wanted:
            yield number, row
        else:
            _check_usage(path, number, row, columns, wanted)


def _usage(row: list[str], columns: _Columns) -> str:
    """Return the split that a row belongs to."""
    return row[columns.usage].strip().casefold() if columns.usage is not None else ""


def _check_usage(path: Path, number: int, row: list[str], columns: _Columns, wanted: frozenset[str]) -> None:
    """Refuse a row that is passed over for a Usage which FER2013 does not have, where its splits are read."""
    if columns.usage is not None and wanted <= set(USAGES) and _usage(row, columns) not in USAGES:
        cell = _Cell(path, number, columns.names[columns.usage])
        said = row[columns.usage].strip()[:20]
        raise cell.error(f"{said!r} is none of Training, PublicTest and PrivateTest; write one, or read #all")


def _wanted(path: Path, columns: _Columns, usage: str | None, preferred: tuple[str, ...]) -> frozenset[str] | None:
    """Return the splits to read, None for everything."""
    if usage is not None and usage.casefold() == "all":
        return None
    if columns.usage is None:
        if usage is not None:
            raise UsageError(f"{path} has no column Usage to choose {usage!r} by; leave out #{usage}")
        return None
    asked = frozenset(preferred if usage is None else [usage.casefold()])
    if any(_usage(row, columns) in asked for _, row in _rows(path, columns)):
        return asked
    if usage is None:
        return None
    there = sorted({row[columns.usage].strip() for _, row in _rows(path, columns)})
    raise UsageError(f"{path} has no rows of Usage {usage!r}; it has {', '.join(there)}, and all")


def _picture(cell: _Cell, text: str, side: int) -> bytes:
    """Return the pixels of a square picture, of the size of the others where `side` is known."""
    try:
        picture = bytes(map(_PIXELS.__getitem__, text.split()))
    except _BadPixelError as error:
        raise cell.error(str(error)) from None
    if side and len(picture) != side * side:
        raise cell.error(f"{len(picture)} pixels, not {side * side} as the rows before; mend or remove the row")
    if not picture or isqrt(len(picture)) ** 2 != len(picture):
        raise cell.error(f"{len(picture)} pixels are no square picture; FER2013's are 48x48, 2304 pixels")
    return picture


def _labels(
    path: Path, columns: _Columns, rows: Sequence[int], texts: Sequence[str], classes: Sequence[str]
) -> Int[np.ndarray, " n"]:
    """Return the number of each row's class, by numbers or by names.

    Where classes are called by numbers, a column is of names where each of its labels is one and not all could be
    numbers of classes, or those mean the same; where they mean others nothing tells which was meant.
    """
    said = [text.strip() for text in texts]
    cells = [_Cell(path, row, columns.names[columns.label or 0]) for row in rows]
    if said and set(said) <= set(classes):
        named = np.array([classes.index(text) for text in said], np.int64)
        as_numbers = [int(text) if _NUMBER.fullmatch(text) else -1 for text in said]
        differ = [place for place, number in enumerate(as_numbers) if number != named[place]]
        if differ and all(0 <= number < len(classes) for number in as_numbers):
            first = said[differ[0]]
            raise cells[differ[0]].error(
                f"{first} may be the class called {first!r} or the one numbered so, {classes[int(first)]!r}; call the "
                "subject's classes by words, such as 'grade 1'"
            )
        return named
    return np.array([_label(cell, text, classes) for cell, text in zip(cells, said, strict=True)], np.int64)


_NUMBER = re.compile(r"[+-]?\d+")


def _label(cell: _Cell, text: str, classes: Sequence[str]) -> int:
    """Return a class's number."""
    last = len(classes) - 1
    if not _NUMBER.fullmatch(text):
        known = int(places_by_name([text], classes)[0])
        if known < 0:
            raise cell.error(f"{text[:20]!r} is not a number; write 0 ({classes[0]}) to {last}")
        return known
    label = int(text)
    if not 0 <= label <= last:
        raise cell.error(f"there is no class {label}; write 0 ({classes[0]}) to {last} ({classes[last]})")
    return label
