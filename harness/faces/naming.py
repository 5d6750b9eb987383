"""Classes are matched by name, never by position: every source has its own order."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, FaceSet

_OTHER_WORDS = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear", "happiness": "happy",
    "sadness": "sad", "surprised": "surprise",
}  # fmt: skip


def places_by_name(names: Sequence[str], classes: Sequence[str]) -> Int[np.ndarray, " k"]:
    """Return the index in `classes` of each name, -1 where there is none.

    Case, spaces and punctuation do not matter, and an emotion may be named as a noun or an adjective.

    Examples
    --------
    >>> places_by_name(["anger", "HAPPY", "contempt"], EXPRESSIONS).tolist()
    [0, 3, -1]
    """
    place = {_key(name): position for position, name in enumerate(classes)}
    return np.array([place.get(_key(name), -1) for name in names], dtype=np.int64)


def expression_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return :data:`EXPRESSIONS` where every name is one of them, else the names themselves, sorted."""
    return EXPRESSIONS if (places_by_name(names, EXPRESSIONS) >= 0).all() else tuple(sorted(names))


def aligned(faces: FaceSet, classes: tuple[str, ...]) -> FaceSet:
    """Return the faces with labels that index `classes`, matched by name.

    Raises
    ------
    UsageError
        Where a face is of a class that `classes` lacks.
    """
    if faces.classes == classes or faces.labels is None:
        return replace(faces, classes=classes)
    places = places_by_name(faces.classes, classes)
    labels = places[faces.labels]
    if (labels < 0).any():
        lost = faces.classes[int(faces.labels[np.argmin(labels)])]
        raise UsageError(
            f"face set {faces.name!r} has {int((labels < 0).sum())} images of classes that the subject lacks, "
            f"such as {lost!r}; its classes are {', '.join(classes)}: name both alike, or leave those images out"
        )
    return replace(faces, classes=classes, labels=labels)


def _key(name: str) -> str:
    """Return a name without case, spaces, punctuation and grammar."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return _OTHER_WORDS.get(plain, plain)
