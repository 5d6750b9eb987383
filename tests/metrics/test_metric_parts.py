"""Agreement of a map's mass by part with true effects."""

import numpy as np
import pytest

from harness.metrics.parts import part_kendall, part_mass, part_spearman

AGREEMENT = [part_spearman, part_kendall]
MASSES = np.array([[4.0, 3.0, 2.0, 1.0]])


def test_the_mass_is_the_signed_sum_over_each_part():
    maps = np.array([[[1.0, -2.0], [4.0, 8.0]]])
    parts = np.array([[[[True, True], [False, False]], [[False, False], [True, False]]]])
    assert part_mass(maps, parts).tolist() == [[-1.0, 4.0]]


def test_soft_parts_weigh_their_pixels():
    assert part_mass(np.array([[[2.0, 4.0]]]), np.array([[[[0.5, 0.25]]]])).item() == 2.0


def test_each_image_has_its_own_parts():
    maps = np.array([[[1.0, 2.0]], [[1.0, 2.0]]])
    parts = np.array([[[[True, False]]], [[[False, True]]]])
    assert part_mass(maps, parts).ravel().tolist() == [1.0, 2.0]


def test_a_part_that_is_not_shown_has_no_mass():
    assert np.isnan(part_mass(np.ones((1, 2, 2)), np.zeros((1, 1, 2, 2), dtype=bool))).item()


@pytest.mark.parametrize("agreement", AGREEMENT)
def test_parts_in_the_order_of_their_effects_agree_wholly(agreement):
    assert agreement(MASSES, np.exp(MASSES)).item() == pytest.approx(1)
    assert agreement(np.exp(MASSES), MASSES).item() == pytest.approx(1)


@pytest.mark.parametrize("agreement", AGREEMENT)
def test_two_parts_are_enough_for_an_order(agreement):
    assert agreement(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]])).item() == pytest.approx(-1)


@pytest.mark.parametrize("agreement", AGREEMENT)
def test_parts_in_the_reverse_order_disagree_wholly(agreement):
    assert agreement(MASSES, -(MASSES**3)).item() == pytest.approx(-1)


def test_kendall_is_the_share_of_pairs_in_order_minus_the_rest():
    assert part_kendall(MASSES, np.array([[4.0, 3.0, 1.0, 2.0]])).item() == pytest.approx((5 - 1) / 6)


def test_kendall_is_corrected_for_ties():
    # Five of six pairs are untied on one side, all six on the other; five are in order.
    assert part_kendall(MASSES, np.array([[3.0, 2.0, 1.0, 1.0]])).item() == pytest.approx(5 / np.sqrt(5 * 6))


@pytest.mark.parametrize("agreement", AGREEMENT)
@pytest.mark.parametrize("missing", [0, 1])
def test_a_part_without_a_number_is_left_out(agreement, missing):
    arrays = [np.array([[1.0, 2.0, 3.0, 0.0]]), np.array([[1.0, 2.0, 3.0, 9.0]])]
    arrays[missing][0, 3] = np.nan
    assert agreement(*arrays).item() == pytest.approx(1)


@pytest.mark.parametrize("agreement", AGREEMENT)
def test_fewer_than_two_parts_have_no_order(agreement):
    assert np.isnan(agreement(np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]))).item()


@pytest.mark.parametrize("agreement", AGREEMENT)
@pytest.mark.parametrize("side", [0, 1])
def test_parts_of_equal_weight_have_no_order(agreement, side):
    arrays = [MASSES, MASSES.copy()]
    arrays[side] = np.full((1, 4), 0.1)
    assert np.isnan(agreement(*arrays)).item()


@pytest.mark.parametrize("agreement", AGREEMENT)
def test_as_many_masses_as_effects_are_asked_for(agreement):
    with pytest.raises((ValueError, TypeError), match=r"two of one shape|Type-check"):
        agreement(MASSES, MASSES[:, :3])
