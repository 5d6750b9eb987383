"""Which maps are made of segments, and where these lie."""

import numpy as np

from harness.perturbation import is_of_segments, segment_null, value_areas


def blocks(side: int, cells: int, seed: int = 0) -> np.ndarray:
    """A map of `cells` x `cells` even blocks of unlike weights."""
    weights = np.random.default_rng(seed).random((cells, cells))
    return weights.repeat(side // cells, axis=0).repeat(side // cells, axis=1)


def test_areas_are_those_that_the_map_was_painted_from() -> None:
    labels = np.arange(36).reshape(6, 6).repeat(8, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(value_areas(blocks(48, 6)[None])[0], labels)


def test_areas_of_one_value_that_touch_at_a_corner_alone_are_two() -> None:
    corner = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    assert value_areas(corner)[0].tolist() == [[0, 1], [2, 3]]


def test_a_ring_is_one_area() -> None:
    ring = np.ones((1, 5, 5))
    ring[0, 1:4, 1:4] = 0
    assert np.bincount(value_areas(ring).ravel()).tolist() == [16, 9]


def test_painted_segments_count_and_smooth_flat_and_speckled_maps_do_not() -> None:
    smooth = np.add.outer(np.arange(48.0), np.sqrt(np.arange(48.0)))
    speckled = np.zeros((48, 48))
    speckled[5:45:10, 5:45:10] = 1
    many = blocks(48, 24)
    found = is_of_segments(np.stack([blocks(48, 6), smooth, np.zeros((48, 48)), speckled, many]))
    assert found.tolist() == [True, False, False, False, False]


def test_a_map_is_constant_on_its_own_areas_so_that_it_has_a_segment_null() -> None:
    maps = np.stack([blocks(48, 6, seed) for seed in range(3)])
    nulls = segment_null(maps, value_areas(maps), seed=0)
    assert (np.sort(nulls.ravel()) == np.sort(maps.ravel())).all()
    assert (nulls != maps).any(axis=(1, 2)).all()


def test_no_maps_have_no_areas() -> None:
    assert is_of_segments(np.zeros((0, 4, 4))).shape == (0,)
    assert value_areas(np.zeros((0, 4, 4))).shape == (0, 4, 4)
