"""Part effects against networks that read one known patch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    PATCHES,
    bright_patch_faces,
    patch_subject,
)
from torch import Tensor, nn

from harness.effects import cause_maps, part_effects
from harness.errors import UsageError
from harness.faces.faceset import Counterfactuals, FaceSet
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.subject import InputSpec, Subject

DARK = 110


def with_counterfactuals() -> FaceSet:
    """Faces with two parts: the patch of the label, and a corner that no network reads."""
    faces = bright_patch_faces(6)
    labels = np.arange(6) % 3
    neutral, no_patch, no_corner = (faces.images.copy() for _ in range(3))
    for index, label in enumerate(labels):
        no_patch[index][PATCHES[label]] = DARK
        no_corner[index][:2, 10:] = DARK
        neutral[index] = np.minimum(no_patch[index], no_corner[index])
    at_rest = np.stack([no_patch, no_corner, neutral], axis=1)
    alone = np.stack([no_corner, no_patch], axis=1)
    known = Counterfactuals(np.arange(6), ("patch", "corner", "all"), at_rest, alone)
    return replace(faces, counterfactuals=known)


def mean_of(part: str, kind: str) -> float:
    effects = part_effects(patch_subject(), with_counterfactuals())
    return float(effects[(effects["part"] == part) & (effects["kind"] == kind)]["probability"].mean())


def test_the_patch_that_the_network_reads_is_lost_when_it_is_put_to_rest() -> None:
    faces, subject = with_counterfactuals(), patch_subject()
    known = faces.counterfactuals
    assert known is not None
    whole, rested = (
        subject.logits(subject.prepare(pictures)).numpy() for pictures in (faces.images, known.at_rest[:, 0])
    )
    truth = np.arange(6) % 3
    effects = part_effects(subject, faces)
    mine = effects[(effects["part"] == "patch") & (effects["kind"] == "at-rest")]
    expected = (whole - rested)[np.arange(6), truth]
    np.testing.assert_allclose(mine["logit"], expected, atol=AGAIN)
    assert (mine["logit"] > 1).all()


def test_a_part_that_the_network_does_not_read_has_no_effect() -> None:
    assert mean_of("corner", "at-rest") == 0


def test_the_patch_alone_gives_back_all_that_the_whole_face_has() -> None:
    assert mean_of("patch", "alone") == pytest.approx(mean_of("all", "at-rest"), abs=AGAIN)


def test_all_parts_have_no_effect_alone() -> None:
    effects = part_effects(patch_subject(), with_counterfactuals())
    assert set(effects[effects["kind"] == "alone"]["part"]) == {"patch", "corner"}


def test_faces_without_counterfactuals_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="no labelled counterfactuals"):
        part_effects(patch_subject(), bright_patch_faces())


class Reading(nn.Module):
    """Logit k is the sum over pixels of image times the k-th weight map: every effect is known by hand."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.read = nn.Linear(weights[0].size, len(weights), bias=False)
        self.read.weight.data = torch.from_numpy(weights.reshape(len(weights), -1)).float()

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images.flatten(1))


def two_groups() -> tuple[Subject, FaceSet]:
    """Three faces and a weight map, all small enough to work out by hand.

    Group "up" lifts two pixels of the second face, by 3 and by 1, that the class reads with +1; group "down" lifts one
    that it reads with -2. The third face, of class 1, has no group that acts, and only the last two are in the family.
    """
    weights, images = np.zeros((2, 4, 4)), np.full((3, 4, 4), 100, np.uint8)
    weights[0, 0, :2], weights[0, 3, 3] = 1, -2
    images[1, 0, :2] = 103, 101
    images[1, 3, 3] = 104
    at_rest = np.repeat(images[1:, None], 3, axis=1)
    at_rest[0, 0, 0, :2] = 100  # "up" at rest
    at_rest[0, 1, 3, 3] = 100  # "down" at rest
    at_rest[0, 2] = 100
    known = Counterfactuals(np.array([1, 2]), ("up", "down", "all"), at_rest, at_rest[:, :2])
    faces = FaceSet("small", images, ("read", "other"), np.array([0, 0, 1]), counterfactuals=known)
    # Input units are pixels of 0 to 255, so that effects are whole numbers.
    spec = InputSpec(4, 4, mean=(0.0,), std=(1 / 255,))
    return Subject(Reading(weights), name="reading", classes=("read", "other"), spec=spec), faces


def test_each_group_spreads_its_signed_effect_over_the_pixels_it_changes() -> None:
    maps, index = cause_maps(*two_groups())
    expected = np.zeros((4, 4))
    expected[0, :2] = 3, 1  # effect 4, spread 3 : 1
    expected[3, 3] = -8  # lifted by 4, read with -2
    assert index.tolist() == [1, 2]
    np.testing.assert_allclose(maps[0], expected, atol=1e-4)  # measured: 2e-5, float32 at pixels of 100


def test_a_face_in_which_no_group_acts_has_a_map_of_zeros() -> None:
    maps, _ = cause_maps(*two_groups())
    assert not maps[1].any()


def test_a_map_of_causes_sums_to_the_effects_of_its_groups() -> None:
    subject, faces = patch_subject(), with_counterfactuals()
    effects = part_effects(subject, faces)
    parts = effects[(effects["kind"] == "at-rest") & (effects["part"] != "all")]
    maps, index = cause_maps(subject, faces)
    expected = parts.groupby("image")["logit"].sum().loc[faces.ids[index]]
    np.testing.assert_allclose(maps.sum((1, 2)), expected, atol=1e-5)


def test_causes_lie_on_the_patch_that_the_network_reads() -> None:
    subject, faces = patch_subject(), with_counterfactuals()
    maps, index = cause_maps(subject, faces)
    assert faces.labels is not None
    for found, label in zip(maps, faces.labels[index], strict=True):
        assert found[PATCHES[label]].sum() == pytest.approx(found.sum(), abs=1e-5)
        assert (found[PATCHES[label]] > 0).all()


def test_maps_of_causes_of_a_bundled_network_are_numbers_and_follow_the_faces_taken() -> None:
    subject, faces = load_subject("faces-cnn"), load_faces("rendered")
    some = faces.take(np.arange(0, len(faces), 25))
    assert some.counterfactuals is not None
    maps, index = cause_maps(subject, some)
    assert index.tolist() == some.counterfactuals.faces.tolist()
    assert len(index)
    assert np.isfinite(maps).all()


def test_maps_of_causes_of_faces_without_counterfactuals_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="no labelled counterfactuals"):
        cause_maps(patch_subject(), bright_patch_faces())
