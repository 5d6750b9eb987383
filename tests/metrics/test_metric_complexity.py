"""How concentrated maps are: exact cases and undefined ones."""

import numpy as np
import pytest
from scipy import stats
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
