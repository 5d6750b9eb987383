"""The pictures under which a network is judged, and all that is known about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from harness.class_names import class_names
from harness.digest import digest
from harness.errors import UsageError, closest
from harness.faces.pictures import pixels
from harness.names import name_fault, one_line

EXPRESSIONS = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
"""FER2013's classes in FER2013's order."""


@dataclass(frozen=True)
class Counterfactuals:
    """The same faces with one group of facial actions changed, and nothing else.

    Attributes
    ----------
    faces
        Index into the face set of each face that has counterfactuals, shape (m,).
    groups
        Names of the groups of actions, length g.
    at_rest
        The face with one group of actions put back to neutral, shape (m, g, h, w).
    alone
        The neutral face of the same person under the same light, pose and noise, with only that group acting.
    """

    faces: Int[np.ndarray, " m"]
    groups: tuple[str, ...]
    at_rest: UInt8[np.ndarray, "m g h w"]
    alone: UInt8[np.ndarray, "m a h w"]


@dataclass(frozen=True)
class FaceSet:
    """Pictures with their classes and whatever else is known of them.

    Attributes
    ----------
    name
        What tables call the set.
    images
        Grey (n, h, w) or colour (n, h, w, 3) pictures, 0 to 255; other numbers of channels are kept, channels last.
    classes
        Names of the classes that labels index.
    labels
        Class of each image, or None for a set that has no labels.
    ids
        Index of each image in its source, so that a picture can be found again.
    persons
        Who is on each image, or None where unknown.
    evidence
        Named maps of pixels known to matter, each (n, h, w), higher is more relevant.
    parts, part_names
        Facial region of each pixel as an index into `part_names`, or None.
    counterfactuals
        Faces re-rendered with parts at rest, or None.
    licence
        Under which terms the pictures may be used.
    notes
        What a reader of results should know of how they were read.
    names
        What each image is called where its number says little, such as its file's path within its folder; no two are
        called alike. Empty where ids are all there is.

    Raises
    ------
    UsageError
        Where pictures are no whole numbers 0 to 255 (see :func:`harness.faces.pictures.pixels`), something is not one
        an image, or a label names no class.
    """

    name: str
    images: Shaped[np.ndarray, "n h w *colour"]
    classes: tuple[str, ...]
    labels: Int[np.ndarray, " n"] | None = None
    ids: Int[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))
    persons: Int[np.ndarray, " n"] | None = None
    evidence: Mapping[str, Float[np.ndarray, "n h w"]] = field(default_factory=dict)
    parts: UInt8[np.ndarray, "n h w"] | None = None
    part_names: tuple[str, ...] = ()
    counterfactuals: Counterfactuals | None = None
    licence: str = "unknown"
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", pixels(self.images, f"image set {self.name!r}: images"))
        if name_fault(self.name):
            raise UsageError(f"image set {self.name!r:.60}: its name is {name_fault(self.name)}")
        object.__setattr__(self, "classes", class_names(self.classes, f"image set {self.name!r}"))
        if len(self.images) == 0:
            raise UsageError(f"image set {self.name!r} has no images; give a set with at least one")
        if not len(self.ids):
            object.__setattr__(self, "ids", np.arange(len(self.images)))
        aligned: dict[str, Sequence[object] | np.ndarray | None] = {
            "labels": self.labels, "ids": self.ids, "persons": self.persons, "parts": self.parts, **self.evidence,
            "names": self.names or None,
        }  # fmt: skip
        for what, values in aligned.items():
            if values is not None and len(values) != len(self.images):
                raise UsageError(
                    f"image set {self.name!r} has {len(self.images)} images but {len(values)} {what}; give one each"
                )
        self._check_names()
        for what in ("labels", "ids", "persons"):
            self._check_numbers(what)
        self._check_labels()
        self._check_maps()

    def _check_names(self) -> None:
        """Every name is one line of text, and names one image."""
        object.__setattr__(self, "names", tuple(self.names))
        seen: dict[str, int] = {}
        for place, name in enumerate(self.names):
            if not isinstance(name, str) or not name.strip() or one_line(name) != name:
                raise UsageError(
                    f"image set {self.name!r}: the name {name!r:.80} of image {self.ids[place]} is no line of text; "
                    "give each image a name in letters or digits"
                )
            if seen.setdefault(name, place) != place:
                raise UsageError(
                    f"image set {self.name!r} calls images {self.ids[seen[name]]} and {self.ids[place]} both {name!r}; "
                    "give each image a name of its own"
                )

    def _check_numbers(self, what: str) -> None:
        """Labels, ids and persons are one whole number an image; persons may be names, which are numbered."""
        given = getattr(self, what)
        if given is None:
            return
        values = np.asarray(given)
        if what == "persons" and values.ndim == 1 and values.dtype.kind == "U":
            values = np.unique(values, return_inverse=True)[1].astype(np.int64)
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            each = "the number of its class" if what == "labels" else "a whole number"
            held = f"{what} are {values.dtype} of shape {values.shape}"
            raise UsageError(f"image set {self.name!r}: {held}; give {each} for each image")
        object.__setattr__(self, what, values)

    def _check_maps(self) -> None:
        """Evidence and parts are of the pictures' size, and evidence is finite."""
        size = self.images.shape[1:3]
        for what, maps in {**self.evidence, **({} if self.parts is None else {"parts": self.parts})}.items():
            if maps.shape[1:] != size:
                raise UsageError(
                    f"image set {self.name!r}: {what} are of shape {maps.shape}, but its pictures are "
                    f"{size[0]} x {size[1]}; give one value a pixel"
                )
            if not np.isfinite(maps).all():
                raise UsageError(f"image set {self.name!r}: {what} hold NaN or infinity; give a number for each pixel")

    def _check_labels(self) -> None:
        """Every label must name a class."""
        if self.labels is None:
            return
        labels = self.labels
        bad = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if len(bad):
            raise UsageError(
                f"image set {self.name!r}: image {self.called(int(bad[0]))} has label {labels[bad[0]]}, "
                f"but there are {len(self.classes)} classes; use 0 to {len(self.classes) - 1}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def called(self, place: int) -> str:
        """Return what the image at an index is called: its name, else its id."""
        return self.names[place] if self.names else str(self.ids[place])

    def place_called(self, text: str) -> int:
        """Return the index of the image of a name or an id.

        Raises
        ------
        UsageError
            Where no image is called so.
        """
        if text in self.names:
            return self.names.index(text)
        if text.lstrip("-").isdecimal() and int(text) in self.ids:
            return int(np.flatnonzero(self.ids == int(text))[0])
        named = f", and called as {self.names[0]!r} is" if self.names else ""
        raise UsageError(
            f"image set {self.name!r} has no image {text}{closest(text, self.names)}; its {len(self)} images are "
            f"numbered {self.ids.min()} to {self.ids.max()}{named}"
        )

    @cached_property
    def digest(self) -> str:
        """Name of the pictures and of all that is known of them and measured against; of images, not of their names."""
        causes = None if self.counterfactuals is None else vars(self.counterfactuals)
        return digest(self.images, self.classes, self.labels, self.persons, self.ids, self.evidence, causes)

    def take(self, index: Int[np.ndarray, " k"]) -> "FaceSet":
        """Return the images at `index`, in that order, with all that is known of them.

        Counterfactuals follow their faces; a face taken twice keeps them at its first place.
        """
        return replace(
            self,
            images=self.images[index],
            labels=None if self.labels is None else self.labels[index],
            ids=self.ids[index],
            persons=None if self.persons is None else self.persons[index],
            evidence={name: maps[index] for name, maps in self.evidence.items()},
            parts=None if self.parts is None else self.parts[index],
            counterfactuals=self._counterfactuals_of(index),
            names=tuple(self.names[place] for place in index) if self.names else (),
        )

    def _counterfactuals_of(self, index: Int[np.ndarray, " k"]) -> Counterfactuals | None:
        """Re-index the counterfactuals to the faces that were taken."""
        known = self.counterfactuals
        if known is None:
            return None
        place = {int(face): position for position, face in reversed(list(enumerate(index)))}
        kept = np.array([row for row, face in enumerate(known.faces) if int(face) in place], dtype=np.int64)
        faces = np.array([place[int(known.faces[row])] for row in kept], dtype=np.int64)
        return Counterfactuals(faces, known.groups, known.at_rest[kept], known.alone[kept])


def balanced_choice(
    groups: Int[np.ndarray, " n"], per_group: int | None, seed: int, first: Bool[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, " k"]:
    """Return the indices of at most `per_group` random images of each group, grouped in rising order.

    A smaller `per_group` chooses a subset of what a larger one chooses, so a longer run extends a shorter one.

    Parameters
    ----------
    groups
        Group of each image, such as its predicted class.
    per_group
        Most images a group; None takes all.
    seed
        Same seed, same choice.
    first
        Images that are chosen before the others of their group.
    """
    chosen: list[np.ndarray] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        shuffled = np.random.default_rng([seed, int(group)]).permutation(members)
        if first is not None:
            shuffled = shuffled[np.argsort(~first[shuffled], kind="stable")]
        chosen.append(np.sort(shuffled[:per_group]))
    return np.concatenate(chosen)


def changed_pixels(faces: FaceSet) -> UInt8[np.ndarray, "m g h w"]:
    """Return by how many grey levels each pixel changes when a group of actions is put to rest: ``|image - at_rest|``.

    This is truth in pixels: what the group looks like in this very picture. Faces without counterfactuals have no row;
    ``faces.counterfactuals.faces`` says whose the rows are, and its ``groups`` name the maps of a row.

    Raises
    ------
    UsageError
        Where no face has counterfactuals.
    """
    known = faces.counterfactuals
    if known is None:
        raise UsageError(f"images {faces.name!r} have no counterfactuals; what a part changes needs rendered faces")
    images = faces.images[known.faces][:, None]
    # Bytes wrap below zero, so the smaller is taken from the larger.
    changed: np.ndarray = np.maximum(images, known.at_rest) - np.minimum(images, known.at_rest)
    return changed


def is_right(labels: Int[np.ndarray, " n"] | None, predicted: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return which predictions equal the label; all of them where there are no labels to contradict them."""
    return np.ones(len(predicted), bool) if labels is None else labels == predicted
