"""How concentrated maps are: exact cases and undefined ones."""

import numpy as np
import pytest
from scipy import stats
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import ConvexHull
from sklearn.neighbors import kneighbors_graph
from tiny import EXACT

from harness.metrics import complexity

OF_MAGNITUDE = [complexity.sparseness, complexity.entropy_complexity, complexity.pixels_above_floor]
MAPS = np.random.default_rng(0).normal(size=(3, 5, 7))


def gini_by_pairs(values: np.ndarray) -> float:
    """Return half the mean difference of all pairs over the mean."""
    return float(np.abs(values[:, None] - values[None]).mean() / (2 * values.mean()))


def test_sparseness_is_half_the_mean_difference_over_the_mean():
    expected = [gini_by_pairs(np.abs(m).ravel()) for m in MAPS]
    assert complexity.sparseness(MAPS) == pytest.approx(expected, abs=EXACT)


def test_a_single_pixel_is_as_sparse_as_can_be():
    one = np.zeros((1, 4, 5))
    one[0, 2, 2] = -3
    assert complexity.sparseness(one).item() == pytest.approx(1 - 1 / 20)


def test_entropy_is_scipys_of_the_magnitudes():
    expected = [stats.entropy(np.abs(m).ravel()) for m in MAPS]
    assert complexity.entropy_complexity(MAPS) == pytest.approx(expected, abs=EXACT)


def test_a_single_pixel_has_no_entropy_and_two_alike_have_that_of_a_coin():
    maps = np.zeros((2, 2, 2))
    maps[:, 0, 0], maps[1, 1, 1] = 3, -3
    assert complexity.entropy_complexity(maps).tolist() == [0, pytest.approx(np.log(2))]


def test_pixels_above_floor_counts_magnitudes_above_the_floor():
    maps = np.array([[[10.0, -1.0, 0.2, 0.05, 0.0]]])
    assert [complexity.pixels_above_floor(maps, floor).item() for floor in (0.0, 0.01, 0.1, 0.5)] == [4, 3, 1, 1]


def test_pixels_above_floor_of_a_map_does_not_depend_on_its_company():
    company = np.concatenate([MAPS[:1], 1000 * MAPS[1:2]])
    assert complexity.pixels_above_floor(company)[0] == complexity.pixels_above_floor(MAPS[:1]).item()


@pytest.mark.parametrize("floor", [-0.1, 1.0])
def test_a_floor_that_is_no_share_is_refused(floor):
    with pytest.raises(ValueError, match="share of the largest"):
        complexity.pixels_above_floor(MAPS, floor)


def test_histogram_entropy_is_scipys_of_the_counts():
    expected = [stats.entropy(np.histogram(m, bins=10)[0]) for m in MAPS]
    assert complexity.histogram_entropy(MAPS, 10) == pytest.approx(expected, abs=EXACT)


def test_two_bins_tell_two_levels_apart():
    assert complexity.histogram_entropy(np.array([[[0.0, 0.0, 1.0, 1.0]]]), 2).item() == pytest.approx(np.log(2))


def test_a_histogram_needs_two_bins():
    with pytest.raises(ValueError, match="at least two"):
        complexity.histogram_entropy(MAPS, 1)


@pytest.mark.parametrize("metric", OF_MAGNITUDE)
def test_the_sign_is_dropped(metric):
    assert (metric(MAPS) == metric(np.abs(MAPS))).all()


@pytest.mark.parametrize("metric", OF_MAGNITUDE)
def test_a_map_of_one_magnitude_singles_out_nothing(metric):
    maps = MAPS.copy()
    maps[1] = 0.3 * np.sign(maps[1])
    assert np.isnan(metric(maps)).tolist() == [False, True, False]


@pytest.mark.parametrize("metric", [*OF_MAGNITUDE, complexity.histogram_entropy])
def test_a_map_with_an_infinite_value_has_no_complexity(metric):
    maps = MAPS.copy()
    maps[1, 0, 0] = np.inf
    assert np.isnan(metric(maps)).tolist() == [False, True, False]


# ---------------------------------------------------------------------- compactness


def compact_by_hand(magnitudes: np.ndarray) -> float:
    """MST-C by scikit-learn's graph of nearest neighbours and SciPy's tree and hull."""
    points = np.argwhere(magnitudes >= np.percentile(magnitudes, 80)).astype(float)
    graph = kneighbors_graph(points, min(20, len(points) - 1), mode="distance")
    length = minimum_spanning_tree(graph.maximum(graph.T)).sum()
    hull = ConvexHull(points).volume
    return float(100 * np.hypot(*magnitudes.shape) * len(points) / length / np.sqrt(hull))


def test_compactness_is_that_of_other_libraries():
    maps = np.random.default_rng(6).normal(size=(4, 14, 11))
    expected = np.array([compact_by_hand(np.abs(m)) for m in maps])
    found = complexity.mst_compactness(maps)
    assert found / expected == pytest.approx(1, abs=EXACT)


def test_a_block_is_more_compact_than_the_same_pixels_scattered():
    block, scattered = np.zeros((2, 1, 10, 10))
    block[0, 2:6, 3:8] = 1
    scattered[0, ::2, :8:2] = 1
    assert complexity.mst_compactness(block) > complexity.mst_compactness(scattered)


def test_pixels_on_a_line_have_the_diagonal_for_their_spread():
    line = np.zeros((1, 5, 4))
    line[0, 2] = [-1, 1, -1, 1]
    # Four pixels, a tree of three steps; the diagonals cancel.
    assert complexity.mst_compactness(line).item() == pytest.approx(100 * 4 / 3)


def test_pixels_far_apart_are_joined_within_their_neighbourhoods_alone():
    two = np.zeros((1, 30, 30))
    two[0, :3, :3] = two[0, -3:, -3:] = 1
    two[0, 0, 0] = 2  # so that the quantile of many zeros, 0, does not take them all
    few = complexity.mst_compactness(two, quantile=0.98, neighbours=2)
    many = complexity.mst_compactness(two, quantile=0.98, neighbours=17)
    # Two trees of eight steps, and those joined by a line from corner to corner of the blocks.
    assert (few / many).item() == pytest.approx((16 + 25 * 2**0.5) / 16)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1.0, -1.0, 1.0], [1.0, np.nan, 0.0], [0.0, 0.0, 5.0]])
def test_a_map_of_no_set_of_pixels_has_no_compactness(row):
    quantile = 0.99 if row[-1] == 5 else 0.8
    assert np.isnan(complexity.mst_compactness(np.array([[row]]), quantile)).all()


def test_zeros_are_no_high_pixels() -> None:
    """Of a map that is zero on more than four fifths of its pixels the quantile is zero too."""
    small, large = np.zeros((2, 1, 48, 48))
    small[:, 20:23, 20:23] = 1.0
    large[:, 10:19, 10:19] = 1.0
    found = [complexity.mst_compactness(maps).item() for maps in (small, large)]
    assert found[0] > 2 * found[1]
    alone = complexity.mst_compactness(small, quantile=0.9999).item()
    assert found[0] == pytest.approx(alone)
