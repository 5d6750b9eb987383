"""The faces that a user names in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from harness.errors import UsageError, closest
from harness.faces.arrays import from_dataset, load_arrays
from harness.faces.faceset import FaceSet
from harness.faces.ferplus import holds_votes, load_votes
from harness.faces.folders import load_folder
from harness.faces.groups import grouped
from harness.faces.naming import aligned
from harness.faces.orl import load_orl
from harness.faces.rendered import load_rendered, load_rendered_shortcut
from harness.faces.tables import load_table
from harness.fetching import OUTSIDE
from harness.importing import call_without_arguments


@dataclass(frozen=True)
class BundledFaces:
    """A face set that the command line knows by name.

    Attributes
    ----------
    name
        What the command line calls it.
    loader
        Loads it.
    licence, what
        Terms of use, and one line on what it is.
    """

    name: str
    loader: Callable[[], FaceSet]
    licence: str
    what: str


FACES: Mapping[str, BundledFaces] = MappingProxyType(
    {
        faces.name: faces
        for faces in (
            BundledFaces(
                "rendered",
                load_rendered,
                "CC0",
                "rendered faces of unseen people with labels, regions and counterfactuals",
            ),
            BundledFaces(
                "rendered-shortcut",
                load_rendered_shortcut,
                "CC0",
                "rendered faces where a mark gives the class away",
            ),
            BundledFaces("orl", load_orl, OUTSIDE["orl"].licence, OUTSIDE["orl"].what),
        )
    }
)
"""Every face set known by name."""


_Classes: TypeAlias = tuple[str, ...] | None

_READERS: Mapping[str, Callable[[Path, str | None, bool, _Classes], FaceSet]] = MappingProxyType(
    {
        ".csv": lambda path, part, training, classes: _table(path, part, training, classes),
        ".npz": lambda path, part, _, classes: _arrays(path, part, classes),
    }
)


def load_faces(
    text: str, classes: tuple[str, ...] | None = None, *, training: bool = False, groups: str | None = None
) -> FaceSet:
    """Return the faces that `text` names.

    Parameters
    ----------
    text
        A bundled name; a path to a table (``.csv``), a folder of pictures or arrays (``.npz``); or
        ``file.py:function`` of a function without arguments that returns a :class:`FaceSet` or a torch dataset.
        ``path#part`` chooses a split, such as ``fer2013.csv#Training``, ``fer2013.csv#all`` or ``folder#train``.
    classes
        The subject's classes: labels are made to index them, matched by name; of a set without names of its own,
        numbers index them. None keeps the set's own.
    training
        To learn from: of a table or folder with splits, that for training is read where no part is chosen, not that
        for testing.
    groups
        Who is on each picture; see :func:`harness.faces.groups.grouped`. None keeps what the set itself knows.

    Raises
    ------
    UsageError
        Where nothing is called so, the file is damaged, or a face is of a class that `classes` lacks.
    """
    faces = FACES[text].loader() if text in FACES else _own_faces(text, training, classes)
    if groups is not None:
        path, part = (None, None) if text in FACES else _place(text)
        faces = grouped(faces, path if path is not None and path.exists() else None, part, groups, training=training)
    return faces if classes is None else aligned(faces, classes)


def _own_faces(text: str, training: bool, classes: _Classes) -> FaceSet:
    """Return the user's faces."""
    path, part = _place(text)
    if path.is_dir():
        return load_folder(path, part, training=training, classes=classes)
    if path.is_file():
        if path.suffix.casefold() not in _READERS:
            raise UsageError(f"{path} is no table of images; give .csv, .npz or a folder of pictures")
        return _READERS[path.suffix.casefold()](path, part, training, classes)
    if part is None and ".py:" in text:
        return _made(text, classes)
    raise UsageError(
        f"no images are called {text!r}{closest(text, FACES)} and there is no such file or folder; "
        f"there is {', '.join(FACES)}, or give a path"
    )


def _place(text: str) -> tuple[Path, str | None]:
    """Return the path, and the part of it that is asked for."""
    if not Path(text).exists() and "#" in text:
        before, _, part = text.rpartition("#")
        return Path(before), part
    return Path(text), None


def _table(path: Path, part: str | None, training: bool, classes: _Classes) -> FaceSet:
    """Return the pictures of a table, or those that a table of votes is about."""
    if holds_votes(path):
        return load_votes(path, part, training=training)
    return load_table(path, part, training=training, classes=classes)


def _arrays(path: Path, part: str | None, classes: _Classes) -> FaceSet:
    """Return the faces of arrays, which have no splits."""
    if part is not None:
        raise UsageError(f"{path} has no splits to choose {part!r} from; leave out #{part}")
    return load_arrays(path, classes)


def _made(text: str, classes: _Classes) -> FaceSet:
    """Return what the user's function makes."""
    made = call_without_arguments(text)
    if isinstance(made, FaceSet):
        return made
    if isinstance(made, tuple):
        raise UsageError(f"{text} returned a tuple; return FaceSet(name, images, classes, labels), or a torch dataset")
    if not hasattr(made, "__getitem__") or not hasattr(made, "__len__"):
        raise UsageError(f"{text} returned a {type(made).__name__}; return a FaceSet or a torch dataset")
    return from_dataset(made, text.rpartition(":")[2], subject_classes=classes)
