"""Faces from numpy arrays and torch datasets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Int, UInt8

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.faces.naming import expression_classes, places_by_name


def load_arrays(path: Path) -> FaceSet:
    """Return the faces of an ``.npz`` file.

    It holds ``images``, whole numbers 0 to 255, (n, h, w) or (n, h, w, 3), and where known ``labels`` (numbers, or
    names), ``classes`` (names that the numbers index, FER2013's by default), ``persons`` and ``ids``.

    Raises
    ------
    UsageError
        Naming the array that is missing or wrong.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, BadZipFile, EOFError, AttributeError, TypeError) as error:
        what = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as .npz ({what}); write it with numpy.savez_compressed") from error
    if "images" not in arrays:
        raise UsageError(f"{path} has no array 'images'; it has {', '.join(arrays) or 'nothing'}")
    classes, labels = _classes_and_labels(path, arrays)
    return FaceSet(
        name=path.stem,
        images=pixels(arrays["images"], f"{path}: images"),
        classes=classes,
        labels=labels,
        ids=_numbers(path, arrays, "ids") if "ids" in arrays else np.arange(len(arrays["images"])),
        persons=_numbers(path, arrays, "persons") if "persons" in arrays else None,
    )


def from_dataset(dataset: Any, name: str, classes: Sequence[str] | None = None) -> FaceSet:
    """Return the faces of a torch dataset.

    Parameters
    ----------
    dataset
        Has a length and gives (picture, label) or a picture; a picture is a PIL image, an array (h, w) or (h, w, 3)
        of 0 to 255, or a tensor (c, h, w) or (h, w) of bytes 0 to 255 or of numbers 0 to 1.
    name
        What tables call the set.
    classes
        Names that its labels index; by default its own ``classes``, else FER2013's.

    Raises
    ------
    UsageError
        Naming the item that is wrong: normalised, or of another size than the first.
    """
    found, labels = [], []
    for number in range(len(dataset)):
        item = dataset[number]
        picture, label = item if isinstance(item, tuple | list) else (item, None)
        found.append(_item_pixels(picture, f"{name}: item {number}"))
        labels.append(label)
        if found[-1].shape != found[0].shape:
            raise UsageError(
                f"{name}: item {number} has shape {found[-1].shape}, but item 0 has {found[0].shape}; resize all to one"
            )
    if not found:
        raise UsageError(f"dataset {name!r} is empty; give at least one picture")
    return FaceSet(
        name=name,
        images=np.stack(found),
        classes=tuple(classes if classes is not None else getattr(dataset, "classes", EXPRESSIONS)),
        labels=None if labels[0] is None else np.array([int(label) for label in labels], dtype=np.int64),
    )


def pixels(images: np.ndarray, what: str) -> UInt8[np.ndarray, "n h w *colour"]:
    """Return images as bytes, (n, h, w) or (n, h, w, 3), where they are whole numbers 0 to 255.

    Raises
    ------
    UsageError
        Where they have another shape, fractions, or a value outside; `what` names them.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise UsageError(f"{what} have shape {images.shape}; give (n, h, w), or (n, h, w, 3) for colour")
    if not np.issubdtype(images.dtype, np.integer):
        raise UsageError(f"{what} are {images.dtype}; give whole numbers 0 to 255 (multiply by 255 what is 0 to 1)")
    if images.dtype != np.uint8:
        bad = np.argwhere((images < 0) | (images > 255))
        if len(bad):
            raise UsageError(f"{what}: image {bad[0][0]} has a pixel {images[tuple(bad[0])]}; give 0 to 255")
    return images.astype(np.uint8)


def _classes_and_labels(
    path: Path, arrays: dict[str, np.ndarray]
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"] | None]:
    """Return the names of the classes, and labels as indices of them."""
    named = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else None
    if "labels" not in arrays:
        return named or EXPRESSIONS, None
    if arrays["labels"].dtype.kind != "U":
        return named or EXPRESSIONS, _numbers(path, arrays, "labels")
    _check_length(path, arrays, "labels")
    words = [str(word) for word in arrays["labels"]]
    classes = named or expression_classes(sorted(set(words)))
    labels = places_by_name(words, classes)
    if (labels < 0).any():
        row = int(np.argmin(labels))
        raise UsageError(f"{path}: label {row} is {words[row]!r}, which is none of {', '.join(classes)}; rename it")
    return classes, labels


def _numbers(path: Path, arrays: dict[str, np.ndarray], key: str) -> Int[np.ndarray, " n"]:
    """Return an array of one whole number an image."""
    values = arrays[key]
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise UsageError(f"{path}: {key} are {values.dtype} of shape {values.shape}; give one whole number an image")
    _check_length(path, arrays, key)
    return values.astype(np.int64, copy=False)


def _check_length(path: Path, arrays: dict[str, np.ndarray], key: str) -> None:
    """There must be one of `key` an image."""
    images, values = len(arrays["images"]), len(arrays[key])
    if images != values:
        raise UsageError(f"{path} has {images} images but {values} {key}; give one each")


def _item_pixels(picture: Any, what: str) -> UInt8[np.ndarray, "h w *colour"]:
    """Return one item's picture as bytes."""
    if isinstance(picture, torch.Tensor):
        array = picture.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
        if np.issubdtype(array.dtype, np.floating):
            if not ((array >= 0) & (array <= 1)).all():
                raise UsageError(f"{what} has values outside 0 to 1; take Normalize out of the dataset's transforms")
            array = np.round(array * 255).astype(np.uint8)
    else:
        array = np.asarray(picture)
    one: UInt8[np.ndarray, "h w *colour"] = pixels(array[None], what)[0]
    return one
