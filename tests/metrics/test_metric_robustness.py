"""How far maps move: exact cases, copies that do not count, undefined cases."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from tiny import EXACT

from harness.metrics import robustness

MAPS = np.array([[[3.0, 4.0]], [[6.0, 8.0]]])
# The first map moves by 5, 0 and 10, the second by 1, 20 and 0.
MOVED = np.array([[[[3.0, 9.0]], [[3.0, 4.0]], [[9.0, 12.0]]], [[[6.0, 9.0]], [[22.0, 20.0]], [[6.0, 8.0]]]])
DISTANCES = np.array([[1.0, 2.0, 4.0], [0.5, 2.0, 1.0]])
KEPT = np.array([[True, True, False], [False, False, False]])
ONES = np.ones((2, 2)), np.full((2, 3, 2), 1.5)
WITH_COPIES = {
    "max": lambda kept: robustness.max_sensitivity(MAPS, MOVED, kept),
    "average": lambda kept: robustness.average_sensitivity(MAPS, MOVED, kept),
    "lipschitz": lambda kept: robustness.local_lipschitz(MAPS, MOVED, DISTANCES, kept),
    "continuity": lambda kept: robustness.continuity(MAPS, MOVED, DISTANCES, kept),
    "input": lambda kept: robustness.relative_input_stability(MAPS, MOVED, *ONES, kept),
    "representation": lambda kept: robustness.relative_representation_stability(MAPS, MOVED, *ONES, kept),
    "output": lambda kept: robustness.relative_output_stability(MAPS, MOVED, *ONES, kept),
}


def test_the_highest_change_is_in_lengths_of_the_map():
    assert robustness.max_sensitivity(MAPS, MOVED).tolist() == [2.0, 2.0]


def test_the_average_change_is_in_lengths_of_the_map():
    assert robustness.average_sensitivity(MAPS, MOVED) == pytest.approx([3 / 3, 2.1 / 3])


def test_a_lipschitz_ratio_is_euclidean_in_both():
    assert robustness.local_lipschitz(MAPS, MOVED, DISTANCES).tolist() == [5.0, 10.0]


def test_continuity_sums_absolute_differences():
    assert robustness.continuity(MAPS, MOVED, DISTANCES).tolist() == [5.0, 14.0]


def test_continuity_adds_what_rises_and_what_falls():
    moved = np.array([[[[2.0, 6.0]]], [[[6.0, 8.0]]]])
    assert robustness.continuity(MAPS, moved, np.ones((2, 1))).tolist() == [3.0, 0.0]


def test_relative_input_stability_is_entry_by_entry_as_published():
    inputs = np.array([[1.0, 2.0], [1.0, 2.0]])
    moved_inputs = inputs[:, None] * [[[1.3, 1.4]]] * np.ones((1, 3, 1))
    # Changes of the maps' entries: (0, 5/4), 0 and (2, 2); (0, 1/8), (16/6, 12/8) and 0.
    highest = np.array([np.hypot(2, 2), np.hypot(16 / 6, 12 / 8)])
    found = robustness.relative_input_stability(MAPS, MOVED, inputs, moved_inputs)
    assert found == pytest.approx(highest / np.hypot(0.3, 0.4))


def test_relative_representation_stability_is_the_same_ratio():
    arguments = MAPS, MOVED, np.array([[1.0, 2.0]] * 2), np.array([[[1.5, 2.5]] * 3] * 2)
    found = robustness.relative_representation_stability(*arguments)
    assert (found == robustness.relative_input_stability(*arguments)).all()


def test_relative_output_stability_divides_by_the_plain_change_of_the_logits():
    logits = np.array([[100.0, 0.0], [100.0, 0.0]])
    found = robustness.relative_output_stability(
        MAPS, MOVED, logits, logits[:, None] + np.array([[[3.0, 4.0]] * 3] * 2)
    )
    assert found == pytest.approx(np.array([np.hypot(2, 2), np.hypot(16 / 6, 12 / 8)]) / 5)


def test_change_by_length_divides_by_the_length():
    assert robustness.length_change(MAPS, MOVED)[0] == pytest.approx([1.0, 0.0, 2.0])


def test_change_entry_by_entry_is_undefined_where_an_entry_leaves_zero():
    found = robustness.entrywise_change(np.array([[0.0, 2.0]]), np.array([[[0.0, 3.0], [0.1, 2.0]]]))
    assert found[0, 0] == 0.5
    assert np.isnan(found[0, 1])


def test_change_by_length_is_defined_where_an_entry_leaves_zero():
    assert robustness.length_change(np.array([[0.0, 2.0]]), np.array([[[1.0, 2.0]]])).item() == 0.5


def test_stability_may_be_measured_by_length():
    found = robustness.relative_input_stability(MAPS, MOVED, *ONES, None, robustness.length_change)
    assert found == pytest.approx([2 / 0.5, 2 / 0.5])


@pytest.mark.parametrize("metric", WITH_COPIES.values(), ids=WITH_COPIES)
def test_a_copy_whose_prediction_changed_does_not_count(metric):
    kept = np.array([[True, True, False], [True, False, True]])
    only = metric(kept)
    assert (only < metric(None)).tolist()[1]
    assert not np.isnan(only).any()


@pytest.mark.parametrize("metric", WITH_COPIES.values(), ids=WITH_COPIES)
def test_without_a_copy_left_there_is_no_score(metric):
    assert np.isnan(metric(KEPT)).tolist() == [False, True]


@pytest.mark.parametrize("metric", [robustness.local_lipschitz, robustness.continuity])
def test_a_copy_no_distance_away_leaves_no_score(metric):
    distances = DISTANCES.copy()
    distances[0, 1] = 0
    assert np.isnan(metric(MAPS, MOVED, distances)).tolist() == [True, False]


@pytest.mark.parametrize("metric", [robustness.max_sensitivity, robustness.average_sensitivity])
def test_a_map_of_zeros_has_no_length_to_move_by(metric):
    assert np.isnan(metric(0 * MAPS, MOVED)).all()


@pytest.mark.parametrize("metric", WITH_COPIES.values(), ids=WITH_COPIES)
def test_copies_in_place_score_nothing(metric):
    still = np.repeat(MAPS[:, None], 3, axis=1)
    scores = {
        "max": robustness.max_sensitivity(MAPS, still),
        "average": robustness.average_sensitivity(MAPS, still),
        "lipschitz": robustness.local_lipschitz(MAPS, still, DISTANCES),
        "continuity": robustness.continuity(MAPS, still, DISTANCES),
        "input": robustness.relative_input_stability(MAPS, still, *ONES),
    }
    assert all((found == 0).all() for found in scores.values())


def test_copies_of_another_shape_are_refused():
    with pytest.raises((ValueError, TypeError), match=r"copies|Type-check"):
        robustness.max_sensitivity(MAPS, MOVED[..., :1])


def test_input_invariance_is_the_distance_in_lengths_of_the_map():
    assert robustness.input_invariance(MAPS, MOVED[:, 0]) == pytest.approx([1.0, 0.1])


# ---------------------------------------------------------------------- Dasgupta


def test_consistency_leaves_the_image_itself_out():
    found = robustness.consistency(np.array([0, 0, 0, 0]), np.array([1, 1, 2, 3]))
    assert found.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 0])


def test_consistency_of_an_explanation_that_no_other_image_has_is_undefined():
    assert np.isnan(robustness.consistency(np.array([0, 1, 1]), np.array([1, 1, 1]))).tolist() == [True, False, False]


def test_neighbours_at_the_radius_count():
    apart = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    found = robustness.neighbour_sufficiency(apart, np.array([0, 0, 1]), 1.0)
    assert found.tolist() == [1.0, 0.5, 0.0]


def test_codes_are_equal_where_every_cells_sum_has_the_same_sign():
    maps = np.zeros((3, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3] = 1, -1
    maps[1, 1, 1], maps[1, 2, 2] = 5, -2
    maps[2, 0, 0], maps[2, 0, 3] = 1, -1
    codes = robustness.coarse_codes(maps, 2)
    assert codes[0] == codes[1] != codes[2]


@pytest.mark.parametrize("grid", [0, 5])
def test_a_grid_that_does_not_fit_is_refused(grid):
    with pytest.raises(ValueError, match="cells a side"):
        robustness.coarse_codes(np.zeros((1, 4, 6)), grid)


def test_seed_stability_is_the_mean_rank_correlation_of_all_pairs():
    redrawn = np.random.default_rng(0).normal(size=(3, 4, 5, 6)) + np.arange(30).reshape(5, 6) / 10
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    wanted = [np.mean([spearmanr(maps[a].ravel(), maps[b].ravel()).statistic for a, b in pairs]) for maps in redrawn]
    assert robustness.seed_stability(redrawn) == pytest.approx(wanted, abs=EXACT)


def test_seed_stability_needs_two_seeds_and_maps_that_vary():
    redrawn = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    redrawn[1, 2] = 5.0
    assert np.isnan(robustness.seed_stability(redrawn)).tolist() == [False, True]
    assert np.isnan(robustness.seed_stability(redrawn[:, :1])).all()
