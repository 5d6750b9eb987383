"""Faces with the wrong patch lit too: removing it turns the answer back, removing the right one does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, CLASSES, PATCHES, SIDE, bright_patch_faces, make_case, names_in, patch_subject, score_called
from torch import Tensor

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, Measured, TurnBack, confusion
from harness.perturbation import BlurFill
from harness.subject import Subject

TEST = TurnBack(BlurFill(), spectrum_draws=2, per_class=8, share=0.03)  # 4 of 144 pixels: one patch


@pytest.fixture
def case() -> EvaluationSet:
    """Half of the faces show the patch of the next class too, and brighter than their own."""
    faces = bright_patch_faces(36)
    for image, label in zip(faces.images[18:], faces.labels[18:], strict=True):
        image[PATCHES[label]] = 190
        image[PATCHES[(label + 1) % 3]] = 255
    return make_case(patch_subject(), faces)


def measured(case: EvaluationSet, explain: Callable[..., np.ndarray | Tensor], test: TurnBack = TEST) -> Measured:
    def again(images, targets, subject=None):
        return np.asarray(explain(subject or case.subject, images, torch.from_numpy(targets)), dtype=np.float32)

    return test.measure(Attributions(case, again(case.images, case.targets), again))


def truth(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
    """The target's patch, in the light of the picture."""
    maps = np.zeros((len(images), SIDE, SIDE), np.float32)
    for found, image, target in zip(maps, images[:, 0].numpy(), targets.tolist(), strict=True):
        found[PATCHES[target]] = 2 + image[PATCHES[target]]
    return maps


def values(found: Measured, metric: str, variant: str) -> np.ndarray:
    held = found.scores[(names_in(found.scores) == metric) & (found.scores["variant"] == variant)]
    return held["value"].to_numpy()


def judgement(case: EvaluationSet, found: Measured) -> pd.Series:
    scores = found.scores.assign(explainer="e")
    if not len(scores):
        rows = make_rows(case)
        scores = pd.concat([scores, rows], ignore_index=True)
    matrices = found.matrices
    if case.faces.labels is not None:
        matrices = confusion(CLASSES, case.faces.labels.astype(np.int64), case.targets).matrices
    table = judged([CHECKS["turn-back-spectrum"]], Evidence(scores, matrices, CLASSES, 0), ["e"])
    return table[table["class"] == "all"].iloc[0]


def make_rows(case: EvaluationSet) -> pd.DataFrame:
    """Rows of another metric, as every run has them."""
    found = Measured().scores
    rows = pd.DataFrame(
        {
            "explainer": "e",
            **vars(score_called("deletion-auc")),
            "variant": "map",
            "image": case.faces.ids,
            "label": case.label_names,
            "predicted": case.target_names,
            "target": case.target_names,
            "value": 0.5,
            "status": "ok",
            "reason": "",
        }
    )
    return rows[list(found.columns)]


def test_removing_what_misled_turns_every_answer_back(case: EvaluationSet) -> None:
    found = measured(case, truth)
    assert values(found, "turn-back", "map").min() > 0
    assert values(found, "turn-back-gain", "spectrum-null").min() > 0
    assert judgement(case, found)["verdict"] == Verdict.PASS


def test_removing_what_spoke_for_the_truth_makes_it_worse_and_fails(case: EvaluationSet) -> None:
    found = measured(case, lambda *asked: -truth(*asked))
    assert values(found, "turn-back", "map").max() < 0
    assert judgement(case, found)["verdict"] == Verdict.FAIL


def test_the_turn_is_of_the_true_class_against_the_predicted_one(case: EvaluationSet) -> None:
    wrong = np.flatnonzero(case.faces.labels != case.targets)
    removed = np.zeros((len(wrong), SIDE, SIDE), bool)
    for gone, target in zip(removed, case.targets[wrong], strict=True):
        gone[PATCHES[target]] = True
    rows, images = np.arange(len(wrong)), case.images[torch.from_numpy(wrong)]
    after = case.subject.probabilities(BlurFill()(images, removed, case.seed)).double().numpy()
    labels, targets = case.faces.labels[wrong], case.targets[wrong]
    before = case.probabilities[wrong]
    ahead = [p[rows, labels] - p[rows, targets] for p in (before, after)]
    found = measured(case, truth)
    assert found.scores["image"].unique().tolist() == case.faces.ids[wrong].tolist()
    # Single precision in another batch.
    np.testing.assert_allclose(values(found, "turn-back", "map"), ahead[1] - ahead[0], rtol=0, atol=AGAIN)


def test_the_gain_is_over_the_mean_of_the_difference_maps_spectrum_nulls(case: EvaluationSet) -> None:
    found = measured(case, truth)
    gain = values(found, "turn-back", "map") - values(found, "turn-back", "spectrum-null")
    np.testing.assert_array_equal(values(found, "turn-back-gain", "spectrum-null"), gain)


def test_at_most_so_many_of_each_predicted_class(case: EvaluationSet) -> None:
    found = measured(case, truth, replace(TEST, per_class=2)).scores
    assert found.groupby("target")["image"].nunique().tolist() == [2, 2, 2]


def test_a_map_without_a_target_is_undefined_and_says_so(case: EvaluationSet) -> None:
    found = measured(case, lambda _s, images, _t: images[:, 0])
    assert found.scores["value"].isna().all()
    assert judgement(case, found)["verdict"] == Verdict.NOT_APPLICABLE
    assert "same map for both classes" in judgement(case, found)["reason"]


def test_without_labels_it_is_not_applicable(case: EvaluationSet) -> None:
    nameless = replace(case, faces=replace(case.faces, labels=None))
    found = measured(nameless, truth)
    assert not len(found.scores)
    assert judgement(nameless, found)["reason"] == "the images have no labels"


def test_without_mistakes_it_is_not_applicable(patch_case: EvaluationSet) -> None:
    found = measured(patch_case, truth)
    assert not len(found.scores)
    assert judgement(patch_case, found)["reason"] == "0 of the images are misclassified; 2 are needed"
