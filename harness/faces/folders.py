"""Pictures in folders named after their classes, such as ``test/angry/17.jpg``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.faces.naming import expression_classes, numbered_classes, places_by_name
from harness.faces.pictures import picture_pixels
from harness.names import one_line

_SPLITS = frozenset({"train", "training", "valid", "validation", "val", "test", "publictest", "privatetest"})
_TEST, _TRAINING = ("test", "val", "valid", "validation"), ("train", "training")
_HIDDEN = (".", "__MACOSX", "__pycache__")


def load_folder(
    path: Path, split: str | None = None, *, training: bool = False, classes: Sequence[str] | None = None
) -> FaceSet:
    """Return the pictures of a folder, all of one size, sorted by path; ids are their places in that order.

    Each picture is named by its path within the folder, which stays when others are added.

    A class is matched by its folder's name, in any case and order. Where all names are expressions, classes are
    FER2013's in FER2013's order; otherwise the names, sorted. A folder of pictures without class folders gives an
    unlabelled set. Every file that Pillow knows as a picture is read, folders within a class folder's and linked ones
    included; it is noted how many other files lie there, which splits are not read, and of which files only the first
    of several frames is.

    Parameters
    ----------
    path
        The folder. It may hold splits (``train``, ``test`` ...) that hold the class folders.
    split
        Which split to read, or ``"all"``; by default ``test`` where there is one, else validation, else everything.
    training
        Read ``train`` (or ``training``) by default, not ``test``.
    classes
        The subject's classes, which an unlabelled set has.

    Raises
    ------
    UsageError
        Naming the first file or folder that is wrong: unreadable, of another size than the others, without pictures.
    """
    name = path.resolve().name if split is None else f"{path.resolve().name}#{split}"
    held = _held(path, split, training)
    names = tuple(path_name(file, path) for file in held.pictures)
    images, seen_of_them = stacked_pictures(held.pictures)
    named = expression_classes(sorted(set(held.owners))) if held.owners else numbered_classes(classes)
    return FaceSet(
        name=name,
        images=images,
        classes=named,
        labels=places_by_name(held.owners, named) if held.owners else None,
        notes=(*_split_notes(path, split, training), *_notes(path, held), *seen_of_them),
        names=names,
    )


def path_name(file: Path, folder: Path) -> str:
    """Return what the picture in a file is called: its path within a folder, in one line and with slashes anywhere."""
    return one_line(file.relative_to(folder).as_posix())


def picture_files(path: Path, split: str | None = None, *, training: bool = False) -> list[Path]:
    """Return the files that :func:`load_folder` reads, in its order.

    Raises
    ------
    UsageError
        Where the folder or one of its class folders holds no pictures.
    """
    return list(_held(path, split, training).pictures)


@dataclass(frozen=True)
class _Held:
    """Pictures, the name of each one's class folder (none where there are no such folders), and files left out."""

    pictures: list[Path]
    owners: list[str]
    others: list[Path]


def _held(path: Path, split: str | None, training: bool) -> _Held:
    """Return what a folder holds."""
    roots = _roots(path, split, _TRAINING if training else _TEST)
    folders = sorted(folder for root in roots for folder in _subfolders(root))
    loose = [file for root in roots for file in _files(root)]
    if not folders:
        pictures = [file for file in loose if _is_picture(file)]
        if not pictures:
            raise UsageError(f"folder {path} holds no pictures; give folders named after classes, such as angry/1.png")
        return _Held(pictures, [], [file for file in loose if file not in set(pictures)])
    held = _Held([], [], loose)
    for folder in folders:
        files = _files_below(folder)
        pictures = [file for file in files if _is_picture(file)]
        if not any(file.parent == folder for file in pictures):
            below = f" of its own, only in {pictures[0].parent}" if pictures else ""
            raise UsageError(
                f"class folder {folder} holds no pictures{below}; put pictures right into folders named after classes"
            )
        held.pictures.extend(pictures)
        held.owners.extend([folder.name] * len(pictures))
        held.others.extend(sorted(set(files) - set(pictures)))
    lost = [file for file in loose if _is_picture(file)]
    if lost:
        raise UsageError(
            f"folder {lost[0].parent} holds class folders and {len(lost)} pictures beside them, such as "
            f"{lost[0].name}, of which no class is known; put them into a class folder, or elsewhere"
        )
    return held


def _notes(path: Path, held: _Held) -> tuple[str, ...]:
    """Return how many files were not read, and why."""
    if not held.others:
        return ()
    count = f"{len(held.others)} file{'s' if len(held.others) > 1 else ''}"
    return (f"{count} in {path} not read, since Pillow knows no picture there: first {held.others[0]}",)


def _split_notes(path: Path, split: str | None, training: bool) -> tuple[str, ...]:
    """Return which splits are not read where none was asked for."""
    read = _roots(path, split, _TRAINING if training else _TEST)
    left = [folder.name for folder in _subfolders(path) if folder not in read] if read != [path] else []
    chosen = ", ".join(folder.name for folder in read)
    if split is None and len(read) > 1:
        return (f"of {path} the splits {chosen} are read together; #{read[0].name} reads one",)
    if split is not None or not left:
        return ()
    return (f"of {path} the split {chosen} is read, not {', '.join(left)}; #all reads all, #{left[0]} another",)


def read_picture(path: Path) -> UInt8[np.ndarray, "h w *colour"]:
    """Return one picture, upright, grey (h, w) or colour (h, w, 3); of several frames the first.

    Raises
    ------
    UsageError
        Where it cannot be read, or its pixels cannot be made 8 bits a channel; see :func:`picture_pixels`.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[UInt8[np.ndarray, "h w *colour"], int]:
    """Return one picture, and how many frames its file holds; what a camera adds to its own JPEG is no frame."""
    try:
        with Image.open(path) as picture:
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            return picture_pixels(ImageOps.exif_transpose(picture), f"picture {path}"), frames
    except UsageError:
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())
        raise UsageError(f"picture {path} cannot be read ({what}); replace or remove it") from error


def stacked_pictures(paths: Sequence[Path]) -> tuple[UInt8[np.ndarray, "n h w *colour"], tuple[str, ...]]:
    """Return pictures as one array, colour where any has colour, and what a reader should know of how they were read.

    Raises
    ------
    UsageError
        Naming the first that cannot be read, or is of another size than the first.
    """
    read = [_read(path) for path in paths]
    pictures = [picture for picture, _ in read]
    moving = [path for path, (_, frames) in zip(paths, read, strict=True) if frames > 1]
    notes = (f"of {len(moving)} files that hold several frames the first is read: {moving[0]}",) if moving else ()
    height, width = pictures[0].shape[:2]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise UsageError(
                f"picture {path} is {picture.shape[1]}x{picture.shape[0]}, but {paths[0]} is {width}x{height}; "
                "bring all pictures to one size"
            )
    if len({picture.ndim for picture in pictures}) > 1:
        pictures = [np.repeat(p[..., None], 3, axis=2) if p.ndim == 2 else p for p in pictures]
    return np.stack(pictures), notes


def _roots(path: Path, split: str | None, preferred: tuple[str, ...]) -> list[Path]:
    """Return the folders that hold the class folders."""
    folders = _subfolders(path)
    splits = {folder.name.casefold(): folder for folder in folders}
    if splits.keys() <= _SPLITS and len(splits) < len(folders):
        raise UsageError(f"folder {path} has a split twice, as {', '.join(each.name for each in folders)}; rename one")
    if not splits or not splits.keys() <= _SPLITS:
        if split is not None and split.casefold() != "all":
            raise UsageError(f"folder {path} has no splits to choose {split!r} from; leave out #{split}")
        return [path]
    chosen = preferred if split is None else (split.casefold(),)
    found = [splits[name] for name in chosen if name in splits]
    if found:
        return found[:1]
    if split is None or split.casefold() == "all":
        return list(splits.values())
    raise UsageError(f"folder {path} has no split {split!r}; it has {', '.join(sorted(splits))}, and all")


def _subfolders(path: Path) -> list[Path]:
    """Return the visible folders in a folder."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(_HIDDEN))


def _files(folder: Path) -> list[Path]:
    """Return the visible files right in a folder, sorted."""
    return _plain(entry for entry in folder.iterdir() if not entry.name.startswith(_HIDDEN) and not entry.is_dir())


def _files_below(folder: Path) -> list[Path]:
    """Return the visible files in a folder and in those within it, sorted."""
    return _plain(_walked(folder, frozenset(folder.resolve().parents)))


def _walked(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Yield visible files below a folder; a link back to one of those `above`, which would have no end, is passed."""
    above |= {folder.resolve()}
    for entry in folder.iterdir():
        if entry.name.startswith(_HIDDEN):
            continue
        if not entry.is_dir():
            yield entry
        elif entry.resolve() not in above:
            yield from _walked(entry, above)


def _plain(files: Iterable[Path]) -> list[Path]:
    """Return files, sorted; refuse one that is no plain file, such as a pipe that would be waited for."""
    found = sorted(files)
    strange = [file for file in found if file.exists() and not file.is_file()]
    if strange:
        raise UsageError(f"{strange[0]} is a pipe, socket or device and no picture; remove it")
    return found  # a link that leads nowhere too: it cannot be read, and says so


@cache
def _suffixes() -> frozenset[str]:
    """Return the endings of the files that Pillow opens."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def _is_picture(file: Path) -> bool:
    """Whether a file is a picture by its ending or, where that says nothing, by its content."""
    if file.suffix.casefold() in _suffixes():
        return True
    try:
        with Image.open(file):
            return True
    except Exception:  # damaged bytes make a reader stumble over anything
        return False
