"""A face set keeps what is known of each face together, and says what does not fit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CLASSES, SIDE, bright_patch_faces

from harness.errors import UsageError
from harness.faces.faceset import Counterfactuals, FaceSet, balanced_choice, changed_pixels, is_right

N = 6


@pytest.fixture
def known() -> FaceSet:
    """Faces of which everything is known; every array holds its face's number."""
    number = np.arange(N)
    pictures = np.broadcast_to(number[:, None, None], (N, SIDE, SIDE))
    faces = np.array([1, 4])
    counter = np.broadcast_to(faces[:, None, None, None], (2, 2, SIDE, SIDE)).astype(np.uint8)
    return FaceSet(
        "known",
        pictures.astype(np.uint8),
        CLASSES,
        number % 3,
        ids=10 + number,
        persons=20 + number,
        evidence={"patch": pictures.astype(np.float64)},
        parts=pictures.astype(np.uint8),
        part_names=("mouth",),
        counterfactuals=Counterfactuals(faces, ("brows", "mouth"), counter, counter),
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=8))
def test_taking_keeps_all_that_is_known_with_its_face(index: list[int]) -> None:
    faces = replace(bright_patch_faces(N), persons=20 + np.arange(N))
    taken = faces.take(np.array(index))
    for place, number in enumerate(index):
        assert (taken.images[place] == faces.images[number]).all()
        assert taken.labels[place] == faces.labels[number]
        assert taken.ids[place] == faces.ids[number]
        assert taken.persons[place] == faces.persons[number]


def test_evidence_and_parts_are_taken_too(known: FaceSet) -> None:
    taken = known.take(np.array([4, 2]))
    assert taken.evidence["patch"][:, 0, 0].tolist() == [4, 2]
    assert taken.parts[:, 0, 0].tolist() == [4, 2]


def test_counterfactuals_follow_their_faces(known: FaceSet) -> None:
    counter = known.take(np.array([0, 4, 1])).counterfactuals
    assert dict(zip(counter.faces.tolist(), counter.at_rest[:, 0, 0, 0].tolist(), strict=True)) == {2: 1, 1: 4}


def test_a_face_taken_twice_keeps_its_counterfactuals_once(known: FaceSet) -> None:
    assert known.take(np.array([1, 1])).counterfactuals.faces.tolist() == [0]


def test_ids_count_from_zero_where_none_are_given() -> None:
    faces = FaceSet("plain", np.zeros((3, 4, 4), np.uint8), CLASSES)
    assert faces.ids.tolist() == [0, 1, 2]


WRONG = {
    "no images": ({"images": np.zeros((0, 4, 4), np.uint8)}, "has no images"),
    "too few labels": ({"labels": np.zeros(2, int)}, "has 6 images but 2 labels"),
    "too few persons": ({"persons": np.zeros(5, int)}, "6 images but 5 persons"),
    "too little evidence": ({"evidence": {"patch": np.zeros((1, 4, 4))}}, "6 images but 1 patch"),
    "a label beyond the classes": ({"labels": np.array([0, 1, 2, 3, 0, 0])}, "image 13 has label 3, but there are 3"),
    "labels that are names": ({"labels": np.array(list("abcabc"))}, "give the number of its class for each image"),
    "ids that are fractions": ({"ids": np.arange(6.0)}, "ids are float64 of shape .6,.; give a whole number"),
    "persons unknown": ({"persons": np.array([1, 1, 2, 2, np.nan, np.nan])}, "persons are float64"),
    "evidence of another size": ({"evidence": {"patch": np.zeros((6, 2, 9))}}, "patch are of shape .6, 2, 9.*a pixel"),
    "evidence not finite": ({"evidence": {"patch": np.full((6, SIDE, SIDE), np.nan)}}, "patch hold NaN or infinity"),
    "a negative label": ({"labels": np.array([0, 1, -1, 0, 0, 0])}, "image 12 has label -1"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", WRONG)
def test_what_does_not_fit_is_one_clear_line(mistake: str, known: FaceSet) -> None:
    changed, said = WRONG[mistake]
    with pytest.raises(UsageError, match=said) as caught:
        replace(known, **changed)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("unchecked")
def test_lists_are_taken_and_persons_may_be_named(known: FaceSet) -> None:
    made = replace(
        known, ids=[5, 4, 3, 2, 1, 0], labels=[0, 1, 2, 0, 1, 2], persons=["Bo", "Al", "Bo", "Al", "Cy", "Al"]
    )
    taken = made.take(np.array([0, 3, 4]))
    assert (taken.ids.tolist(), taken.labels.tolist(), taken.persons.tolist()) == ([5, 2, 1], [0, 0, 1], [1, 0, 2])


@pytest.mark.parametrize("field", ["images", "labels", "ids", "persons"])
def test_each_thing_that_scores_depend_on_is_in_the_digest(field: str, known: FaceSet) -> None:
    other = getattr(known, field).copy()
    other.flat[0] += 1
    assert replace(known, **{field: other}).digest != known.digest


def test_evidence_and_causes_are_in_the_digest(known: FaceSet) -> None:
    name = next(iter(known.evidence))
    other = replace(known, evidence={name: known.evidence[name] + 1})
    causes = replace(known.counterfactuals, at_rest=known.counterfactuals.at_rest + 1)
    digests = {known.digest, other.digest, replace(known, counterfactuals=causes).digest}
    assert len(digests) == 3


def test_the_name_is_not_in_the_digest(known: FaceSet) -> None:
    assert replace(known, name="other").digest == known.digest


# ---------------------------------------------------------------------- choosing

GROUPS = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array)


@settings(max_examples=50, deadline=None)
@given(GROUPS, st.integers(1, 9), st.integers(0, 5))
def test_a_choice_holds_as_many_of_each_group_as_there_are_up_to_the_most(groups, most, seed):
    chosen = balanced_choice(groups, most, seed)
    assert len(set(chosen.tolist())) == len(chosen)
    for group in np.unique(groups):
        assert (groups[chosen] == group).sum() == min(most, (groups == group).sum())


@settings(max_examples=50, deadline=None)
@given(GROUPS, st.integers(1, 9), st.integers(0, 5))
def test_a_larger_choice_extends_a_smaller_one(groups, most, seed):
    assert set(balanced_choice(groups, most, seed)) <= set(balanced_choice(groups, most + 1, seed))


@settings(max_examples=20, deadline=None)
@given(GROUPS)
def test_no_limit_takes_all_grouped_in_rising_order(groups):
    chosen = balanced_choice(groups, None, 0)
    assert sorted(chosen.tolist()) == list(range(len(groups)))
    assert (np.diff(groups[chosen]) >= 0).all()


def test_another_seed_chooses_otherwise() -> None:
    groups = np.zeros(50, int)
    assert len({tuple(balanced_choice(groups, 5, seed)) for seed in range(5)}) == 5


def test_a_groups_choice_does_not_depend_on_the_other_groups() -> None:
    groups = np.repeat([0, 1], 20)
    alone = balanced_choice(np.where(groups == 1, 1, 2), 5, 0)
    assert set(balanced_choice(groups, 5, 0)) & set(range(20, 40)) == set(alone) & set(range(20, 40))


def test_without_labels_every_prediction_counts_as_right() -> None:
    assert is_right(None, np.array([0, 1])).all()


def test_a_prediction_is_right_where_it_equals_the_label() -> None:
    assert is_right(np.array([0, 1]), np.array([0, 2])).tolist() == [True, False]


def test_changed_pixels_tell_each_group_by_how_much_and_whose() -> None:
    images = np.full((3, 2, 2), 100, np.uint8)
    at_rest = np.full((1, 2, 2, 2), 100, np.uint8)
    at_rest[0, 0, 0, 0], at_rest[0, 1, 1, 1] = 90, 255  # darker, and brighter
    known = Counterfactuals(np.array([2]), ("brows", "mouth"), at_rest, at_rest)
    changed = changed_pixels(FaceSet("plain", images, CLASSES, counterfactuals=known))
    assert changed.tolist() == [[[[10, 0], [0, 0]], [[0, 0], [0, 155]]]]


def test_changed_pixels_of_faces_without_counterfactuals_are_refused() -> None:
    with pytest.raises(UsageError, match="no counterfactuals"):
        changed_pixels(FaceSet("plain", np.zeros((3, 4, 4), np.uint8), CLASSES))


def test_no_two_images_are_called_alike() -> None:
    images = np.zeros((3, 2, 2), np.uint8)
    with pytest.raises(UsageError, match=r"calls images 0 and 2 both 'a'; give each image a name of its own"):
        FaceSet("some", images, ("x",), names=("a", "b", "a"))
    with pytest.raises(UsageError, match="has 3 images but 2 names; give one each"):
        FaceSet("some", images, ("x",), names=("a", "b"))
    with pytest.raises(UsageError, match="the name ' ' of image 1 is no line of text"):
        FaceSet("some", images, ("x",), names=("a", " ", "c"))


def test_an_image_is_found_by_its_name_and_by_its_id() -> None:
    faces = FaceSet(
        "some", np.zeros((3, 2, 2), np.uint8), ("x",), ids=np.array([4, 6, 8]), names=("a.png", "b.png", "8")
    )
    assert [faces.place_called(text) for text in ("b.png", "4", "8")] == [1, 0, 2]
    with pytest.raises(UsageError, match=r"no image b\.pmg \(did you mean 'b\.png'\?\); .* and called as 'a\.png' is"):
        faces.place_called("b.pmg")


def test_what_images_are_called_is_no_part_of_what_they_are() -> None:
    images = np.zeros((2, 2, 2), np.uint8)
    assert FaceSet("some", images, ("x",), names=("a", "b")).digest == FaceSet("some", images, ("x",)).digest
