"""Faces from numpy arrays and torch datasets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.faces.naming import expression_classes, numbered_classes, order_notes, places_by_name
from harness.faces.pictures import picture_pixels, pixels
from harness.faces.stated import LABEL_KEYS, PICTURE_KEYS, stated_classes
from harness.importing import reason


def load_arrays(path: Path, subject_classes: Sequence[str] | None = None) -> FaceSet:
    """Return the faces of an ``.npz`` file.

    It holds ``images``, whole numbers 0 to 255, (n, h, w) or (n, h, w, 3), and where known ``labels`` (numbers, or
    names), ``classes`` (names that the numbers index; by default the subject's, or FER2013's where those are all
    expressions or there is no subject), ``persons``, ``ids`` and ``names`` (of the images, no two alike).

    Raises
    ------
    UsageError
        Naming the array that is missing or wrong.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except UsageError:
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as .npz ({what}); write it with numpy.savez_compressed") from error
    if "images" not in arrays:
        raise UsageError(f"{path} has no array 'images'; it has {', '.join(arrays) or 'nothing'}")
    classes, labels = _classes_and_labels(path, arrays, numbered_classes(subject_classes))
    numbered = labels is not None and "classes" not in arrays and arrays["labels"].dtype.kind != "U"
    return FaceSet(
        name=path.stem,
        images=pixels(arrays["images"], f"{path}: images"),
        classes=classes,
        labels=labels,
        ids=_numbers(path, arrays, "ids") if "ids" in arrays else np.arange(len(arrays["images"])),
        persons=_numbers(path, arrays, "persons") if "persons" in arrays else None,
        names=tuple(map(str, arrays["names"].ravel().tolist())) if "names" in arrays else (),
        notes=(*_unread(path, arrays), *(_number_notes(path, classes, subject_classes) if numbered else ())),
    )


def _number_notes(path: Path, classes: Sequence[str], subject_classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return what to know of label numbers without names."""
    if subject_classes is not None:
        return order_notes(subject_classes)
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
    return (f"{path.name} names no classes: its label numbers are taken for {listed}; write an array 'classes'",)


READ = ("images", "labels", "classes", "persons", "ids", "names")
"""The arrays of an ``.npz`` file that are read."""


def _unread(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Say which arrays are passed over: one may be meant for one that is read."""
    others = [key for key in arrays if key not in READ]
    return (f"of {path.name} {', '.join(others)} is not read; arrays are called {', '.join(READ)}",) if others else ()


def from_dataset(
    dataset: Any, name: str, classes: Sequence[str] | None = None, subject_classes: Sequence[str] | None = None
) -> FaceSet:
    """Return the faces of a torch dataset.

    Parameters
    ----------
    dataset
        Has a length and gives a picture, (picture, label), more values of which the rest is not read, or a dictionary
        with ``image`` (``img``) and ``label`` (``labels``, ``target``, ``class``). A picture is a PIL image, an array
        (h, w) or (h, w, 3) of 0 to 255, or a tensor (c, h, w) or (h, w) of bytes 0 to 255 or of numbers 0 to 1; a label
        a number, a name, or one-hot.
    name
        What tables call the set.
    classes
        Names that its labels index; by default those that it states (:func:`harness.faces.stated.stated_classes`), else
        those of the subject, as which the network learnt them, else FER2013's.
    subject_classes
        The subject's, where there is one.

    Raises
    ------
    UsageError
        Naming the item that is wrong: one that raises, is normalised, of another size than the first, or without label
        where others have one.
    """
    found: list[np.ndarray] = []
    labels: list[Any] = []
    named = _names(dataset, name, classes, subject_classes)
    notes = dict[str, None]()
    for number in range(len(dataset)):
        what = f"{name}: item {number}"
        try:
            item = dataset[number]
        except Exception as error:
            raise UsageError(f"{what} raised {reason(error)}; mend the dataset") from error
        picture, label = _parts(item, what, notes)
        found.append(_item_pixels(picture, what))
        labels.append(None if label is None else _item_label(label, named, what))
        if found[-1].shape != found[0].shape:
            raise UsageError(
                f"{name}: item {number} has shape {found[-1].shape}, but item 0 has {found[0].shape}; resize all to one"
            )
        if (labels[-1] is None) != (labels[0] is None):
            without = number if label is None else 0
            raise UsageError(f"{name}: item {without} has no label, but others have; label all or none")
    if not found:
        raise UsageError(f"dataset {name!r} is empty; give at least one picture")
    return FaceSet(
        name=name,
        images=np.stack(found),
        classes=named,
        labels=None if labels[0] is None else np.array(labels, dtype=np.int64),
        notes=tuple(notes),
    )


def _names(
    dataset: Any, name: str, classes: Sequence[str] | None, subject_classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names that label numbers index."""
    named = tuple(classes) if classes is not None else stated_classes(dataset, name)
    if named is not None:
        return named
    return EXPRESSIONS if subject_classes is None else tuple(subject_classes)


def _parts(item: Any, what: str, notes: dict[str, None]) -> tuple[Any, Any]:
    """Return an item's picture and label; note what else there is where there is no label."""
    if isinstance(item, Mapping):
        picture = next((key for key in PICTURE_KEYS if key in item), None)
        if picture is None:
            raise UsageError(f"{what} is a dictionary of {', '.join(map(str, item))}; give one with image and label")
        label = next((key for key in LABEL_KEYS if key in item), None)
        if label is None and len(item) > 1:
            others = ", ".join(str(key) for key in item if key != picture)
            notes[f"items without a label: there is {others}, but none of {', '.join(LABEL_KEYS)}"] = None
        return item[picture], None if label is None else item[label]
    if isinstance(item, tuple | list):
        return (item[0], None) if len(item) == 1 else (item[0], item[1])
    return item, None


def _item_label(label: Any, classes: tuple[str, ...], what: str) -> int:
    """Return the number of an item's class."""
    if isinstance(label, str):
        place = int(places_by_name([label], classes)[0])
        if place < 0:
            raise UsageError(f"{what} is labelled {label!r}, which is none of {', '.join(classes)}; rename it")
        return place
    values = np.asarray(label)
    if values.shape == (len(classes),) != (1,) and np.isin(values, (0, 1)).all() and values.sum() == 1:
        return int(values.argmax())
    if values.size != 1 or values.dtype.kind not in "iuf" or not float(values.item()).is_integer():
        raise UsageError(
            f"{what} has a label {' '.join(repr(label).split())[:60]}; give the number of a class, its name, or one-hot"
        )
    return int(values.item())


def _classes_and_labels(
    path: Path, arrays: dict[str, np.ndarray], numbered: tuple[str, ...]
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"] | None]:
    """Return the names of the classes, and labels as indices of them."""
    named = tuple(str(name) for name in np.atleast_1d(arrays["classes"])) if "classes" in arrays else None
    if "labels" not in arrays:
        return named or numbered, None
    if arrays["labels"].dtype.kind != "U":
        return named or numbered, _numbers(path, arrays, "labels")
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
        held = picture.detach().cpu()
        array = (held.double() if held.is_floating_point() else held).numpy()
        last = array.ndim == 3 and array.shape[2] in (1, 3) and array.shape[0] not in (1, 3)
        array = array.transpose(1, 2, 0) if array.ndim == 3 and not last else array
        if np.issubdtype(array.dtype, np.floating):
            if not np.isfinite(array).all():
                raise UsageError(f"{what} holds NaN or infinity; mend the picture")
            if not ((array >= 0) & (array <= 1)).all():
                raise UsageError(
                    f"{what} has values outside 0 to 1, from {array.min():g} to {array.max():g}; give them as "
                    "they are, not normalised (take Normalize out of a dataset's transforms), or bytes 0 to 255"
                )
            array = np.round(array * 255).astype(np.uint8)
    else:
        array = picture_pixels(picture, what) if isinstance(picture, Image.Image) else np.asarray(picture)
    one: UInt8[np.ndarray, "h w *colour"] = pixels(array[None], what)[0]
    return one
