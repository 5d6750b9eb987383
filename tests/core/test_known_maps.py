"""Oracles hold the true causes and lose them to noise step by step; the mean face knows the data alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_effects import with_counterfactuals
from tiny import AGAIN, PATCHES, SPEC, bright_patch_faces, make_case, patch_subject

from harness.evaluation_set import EvaluationSet
from harness.faces.faceset import FaceSet
from harness.metrics.similarity import spearman_similarity
from harness.oracles.known import NOISE, ORACLE, known_maps, oracle_name, oracles, true_causes
from harness.subject import InputSpec, Subject


def anew(_what: object, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    return dict(make())


@pytest.fixture
def case() -> EvaluationSet:
    return make_case(patch_subject(), with_counterfactuals())


def maps_of(case: EvaluationSet, name: str) -> np.ndarray:
    found = {each.name: each for each in oracles(case, anew)}
    return found[name].maps(case.subject, case.images, case.target_tensor(), 0)


def test_the_causes_lie_on_the_patch_that_the_target_reads(case: EvaluationSet) -> None:
    causes = true_causes(case)
    for cause, target in zip(causes, case.targets, strict=True):
        patch = np.zeros(cause.shape, bool)
        patch[PATCHES[target]] = True
        assert cause[patch].min() > 0
        assert np.abs(cause[~patch]).max() < AGAIN  # the corner changes and moves no logit


def test_causes_are_zero_where_nothing_is_known() -> None:
    faces = with_counterfactuals()
    known = faces.counterfactuals
    assert known is not None
    few = replace(known, faces=known.faces[:4], at_rest=known.at_rest[:4], alone=known.alone[:4])
    case = make_case(patch_subject(), replace(faces, counterfactuals=few))
    causes = true_causes(case)
    unknown = ~np.isin(case.faces.ids, faces.ids[known.faces[:4]])
    assert unknown.sum() == 2
    np.testing.assert_array_equal(np.abs(causes).max(axis=(1, 2)) > 0, ~unknown)


def test_a_mark_is_the_cause_where_there_is_one() -> None:
    faces = bright_patch_faces(6)
    mark = np.zeros((6, 12, 12), np.float32)
    mark[:, :2, :2] = 1
    case = make_case(patch_subject(), replace(faces, evidence={"mark": mark}))
    np.testing.assert_array_equal(true_causes(case), mark)


def test_without_known_causes_there_is_no_oracle() -> None:
    case = make_case(patch_subject(), bright_patch_faces(6))
    assert not true_causes(case).any()
    assert [each.name for each in known_maps(case, case.faces, case.targets, anew)] == ["mean-image"]


def test_only_faces_have_a_mean_face() -> None:
    subject = Subject(patch_subject().network, name="small", classes=("Happy", "sad", "anger"), spec=SPEC)
    case = make_case(subject, replace(bright_patch_faces(6), classes=subject.classes))
    assert [each.name for each in known_maps(case, case.faces, case.targets, anew)] == ["mean-face"]


def test_noise_keeps_the_values_and_loses_the_places(case: EvaluationSet) -> None:
    truth = maps_of(case, ORACLE)
    alike = [1.0]
    for share in NOISE:
        noisy = maps_of(case, oracle_name(share))
        np.testing.assert_array_equal(np.sort(noisy.reshape(6, -1)), np.sort(truth.reshape(6, -1)))
        alike.append(float(spearman_similarity(truth, noisy).mean()))
    assert alike == sorted(alike, reverse=True)
    assert len(set(alike)) == len(alike)


def test_an_image_has_its_own_map_wherever_it_stands(case: EvaluationSet) -> None:
    truth, oracle = maps_of(case, ORACLE), oracles(case, anew)[0]
    found = oracle.maps(case.subject, case.images[[4, 1]], case.target_tensor()[[4, 1]], 0)
    np.testing.assert_array_equal(found, truth[[4, 1]])


def test_maps_of_other_causes_have_another_digest(case: EvaluationSet) -> None:
    other = make_case(patch_subject(), with_counterfactuals(), seed=1)
    one, two = (oracles(each, anew)[1].digest for each in (case, other))
    assert one != two


def test_known_maps_are_controls_that_cannot_be_asked_again(case: EvaluationSet) -> None:
    for each in known_maps(case, case.faces, case.targets, anew):
        assert each.is_control
        assert each.facts.fixed


def test_causes_come_first_when_images_are_chosen() -> None:
    faces = bright_patch_faces(18)
    made = with_counterfactuals().counterfactuals
    assert made is not None
    last = replace(made, faces=np.arange(12, 18))
    case = make_case(patch_subject(), replace(faces, counterfactuals=last), per_class=2)
    assert set(case.faces.ids) == set(faces.ids[12:])


def test_a_copy_of_which_nothing_is_known_takes_nothing_from_its_picture() -> None:
    faces = with_counterfactuals()
    known, count = faces.counterfactuals, len(faces.images)
    assert known is not None
    twice = FaceSet(
        "twice", np.concatenate([faces.images] * 2), faces.classes, np.concatenate([faces.labels] * 2),
        counterfactuals=known,
    )  # fmt: skip
    case = make_case(patch_subject(), twice)
    truth = maps_of(case, ORACLE)
    alone = maps_of(make_case(patch_subject(), faces), ORACLE)
    assert len(truth) == 2 * count
    np.testing.assert_array_equal(truth[case.faces.ids < count], alone)


def test_causes_lie_where_pictures_do_when_they_are_shrunk() -> None:
    """What a network reads of a mark is where the mark's own pixels, drawn on black, are not black."""
    rng, spec = np.random.default_rng(0), InputSpec(24, 40)
    mark = np.zeros((40, 96, 160), np.float32)
    for image in mark:
        top, left = rng.integers(0, 90), rng.integers(0, 154)
        image[top : top + 5, left : left + 5] = 1
    drawn = spec.prepare((255 * mark).astype(np.uint8))[:, 0].numpy() - spec.shade(0.0)[0]
    found = spec.resized(mark)
    np.testing.assert_array_equal(found > 0, drawn > 0)
    assert (found > 0).any(axis=(1, 2)).all()
