"""What a run stores beside scores: who has none and why, who is on its images, a few maps to look at."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks import Evidence
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer
from harness.faces.faceset import is_right
from harness.measurements import (
    Measured,
)
from harness.metrics.score import Score
from harness.store import IMAGES, PERSONS, SCORES, Examples, frame


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


def persons_of(case: EvaluationSet) -> pd.DataFrame:
    """Return who is on each chosen image, nothing where nobody is known."""
    persons = case.faces.persons
    return frame(PERSONS, None if persons is None else {"image": case.faces.ids, "person": persons})


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
    persons = persons_of(case)
    who = dict(zip(persons["image"], persons["person"], strict=True))
    return Evidence(found.scores, found.matrices, case.classes, case.seed, persons=who)


def examples_of(case: EvaluationSet, runner: Runner, explainers: Sequence[Explainer]) -> Examples:
    """Choose one image of each explained class, among those classified right where labels tell, with all maps."""
    right = is_right(case.faces.labels, case.targets)
    best = [np.flatnonzero(case.targets == k) for k in np.unique(case.targets)]
    index = np.array([members[right[members]][0] if right[members].any() else members[0] for members in best])
    return Examples(
        pictures=case.subject.spec.to_grey(case.images[index]),
        images=case.faces.ids[index],
        labels=case.label_names[index],
        targets=case.target_names[index],
        explainers=np.array([explainer.name for explainer in explainers]),
        maps=np.stack([runner.maps(explainer)[index] for explainer in explainers]),
    )
