"""Class by class tables: likeness of class-mean maps and images, and the confusion matrix."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from tiny import (
    CLASSES,
    EXACT,
    SIDE,
    bright_patch_faces,
    make_case,
    oracle_of,
    patch_subject,
)

from harness.checks import Evidence
from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, ClassSimilarity, Measured, confusion
from harness.store import MATRICES, SCORES, frame


def matrix(found: Measured, name: str) -> np.ndarray:
    return Evidence(frame(SCORES), found.matrices, CLASSES, 0).matrix(name)


def test_the_likeness_of_maps_is_the_rank_correlation_of_their_class_means(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    scaled = maps / np.linalg.norm(maps, axis=(1, 2), keepdims=True)
    means = [scaled[patch_case.targets == k].astype(np.float64).mean(0).ravel() for k in range(3)]
    found = matrix(ClassSimilarity().measure(Attributions(patch_case, maps)), "map-similarity")
    # Means of float32 maps in single or double precision may rank near-equal pixels otherwise.
    np.testing.assert_allclose(found, spearmanr(np.array(means).T).statistic, atol=1e-5)


def test_it_is_symmetric_with_ones_on_the_diagonal(patch_case: EvaluationSet) -> None:
    found = matrix(ClassSimilarity().measure(Attributions(patch_case, oracle_of(patch_case))), "map-similarity")
    np.testing.assert_array_equal(found, found.T)
    assert np.diag(found).tolist() == [1, 1, 1]


def test_a_strong_map_does_not_speak_for_its_class(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    strong = maps.copy()
    strong[0] *= 1024  # a power of two, so that no digit is lost
    one, other = (
        matrix(ClassSimilarity().measure(Attributions(patch_case, m)), "map-similarity") for m in (maps, strong)
    )
    np.testing.assert_array_equal(one, other)


def test_classes_with_the_same_map_are_alike_and_others_are_not(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    maps[patch_case.targets == 1] = maps[patch_case.targets == 0]
    found = matrix(ClassSimilarity().measure(Attributions(patch_case, maps)), "map-similarity")
    assert found[0, 1] == pytest.approx(1, abs=EXACT)
    assert found[0, 2] < 0.5


def test_a_class_without_images_is_null() -> None:
    case = make_case(patch_subject(), bright_patch_faces().take(np.array([0, 3, 1, 4])))
    found = matrix(ClassSimilarity().measure(Attributions(case, oracle_of(case))), "map-similarity")
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    assert not np.isnan(found[:2, :2]).any()


def test_a_class_of_constant_maps_is_null_never_zero(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    maps[patch_case.targets == 2] = 0
    found = matrix(ClassSimilarity().measure(Attributions(patch_case, maps)), "map-similarity")
    assert np.isnan(found[2]).all()


def test_the_likeness_of_images_is_that_of_the_pictures(patch_case: EvaluationSet) -> None:
    pictures = patch_case.subject.spec.to_grey(patch_case.images).astype(np.float64)
    means = [pictures[patch_case.targets == k].mean(0).ravel() for k in range(3)]
    found = matrix(ClassSimilarity().of_images(patch_case), "image-similarity")
    # A correlation of ranks, in doubles.
    np.testing.assert_allclose(found, spearmanr(np.array(means).T).statistic, atol=EXACT)


def test_the_likeness_of_images_does_not_depend_on_the_maps_or_the_seed(patch_case: EvaluationSet) -> None:
    one, other = (matrix(ClassSimilarity().of_images(replace(patch_case, seed=s)), "image-similarity") for s in (0, 1))
    np.testing.assert_array_equal(one, other)


def test_confusion_counts_true_rows_and_predicted_columns() -> None:
    found = matrix(confusion(CLASSES, np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0])), "confusion")
    assert found.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]


def test_rows_have_the_stored_columns(patch_case: EvaluationSet) -> None:
    maps = np.random.default_rng(0).normal(size=(len(patch_case.targets), SIDE, SIDE)).astype(np.float32)
    assert list(ClassSimilarity().measure(Attributions(patch_case, maps)).matrices.columns) == list(MATRICES)
