"""Likeness of maps: exact cases and undefined ones. Agreement with other libraries is in the parity tests."""

import numpy as np
import pytest
from tiny import EXACT

from harness.metrics.similarity import (
    absolute,
    cosine_similarity,
    hog_similarity,
    pearson_similarity,
    spearman_similarity,
    ssim_similarity,
    top_k_overlap,
)
from harness.rounding import rounding

# HOG's block norms add a constant of 1e-5, by whose inverse rounding may grow.
HOG = rounding("float64", 4 * 16**2, conditioning=1e5)
SIGNED = [pearson_similarity, spearman_similarity, cosine_similarity]
ALL = [*SIGNED, ssim_similarity, hog_similarity]


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(size=(3, 16, 16))


@pytest.fixture
def others():
    return np.random.default_rng(1).normal(size=(3, 16, 16))


@pytest.mark.parametrize("similarity", ALL)
def test_a_map_is_wholly_like_itself(similarity, maps):
    assert similarity(maps, maps) == pytest.approx(1, abs=EXACT)


@pytest.mark.parametrize("similarity", ALL)
def test_likeness_is_symmetric(similarity, maps, others):
    assert similarity(maps, others) == pytest.approx(similarity(others, maps), abs=EXACT)


@pytest.mark.parametrize("similarity", SIGNED)
def test_a_negated_map_is_wholly_unlike(similarity, maps):
    assert similarity(maps, -maps) == pytest.approx(-1, abs=EXACT)


@pytest.mark.parametrize("similarity", ALL)
def test_without_sign_a_negated_map_is_wholly_like(similarity, maps):
    assert similarity(absolute(maps), absolute(-maps)) == pytest.approx(1, abs=EXACT)


def test_ssim_of_a_map_and_its_negative_is_positive_because_both_its_factors_change_sign(maps):
    assert (ssim_similarity(maps, -maps) > 0).all()


def test_hog_does_not_see_the_sign(maps):
    assert hog_similarity(maps, -maps) == pytest.approx(1, abs=EXACT)


def test_hog_sees_the_direction_of_edges():
    rows = np.tile(np.sin(np.arange(16.0)), (1, 16, 1))
    assert hog_similarity(rows, rows.transpose(0, 2, 1)).item() < 0.1


@pytest.mark.parametrize(("cell", "blocks"), [(8, 2), (4, 3)])
def test_hog_has_square_cells_in_blocks_of_up_to_three(cell, blocks, maps, others):
    from skimage.feature import hog

    features = [
        [hog(m / np.abs(m).max(), pixels_per_cell=(cell, cell), cells_per_block=(blocks, blocks)) for m in some]
        for some in (maps, others)
    ]
    expected = [np.corrcoef(one, other)[0, 1] for one, other in zip(*features, strict=True)]
    assert hog_similarity(maps, others, cell) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("similarity", ALL)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_constant_map_is_like_nothing_and_unlike_nothing(similarity, swapped, maps, others):
    maps[1] = 0.1
    pair = (others, maps) if swapped else (maps, others)
    assert np.isnan(similarity(*pair)).tolist() == [False, True, False]


@pytest.mark.parametrize("similarity", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_map_that_is_not_finite_has_no_likeness(similarity, bad, swapped, maps, others):
    maps[1, 2, 2] = bad
    pair = (others, maps) if swapped else (maps, others)
    assert np.isnan(similarity(*pair)).tolist() == [False, True, False]


def test_spearman_sees_the_order_alone(maps):
    assert spearman_similarity(maps, np.exp(3 * maps)) == pytest.approx(1, abs=EXACT)


def test_pearson_ignores_the_mean_and_cosine_does_not(maps):
    assert pearson_similarity(maps, maps + 5) == pytest.approx(1, abs=EXACT)
    assert (cosine_similarity(maps, maps + 5) < 0.9).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("similarity", ALL)
def test_tiny_and_huge_maps_have_their_likeness(similarity, scale, maps, others):
    # Scaling by a number that is no power of two rounds each value.
    assert similarity(scale * maps, others) == pytest.approx(similarity(maps, others), abs=HOG)


def test_ssim_takes_its_range_from_the_pair():
    from skimage.metrics import structural_similarity

    one, other = np.random.default_rng(0).random((2, 1, 16, 16))
    one, other = one / one.max(), other / other.max()
    span = max(one.max(), other.max()) - min(one.min(), other.min())
    assert ssim_similarity(one, other).item() == structural_similarity(one[0], other[0], data_range=span)


def test_top_k_overlap_counts_the_highest_not_the_lowest():
    maps = np.array([[[4.0, 3.0, 2.0, 1.0]]])
    others = np.array([[[4.0, 3.0, 1.0, 2.0]]])
    assert top_k_overlap(maps, others, 2).item() == 1.0
    assert top_k_overlap(-maps, others, 2).item() == 0.0


def test_top_k_overlap_of_tied_maps_is_its_mean_over_all_orders_of_the_ties():
    # The four tied pixels share one place: the first pixel is always common, one more with chance 1 / 4 * 1 / 4 each.
    maps = np.array([[[5.0, 0.0, 0.0, 0.0, 0.0]]])
    assert top_k_overlap(maps, maps, 2).item() == pytest.approx((1 + 4 / 16) / 2)


def test_top_k_overlap_of_sparse_unrelated_maps_is_near_chance_not_inflated_by_storage_order():
    rng = np.random.default_rng(0)
    maps = np.zeros((2, 40, 40))
    for one, places in zip(maps, rng.permutation(1600)[:20].reshape(2, 10), strict=True):
        one.flat[places] = 1.0
    assert top_k_overlap(maps[:1], maps[1:], 200).item() < 0.2


@pytest.mark.parametrize("k", [0, 5])
def test_top_k_overlap_refuses_a_number_of_pixels_that_is_not_there(k):
    with pytest.raises(ValueError, match="give 1 to 4 pixels"):
        top_k_overlap(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), k)


@pytest.mark.parametrize("similarity", ALL)
def test_maps_of_two_shapes_are_refused(similarity):
    with pytest.raises((ValueError, TypeError), match=r"two of one shape|Type-check"):
        similarity(np.zeros((1, 16, 16)), np.zeros((2, 16, 16)))


def test_ssim_refuses_maps_smaller_than_its_window():
    with pytest.raises(ValueError, match="window of 7"):
        ssim_similarity(np.zeros((1, 6, 16)), np.zeros((1, 6, 16)))


def test_hog_refuses_maps_smaller_than_a_cell():
    with pytest.raises(ValueError, match="smaller cell"):
        hog_similarity(np.zeros((1, 16, 7)), np.zeros((1, 16, 7)))
