"""Classes are matched by name, never by position: every source has its own order."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from harness.class_names import seen
from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.names import MEAN_FACE, MEAN_IMAGE

_OTHER_WORDS = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear", "happiness": "happy",
    "sadness": "sad", "surprised": "surprise",
}  # fmt: skip

_JOINING = re.compile(r"(?<=[^\W\d_])[-\u2010-\u2015.'\u2019](?=[^\W\d_])")
"""What stands between two letters and joins them: a hyphen, a dot or an apostrophe."""


def places_by_name(names: Sequence[str], classes: Sequence[str]) -> Int[np.ndarray, " k"]:
    """Return the index in `classes` of each name, -1 where there is none.

    A name means the class that is written just so, however its letters are coded; else the one that differs in case
    and spaces alone; else in hyphens, dots and apostrophes within words, or as a noun from an adjective. Signs and
    what stands beside digits are kept: "A+" is not "A-", "-1" not "1", "1.5" not "15".

    Raises
    ------
    UsageError
        Where a name might be either of two classes, or two names would both be one class and are no two words for one
        expression.

    Examples
    --------
    >>> places_by_name(["anger", "HAPPY", "contempt"], EXPRESSIONS).tolist()
    [0, 3, -1]
    >>> places_by_name(["A-", "A+"], ["A+", "A-"]).tolist()
    [1, 0]
    """
    found = {name: _place(name, classes) for name in dict.fromkeys(names)}
    owners: dict[int, str] = {}
    for name, place in found.items():
        other = owners.setdefault(place, name)
        if place >= 0 and other != name and _key(name) not in _EXPRESSION_KEYS:
            raise UsageError(
                f"the names {other!r} and {name!r} would both be class {classes[place]!r}; write one class one way, "
                "and different classes in different letters or digits"
            )
    return np.array([found[name] for name in names], dtype=np.int64)


def _place(name: str, classes: Sequence[str]) -> int:
    """Return the index of the class that a name means, -1 where it means none."""
    for form in (str, seen, _plain, _key):
        held = [place for place, known in enumerate(classes) if form(known) == form(name) != ""]
        if len(held) > 1:
            either = " or ".join(repr(classes[place]) for place in held)
            raise UsageError(f"the name {name!r} may be class {either}; write it as the class is written")
        if held:
            return held[0]
    return -1


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


def are_expressions(classes: Sequence[str]) -> bool:
    """Whether every class is a facial expression: then the pictures are faces, and are called so.

    Examples
    --------
    >>> are_expressions(["happiness", "Sad"]), are_expressions(["Happy", "cat"])
    (True, False)
    """
    return all(_key(name) in _EXPRESSION_KEYS for name in classes)


def mean_name(classes: Sequence[str]) -> str:
    """Return what the control is called that shows the mean picture of a class."""
    return MEAN_FACE if are_expressions(classes) else MEAN_IMAGE


def numbered_classes(classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes that label numbers index where the pictures bring no names: the subject's own.

    Where all of those are expressions, or nothing is known of the subject, numbers are FER2013's.

    Examples
    --------
    >>> numbered_classes(["cat", "dog"]), numbered_classes(["Sad", "Happy"]) == EXPRESSIONS
    (('cat', 'dog'), True)
    """
    if classes is None or are_expressions(classes):
        return EXPRESSIONS
    return tuple(classes)


def order_notes(classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return what to know of label numbers that are FER2013's though the subject's classes stand in another order.

    Examples
    --------
    >>> order_notes(EXPRESSIONS), order_notes(["cat"])
    ((), ())
    """
    ordered = list(range(len(EXPRESSIONS)))
    if classes is None or not are_expressions(classes) or places_by_name(classes, EXPRESSIONS).tolist() == ordered:
        return ()
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(EXPRESSIONS))
    return (f"label numbers are FER2013's ({listed}), not places among the subject's classes",)


def _plain(name: str) -> str:
    """Return a name without case and spaces, but for those between digits."""
    spaced = re.sub(r"[\s_]+", " ", seen(seen(name).casefold()))
    return re.sub(r" (?!\d)|(?<!\d) ", "", spaced)


def _key(name: str) -> str:
    """Return a name without case, spaces, what joins words, and grammar."""
    plain = _JOINING.sub("", _plain(name))
    return _OTHER_WORDS.get(plain, plain)


_EXPRESSION_KEYS = frozenset(map(_key, EXPRESSIONS))
