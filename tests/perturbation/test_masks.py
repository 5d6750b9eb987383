"""Mask banks: as many pixels as asked, evenly, and never the explainer's own masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturbation import Purpose, cell_mask_bank, colour_mask_bank, grid_cells, grid_mask_bank, pixel_mask_bank
from harness.rounding import rounding

M = 4000


def both_banks(seed, **purpose):
    yield pixel_mask_bank(50, (12, 10), kept_fraction=0.5, seed=seed, **purpose)
    yield grid_mask_bank(50, (12, 10), grid=4, seed=seed, **purpose)
    yield cell_mask_bank(50, (12, 10), grid=4, kept_fraction=0.5, seed=seed, **purpose)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**40))
def test_pixel_masks_keep_exactly_the_asked_number(h, w, kept, seed):
    keep = pixel_mask_bank(5, (h, w), kept_fraction=kept, seed=seed)
    assert (keep.sum(axis=(1, 2)) == round(kept * h * w)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**40), st.data())
def test_grid_masks_are_shares_of_the_asked_shape(h, w, kept, seed, data):
    grid = data.draw(st.integers(1, min(h, w)))
    keep = grid_mask_bank(5, (h, w), grid=grid, kept_fraction=kept, seed=seed)
    assert keep.shape == (5, h, w)
    assert keep.min() >= 0
    assert keep.max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**40), st.data())
def test_cell_masks_keep_exactly_the_asked_number_of_whole_cells(h, w, kept, seed, data):
    grid = data.draw(st.integers(1, min(h, w)))
    keep, cells = cell_mask_bank(5, (h, w), grid=grid, kept_fraction=kept, seed=seed), grid_cells((h, w), grid)
    held = np.stack([keep[:, cells == cell].mean(axis=1) for cell in range(grid**2)], axis=1)
    assert set(np.unique(held)) <= {0, 1}
    assert (held.sum(axis=1) == round(kept * grid**2)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_cells_of_a_grid_differ_by_a_pixel_at_most(h, w, data):
    grid = data.draw(st.integers(1, min(h, w)))
    cells = grid_cells((h, w), grid)
    assert set(np.unique(cells)) == set(range(grid**2))
    for side, lines in ((h, cells[:, 0] // grid), (w, cells[0] % grid)):
        counts = np.bincount(lines, minlength=grid)
        assert counts.sum() == side
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("kept", [0.2, 0.5])
def test_every_pixel_of_a_pixel_bank_is_kept_equally_often(kept):
    share = pixel_mask_bank(M, (8, 8), kept_fraction=kept, seed=1).mean(axis=0)
    # Five standard errors over 64 pixels; the asked count is rounded to a 64th.
    assert abs(share - round(kept * 64) / 64).max() < 5 * np.sqrt(kept * (1 - kept) / M)


@pytest.mark.parametrize("kept", [0.2, 0.5])
def test_every_pixel_of_a_grid_bank_is_kept_equally_often(kept):
    share = grid_mask_bank(M, (16, 12), grid=4, kept_fraction=kept, seed=1).mean(axis=0)
    # Interpolated cells vary less than whole ones, so this is at least five standard errors.
    assert abs(share - kept).max() < 5 * np.sqrt(kept * (1 - kept) / M)


def test_grid_masks_are_smoother_than_pixel_masks():
    step = [np.abs(np.diff(k.astype(float), axis=2)).mean() for k in both_banks(0)]
    assert step[1] < step[0] / 2


def test_the_same_seed_gives_the_same_bank():
    assert all((a == b).all() for a, b in zip(both_banks(3), both_banks(3), strict=True))


def test_another_seed_gives_another_bank():
    assert all((a != b).any() for a, b in zip(both_banks(3), both_banks(4), strict=True))


def test_an_explainer_never_learns_from_the_masks_that_judge_it():
    judge, learn = both_banks(3, purpose=Purpose.JUDGE), both_banks(3, purpose=Purpose.EXPLAIN)
    for judging, learning in zip(judge, learn, strict=True):
        assert not (judging[:, None] == learning[None]).all(axis=(2, 3)).any()


def test_a_small_bank_begins_a_larger_one():
    small = pixel_mask_bank(3, (6, 6), kept_fraction=0.5, seed=0), grid_mask_bank(3, (6, 6), grid=2, seed=0)
    large = pixel_mask_bank(9, (6, 6), kept_fraction=0.5, seed=0), grid_mask_bank(9, (6, 6), grid=2, seed=0)
    assert all((a == b[:3]).all() for a, b in zip(small, large, strict=True))


@pytest.mark.parametrize(("n", "kept"), [(0, 0.5), (3, 1.5), (3, -0.1)])
def test_impossible_banks_are_refused(n, kept):
    with pytest.raises(ValueError, match="at least one mask"):
        pixel_mask_bank(n, (4, 4), kept_fraction=kept, seed=0)


@pytest.mark.parametrize("grid", [0, 5])
def test_a_grid_that_does_not_fit_is_refused(grid):
    with pytest.raises(ValueError, match="a grid of"):
        grid_mask_bank(3, (4, 6), grid=grid, seed=0)


def test_colours_share_what_is_not_kept_and_their_number_is_one_at_least() -> None:
    painted = colour_mask_bank(M, (16, 12), grid=4, colours=3, kept_fraction=0.4, seed=1)
    assert painted.shape == (M, 3, 16, 12)
    # Four corners of a cell in each of three colours are added.
    assert painted.sum(1).max() <= 1 + rounding(painted.dtype.name, 12)
    # A pixel's share of a colour is a mean of draws of .2, each of a standard deviation of .4 at most.
    assert np.abs(painted.mean(0) - 0.2).max() < 6 * 0.4 / M**0.5
    with pytest.raises(ValueError, match="at least one"):
        colour_mask_bank(3, (6, 6), grid=2, colours=0, seed=0)


def test_a_smaller_bank_of_colours_begins_a_larger_one() -> None:
    small, large = (colour_mask_bank(m, (6, 6), grid=2, colours=2, seed=0) for m in (3, 9))
    assert np.array_equal(small, large[:3])
