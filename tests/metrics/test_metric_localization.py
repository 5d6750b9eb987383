"""Pointing at evidence: exact cases, ties, sign, undefined cases."""

from itertools import permutations

import numpy as np
import pytest

from harness.metrics import localization as where
from harness.metrics.similarity import absolute

MAP = np.array([[[9.0, 5.0, 1.0, -1.0], [2.0, 3.0, -6.0, 0.0]]])
LEFT = np.array([[[True, False, False, False], [True, False, False, False]]])
BY_ORDER = [
    where.pointing_game,
    where.relevance_rank_accuracy,
    where.localization_auc,
    where.intersection_over_union,
    lambda maps, evidence: where.top_k_intersection(maps, evidence, 2),
]
BY_MASS = [where.relevance_mass, where.attribution_localization, where.focus]


def evidence_at(*places: tuple[int, int], shape: tuple[int, int] = (5, 5)) -> np.ndarray:
    found = np.zeros((1, *shape), dtype=bool)
    for row, column in places:
        found[0, row, column] = True
    return found


def peak_at(row: int, column: int) -> np.ndarray:
    found = np.zeros((1, 5, 5))
    found[0, row, column] = 1
    return found


def over_all_orders_of_ties(score, maps: np.ndarray, evidence: np.ndarray) -> float:
    """Return the mean score over all ways of breaking the ties of a map of four pixels."""
    scores = [score(maps + 1e-6 * np.reshape(p, maps.shape), evidence).item() for p in permutations(range(maps.size))]
    return float(np.mean(scores))


# ---------------------------------------------------------------------- pointing game


def test_the_peak_on_the_evidence_is_a_hit():
    assert where.pointing_game(peak_at(2, 2), evidence_at((2, 2))).item() == 1


def test_the_lowest_pixel_on_the_evidence_is_no_hit():
    assert where.pointing_game(-peak_at(2, 2) + 0.1 * peak_at(0, 0), evidence_at((2, 2))).item() == 0


@pytest.mark.parametrize(("tolerance", "hit"), [(0.0, 0), (1.0, 0), (1.4, 0), (1.5, 1), (3.0, 1)])
def test_the_tolerance_is_a_euclidean_distance_between_pixels(tolerance, hit):
    assert where.pointing_game(peak_at(1, 1), evidence_at((2, 2)), tolerance).item() == hit


def test_tied_peaks_score_the_share_that_hits():
    maps = peak_at(0, 0) + peak_at(0, 1) + peak_at(4, 4)
    assert where.pointing_game(maps, evidence_at((0, 0))).item() == pytest.approx(1 / 3)


# ---------------------------------------------------------------------- mass


def test_the_mass_of_the_positive_part():
    assert where.relevance_mass(MAP, LEFT).item() == pytest.approx(11 / 20)


def test_the_mass_of_the_magnitude():
    assert where.relevance_mass(MAP, LEFT, absolute).item() == pytest.approx(11 / 27)


def test_mass_whose_sign_was_not_treated_is_refused():
    with pytest.raises(ValueError, match="treatment of the sign"):
        where.relevance_mass(MAP, LEFT, lambda maps: maps)


def test_the_density_is_the_mass_over_the_evidences_share_of_the_image():
    assert where.attribution_localization(MAP, LEFT).item() == pytest.approx(11 / 20 / (2 / 8))


def test_the_density_of_the_magnitude():
    assert where.attribution_localization(MAP, LEFT, absolute).item() == pytest.approx(11 / 27 * 4)


def test_even_relevance_has_the_evidences_share_and_a_density_of_one():
    even = np.ones((1, 2, 4))
    assert where.relevance_mass(even, LEFT).item() == 0.25
    assert where.attribution_localization(even, LEFT).item() == 1


def test_where_everything_is_evidence_all_mass_is_on_it():
    assert where.relevance_mass(MAP, np.ones_like(LEFT)).item() == 1


@pytest.mark.parametrize("metric", BY_MASS)
def test_a_map_with_nothing_positive_has_no_mass(metric):
    assert np.isnan(metric(-np.abs(MAP), LEFT)).item()


def test_focus_is_the_positive_share_on_the_target_tiles():
    tiles = np.array([[[True, True, False, False], [False, False, True, True]]])
    assert where.focus(MAP, tiles).item() == pytest.approx(14 / 20)


def test_positive_keeps_what_speaks_for_the_class():
    assert where.positive(np.array([[[-1.0, 0.0, 2.0]]])).tolist() == [[[0, 0, 2]]]


# ---------------------------------------------------------------------- order


def test_rank_accuracy_takes_as_many_pixels_as_the_evidence_has():
    # The two highest are 9 and 5; only 9 is on the evidence.
    assert where.relevance_rank_accuracy(MAP, LEFT).item() == 0.5


def test_rank_accuracy_takes_each_images_own_number_of_pixels():
    both = where.relevance_rank_accuracy(np.concatenate([MAP, MAP]), np.concatenate([LEFT, MAP > 2.5]))
    assert both.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(("k", "score"), [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.5), (8, 0.25)])
def test_top_k_intersection_counts_the_k_highest(k, score):
    assert where.top_k_intersection(MAP, LEFT, k).item() == pytest.approx(score)


@pytest.mark.parametrize("k", [0, 9])
def test_top_k_intersection_refuses_a_number_of_pixels_that_is_not_there(k):
    with pytest.raises(ValueError, match="give 1 to 8 pixels"):
        where.top_k_intersection(MAP, LEFT, k)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order():
    on, off = MAP[LEFT], MAP[~LEFT]
    assert where.localization_auc(MAP, LEFT).item() == pytest.approx((on[:, None] > off[None]).mean())


def test_tied_pairs_count_half():
    maps = np.array([[[1.0, 1.0, 0.0, 0.0]]])
    evidence = np.array([[[True, False, True, False]]])
    assert where.localization_auc(maps, evidence).item() == pytest.approx((0.5 + 1 + 0 + 0.5) / 4)


def test_where_everything_is_evidence_the_area_is_undefined():
    assert np.isnan(where.localization_auc(MAP, np.ones_like(LEFT))).item()


@pytest.mark.parametrize(("level", "score"), [(0.2, 2 / 4), (0.5, 1 / 3), (1.0, 1 / 2), (0.05, 2 / 5)])
def test_intersection_over_union_is_of_the_pixels_at_the_level_of_the_peak(level, score):
    assert where.intersection_over_union(MAP, LEFT, level).item() == pytest.approx(score)


def test_a_pixel_exactly_at_the_level_is_raised():
    assert where.intersection_over_union(np.array([[[4.0, 1.0, 0.0]]]), np.ones((1, 1, 3), bool), 0.25).item() == (
        pytest.approx(2 / 3)
    )


@pytest.mark.parametrize("level", [0.0, 1.1])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(ValueError, match="share of the highest"):
        where.intersection_over_union(MAP, LEFT, level)


def test_a_map_with_no_positive_value_raises_no_pixel():
    assert np.isnan(where.intersection_over_union(MAP - 100, LEFT)).item()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ties_in_the_top_k_score_their_mean_over_all_orders(k):
    maps = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    evidence = np.array([[[False, True], [True, False]]])
    expected = over_all_orders_of_ties(lambda m, e: where.top_k_intersection(m, e, k), maps, evidence)
    assert where.top_k_intersection(maps, evidence, k).item() == pytest.approx(expected)


def test_ties_in_the_rank_score_their_mean_over_all_orders():
    maps = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    evidence = np.array([[[False, True], [True, False]]])
    expected = over_all_orders_of_ties(where.relevance_rank_accuracy, maps, evidence)
    assert where.relevance_rank_accuracy(maps, evidence).item() == pytest.approx(expected)


# ---------------------------------------------------------------------- undefined, refused


@pytest.mark.parametrize("metric", [*BY_ORDER, *BY_MASS])
def test_an_image_without_evidence_has_no_score(metric):
    scores = metric(np.concatenate([MAP, MAP]), np.concatenate([LEFT, np.zeros_like(LEFT)]))
    assert np.isnan(scores).tolist() == [False, True]


@pytest.mark.parametrize("metric", BY_ORDER)
def test_a_constant_map_orders_nothing(metric):
    assert np.isnan(metric(np.full((1, 2, 4), 0.3), LEFT)).item()


@pytest.mark.parametrize("metric", [*BY_ORDER, *BY_MASS])
def test_evidence_of_another_shape_is_refused(metric):
    with pytest.raises((ValueError, TypeError), match=r"two of one shape|Type-check"):
        metric(MAP, LEFT[:, :, :3])
