"""What the network truly uses of a face: pixels that change, and logits that fall, as its parts are put to rest."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped

from harness.effects import EVERYTHING
from harness.faces.faceset import Counterfactuals
from harness.measurements.answers import target_logits
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


def causes(attributions: Attributions) -> Causes | None:
    """Return what is known of the set's faces, or None where no face was rendered again.

    Only faces that the network gets right count: of another, the parts speak against the class that is explained, and a
    map of what speaks for it has no truth to meet. The network is asked once for all explainers.
    """
    faces = attributions.case.faces
    known = faces.counterfactuals
    if known is None or faces.labels is None or not len(known.faces):
        return None
    places = tuple(place for place, group in enumerate(known.groups) if group != EVERYTHING)
    lacking = _lacking(attributions, known)
    changes = _changes(attributions, known, places)
    found = attributions.shared(("causes", AT_REST), lambda: {"effects": _effects(attributions, known, places)})
    unknown = lacking != ""
    return Causes(
        groups=tuple(known.groups[place] for place in places),
        changes=np.where(unknown[:, None, None, None], 0.0, changes),
        effects=np.where(unknown[:, None], np.nan, found["effects"]),
        lacking=lacking,
    )


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


def _effects(attributions: Attributions, known: Counterfactuals, places: tuple[int, ...]) -> Float[np.ndarray, "n g"]:
    """Return by how much the target's logit falls; NaN for faces that were not rendered again."""
    case = attributions.case.take(known.faces)
    whole = target_logits(case, case.images)
    rested = [target_logits(case, case.subject.prepare(known.at_rest[:, place])) for place in places]
    effects = np.full((len(attributions.case.targets), len(places)), np.nan)
    effects[known.faces] = np.stack([whole - each for each in rested], axis=1)
    return effects
