"""FunnyBirds' protocols on a linear network whose parts have known effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import PARTS, SIDE, WEIGHTS, acting_faces, contributions, kept_once, make_case, names_in, parts_subject
from torch import Tensor

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, PartChecks, PartTargets
from harness.measurements.causes import causes
from harness.measurements.part_checks import answered_sets, told_apart

CHECKS = ("preservation-check", "deletion-check", "distractibility")


@pytest.fixture
def acting() -> EvaluationSet:
    return make_case(parts_subject(), acting_faces(40))


def measured(case: EvaluationSet, maps: np.ndarray) -> pd.DataFrame:
    return PartChecks(1).measure(Attributions(case, maps, shared=kept_once())).scores


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def effects_of(case: EvaluationSet) -> np.ndarray:
    """What each part adds to each class, (n, p, k)."""
    lit = (case.faces.images.astype(np.float64) - 100) / 127.5
    means = np.stack([lit[:, *part].mean(axis=(1, 2)) for part in PARTS.values()], axis=1)
    return means[:, :, None] * np.array(WEIGHTS).T[None]


def test_every_set_of_parts_that_was_rendered_has_its_answer(acting: EvaluationSet) -> None:
    attributions = Attributions(acting, contributions(acting), shared=kept_once())
    truth = causes(attributions)
    found = answered_sets(attributions, truth)
    effects = effects_of(acting)
    # At rest every class has what the grey of rest gives it, which is nine times as much for all three: none is ahead.
    assert not found[:, 0].any()
    for number in range(1, 8):
        some = [part for part in range(3) if number >> part & 1]
        answer = effects[:, some].sum(axis=1).argmax(axis=1) == acting.targets
        if number not in (3, 5, 6, 7):
            # Alone: the fixture of faces whose parts act says that nothing does, so that it is the face at rest.
            continue
        np.testing.assert_array_equal(found[:, number], answer, err_msg=str(number))


def test_a_part_that_changes_nothing_is_in_no_set(acting: EvaluationSet) -> None:
    known = acting.faces.counterfactuals
    rested = known.at_rest.copy()
    rested[:, 0] = acting.faces.images[known.faces]
    case = replace(acting, faces=replace(acting.faces, counterfactuals=replace(known, at_rest=rested)))
    attributions = Attributions(case, contributions(case), shared=kept_once())
    found = answered_sets(attributions, causes(attributions))
    for number in range(0, 8, 2):
        np.testing.assert_array_equal(found[:, number], found[:, number + 1])


def test_what_was_not_rendered_is_not_known() -> None:
    groups, n = ("a", "b", "c", "d"), 6
    faces = acting_faces(n)
    known = faces.counterfactuals
    rested = np.repeat(known.at_rest[:, -1:], 5, axis=1)
    rested[:, :4] = faces.images[:, None]
    for place in range(4):
        rested[:, place, place, place] += 40
    alone = np.repeat(known.at_rest[:, -1:], 4, axis=1)
    made = replace(known, groups=(*groups, "all"), at_rest=rested, alone=alone)
    case = make_case(parts_subject(), replace(faces, counterfactuals=made))
    attributions = Attributions(case, contributions(case), shared=kept_once())
    unknown = np.isnan(answered_sets(attributions, causes(attributions)))
    pairs = [number for number in range(16) if bin(number).count("1") == 2]
    assert unknown[:, pairs].all()
    assert not unknown[:, [number for number in range(16) if number not in pairs]].any()


def test_a_map_of_one_part_is_checked_by_that_part_alone(acting: EvaluationSet) -> None:
    maps = np.zeros((len(acting.targets), SIDE, SIDE), np.float32)
    maps[:, *PARTS["mouth"]] = 1.0
    scores = measured(acting, maps)
    attributions = Attributions(acting, maps, shared=kept_once())
    answered = answered_sets(attributions, causes(attributions))
    np.testing.assert_array_equal(values(scores, "preservation-check"), answered[:, 0b100])
    np.testing.assert_array_equal(values(scores, "deletion-check"), 1 - answered[:, 0b011])


def test_who_calls_idle_parts_important_is_distracted(acting: EvaluationSet) -> None:
    # A part so little lit that it does less than a twentieth.
    faces = acting.faces
    images, known = faces.images.copy(), faces.counterfactuals
    rested = known.at_rest.copy()
    for pictures in (images, *rested.swapaxes(0, 1)):
        pictures[:, *PARTS["brows"]] = np.where(pictures[:, *PARTS["brows"]] > 100, 101, 100)
    case = make_case(
        parts_subject(), replace(faces, images=images, counterfactuals=replace(known, at_rest=rested), labels=None)
    )
    case = replace(case, faces=replace(case.faces, labels=case.targets))
    everywhere, elsewhere = np.ones((2, len(case.targets), SIDE, SIDE), np.float32)
    everywhere[:, 0, 0] = 2  # a constant map has no score
    elsewhere[:, *PARTS["brows"]] = 0
    idle, kept = (values(measured(case, maps), "distractibility") for maps in (everywhere, elsewhere))
    assert np.nanmax(idle) < 1
    assert np.nanmin(kept) == 1


def test_faces_that_are_not_known_say_why(acting: EvaluationSet) -> None:
    labels = acting.faces.labels.copy()
    labels[4] = (labels[4] + 1) % 3
    case = replace(acting, faces=replace(acting.faces, labels=labels))
    scores = measured(case, contributions(case))
    mine = scores[scores["image"] == case.faces.ids[4]]
    assert mine["value"].isna().all()
    assert set(mine["reason"]) == {"the network is wrong about the face"}


def test_faces_that_were_not_rendered_again_give_no_rows(patch_case: EvaluationSet) -> None:
    maps = np.random.default_rng(0).random((len(patch_case.targets), SIDE, SIDE), dtype=np.float32)
    assert not len(measured(patch_case, maps))
    assert not len(PartTargets(2).measure(Attributions(patch_case, maps)).scores)


def test_the_network_is_asked_once_for_all_explainers(acting: EvaluationSet) -> None:
    shared, maps = kept_once(), contributions(acting)
    PartChecks(1).measure(Attributions(acting, maps, shared=shared))
    before = acting.subject.passes.forward
    PartChecks(2).measure(Attributions(acting, maps[::-1].copy(), shared=shared))
    assert acting.subject.passes.forward == before


# ---------------------------------------------------------------------- two classes


def test_two_parts_are_told_apart_by_the_widest_gap() -> None:
    first = np.array([[3.0, 1.0, 0.0], [1.0, 1.0, 1.0], [3.0, 1.0, 0.0]])
    second = np.array([[0.0, 1.0, 9.0], [0.0, 5.0, 5.0], [0.0, 1.0, 9.0]])
    there = np.array([[True, True, True], [True, True, True], [True, True, False]])
    assert told_apart(first, second, there).tolist() == [[0, 2], [-1, -1], [0, 1]]


class Asked:
    """An explainer that answers with what each pixel adds to the logit it is asked about."""

    def __init__(self, case: EvaluationSet) -> None:
        self.case = case
        self.targets = np.zeros(0, np.int64)

    def __call__(self, images: Tensor, targets: np.ndarray, subject: object = None, seed: object = None) -> np.ndarray:
        self.targets = targets
        weights = self.case.subject.network.read.weight.detach().numpy().reshape(-1, SIDE, SIDE)
        lit = (images[:, 0].numpy() + 1) / 2 * 255 - 100
        return (weights[targets] * lit / 127.5).astype(np.float32)


def test_true_contributions_are_sensitive_to_the_target_where_parts_can_be_told_apart(acting: EvaluationSet) -> None:
    asked = Asked(acting)
    attributions = Attributions(acting, contributions(acting), explain=asked, shared=kept_once())
    scores = PartTargets(20).measure(attributions).scores
    found = scores["value"].to_numpy()
    index = acting.some(20)
    effects = effects_of(acting)[index]
    own = np.take_along_axis(effects, acting.targets[index][:, None, None], 2)[..., 0]
    other = np.take_along_axis(effects, asked.targets[:, None, None], 2)[..., 0]
    pairs = told_apart(own, other, np.ones(own.shape, dtype=bool))
    wanted = [
        np.nan if a < 0 else (float(own[n, a] > other[n, a]) + float(other[n, b] > own[n, b])) / 2
        for n, (a, b) in enumerate(pairs)
    ]
    np.testing.assert_array_equal(found, wanted)
    assert np.isfinite(found).any()


def test_one_map_for_both_classes_is_not_sensitive(acting: EvaluationSet) -> None:
    maps = contributions(acting)
    index = acting.some(20)
    attributions = Attributions(acting, maps, explain=lambda *_: maps[index], shared=kept_once())
    found = PartTargets(20).measure(attributions).scores["value"].to_numpy()
    assert set(found[np.isfinite(found)]) == {0}
