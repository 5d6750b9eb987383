"""Dependence on weights and class: exact cases. Agreement with Quantus is in the parity tests."""

import numpy as np
import pytest
from tiny import EXACT

from harness.metrics import randomization
from harness.metrics.complexity import sparseness
from harness.metrics.randomization import residual_likeness
from harness.metrics.similarity import pearson_similarity, spearman_similarity
from harness.rounding import rounding

MAPS = np.random.default_rng(0).normal(size=(3, 6, 6))
STAGES = np.random.default_rng(1).normal(size=(3, 4, 6, 6))
CURVE = np.array([[0.9, 0.5, 0.1], [0.8, np.nan, 0.2]])


def test_the_curve_compares_each_stage_with_the_original():
    found = randomization.mprt_curve(MAPS, STAGES, spearman_similarity)
    expected = [[spearman_similarity(MAPS[[n]], STAGES[[n], s]).item() for s in range(4)] for n in range(3)]
    assert (found == np.array(expected)).all()


def test_an_explainer_that_ignores_the_network_keeps_its_likeness():
    same = np.repeat(MAPS[:, None], 3, axis=1)
    assert randomization.mprt_curve(MAPS, same, pearson_similarity) == pytest.approx(1, abs=EXACT)


def test_a_constant_map_at_a_stage_leaves_a_gap_there():
    stages = STAGES.copy()
    stages[1, 2] = 0
    gaps = np.isnan(randomization.mprt_curve(MAPS, stages, pearson_similarity))
    assert np.argwhere(gaps).tolist() == [[1, 2]]


def test_the_average_is_over_the_stages_and_undefined_with_a_gap():
    found = randomization.mprt_average(CURVE)
    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1])


def test_the_last_stage_is_the_random_network():
    assert randomization.mprt_last(CURVE).tolist() == [0.1, 0.2]


def test_efficient_mprt_is_the_relative_rise_of_complexity():
    after = STAGES[:, 0]
    expected = (sparseness(after) - sparseness(MAPS)) / sparseness(MAPS)
    assert randomization.efficient_mprt(MAPS, after, sparseness) == pytest.approx(expected)


def test_efficient_mprt_of_a_map_without_complexity_is_undefined():
    found = randomization.efficient_mprt(MAPS, STAGES[:, 0], lambda maps: (maps[:, 0, 0] > 99).astype(float))
    assert np.isnan(found).all()


def test_efficient_mprt_compares_histogram_entropies_unless_told_otherwise():
    two, four = np.array([[[0.0, 0.0, 1.0, 1.0]]]), np.array([[[0.0, 1.0, 2.0, 3.0]]])
    assert randomization.efficient_mprt(two, four).item() == pytest.approx(1)
    assert randomization.efficient_mprt(four, two).item() == pytest.approx(-0.5)


def test_smooth_maps_are_the_mean_over_copies():
    assert randomization.smooth_maps(STAGES) == pytest.approx(STAGES.mean(axis=1))


def test_smooth_mprt_compares_the_means():
    found = randomization.smooth_mprt(STAGES, STAGES[:, :2], pearson_similarity)
    assert (found == pearson_similarity(STAGES.mean(axis=1), STAGES[:, :2].mean(axis=1))).all()


def test_random_logit_is_the_likeness_of_the_two_maps():
    found = randomization.random_logit(MAPS, STAGES[:, 0], pearson_similarity)
    assert (found == pearson_similarity(MAPS, STAGES[:, 0])).all()


def test_a_class_hurt_more_by_its_own_map_is_specific():
    ends = np.array([0.0, 0.5, 1.0])
    found = randomization.target_specificity(ends, np.array([[1.0, 0.2, 0.0]]), np.array([[1.0, 0.8, 0.0]]))
    assert found.item() == pytest.approx(0.3)


def test_one_map_for_both_classes_is_not_specific():
    values = np.random.default_rng(0).random((3, 4))
    assert randomization.target_specificity(np.linspace(0, 1, 4), values, values).tolist() == [0, 0, 0]


# ---------------------------------------------------------------------- what is left beyond the class


def test_what_never_reads_the_network_is_its_randomised_self() -> None:
    """Still maps, maps that differ by image alone, and one picture scaled by an answer: each has likeness 1."""
    source = np.random.default_rng(0)
    classes = np.repeat([0, 1], 3)
    still = np.repeat(source.normal(size=(1, 6, 6)), 6, axis=0)
    of_image = source.normal(size=(6, 6, 6))
    answers, others = source.uniform(1, 2, (2, 6))
    for maps, randomized in (
        (still, still),
        (of_image, of_image),
        (still * answers[:, None, None], still * others[:, None, None]),
    ):
        np.testing.assert_allclose(
            residual_likeness(maps, randomized, classes, pearson_similarity), 1.0, rtol=0, atol=rounding("float64", 36)
        )


def test_the_negative_of_a_map_is_as_alike_as_the_map() -> None:
    maps = np.random.default_rng(1).normal(size=(4, 6, 6))
    classes = np.zeros(4, int)
    np.testing.assert_array_equal(
        residual_likeness(maps, -maps, classes, pearson_similarity),
        residual_likeness(maps, maps, classes, pearson_similarity),
    )


def test_what_a_class_has_in_common_does_not_count() -> None:
    """Maps that share a strong picture of their class and are otherwise unrelated are unlike beyond it."""
    source = np.random.default_rng(2)
    common = 50 * source.normal(size=(1, 24, 24))
    maps, others = common + source.normal(size=(8, 24, 24)), common + source.normal(size=(8, 24, 24))
    whole = np.abs(pearson_similarity(maps, others))
    beyond = residual_likeness(maps, others, np.zeros(8, int), pearson_similarity)
    assert whole.min() > 0.99
    assert beyond.mean() < 0.1  # of 576 unrelated values: .03 on average


def test_a_map_that_says_nothing_has_no_likeness_though_it_differs_from_its_class() -> None:
    rng = np.random.default_rng(3)
    maps, others = rng.normal(size=(2, 6, 8, 8))
    maps[[1, 4]] = 0.0
    found = residual_likeness(maps, others, np.repeat([0, 1], 3), pearson_similarity)
    np.testing.assert_array_equal(np.isnan(found), [False, True, False, False, True, False])


def test_beyond_its_class_a_single_image_has_nothing_and_a_pair_one_picture() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=(1, 8, 8)) * 3
    maps, others = (common + rng.normal(size=(6, 8, 8)) for _ in range(2))
    found = residual_likeness(maps, others, np.array([0, 1, 1, 2, 2, 2]), pearson_similarity)
    # Alone, whole maps would be compared, of which nine tenths are common.
    np.testing.assert_array_equal(np.isnan(found), [True, False, True, False, False, False])
    assert (found[~np.isnan(found)] < 0.5).all()
