"""Part effects against networks that read one known patch."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import PATCHES, bright_patch_faces, patch_subject

from harness.effects import part_effects
from harness.errors import UsageError
from harness.faces.faceset import Counterfactuals, FaceSet

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
    np.testing.assert_allclose(mine["logit"], expected, atol=1e-6)
    assert (mine["logit"] > 1).all()


def test_a_part_that_the_network_does_not_read_has_no_effect() -> None:
    assert mean_of("corner", "at-rest") == 0


def test_the_patch_alone_gives_back_all_that_the_whole_face_has() -> None:
    assert mean_of("patch", "alone") == pytest.approx(mean_of("all", "at-rest"), abs=1e-6)


def test_all_parts_have_no_effect_alone() -> None:
    effects = part_effects(patch_subject(), with_counterfactuals())
    assert set(effects[effects["kind"] == "alone"]["part"]) == {"patch", "corner"}


def test_faces_without_counterfactuals_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="no labelled counterfactuals"):
        part_effects(patch_subject(), bright_patch_faces())
