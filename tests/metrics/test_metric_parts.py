"""Agreement of a map's mass by part with true effects."""

import numpy as np
import pytest
from tiny import EXACT

from harness.metrics import parts
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


# ---------------------------------------------------------------------- FunnyBirds' protocols


def sets_by_hand(important: np.ndarray) -> list[list[int]]:
    """The number of each threshold's set, part i adding 2**i."""
    return [[sum(2**part for part in np.flatnonzero(chosen)) for chosen in one] for one in important]


def test_a_part_is_important_where_it_has_more_than_the_share():
    important = parts.important_parts(np.array([[0.2, 0.0, 0.5, np.nan]]), np.array([2.0]))
    shares = np.linspace(0.01, 0.5, 80)
    assert important.shape == (1, 80, 4)
    assert (important[0, :, 0] == (shares < 0.1)).all()
    assert (important[0, :, 2] == (shares < 0.25)).all()
    assert not important[0, :, [1, 3]].any()


IMPORTANT = np.random.default_rng(0).random((5, 6, 3)) < 0.5


@pytest.mark.parametrize("kept", [True, False])
def test_a_check_looks_up_every_set_and_leaves_out_what_is_not_known(kept):
    answered = np.random.default_rng(1).integers(0, 2, (5, 8)).astype(float)
    answered[:, 3] = np.nan
    numbers = sets_by_hand(IMPORTANT if kept else ~IMPORTANT)
    wanted = [np.nanmean([row[number] for number in mine]) for row, mine in zip(answered, numbers, strict=True)]
    found = (parts.preservation_check if kept else parts.deletion_check)(IMPORTANT, answered)
    assert found == pytest.approx(wanted if kept else [1 - one for one in wanted], abs=EXACT)


@pytest.mark.parametrize("check", [parts.preservation_check, parts.deletion_check])
def test_where_no_set_is_known_there_is_no_check(check):
    assert np.isnan(check(IMPORTANT, np.full((5, 8), np.nan))).all()


def test_parts_without_effect_are_those_below_a_twentieth_or_that_speak_against():
    important = np.ones((1, 2, 4), dtype=bool)
    important[0, 1] = [False, True, False, True]
    # Without effect: the first by size, the second by sign; of the last nothing is known.
    effects = np.array([[0.49, -3.0, 0.51, np.nan]])
    # Two of two are called important at the first threshold, one of two at the second.
    assert parts.distractibility(important, effects, np.array([-10.0])).tolist() == [0.25]


def test_where_every_part_counts_nobody_can_be_distracted():
    assert np.isnan(parts.distractibility(IMPORTANT, np.full((5, 3), 9.0), np.ones(5))).all()


def test_target_sensitivity_asks_each_part_of_the_map_of_its_class():
    first = np.array([[3.0, 1.0], [3.0, 1.0], [1.0, 2.0], [1.0, 1.0], [np.nan, 1.0]])
    second = np.array([[1.0, 3.0], [1.0, 1.0], [3.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    assert parts.target_sensitivity(first, second)[:4].tolist() == [1, 0.5, 0, 0]
    assert np.isnan(parts.target_sensitivity(first, second)[4])
