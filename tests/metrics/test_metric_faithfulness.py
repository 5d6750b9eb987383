"""Removal and bank metrics: exact cases, nothing removed, everything removed, undefined cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tiny import EXACT

from harness.metrics import faithfulness as faith

FEW = settings(max_examples=20, deadline=None)
EVEN = np.linspace(0, 1, 5)
FALLING = np.array([[1.0, 0.6, 0.4, 0.1, 0.0], [0.8, 0.8, 0.4, 0.4, 0.2]])
OF_TRAJECTORY = [
    faith.pixel_flipping,
    faith.selectivity,
    faith.aopc,
    faith.monotonicity_arya,
    lambda values: faith.area_under_curve(EVEN, values),
    lambda values: faith.deletion_auc(EVEN, values),
    lambda values: faith.insertion_auc(EVEN, values),
    lambda values: faith.irof(EVEN, values),
    lambda values: faith.symmetric_relevance_gain(EVEN, values, np.zeros_like(values)),
    lambda values: faith.symmetric_relevance_gain(EVEN, np.zeros_like(values), values),
    lambda values: faith.comprehensiveness(values[:, 0], values[:, 1:]),
    lambda values: faith.sufficiency(values[:, 0], values[:, 1:]),
]


# ---------------------------------------------------------------------- areas


def test_the_area_is_that_of_the_trapezoids():
    assert faith.area_under_curve(np.array([0.0, 0.1, 1.0]), np.array([[1.0, 0.0, 1.0]])).item() == pytest.approx(0.5)


def test_uneven_steps_weigh_by_their_width():
    assert faith.area_under_curve(np.array([0.0, 0.9, 1.0]), np.array([[1.0, 1.0, 0.0]])).item() == pytest.approx(0.95)


def test_the_area_has_the_unit_of_the_values_whatever_the_span():
    values = np.full((1, 5), 0.7)
    assert faith.area_under_curve(EVEN / 4, values).item() == pytest.approx(0.7)


def test_a_repeated_last_point_adds_no_area():
    longer = faith.area_under_curve(np.append(EVEN, [1.0, 1.0]), np.c_[FALLING, FALLING[:, [-1, -1]]])
    assert longer == pytest.approx(faith.area_under_curve(EVEN, FALLING))


def test_each_image_may_have_its_own_fractions():
    rows = np.stack([EVEN, np.array([0.0, 1.0, 1.0, 1.0, 1.0])])
    assert faith.area_under_curve(rows, FALLING)[1] == pytest.approx(0.8)


def test_a_curve_that_spans_nothing_has_no_area():
    assert np.isnan(faith.area_under_curve(np.zeros(5), FALLING)).all()


def test_decreasing_fractions_are_refused():
    with pytest.raises(ValueError, match="sort the curve"):
        faith.area_under_curve(EVEN[::-1].copy(), FALLING)


def test_as_many_fractions_as_values_are_asked_for():
    with pytest.raises((ValueError, TypeError), match=r"one for each|Type-check"):
        faith.area_under_curve(EVEN[:4], FALLING)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
@FEW
def test_the_area_of_even_steps_is_the_mean_of_the_steps_midpoints(values):
    curve = np.array([values])
    middles = (curve[:, 1:] + curve[:, :-1]) / 2
    found = faith.area_under_curve(np.linspace(0, 1, len(values)), curve)
    # Summed in another order: rounding only.
    assert found == pytest.approx(middles.mean(axis=1), abs=EXACT)


def test_deletion_insertion_flipping_and_selectivity_are_that_area():
    expected = faith.area_under_curve(EVEN, FALLING)
    for found in (
        faith.deletion_auc(EVEN, FALLING),
        faith.insertion_auc(EVEN, FALLING),
        faith.pixel_flipping(FALLING),
        faith.selectivity(FALLING),
    ):
        assert found == pytest.approx(expected, abs=EXACT)


def test_a_single_step_of_flipping_has_no_area():
    assert np.isnan(faith.pixel_flipping(np.ones((2, 1)))).all()


# ---------------------------------------------------------------------- nothing and everything removed


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_where_removal_does_nothing_the_area_is_the_output(level):
    assert faith.pixel_flipping(np.full((2, 5), level)).tolist() == pytest.approx([level] * 2)


def test_where_removal_does_nothing_nothing_falls():
    still = np.full((2, 5), 0.4)
    assert faith.aopc(still).tolist() == [0, 0]
    assert faith.comprehensiveness(still[:, 0], still[:, 1:]).tolist() == [0, 0]
    assert faith.symmetric_relevance_gain(EVEN, still, still).tolist() == [0, 0]
    assert faith.irof(EVEN, still).tolist() == [0, 0]


def test_keeping_everything_is_wholly_sufficient():
    assert faith.sufficiency(np.array([0.4]), np.array([[0.4, 0.4]])).tolist() == [0]


def test_a_network_that_falls_at_once_has_the_highest_falls():
    gone = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])
    assert faith.aopc(gone).item() == pytest.approx(4 / 5)
    assert faith.comprehensiveness(gone[:, 0], gone[:, 1:]).item() == 1
    assert faith.irof(EVEN, gone).item() == pytest.approx(1 - 1 / 8)


def test_removing_everything_at_once_counts_it_once():
    assert faith.aopc(np.array([[0.9, 0.1]])).item() == pytest.approx(0.4)


# ---------------------------------------------------------------------- directions and formulas


def test_aopc_is_the_mean_fall_from_step_zero_over_all_steps():
    assert faith.aopc(FALLING) == pytest.approx([(0.4 + 0.6 + 0.9 + 1.0) / 5, (0.4 + 0.4 + 0.6) / 5])


def test_srg_is_the_area_of_least_first_minus_that_of_most_first():
    gain = faith.symmetric_relevance_gain(np.array([0.0, 0.5, 1.0]), np.array([[1, 0.9, 0.0]]), np.array([[1, 0.2, 0]]))
    assert gain.item() == pytest.approx(0.35)


def test_srg_changes_sign_when_the_map_does():
    most, least = FALLING, FALLING[:, ::-1]
    assert faith.symmetric_relevance_gain(EVEN, least, most) == pytest.approx(
        -faith.symmetric_relevance_gain(EVEN, most, least)
    )


def test_comprehensiveness_is_the_mean_fall_over_the_bins_each_image_by_itself():
    found = faith.comprehensiveness(np.array([1.0, 0.5]), np.array([[0.8, 0.2], [0.5, 0.5]]))
    assert found.tolist() == pytest.approx([0.5, 0.0])


def test_sufficiency_is_negative_where_a_part_speaks_louder():
    assert faith.sufficiency(np.array([0.5]), np.array([[0.9, 0.7]])).item() == pytest.approx(-0.3)


def test_irof_is_relative_to_the_whole_images_output():
    assert faith.irof(EVEN, 0.5 * FALLING) == pytest.approx(faith.irof(EVEN, FALLING))


def test_irof_of_an_output_of_zero_is_undefined():
    assert np.isnan(faith.irof(EVEN, np.zeros((1, 5)))).all()


def test_arya_accepts_a_rise_and_a_plateau():
    assert faith.monotonicity_arya(np.array([[0.0, 0.5, 0.5, 1.0]])).item() == 1


def test_arya_refuses_any_fall():
    assert faith.monotonicity_arya(np.array([[0.0, 0.5, 0.49, 1.0]])).item() == 0


def test_arya_is_undefined_where_the_output_never_moves():
    assert np.isnan(faith.monotonicity_arya(np.full((1, 4), 0.3))).all()


@pytest.mark.parametrize("metric", OF_TRAJECTORY)
def test_an_output_that_is_nan_leaves_its_image_alone_without_score(metric):
    values = np.concatenate([FALLING, FALLING])
    values[1, 2] = np.nan
    assert np.isnan(metric(values)).tolist() == [False, True, False, False]


@pytest.mark.parametrize("metric", OF_TRAJECTORY)
def test_permuting_the_images_permutes_the_scores(metric):
    values = np.concatenate([FALLING, FALLING[:, ::-1], 1 - FALLING])
    order = [3, 0, 5, 1, 4, 2]
    assert metric(values[order]) == pytest.approx(metric(values)[order], abs=EXACT, nan_ok=True)


# ---------------------------------------------------------------------- ROAD


CORRECT = np.array([[True, True, False], [True, False, False], [False, False, False], [True, True, True]])


def test_the_road_curve_is_the_accuracy_at_each_step():
    assert faith.road_curve(CORRECT).tolist() == [0.75, 0.5, 0.25]


def test_the_road_curve_without_images_is_undefined():
    assert np.isnan(faith.road_curve(np.empty((0, 3), dtype=bool))).all()


def test_the_mean_of_road_is_the_area_under_its_curve():
    ends = np.array([0.0, 0.3, 1.0])
    area = faith.area_under_curve(ends, faith.road_curve(CORRECT)[None]).item()
    assert faith.road(ends, CORRECT).mean() == pytest.approx(area)


# ---------------------------------------------------------------------- banks


def test_attributed_sums_are_the_maps_sums_over_what_is_removed():
    rng = np.random.default_rng(0)
    maps, removed = rng.normal(size=(3, 4, 5)), rng.random((6, 4, 5)) < 0.4
    expected = [[one[gone].sum() for gone in removed] for one in maps]
    assert faith.attributed_sums(maps, removed) == pytest.approx(np.array(expected))


def test_attributed_sums_of_soft_masks_are_weighted():
    found = faith.attributed_sums(np.array([[[1.0, 2.0]]]), np.array([[[0.5, 0.25]]]))
    assert found.item() == 1.0


def test_nothing_removed_has_attributed_nothing():
    assert faith.attributed_sums(np.ones((1, 2, 2)), np.zeros((1, 2, 2))).item() == 0


def test_everything_removed_has_attributed_the_maps_sum():
    maps = np.random.default_rng(0).normal(size=(2, 3, 3))
    assert faith.attributed_sums(maps, np.ones((1, 3, 3)))[:, 0] == pytest.approx(maps.sum(axis=(1, 2)))


BANK = np.random.default_rng(5).normal(size=(2, 4, 30))
CORRELATIONS = [faith.faithfulness_correlation, faith.faithfulness_estimate]


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_a_correlation_is_scipys(metric):
    expected = [stats.pearsonr(a, b).statistic for a, b in zip(*BANK, strict=True)]
    assert metric(*BANK) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("metric", CORRELATIONS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_correlation_with_a_constant_is_undefined(metric, side):
    bank = BANK.copy()
    bank[side, 1] = 0.1
    assert np.isnan(metric(*bank)).tolist() == [False, True, False, False]


@pytest.mark.parametrize("metric", [*CORRELATIONS, faith.infidelity, faith.scaled_infidelity])
@pytest.mark.parametrize("side", [0, 1])
def test_a_bank_with_nan_is_undefined(metric, side):
    bank = BANK.copy()
    bank[side, 1, 7] = np.nan
    assert np.isnan(metric(*bank)).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "metric",
    [*CORRELATIONS, faith.infidelity, faith.scaled_infidelity, faith.monotonicity_nguyen],
)
def test_measurements_of_two_shapes_are_refused(metric):
    with pytest.raises((ValueError, TypeError), match=r"two of one shape|Type-check"):
        metric(np.zeros((2, 3)), np.zeros((2, 4)))


def test_a_constant_map_over_removals_of_one_size_correlates_with_nothing_whatever_the_rounding():
    rng = np.random.default_rng(0)
    removed = rng.permuted(np.tile(np.arange(400) < 37, (50, 1)), axis=1).reshape(50, 20, 20)
    sums = faith.attributed_sums(np.full((1, 20, 20), 0.1) * (1 + 1e-16), removed)
    assert np.isnan(faith.faithfulness_correlation(sums + 1e-15 * rng.random((1, 50)), rng.random((1, 50)))).item()


def test_sensitivity_n_correlates_over_removals_of_one_size():
    attributed, drops = (array.reshape(2, 2, 30) for array in BANK)
    expected = [[stats.pearsonr(attributed[n, s], drops[n, s]).statistic for s in range(2)] for n in range(2)]
    assert faith.sensitivity_n_curve(attributed, drops) == pytest.approx(np.array(expected), abs=EXACT)


def test_sensitivity_n_is_the_mean_over_the_sizes():
    attributed, drops = (array.reshape(2, 2, 30) for array in BANK)
    expected = faith.sensitivity_n_curve(attributed, drops).mean(axis=1)
    assert faith.sensitivity_n(attributed, drops) == pytest.approx(expected)


def test_sensitivity_n_is_undefined_where_one_size_is():
    attributed, drops = (array.reshape(2, 2, 30).copy() for array in BANK)
    drops[0, 1] = 0.0
    assert np.isnan(faith.sensitivity_n(attributed, drops)).tolist() == [True, False]


def test_nguyens_effect_is_the_mean_squared_change():
    whole, resampled = np.array([1.0, 2.0]), np.array([[[1.0, 3.0]], [[2.0, 0.0]]])
    assert faith.nguyen_effects(whole, resampled).tolist() == [[2.0], [2.0]]


def test_nguyens_correlation_is_of_ranks_and_magnitudes():
    relevances, effects = BANK
    expected = [stats.spearmanr(np.abs(a), b).statistic for a, b in zip(relevances, effects, strict=True)]
    assert faith.monotonicity_nguyen(relevances, effects) == pytest.approx(expected, abs=EXACT)


def test_infidelity_is_the_mean_squared_difference():
    attributed, drops = BANK
    assert faith.infidelity(attributed, drops) == pytest.approx(((attributed - drops) ** 2).mean(axis=1))


def test_infidelity_of_a_rescaled_map_is_another_and_scaled_infidelity_is_not():
    attributed, drops = BANK
    assert (faith.infidelity(3 * attributed, drops) != faith.infidelity(attributed, drops)).all()
    assert faith.scaled_infidelity(3 * attributed, drops) == pytest.approx(faith.scaled_infidelity(attributed, drops))


@given(st.floats(0, 5))
@FEW
def test_no_other_positive_scale_is_better_than_the_one_taken(scale):
    attributed, drops = BANK
    best = faith.scaled_infidelity(attributed, drops)
    assert (best <= faith.infidelity(scale * attributed, drops) + EXACT).all()


def test_a_map_of_the_wrong_sign_is_not_rescaled_to_a_right_one():
    drops = BANK[1]
    right, wrong = faith.scaled_infidelity(2 * drops, drops), faith.scaled_infidelity(-2 * drops, drops)
    assert right == pytest.approx(0, abs=(3 * EXACT) ** 2)  # the square of drops up to 3
    assert wrong == pytest.approx((drops**2).mean(axis=1))


def test_scaled_infidelity_of_a_bank_that_meets_no_relevance_is_undefined():
    assert np.isnan(faith.scaled_infidelity(np.zeros((1, 3)), np.ones((1, 3)))).all()


@pytest.mark.parametrize("scale", [1e-180, 1e180])
def test_scaled_infidelity_of_tiny_and_huge_maps_is_that_of_common_ones(scale):
    attributed, drops = BANK
    found = faith.scaled_infidelity(scale * attributed, drops)
    assert found == pytest.approx(faith.scaled_infidelity(attributed, drops), abs=EXACT)


# ---------------------------------------------------------------------- the picture times its map


def test_a_mask_is_the_positive_relevance_from_0_to_1():
    maps = np.array([[[-3.0, 1.0, 5.0]], [[2.0, 3.0, 6.0]]])
    assert faith.keep_masks(maps).tolist() == [[[0, 0.2, 1]], [[0, 0.25, 1]]]


@pytest.mark.parametrize("row", [[2.0, 2.0, 2.0], [-1.0, -2.0, 0.0], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0]])
def test_a_map_that_keeps_nothing_in_particular_has_no_mask(row):
    assert np.isnan(faith.keep_masks(np.array([[row]]))).all()


WHOLE, KEPT = np.array([0.8, 0.5, 0.4, 0.6]), np.array([0.6, 0.75, 0.4, 0.0])


def test_drop_and_gain_are_shares_of_what_there_is_to_lose_and_to_gain():
    assert faith.average_drop(WHOLE, KEPT) == pytest.approx([0.25, 0, 0, 1], abs=EXACT)
    assert faith.average_gain(WHOLE, KEPT) == pytest.approx([0, 0.5, 0, 0], abs=EXACT)
    assert faith.average_increase(WHOLE, KEPT).tolist() == [0, 1, 0, 0]


def test_without_room_to_fall_or_to_rise_there_is_no_share():
    ends = np.array([0.0, 1.0])
    assert np.isnan(faith.average_drop(ends, np.full(2, 0.5))).tolist() == [True, False]
    assert np.isnan(faith.average_gain(ends, np.full(2, 0.5))).tolist() == [False, True]


@pytest.mark.parametrize("score", [faith.average_drop, faith.average_gain, faith.average_increase])
def test_a_masked_picture_without_an_answer_has_no_score(score):
    assert np.isnan(score(np.array([0.5]), np.array([np.nan]))).all()


def test_adcc_complexity_is_the_mean_of_the_mask():
    assert faith.adcc_complexity(np.array([[[0.0, 0.5], [1.0, 0.5]]])).tolist() == [0.5]


def test_coherency_moves_the_correlation_to_between_0_and_1():
    masks = np.random.default_rng(0).random((3, 4, 5))
    again = np.random.default_rng(1).random((3, 4, 5))
    moved = [(stats.pearsonr(one.ravel(), other.ravel())[0] + 1) / 2 for one, other in zip(masks, again, strict=True)]
    assert faith.coherency(masks, again) == pytest.approx(moved, abs=EXACT)
    assert np.isnan(faith.coherency(masks, np.full_like(masks, np.nan))).all()


def test_adcc_is_the_harmonic_mean_of_the_three():
    parts = np.array([[0.9, 0.5, 0.25], [0.2, 0.4, 0.5], [0.1, 0.0, 0.75]])
    wanted = [stats.hmean([c, 1 - k, 1 - d]) for c, k, d in parts.T]
    assert faith.adcc(*parts) == pytest.approx(wanted, abs=EXACT)


@pytest.mark.parametrize("place", range(3))
def test_adcc_is_0_where_one_of_the_three_is_at_its_worst_and_undefined_where_one_is(place):
    parts = [np.array([0.5, 0.5]) for _ in range(3)]
    parts[place] = np.array([0.0 if place == 0 else 1.0, np.nan])
    worst, undefined = faith.adcc(*parts)
    assert worst == 0
    assert np.isnan(undefined)


# ---------------------------------------------------------------------- curves over information


SIZES = np.array([[100, 120, 160, 200], [100, 180, 140, 200]])
SAID = np.array([[0.1, 0.5, 0.3, 0.9], [0.1, 0.9, 0.5, 0.9]])


def area_by_hand(places: list[tuple[float, float]]) -> float:
    """The area under points joined by lines, at the thousand places and the end of the paper's code."""
    across = np.append(np.linspace(0, 1, 1000, endpoint=False), 1.0)
    return float(np.trapezoid(np.interp(across, *np.array(places).T), across))


def test_an_information_curve_never_falls_and_ends_at_the_whole_picture():
    # What was said of the second step stays, though the third is answered worse: (0.2, 0.5), (0.6, 0.5).
    first = area_by_hand([(0, 0), (0.2, 0.5), (0.6, 0.5), (1, 1)])
    # By what was told, not by steps; the second step reached all there is.
    second = area_by_hand([(0, 0), (0.4, 1), (0.8, 1), (1, 1)])
    # The area is taken of a thousand lines, each a little off at a corner.
    assert faith.softmax_information_curve(SIZES, SAID) == pytest.approx([first, second], abs=EXACT)


def test_what_lies_outside_the_ends_counts_as_the_end():
    sizes, said = np.array([[100, 90, 230, 200]]), np.array([[0.2, 0.1, 1.0, 0.9]])
    assert faith.softmax_information_curve(sizes, said) == pytest.approx([area_by_hand([(0, 0), (1, 1)])], abs=EXACT)


@pytest.mark.parametrize(("answer", "height"), [(1.0, 1.0), (0.1, 0.0)])
def test_an_answer_beyond_the_whole_picture_or_below_the_blurred_counts_as_theirs(answer, height):
    found = faith.softmax_information_curve(np.array([[100, 150, 200]]), np.array([[0.2, answer, 0.9]]))
    assert found == pytest.approx([area_by_hand([(0, 0), (0.5, height), (1, 1)])], abs=EXACT)


def test_accuracy_is_a_curve_of_zeros_and_ones():
    recognised = np.array([[False, False, True, True], [False, True, False, True]])
    first = area_by_hand([(0, 0), (0.2, 0), (0.6, 1), (1, 1)])
    second = area_by_hand([(0, 0), (0.4, 1), (0.8, 1), (1, 1)])
    assert faith.accuracy_information_curve(SIZES, recognised) == pytest.approx([first, second], abs=EXACT)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([100, 120, 200], [0.1, 0.5, 0.79]),  # never sure of the whole
        ([200, 220, 200], [0.1, 0.5, 0.9]),  # the blurred picture tells as much
        ([100, 120, 200], [0.9, 0.5, 0.9]),  # and is answered as well
    ],
)
def test_without_a_curve_there_is_no_area(sizes, said):
    assert np.isnan(faith.softmax_information_curve(np.array([sizes]), np.array([said]))).all()


def test_a_blurred_picture_that_is_recognised_has_no_accuracy_curve():
    assert np.isnan(faith.accuracy_information_curve(SIZES[:1], np.array([[True, False, True, True]]))).all()


# ---------------------------------------------------------------------- soundness and completeness


def sound_by_hand(shown: list[float], said: list[float], rise: float, start: float) -> float:
    """The published procedure, step by step."""
    in_vain, before, last, shares = 0.0, 0.0, 0.0, []
    for attributed, answer in zip(shown, said, strict=True):
        shares.append((attributed - in_vain) / attributed)
        if answer > start and answer - last <= rise:
            in_vain += attributed - before
        before, last = attributed, answer
    return float(np.mean(shares))


@pytest.mark.parametrize(("rise", "start"), [(0.01, 0.04), (0.2, 0.0), (0.0, 0.5)])
def test_soundness_is_the_published_procedure(rise, start):
    rng = np.random.default_rng(0)
    shown = np.cumsum(rng.random((5, 7)) + 0.1, axis=1)
    said = np.round(rng.random((5, 7)), 1)
    wanted = [sound_by_hand(*each, rise, start) for each in zip(shown, said, strict=True)]
    assert faith.attribution_soundness(shown, said, rise, start) == pytest.approx(wanted, abs=EXACT)


def test_what_rises_with_every_step_is_wholly_sound():
    said = np.linspace(0.1, 0.9, 5)[None]
    assert faith.attribution_soundness(np.arange(1.0, 6.0)[None], said).tolist() == [1]


def test_nothing_attributed_and_nothing_answered_have_no_soundness():
    shown = np.array([[0.0, 0.0], [1.0, 2.0]])
    assert np.isnan(faith.attribution_soundness(shown, np.array([[0.5, 0.6], [0.5, np.nan]]))).all()


def test_completeness_of_attribution_is_the_recognition_that_is_lost():
    without = np.array([[True, False, False, False], [True, True, True, True]])
    assert faith.attribution_completeness(np.array([True, True]), without).tolist() == [0.75, 0]


# ---------------------------------------------------------------------- the inverse explanation


def test_the_quality_gap_of_deletion_is_the_symmetric_relevance_gain():
    """QGE (Eiras-Franco et al. 2025) sets a score beside that of the inverse map, whose order is turned round."""
    least_first = np.random.default_rng(3).random(FALLING.shape)
    gap = faith.deletion_auc(EVEN, least_first) - faith.deletion_auc(EVEN, FALLING)
    assert faith.symmetric_relevance_gain(EVEN, least_first, FALLING) == pytest.approx(gap, abs=EXACT)


def test_the_quality_gap_of_a_correlation_is_twice_the_correlation():
    rng = np.random.default_rng(4)
    sums, drops = rng.normal(size=(3, 8)), rng.normal(size=(3, 8))
    own, inverse = (faith.faithfulness_correlation(each, drops) for each in (sums, -sums))
    assert own - inverse == pytest.approx(2 * own, abs=EXACT)
