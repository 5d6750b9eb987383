"""Cells are equal, cover what divides, move round the border, and hold whole parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.truth import Grid, cell_sums, pairs_of, pairs_within, parts_of

GRIDS = st.builds(
    Grid,
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    shift=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    split=st.integers(1, 4),
)
EXTRA = st.integers(0, 40)


@given(GRIDS, EXTRA, EXTRA)
def test_cells_and_parts_are_of_equal_area_and_none_is_missing(grid: Grid, tall: int, wide: int) -> None:
    height, width = grid.rows * grid.split + tall, grid.columns * grid.split + wide
    for labels, count in ((grid.labels(height, width), grid.cells), (grid.part_labels(height, width), grid.parts)):
        areas = np.bincount(labels[labels >= 0], minlength=count)
        assert len(areas) == count
        assert areas.min() == areas.max() > 0


@given(GRIDS, EXTRA, EXTRA)
def test_only_what_does_not_divide_belongs_to_no_cell(grid: Grid, tall: int, wide: int) -> None:
    height, width = grid.rows * grid.split + tall, grid.columns * grid.split + wide
    down, across = grid.sides(height, width)
    covered = (grid.labels(height, width) >= 0).sum()
    assert covered == down * across * grid.cells
    assert height - down * grid.rows < grid.rows * grid.split
    assert width - across * grid.columns < grid.columns * grid.split


@given(GRIDS, EXTRA, EXTRA)
def test_a_part_lies_in_one_cell(grid: Grid, tall: int, wide: int) -> None:
    shape = grid.rows * grid.split + tall, grid.columns * grid.split + wide
    cells, parts = grid.labels(*shape), grid.part_labels(*shape)
    for cell in range(grid.cells):
        assert set(np.unique(parts[cells == cell])) == set(parts_of(cell, grid.split))


def test_what_leaves_the_picture_comes_in_at_the_other_side() -> None:
    still, moved = Grid(3, 3).labels(48, 48), Grid(3, 3, shift=0.5).labels(48, 48)
    np.testing.assert_array_equal(np.roll(still, (8, 8), (0, 1)), moved)


def test_64_pixels_leave_a_border_that_stays_in_every_coalition() -> None:
    labels = Grid(3, 3, shift=0.5).labels(64, 64)
    # Three cells of 20, the nearest multiple of two below 64 / 3: four pixels are over, two at each side.
    outside = np.ones((64, 64), bool)
    outside[2:62, 2:62] = False
    np.testing.assert_array_equal(labels < 0, outside)


def test_a_grid_moved_by_half_has_the_same_parts_in_other_cells() -> None:
    still, moved = Grid().part_labels(48, 48), Grid(shift=0.5).part_labels(48, 48)
    joint = np.unique(np.stack([still.ravel(), moved.ravel()]), axis=1)
    assert joint.shape[1] == 36
    assert (joint[0] // 4 != joint[1] // 4).any()


@pytest.mark.usefixtures("unchecked")
def test_a_picture_too_small_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"5 x 48 is too small for 3 x 3 cells .* 6 x 6 would do"):
        Grid(3, 3).labels(5, 48)
    assert "\n" not in Grid(3, 3).lacking(5, 48)


def test_the_smallest_picture_that_can_be_cut() -> None:
    assert Grid(3, 3).lacking(6, 6) == ""
    assert np.bincount(Grid(3, 3).labels(6, 6).ravel()).tolist() == [4] * 9


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"split": 0}, {"shift": 1.0}, {"shift": -0.1}])
def test_a_grid_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Grid(**wrong)


@given(GRIDS, EXTRA)
def test_sums_over_cells_are_those_of_the_pixels(grid: Grid, extra: int) -> None:
    shape = grid.rows * grid.split + extra, grid.columns * grid.split + extra
    labels = grid.labels(*shape)
    maps = np.random.default_rng(extra).normal(size=(2, *shape))
    sums = cell_sums(maps, labels, grid.cells)
    expected = [[one[labels == cell].sum() for cell in range(grid.cells)] for one in maps]
    # Two orders of one sum of at most 56 * 56 doubles: its length times half an ulp of what was added.
    room = np.abs(maps).sum(axis=(1, 2)).max() * maps[0].size * 2**-53
    np.testing.assert_allclose(sums, expected, rtol=0, atol=room)


@pytest.mark.usefixtures("unchecked")
def test_sums_over_cells_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        cell_sums(np.zeros((1, 5, 5)), np.zeros((4, 4), np.int64), 1)


def test_pairs_within_never_join_two_cells() -> None:
    pairs = pairs_within(9, 2)
    assert pairs.shape == (2, 54)
    assert (pairs[0] // 4 == pairs[1] // 4).all()
    assert pairs_of(9).shape == (2, 36)
