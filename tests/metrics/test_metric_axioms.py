"""Residuals of axioms beyond those of the white-box networks: floors, signs, undefined cases."""

import numpy as np
import pytest

from harness.metrics import axioms

MAPS = np.array([[[1.0, 2.0]], [[3.0, -1.0]]])


def test_a_sum_beyond_or_below_the_drop_is_as_incomplete():
    assert axioms.completeness(MAPS, np.array([1.0, 4.0])).tolist() == [0.8, 0.8]


def test_a_drop_that_is_no_number_costs_no_other_image_its_score():
    assert axioms.completeness(MAPS, np.array([np.nan, 4.0])).tolist()[1:] == [0.5]
    assert np.isnan(axioms.completeness(MAPS, np.array([np.nan, 4.0]))[0])


def test_completeness_is_relative_to_negative_drops_too():
    assert axioms.completeness(MAPS, np.array([-3.0, -1.0])).tolist() == [3.0, 1.5]


def test_a_drop_near_zero_makes_no_map_many_times_as_incomplete():
    assert axioms.completeness(MAPS, np.array([0.0, 2.0])).tolist() == [3.0, 0.0]


def test_a_map_that_adds_up_to_nothing_is_incomplete_however_large_its_values():
    found = axioms.completeness(np.array([[[500.0, -500.0]]]), np.array([2.0]))
    assert found.tolist() == [1.0]


def test_completeness_without_any_drop_is_undefined():
    assert np.isnan(axioms.completeness(MAPS, np.zeros(2))).all()
    assert len(axioms.completeness(MAPS[:0], np.zeros(0))) == 0


RELEVANCES = np.array([[10.0, -0.5, 0.0, 0.0, 1.0]])
EFFECTS = np.array([[3.0, -2.0, 1.0, 0.0, 1e-9]])


def test_effects_and_relevance_count_by_magnitude():
    assert axioms.sensitivity(RELEVANCES, EFFECTS).item() == pytest.approx(1 / 4)
    assert axioms.non_sensitivity(RELEVANCES, EFFECTS).item() == 0


def test_an_effect_up_to_the_floor_is_none():
    assert axioms.sensitivity(RELEVANCES, EFFECTS, 0.0, 1e-6).item() == pytest.approx(1 / 3)
    assert axioms.non_sensitivity(RELEVANCES, EFFECTS, 0.0, 1e-6).item() == 0.5


def test_relevance_up_to_the_floors_share_of_the_largest_is_none():
    assert axioms.sensitivity(RELEVANCES, EFFECTS, 0.05, 1e-6).item() == pytest.approx(2 / 3)
    assert axioms.non_sensitivity(RELEVANCES, EFFECTS, 0.1, 1e-6).item() == 0


@pytest.mark.parametrize("metric", [axioms.sensitivity, axioms.non_sensitivity])
@pytest.mark.parametrize("side", [0, 1])
def test_a_missing_number_leaves_no_score(metric, side):
    arrays = [RELEVANCES.copy(), EFFECTS.copy()]
    arrays[side][0, 1] = np.nan
    assert np.isnan(metric(*arrays)).item()


def test_sensitivity_without_any_effect_is_undefined():
    assert np.isnan(axioms.sensitivity(RELEVANCES, 0 * EFFECTS)).item()


def test_non_sensitivity_where_everything_has_an_effect_is_undefined():
    assert np.isnan(axioms.non_sensitivity(RELEVANCES, 1 + 0 * EFFECTS)).item()


def test_implementation_invariance_is_in_lengths_of_the_first_map():
    found = axioms.implementation_invariance(np.array([[[3.0, 4.0]]]), np.array([[[3.0, 14.0]]]))
    assert found.item() == 2


def test_implementation_invariance_of_a_map_of_zeros_is_undefined():
    assert np.isnan(axioms.implementation_invariance(0 * MAPS, MAPS)).all()


def test_a_breach_of_linearity_is_in_lengths_of_the_combined_map():
    combined = np.array([[[3.0, 4.0]]])
    parts = (np.array([[[1.0, 1.0]]]), np.array([[[1.0, 2.0]]]))
    # 1 * (1, 1) + 2 * (1, 2) = (3, 5)
    assert axioms.linearity(combined, parts, (1.0, 2.0)).item() == pytest.approx(1 / 5)
