"""Pictures in folders named after their classes, such as ``test/angry/17.jpg``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.faces.naming import expression_classes, places_by_name

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Files that count as pictures."""

_SPLITS = frozenset({"train", "training", "valid", "validation", "val", "test", "publictest", "privatetest"})
_TEST, _TRAINING = ("test",), ("train", "training")
_GREY = frozenset({"1", "L", "LA"})


def load_folder(path: Path, split: str | None = None, *, training: bool = False) -> FaceSet:
    """Return the pictures of a folder, all of one size, sorted by path; ids are their places in that order.

    A class is matched by its folder's name, in any case and order. Where all names are expressions, classes are
    FER2013's in FER2013's order; otherwise the names, sorted. A folder of pictures without class folders gives an
    unlabelled set.

    Parameters
    ----------
    path
        The folder. It may hold splits (``train``, ``test`` ...) that hold the class folders.
    split
        Which split to read, or ``"all"``; by default ``test`` where there is one, else everything.
    training
        Read ``train`` (or ``training``) by default, not ``test``.

    Raises
    ------
    UsageError
        Naming the first file or folder that is wrong: unreadable, of another size than the others, without pictures.
    """
    name = path.resolve().name if split is None else f"{path.resolve().name}#{split}"
    folders = _class_folders(path, split, training)
    pictures = picture_files(path, split, training=training)
    if not folders:
        return FaceSet(name=name, images=_stacked(pictures), classes=expression_classes([]))
    owners = [picture.parent.name for picture in pictures]
    classes = expression_classes(sorted(set(owners)))
    return FaceSet(name=name, images=_stacked(pictures), classes=classes, labels=places_by_name(owners, classes))


def picture_files(path: Path, split: str | None = None, *, training: bool = False) -> list[Path]:
    """Return the files that :func:`load_folder` reads, in its order.

    Raises
    ------
    UsageError
        Where the folder or one of its class folders holds no pictures.
    """
    folders = _class_folders(path, split, training)
    if not folders:
        roots = _roots(path, split, _TRAINING if training else _TEST)
        pictures = sorted(file for root in roots for file in _pictures(root))
        if not pictures:
            raise UsageError(f"folder {path} holds no pictures; give folders named after classes, such as angry/1.png")
        return pictures
    empty = [folder for folder in folders if not _pictures(folder)]
    if empty:
        raise UsageError(f"class folder {empty[0]} holds no pictures; add some or remove the folder")
    return [file for folder in folders for file in _pictures(folder)]


def _class_folders(path: Path, split: str | None, training: bool) -> list[Path]:
    """Return the folders named after classes, sorted."""
    roots = _roots(path, split, _TRAINING if training else _TEST)
    return sorted(folder for root in roots for folder in _subfolders(root))


def read_picture(path: Path) -> UInt8[np.ndarray, "h w *colour"]:
    """Return one picture, upright, grey (h, w) or colour (h, w, 3).

    Raises
    ------
    UsageError
        Where it cannot be read or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(("I", "F")):
                raise UsageError(f"picture {path} has more than 8 bits a channel; save it with 8")
            upright = ImageOps.exif_transpose(picture)
            return np.array(upright.convert("L" if upright.mode in _GREY else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = " ".join(str(error).split())
        raise UsageError(f"picture {path} cannot be read ({what}); replace or remove it") from error


def _stacked(paths: Sequence[Path]) -> UInt8[np.ndarray, "n h w *colour"]:
    """Return pictures as one array, colour where any has colour."""
    pictures = [read_picture(path) for path in paths]
    height, width = pictures[0].shape[:2]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise UsageError(
                f"picture {path} is {picture.shape[1]}x{picture.shape[0]}, but {paths[0]} is {width}x{height}; "
                "bring all pictures to one size"
            )
    if len({picture.ndim for picture in pictures}) > 1:
        pictures = [np.repeat(p[..., None], 3, axis=2) if p.ndim == 2 else p for p in pictures]
    return np.stack(pictures)


def _roots(path: Path, split: str | None, preferred: tuple[str, ...]) -> list[Path]:
    """Return the folders that hold the class folders."""
    splits = {folder.name.casefold(): folder for folder in _subfolders(path)}
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
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures right in a folder, sorted."""
    visible = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in visible if entry.suffix.casefold() in SUFFIXES)
