"""A case: which images are judged, and what is explained of each."""

from dataclasses import replace

import numpy as np
import torch
from tiny import CLASSES, bright_patch_faces, make_case, patch_subject, tiny_network

from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.measurements.targets import rivals_of
from harness.subject import Subject


def test_the_class_explained_is_the_predicted_one(subject: Subject) -> None:
    case = make_case(subject, bright_patch_faces())
    expected = subject.logits(case.images).argmax(1)
    assert torch.equal(case.target_tensor(), expected)
    assert case.target_names.tolist() == [CLASSES[k] for k in expected]


def test_at_most_as_many_images_as_asked_are_chosen_of_each_predicted_class() -> None:
    case = make_case(patch_subject(), bright_patch_faces(30), per_class=4)
    assert np.bincount(case.targets).tolist() == [4, 4, 4]


def test_what_is_known_of_a_face_stays_with_it() -> None:
    faces = bright_patch_faces(30)
    case = make_case(patch_subject(), faces, per_class=4)
    place = {int(number): row for row, number in enumerate(faces.ids)}
    for image, number, label in zip(case.faces.images, case.faces.ids, case.label_names, strict=True):
        assert (faces.images[place[int(number)]] == image).all()
        assert CLASSES[faces.labels[place[int(number)]]] == label


def test_labels_are_empty_where_they_are_unknown() -> None:
    case = make_case(patch_subject(), replace(bright_patch_faces(), labels=None))
    assert set(case.label_names) == {""}


def test_a_smaller_case_is_part_of_a_larger_one() -> None:
    small, large = (make_case(patch_subject(), bright_patch_faces(30), per_class=k) for k in (2, 5))
    assert set(small.faces.ids) <= set(large.faces.ids)


def test_some_are_at_most_as_many_of_each_class(patch_case: EvaluationSet) -> None:
    assert np.bincount(patch_case.targets[patch_case.some(2)]).tolist() == [2, 2, 2]


def test_an_images_key_does_not_depend_on_its_company(patch_case: EvaluationSet) -> None:
    faces = patch_case.faces.take(np.array([3, 1]))
    alone = make_case(patch_case.subject, faces)
    held = dict(zip(patch_case.faces.ids.tolist(), patch_case.keys.tolist(), strict=True))
    assert all(held[int(i)] == key for i, key in zip(alone.faces.ids, alone.keys, strict=True))


def test_the_digest_names_network_faces_targets_and_seed(patch_case: EvaluationSet) -> None:
    case = patch_case
    other = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=case.subject.spec)
    moved = np.roll(case.probabilities, 1, axis=1)
    variants = [
        replace(case, seed=1),
        replace(case, subject=other),
        replace(case, probabilities=moved),
        replace(case, faces=case.faces.take(np.arange(len(case.faces))[::-1])),
    ]
    assert len({case.digest, *(variant.digest for variant in variants)}) == 5


def test_the_same_choice_is_the_same_case() -> None:
    one, again = (make_case(patch_subject(), bright_patch_faces(30), per_class=3, seed=2).digest for _ in range(2))
    assert one == again


def test_no_limit_takes_every_image(subject: Subject) -> None:
    faces = bright_patch_faces()
    probabilities = np.full((len(faces), 3), 1 / 3)
    assert len(evaluation_set(subject, faces, probabilities, None, 0).faces) == len(faces)


# ---------------------------------------------------------------------- the class that comes next


def sure(times: float) -> Subject:
    """The patch network with its logits so many times as large: the same order of classes."""
    network = patch_subject().network

    class Sure(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return times * self.inner(x)

    return Subject(Sure(), name=f"sure-{times}", classes=CLASSES, spec=patch_subject().spec)


def test_the_runner_up_is_next_likely(patch_case: EvaluationSet) -> None:
    expected = np.argsort(patch_case.probabilities, axis=1)[:, -2]
    np.testing.assert_array_equal(patch_case.runners_up, expected)


def test_a_network_too_sure_for_single_precision_has_the_same_runners_up_and_rivals() -> None:
    faces = replace(bright_patch_faces(), labels=None)
    usual, surer = (make_case(sure(times), faces) for times in (1.0, 1e4))
    assert ((surer.probabilities > 0).sum(axis=1) == 1).any()  # else nothing is put to the test
    np.testing.assert_array_equal(surer.runners_up, usual.runners_up)
    np.testing.assert_array_equal(rivals_of(surer), rivals_of(usual))


def test_a_rival_that_no_mistake_and_no_probability_names_is_named_by_the_logits() -> None:
    case = make_case(sure(1e4), bright_patch_faces())
    saturated = replace(case, probabilities=np.eye(len(CLASSES))[case.targets])
    for target in np.unique(case.targets):
        mean = case.logits(np.flatnonzero(case.targets == target)).mean(axis=0)
        mean[target] = -np.inf
        rivals = rivals_of(saturated)[case.targets == target]
        assert set(rivals) == {int(mean.argmax())}
