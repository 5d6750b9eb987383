"""Banks of random masks that depend on no image and no explainer.

The network's answers to a bank depend on the image alone, so one bank serves every explainer. An explainer
that itself learns from masks must not meet the ones it is judged by: a bank's `purpose` keeps the two apart
whatever the seeds are.
"""

from enum import Enum

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int

from harness.perturbation._seeds import Stream, generator


class Purpose(Enum):
    """Who uses a bank; the same seed gives unrelated banks for the two."""

    JUDGE = Stream.JUDGE_MASKS
    EXPLAIN = Stream.EXPLAIN_MASKS


def pixel_mask_bank(
    n_masks: int, shape: tuple[int, int], *, kept_fraction: float, seed: int, purpose: Purpose = Purpose.JUDGE
) -> Bool[np.ndarray, "m h w"]:
    """Return masks that keep exactly round(kept_fraction * h * w) pixels each, any such set equally likely.

    True is kept. A smaller bank of the same seed is the beginning of a larger one.

    Raises
    ------
    ValueError
        If `n_masks` is below 1 or `kept_fraction` outside [0, 1].

    Examples
    --------
    >>> keep = pixel_mask_bank(3, (4, 4), kept_fraction=0.25, seed=0)
    >>> keep.shape, keep.sum(axis=(1, 2)).tolist()
    ((3, 4, 4), [4, 4, 4])
    """
    _require(n_masks, kept_fraction)
    pixels = shape[0] * shape[1]
    first_kept = np.arange(pixels) < round(kept_fraction * pixels)
    rng = generator(seed, purpose.value)
    return rng.permuted(np.tile(first_kept, (n_masks, 1)), axis=1).reshape(n_masks, *shape)


def grid_mask_bank(
    n_masks: int,
    shape: tuple[int, int],
    *,
    grid: int,
    kept_fraction: float = 0.5,
    seed: int,
    purpose: Purpose = Purpose.JUDGE,
) -> Float32[np.ndarray, "m h w"]:
    """Return smooth masks: a random coarse grid, enlarged bilinearly and shifted by part of a cell.

    Values are the share of a pixel that is kept, in [0, 1]. Each cell is kept with probability
    `kept_fraction` independently, so that is every pixel's expectation, not each mask's mean. Removal comes
    in blobs about a cell wide, further inside the data than scattered pixels. A smaller bank of the same seed
    is the beginning of a larger one. The construction is that of Petsiuk et al. 2018, RISE.

    Parameters
    ----------
    grid
        Cells along each side.

    Raises
    ------
    ValueError
        If `n_masks` is below 1, `kept_fraction` outside [0, 1], or `grid` not between 1 and the shorter side.

    Examples
    --------
    >>> keep = grid_mask_bank(3, (8, 8), grid=4, seed=0)
    >>> keep.shape, bool((keep >= 0).all() and (keep <= 1).all())
    ((3, 8, 8), True)
    """
    _require(n_masks, kept_fraction)
    _require_grid(shape, grid)
    cells_rng, shift_rng = generator(seed, purpose.value).spawn(2)
    cells = cells_rng.random((n_masks, 1, grid + 1, grid + 1)) < kept_fraction
    return _enlarged(cells, shape, shift_rng)[:, 0]


def colour_mask_bank(
    n_masks: int,
    shape: tuple[int, int],
    *,
    grid: int,
    colours: int,
    kept_fraction: float = 0.5,
    seed: int,
    purpose: Purpose = Purpose.JUDGE,
) -> Float32[np.ndarray, "m colours h w"]:
    """Return masks of :func:`grid_mask_bank`'s kind that paint: a cell that is not kept has one of several colours.

    Values are the share of a pixel that has the colour, in [0, 1]; what they leave of 1 is kept. Colours are equally
    likely. The construction is that of Hatakeyama et al. 2020, MC-RISE.

    Parameters
    ----------
    grid
        Cells along each side.
    colours
        How many.

    Raises
    ------
    ValueError
        If `n_masks` or `colours` is below 1, `kept_fraction` outside [0, 1], or `grid` not between 1 and the shorter
        side.

    Examples
    --------
    >>> painted = colour_mask_bank(3, (8, 8), grid=4, colours=2, seed=0)
    >>> painted.shape, bool((painted.sum(1) <= 1 + 1e-6).all())
    ((3, 2, 8, 8), True)
    """
    _require(n_masks, kept_fraction)
    _require_grid(shape, grid)
    if colours < 1:
        raise ValueError(f"{colours} colours; give at least one")
    cells_rng, shift_rng = generator(seed, purpose.value).spawn(2)
    side = grid + 1
    drawn = cells_rng.random((n_masks, 2, side, side))
    hidden, colour = drawn[:, :1] >= kept_fraction, (colours * drawn[:, 1:]).astype(int)
    return _enlarged(hidden & (colour == np.arange(colours)[:, None, None]), shape, shift_rng)


def _enlarged(
    cells: Bool[np.ndarray, "m k side side"], shape: tuple[int, int], shift_rng: np.random.Generator
) -> Float32[np.ndarray, "m k h w"]:
    """Return coarse masks enlarged bilinearly and shifted by part of a cell, one shift a mask."""
    # There is one cell more a side than the grid has, because the window below is shifted by up to a cell.
    cell = np.array([-(-side // (cells.shape[-1] - 1)) for side in shape])
    large = torch.nn.functional.interpolate(
        torch.from_numpy(cells.astype(np.float32)),
        size=tuple((cells.shape[-1] * cell).tolist()),
        mode="bilinear",
        align_corners=False,
    ).numpy()
    corners = shift_rng.integers(0, cell, size=(len(cells), 2))
    windows = [mask[:, y : y + shape[0], x : x + shape[1]] for mask, (y, x) in zip(large, corners, strict=True)]
    keep: Float32[np.ndarray, "m k h w"] = np.clip(np.stack(windows), 0, 1)
    return keep


def grid_cells(shape: tuple[int, int], grid: int) -> Int[np.ndarray, "h w"]:
    """Return the number of each pixel's cell on a grid of `grid` by `grid`, row by row from 0.

    Cells are of one size where `grid` divides the sides, and else differ by a pixel.

    Raises
    ------
    ValueError
        If `grid` is not between 1 and the shorter side.

    Examples
    --------
    >>> grid_cells((2, 4), grid=2).tolist()
    [[0, 0, 1, 1], [2, 2, 3, 3]]
    """
    _require_grid(shape, grid)
    down, across = (np.arange(side) * grid // side for side in shape)
    cells: Int[np.ndarray, "h w"] = down[:, None] * grid + across
    return cells


def cell_mask_bank(
    n_masks: int,
    shape: tuple[int, int],
    *,
    grid: int,
    kept_fraction: float,
    seed: int,
    purpose: Purpose = Purpose.JUDGE,
) -> Bool[np.ndarray, "m h w"]:
    """Return masks that keep exactly round(kept_fraction * grid ** 2) whole cells of :func:`grid_cells` each.

    True is kept. As exact in size as :func:`pixel_mask_bank`, while what is removed are patches, which take a part of a
    face away, and no scattered pixels, which make it noisy.

    Raises
    ------
    ValueError
        If `n_masks` is below 1, `kept_fraction` outside [0, 1], or `grid` not between 1 and the shorter side.

    Examples
    --------
    >>> keep = cell_mask_bank(3, (4, 4), grid=2, kept_fraction=0.25, seed=0)
    >>> keep.shape, keep.sum(axis=(1, 2)).tolist()
    ((3, 4, 4), [4, 4, 4])
    """
    cells = grid_cells(shape, grid)
    coarse = pixel_mask_bank(n_masks, (grid, grid), kept_fraction=kept_fraction, seed=seed, purpose=purpose)
    keep: Bool[np.ndarray, "m h w"] = coarse.reshape(n_masks, grid**2)[:, cells]
    return keep


def _require_grid(shape: tuple[int, int], grid: int) -> None:
    """Raise unless every cell of the grid has a pixel."""
    if not 1 <= grid <= min(shape):
        raise ValueError(f"a grid of {grid} on {shape}; give 1 to {min(shape)} cells a side")


def _require(n_masks: int, kept_fraction: float) -> None:
    """Raise unless there is a mask and the kept fraction is one."""
    if n_masks < 1 or not 0 <= kept_fraction <= 1:
        raise ValueError(f"{n_masks} masks keeping {kept_fraction}; give at least one mask and a fraction in [0, 1]")
