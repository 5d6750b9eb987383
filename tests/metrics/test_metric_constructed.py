"""Scores against known attributions: exact cases, laws, and independent implementations."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tiny import EXACT

from harness.metrics.constructed import (
    patch_found,
    pixel_ranks,
    share_of_area,
    tile_amounts,
    tile_ranks,
    tile_sums,
)

RNG = np.random.default_rng(0)
TILES = arrays(np.float64, (3, 4), elements=st.integers(-9, 9).map(float), unique=True)


@given(TILES, TILES, st.floats(0.1, 10))
def test_ranks_do_not_change_with_scale_and_turn_with_the_sign(sums: np.ndarray, truths: np.ndarray, by: float) -> None:
    ranks = tile_ranks(sums, truths)
    np.testing.assert_allclose(tile_ranks(by * sums, truths), ranks, atol=EXACT)
    np.testing.assert_allclose(tile_ranks(-sums, truths), -ranks, atol=EXACT)


def test_ranks_are_spearmans() -> None:
    sums, truths = RNG.normal(size=(5, 9)), RNG.normal(size=(5, 9))
    truths[:, 3:5] = 0.0  # ties
    expected = [spearmanr(one, other).statistic for one, other in zip(sums, truths, strict=True)]
    np.testing.assert_allclose(tile_ranks(sums, truths), expected, atol=EXACT)


def test_ranks_of_equal_tiles_are_undefined() -> None:
    assert np.isnan(tile_ranks(np.ones((1, 4)), np.arange(4.0)[None])).all()
    assert np.isnan(tile_ranks(np.arange(4.0)[None], np.zeros((1, 4)))).all()


def test_amounts_are_a_share_of_all_parts_and_not_of_their_sum() -> None:
    # Parts that cancel: a residual of 1 beside 10 and -10 is a twentieth, though they add up to nothing.
    np.testing.assert_allclose(tile_amounts(np.array([[11.0, -10.0]]), np.array([[10.0, -10.0]])), [0.05])


@given(TILES, st.floats(0.1, 10))
def test_amounts_change_with_scale_and_are_one_for_a_map_of_zeros(truths: np.ndarray, by: float) -> None:
    np.testing.assert_allclose(tile_amounts(by * truths, truths), abs(by - 1), atol=EXACT)
    np.testing.assert_allclose(tile_amounts(0 * truths, truths), 1)


def test_amounts_of_nothing_are_undefined() -> None:
    assert np.isnan(tile_amounts(np.ones((1, 4)), np.zeros((1, 4)))).all()


def test_sums_are_over_tiles_in_reading_order() -> None:
    maps = np.zeros((1, 6, 6))
    maps[0, 0, 5], maps[0, 4, 0] = 2.0, 3.0
    np.testing.assert_array_equal(tile_sums(maps, 3), [[0, 0, 2, 0, 0, 0, 3, 0, 0]])


@given(arrays(np.float64, (2, 4, 4), elements=st.integers(1, 9).map(float)), st.floats(0.1, 10))
def test_the_share_is_that_of_mass_whatever_scale_and_sign(maps: np.ndarray, by: float) -> None:
    region = np.zeros((2, 4, 4), bool)
    region[:, :, :2] = True
    expected = maps[:, :, :2].sum((1, 2)) / maps.sum((1, 2)) / 0.5
    np.testing.assert_allclose(share_of_area(-by * maps, region), expected)


def test_an_even_map_has_a_share_of_one_and_a_map_of_zeros_none() -> None:
    region = np.zeros((1, 4, 4), bool)
    region[0, 1, 2] = True
    np.testing.assert_allclose(share_of_area(np.full((1, 4, 4), -3.0), region), 1)
    assert np.isnan(share_of_area(np.zeros((1, 4, 4)), region)).all()
    assert np.isnan(share_of_area(np.ones((1, 4, 4)), np.zeros((1, 4, 4), bool))).all()


def test_a_patch_is_found_as_scikit_learn_says() -> None:
    maps = RNG.normal(size=(4, 6, 6)).round(1)  # with ties
    patch, other = np.zeros((2, 4, 6, 6), bool)
    patch[:, :2, :2] = True
    other[:, 4:, 4:] = True
    counts = ~other.reshape(4, -1)
    expected = [roc_auc_score(patch[k].ravel()[counts[k]], np.abs(maps[k]).ravel()[counts[k]]) for k in range(4)]
    np.testing.assert_allclose(patch_found(maps, patch, other), expected, atol=EXACT)


def test_what_lies_on_the_other_patch_does_not_count() -> None:
    maps = RNG.normal(size=(1, 6, 6))
    patch, other = np.zeros((2, 1, 6, 6), bool)
    patch[:, :2, :2] = True
    other[:, 4:, 4:] = True
    before = patch_found(maps, patch, other)
    maps[other] = 99.0
    np.testing.assert_array_equal(patch_found(maps, patch, other), before)


def test_a_constant_map_finds_no_patch() -> None:
    patch = np.zeros((1, 4, 4), bool)
    patch[0, 0, 0] = True
    assert np.isnan(patch_found(np.ones((1, 4, 4)), patch, np.zeros_like(patch))).all()


def test_pixel_ranks_are_spearmans_over_the_patch_alone() -> None:
    gained, parts = RNG.normal(size=(2, 3, 6, 6))
    patch = np.zeros((3, 6, 6), bool)
    patch[:, 1:4, 2:5] = True
    expected = [spearmanr(gained[k][patch[k]], parts[k][patch[k]]).statistic for k in range(3)]
    np.testing.assert_allclose(pixel_ranks(gained, parts, patch), expected, atol=EXACT)


def test_mass_of_both_signs_counts_in_a_region() -> None:
    """Half of the magnitude lies in the first half, where signs would cancel."""
    maps = np.array([[[1.0, -1.0, 0.0, 2.0]], [[-1.0, 1.0, 0.0, -2.0]]])
    first = np.broadcast_to(np.array([True, True, False, False]), maps.shape)
    assert share_of_area(maps, first).tolist() == [1.0, 1.0]
