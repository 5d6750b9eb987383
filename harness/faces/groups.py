"""Who is on each picture, where the user can tell: by a column, an array, a pattern in file names, or a function."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.faces.folders import picture_files
from harness.faces.tables import column
from harness.importing import load_object, reason


def grouped(faces: FaceSet, path: Path | None, part: str | None, groups: str, *, training: bool = False) -> FaceSet:
    """Return the faces with a person (or patient, or film) for each picture, who is then the sample of every test.

    Parameters
    ----------
    faces
        As read from `path`, in the order in which it was read.
    path, part, training
        The table, arrays or folder, None where the faces come from elsewhere; the split asked for; and whether it was
        read to learn from.
    groups
        ``file.py:function`` of a function from the face set to one name a picture; else of a table the name of a
        column, of arrays that of an array, of a folder a pattern (regular expression) that is searched in each
        picture's path within the folder and whose group, or whole match where it has none, is the name.

    Raises
    ------
    UsageError
        Where there is no such column, array or function, a name is missing, or their number is not that of the faces.
    """
    if ".py:" in groups:
        names = _called(groups, faces)
    elif path is None:
        raise UsageError(f"--groups {groups!r} needs images from a table, arrays or a folder; give file.py:function")
    elif path.is_dir():
        names = _matched(path, part, groups, training)
    elif path.suffix.casefold() == ".npz":
        names = _array(path, groups)
    else:
        cells = column(path, groups)
        names = [cells[row] for row in faces.ids]
    return _with_persons(faces, names, groups)


def _with_persons(faces: FaceSet, names: Sequence[object], groups: str) -> FaceSet:
    """Return the faces with named persons as numbers."""
    if len(names) != len(faces):
        raise UsageError(f"--groups {groups!r} names {len(names)} of {len(faces)} images; give one name an image")
    told = ["" if name is None or name != name else str(name).strip() for name in names]
    gaps = [place for place, name in enumerate(told) if not name]
    if gaps:
        raise UsageError(
            f"--groups {groups!r} leaves {len(gaps)} of {len(faces)} images without a name, first image "
            f"{faces.called(gaps[0])}; name every one, or leave out --groups"
        )
    return replace(faces, persons=np.unique(np.array(told), return_inverse=True)[1].astype(np.int64))


def _called(groups: str, faces: FaceSet) -> Sequence[object]:
    """Return what the user's function says of the faces."""
    function: Any = load_object(groups)
    try:
        return list(function(faces))
    except (Exception, SystemExit) as error:
        raise UsageError(f"{groups} raised {reason(error)}; it is given a FaceSet and returns a name each") from error


def _matched(path: Path, part: str | None, groups: str, training: bool) -> list[str]:
    """Return what the pattern finds in each picture's path."""
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise UsageError(f"--groups {groups!r} is no pattern ({error}); give a regular expression") from error
    if pattern.groups > 1:
        raise UsageError(f"--groups {groups!r} has {pattern.groups} groups; put one pair of brackets around the name")
    names = []
    for file in picture_files(path, part, training=training):
        found = pattern.search(file.relative_to(path).as_posix())
        if found is None:
            raise UsageError(f"--groups {groups!r} is not found in {file.relative_to(path)}; every picture needs it")
        names.append(found[pattern.groups] or "")
    return names


def _array(path: Path, groups: str) -> list[object]:
    """Return an array of names or numbers."""
    with np.load(path, allow_pickle=False) as held:
        if groups not in held.files:
            raise UsageError(f"{path} has no array {groups!r}; it has {', '.join(held.files)}")
        values = held[groups]
    if values.ndim != 1:
        raise UsageError(f"{path}: {groups} has shape {values.shape}; give one name or number an image")
    return list(values.tolist())
