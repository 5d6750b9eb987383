"""What a run stores beside scores: who has none and why, who is on its images, a few maps to look at."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from harness.checks import Evidence
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer
from harness.faces.faceset import FaceSet, is_right
from harness.measurements import (
    Measured,
)
from harness.metrics.score import Score
from harness.store import IMAGES, PERSONS, SCORES, Examples, frame

EXAMPLES_A_CLASS, EXAMPLES = 3, 60
"""Most images whose maps are kept to be looked at, of a class and in all; of each class there is one at least."""


def failed_rows(case: EvaluationSet, explainer: str, fault: str) -> Measured:
    """Return one row an image that says why an explainer has no scores."""
    rows = {
        "explainer": explainer,
        **vars(Score("maps")),
        "variant": "map",
        "image": case.faces.ids,
        "label": case.label_names,
        "predicted": case.target_names,
        "target": case.target_names,
        "value": np.nan,
        "status": "failed",
        "reason": fault,
    }
    return Measured(scores=frame(SCORES, rows))


def persons_of(faces: FaceSet, images: Iterable[int]) -> pd.DataFrame:
    """Return who is on images of a set, each once, nothing where nobody is known."""
    if faces.persons is None:
        return frame(PERSONS)
    who = dict(zip(faces.ids.tolist(), faces.persons.tolist(), strict=True))
    held = list(dict.fromkeys(images))
    return frame(PERSONS, {"image": held, "person": [who[image] for image in held]})


def names_of(case: EvaluationSet) -> pd.DataFrame:
    """Return what each chosen image is called, nothing where its number is all there is."""
    names = case.faces.names
    return frame(IMAGES, {"image": case.faces.ids, "name": list(names)} if names else None)


def blank_images(case: EvaluationSet, maps: Float[np.ndarray, "n h w"]) -> frozenset[int]:
    """Return the images whose map is constant."""
    constant = maps.min(axis=(1, 2)) == maps.max(axis=(1, 2))
    return frozenset(int(image) for image in case.faces.ids[constant])


def evidence_of(case: EvaluationSet, found: Measured) -> Evidence:
    """Return what was measured of an evaluation set, with who is on its images."""
    persons = persons_of(case.faces, case.faces.ids.tolist())
    who = dict(zip(persons["image"], persons["person"], strict=True))
    return Evidence(found.scores, found.matrices, case.classes, case.seed, persons=who)


def examples_of(case: EvaluationSet, runner: Runner, explainers: Sequence[Explainer]) -> Examples:
    """Choose a few images of each explained class with all maps: one that is right first, then one that is misread."""
    right, classes = is_right(case.faces.labels, case.targets), np.unique(case.targets)
    index = np.concatenate([few_of(np.flatnonzero(case.targets == k), right, len(classes)) for k in classes])
    return Examples(
        pictures=case.subject.spec.to_grey(case.images[index]),
        images=case.faces.ids[index],
        labels=case.label_names[index],
        targets=case.target_names[index],
        explainers=np.array([explainer.name for explainer in explainers]),
        maps=np.stack([runner.maps(explainer)[index] for explainer in explainers]),
    )


def few_of(members: Int[np.ndarray, " k"], right: Bool[np.ndarray, " n"], classes: int) -> Int[np.ndarray, " few"]:
    """Return the examples of a class: a right one, a misread one, then whatever comes next; fewer the more classes."""
    good = right[members]
    first = np.concatenate([members[good][:1], members[~good][:1]])
    # A network of many classes would fill its folder with maps.
    most = max(1, min(EXAMPLES_A_CLASS, EXAMPLES // classes))
    return np.concatenate([first, members[~np.isin(members, first)]])[:most]
