"""Maps of two classes: the truth tells them apart, a map without a target does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import CLASSES, EXACT, PATCHES, SIDE, bright_patch_faces, make_case, names_in, patch_subject
from torch import Tensor

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, Measured, TargetDependence
from harness.measurements.targets import drawn_classes, rivals_of
from harness.metrics.similarity import spearman_similarity, ssim_similarity
from harness.perturbation import BlurFill
from harness.subject import Subject

STEPS, PER_CLASS = 12, 6


def measured(case: EvaluationSet, explain: Callable[..., np.ndarray | Tensor]) -> Measured:
    def again(images, targets, subject=None):
        return np.asarray(explain(subject or case.subject, images, torch.from_numpy(targets)), dtype=np.float32)

    attributions = Attributions(case, again(case.images, case.targets), again)
    return TargetDependence(BlurFill(), STEPS, PER_CLASS).measure(attributions)


def truth(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
    """The target's patch, above noise that is the same for every class."""
    maps = np.zeros((len(images), SIDE, SIDE), np.float32)
    for found, target in zip(maps, targets.tolist(), strict=True):
        found[PATCHES[target]] = 1
    return maps + 0.01 * np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32)


def picture(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Ignores the target."""
    return images[:, 0]


def values(found: Measured, metric: str) -> np.ndarray:
    held = found.scores[(names_in(found.scores) == metric) & (found.scores["variant"] == "map")]
    return held["value"].to_numpy()


def verdict(case: EvaluationSet, found: Measured, check: str) -> Verdict:
    evidence = Evidence(found.scores.assign(explainer="e"), found.matrices, case.subject.classes, 0)
    table = judged([CHECKS[check]], evidence, ["e"])
    return Verdict(table[table["class"] == "all"]["verdict"].item())


# ---------------------------------------------------------------------- the claims


def test_the_truth_finds_what_its_own_target_needs(patch_case: EvaluationSet) -> None:
    found = measured(patch_case, truth)
    assert values(found, "target-specificity").min() > 0
    assert verdict(patch_case, found, "targets-specific") is Verdict.PASS


def test_the_truth_of_the_rival_in_the_targets_place_loses(patch_case: EvaluationSet) -> None:
    some = patch_case.take(np.flatnonzero(patch_case.targets == 0))
    rival = int(rivals_of(some)[0])
    crossed = {0: rival, rival: 0}
    found = measured(some, lambda s, i, t: truth(s, i, torch.tensor([crossed.get(k, k) for k in t.tolist()])))
    assert values(found, "target-specificity").max() < 0


def test_a_map_without_a_target_fails_both_claims(patch_case: EvaluationSet) -> None:
    found = measured(patch_case, picture)
    for name in ("random-logit", "random-logit-rival"):
        np.testing.assert_allclose(values(found, name), 1, rtol=0, atol=EXACT)
    assert (values(found, "target-specificity") == 0).all()
    assert verdict(patch_case, found, "targets-differ") is Verdict.FAIL
    assert verdict(patch_case, found, "targets-specific") is Verdict.FAIL


def test_maps_of_opposite_sign_differ(patch_case: EvaluationSet) -> None:
    first = patch_case.targets

    def signed(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        same = len(images) == len(first) and targets.tolist() == first.tolist()
        return images[:, 0] if same else -images[:, 0]

    found = measured(patch_case, signed)
    np.testing.assert_allclose(values(found, "random-logit-rival"), -1, rtol=0, atol=EXACT)
    # SSIM, as published, is blind to that where maps are not centred.
    assert values(found, "random-logit").min() > -0.9
    assert verdict(patch_case, found, "targets-differ") is Verdict.PASS


# ---------------------------------------------------------------------- the other class


def with_answers(labels: list[int] | None, probabilities: list[list[float]]) -> EvaluationSet:
    faces = bright_patch_faces(len(probabilities))
    faces = replace(faces, labels=None if labels is None else np.array(labels))
    return EvaluationSet(patch_subject(), faces, np.array(probabilities), 0)


def test_the_rival_is_the_class_that_mistakes_are_made_with_in_either_direction() -> None:
    # Class 0 was once given to an image of 2; every probability points at 1.
    case = with_answers([0, 2, 1, 2], [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]])
    assert rivals_of(case).tolist() == [2, 2, 0, 0]


def test_without_mistakes_the_rival_is_the_class_that_comes_nearest_over_the_classs_images() -> None:
    case = with_answers([0, 0, 1], [[0.5, 0.4, 0.1], [0.7, 0.1, 0.2], [0.1, 0.5, 0.4]])
    assert rivals_of(case).tolist() == [1, 1, 2]


def test_without_labels_the_rival_is_the_images_second_most_probable_class() -> None:
    case = with_answers(None, [[0.5, 0.4, 0.1], [0.7, 0.1, 0.2], [0.1, 0.5, 0.4]])
    assert rivals_of(case).tolist() == [1, 2, 2]


def test_a_drawn_class_is_never_the_target_and_any_other() -> None:
    case = make_case(patch_subject(), bright_patch_faces(90))
    drawn = drawn_classes(case)
    assert (drawn != case.targets).all()
    assert {(int(t), int(d)) for t, d in zip(case.targets, drawn, strict=True)} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }


def test_a_drawn_class_depends_on_the_image_and_the_seed_alone(patch_case: EvaluationSet) -> None:
    index = np.array([9, 2])
    np.testing.assert_array_equal(drawn_classes(patch_case.take(index)), drawn_classes(patch_case)[index])
    assert (drawn_classes(replace(patch_case, seed=1)) != drawn_classes(patch_case)).any()


def test_each_likeness_is_to_the_map_of_its_own_other_class(patch_case: EvaluationSet) -> None:
    some = patch_case.take(patch_case.some(PER_CLASS))
    rivals = rivals_of(patch_case)[patch_case.some(PER_CLASS)]
    maps = {k: truth(some.subject, some.images, torch.from_numpy(np.full(len(rivals), k))) for k in range(3)}
    own, found, rows = maps_at(maps, some.targets), measured(patch_case, truth), drawn_classes(some)
    np.testing.assert_array_equal(values(found, "random-logit"), ssim_similarity(own, maps_at(maps, rows)))
    np.testing.assert_array_equal(values(found, "random-logit-rival"), spearman_similarity(own, maps_at(maps, rivals)))
    assert (values(found, "random-logit") != values(found, "random-logit-rival")).any()


def maps_at(maps: dict[int, np.ndarray], classes: np.ndarray) -> np.ndarray:
    return np.stack([maps[int(k)][row] for row, k in enumerate(classes)])


def test_a_drawn_rival_is_asked_for_once(patch_case: EvaluationSet) -> None:
    asked: list[int] = []

    def counted(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
        asked.append(len(images))
        return truth(subject, images, targets)

    measured(patch_case, counted)
    some = patch_case.take(patch_case.some(PER_CLASS))
    rivals = rivals_of(patch_case)[patch_case.some(PER_CLASS)]
    assert asked == [len(patch_case.targets), len(rivals), int((drawn_classes(some) != rivals).sum())]


# ---------------------------------------------------------------------- rows


def test_a_constant_map_is_undefined_with_its_reason(patch_case: EvaluationSet) -> None:
    found = measured(patch_case, lambda _s, images, _t: torch.zeros(len(images), SIDE, SIDE))
    assert found.scores["value"].isna().all()
    assert found.scores["reason"].str.contains("constant map").all()


@pytest.mark.parametrize("metric", ["random-logit", "random-logit-rival", "target-specificity"])
def test_there_is_one_row_an_image(metric: str, patch_case: EvaluationSet) -> None:
    found = measured(patch_case, truth).scores
    assert len(found[names_in(found) == metric]) == len(patch_case.some(PER_CLASS)) == 3 * len(CLASSES) * 2


def test_silence_about_the_rival_is_no_credit(patch_case: EvaluationSet) -> None:
    """A map of zeros removes pixels in an order that is drawn; that any map beats it says nothing."""
    rivals = rivals_of(patch_case)

    def silent(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
        maps = truth(subject, images, targets)
        if np.array_equal(targets.numpy(), rivals):
            maps[::2] = 0
        return maps

    found = values(measured(patch_case, silent), "target-specificity")
    assert np.isnan(found[::2]).all()
    np.testing.assert_array_equal(found[1::2], values(measured(patch_case, truth), "target-specificity")[1::2])
