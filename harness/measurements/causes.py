"""What the network truly uses of a face: pixels that change, and logits that fall, as its parts are put to rest."""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped

from harness.effects import EVERYTHING
from harness.faces.faceset import Counterfactuals
from harness.measurements.answers import class_logits
from harness.measurements.base import Attributions

AT_REST = "Neutral"
"""The class whose faces have nothing to put to rest."""


@dataclass(frozen=True)
class Causes:
    """Parts of n faces put to rest, one group of actions at a time.

    Attributes
    ----------
    groups
        Names of the g groups.
    changes
        By how much each pixel changes, in input units, channels summed; 0 for a face of which nothing is known.
    effects
        By how much the target's logit falls; NaN for a face of which nothing is known.
    lacking
        Why nothing is known of a face, "" where something is.
    """

    groups: tuple[str, ...]
    changes: Float[np.ndarray, "n g h w"]
    effects: Float[np.ndarray, "n g"]
    lacking: Shaped[np.ndarray, " n"]

    @cached_property
    def shares(self) -> Float[np.ndarray, "n g h w"]:
        """The share of each pixel that belongs to each group: its change, as a share of the group's largest."""
        largest = self.changes.max(axis=(2, 3), keepdims=True)
        shares: np.ndarray = np.divide(self.changes, largest, out=np.zeros_like(self.changes), where=largest > 0)
        return shares

    @cached_property
    def acting(self) -> Bool[np.ndarray, "n g"]:
        """Which groups change anything in each face."""
        return np.asarray(self.changes.any(axis=(2, 3)), dtype=bool)


def causes(attributions: Attributions) -> Causes | None:
    """Return what is known of the set's faces, or None where no face was rendered again.

    Only faces that the network gets right count: of another, the parts speak against the class that is explained, and a
    map of what speaks for it has no truth to meet. The network is asked once for all explainers.
    """
    faces = attributions.case.faces
    known = faces.counterfactuals
    if known is None or faces.labels is None or not len(known.faces):
        return None
    places = _places(known)
    lacking = _lacking(attributions, known)
    changes = _changes(attributions, known, places)
    classes = attributions.case.targets
    found = attributions.shared(("causes", AT_REST), lambda: {"effects": _effects(attributions, known, classes)})
    unknown = lacking != ""
    return Causes(
        groups=tuple(known.groups[place] for place in places),
        changes=np.where(unknown[:, None, None, None], 0.0, changes),
        effects=np.where(unknown[:, None], np.nan, found["effects"]),
        lacking=lacking,
    )


def effects_on(attributions: Attributions, classes: Int[np.ndarray, " n"], called: str) -> Float[np.ndarray, "n g"]:
    """Return by how much the logit of another class of each face falls; NaN where nothing is known of it.

    Parameters
    ----------
    classes
        One an image.
    called
        Which classes they are, in a word: under it the answers are kept for all explainers.

    Raises
    ------
    LookupError
        Where no face was rendered again, of which :func:`causes` is None.
    """
    known = attributions.case.faces.counterfactuals
    if known is None:
        raise LookupError("no face was rendered again with parts at rest")
    make = partial(_effects, attributions, known, classes)
    found: np.ndarray = attributions.shared(("causes", AT_REST, called), lambda: {"effects": make()})["effects"]
    return found


def _places(known: Counterfactuals) -> tuple[int, ...]:
    """Return the places of the groups of single parts."""
    return tuple(place for place, group in enumerate(known.groups) if group != EVERYTHING)


def _lacking(attributions: Attributions, known: Counterfactuals) -> Shaped[np.ndarray, " n"]:
    """Say why nothing is known of a face."""
    case = attributions.case
    again = np.isin(np.arange(len(case.targets)), known.faces)
    return np.select(
        [~again, case.label_names == AT_REST, case.label_names != case.target_names],
        [
            "the face was not rendered again with parts at rest",
            f"a face of class {AT_REST} has nothing to put to rest",
            "the network is wrong about the face",
        ],
        "",
    )


def _changes(
    attributions: Attributions, known: Counterfactuals, places: tuple[int, ...]
) -> Float[np.ndarray, "n g h w"]:
    """Return by how much each pixel changes; 0 for faces that were not rendered again."""
    case = attributions.case
    images = case.images[torch.from_numpy(known.faces)]
    rested = [case.subject.prepare(known.at_rest[:, place]) for place in places]
    changes = np.zeros((len(case.targets), len(places), *case.images.shape[-2:]))
    changes[known.faces] = torch.stack([(images - each).abs().sum(1) for each in rested], 1).double().cpu().numpy()
    return changes


def _effects(
    attributions: Attributions, known: Counterfactuals, classes: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n g"]:
    """Return by how much each class's logit falls; NaN for faces that were not rendered again."""
    case, asked = attributions.case.take(known.faces), classes[known.faces]
    whole = class_logits(case, case.images, asked)
    rested = [class_logits(case, case.subject.prepare(known.at_rest[:, place]), asked) for place in _places(known)]
    effects = np.full((len(attributions.case.targets), len(rested)), np.nan)
    effects[known.faces] = np.stack([whole - each for each in rested], axis=1)
    return effects
