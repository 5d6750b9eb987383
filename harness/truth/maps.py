"""The truth as a map: the smallest one whose sums over all cells are their true values."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int

from harness.truth.cells import NO_CELL

RANK_CUT = 1e-10
"""Singular values below this share of the largest are none: sums of cells of two grids overlap, and rounding of numbers
near one stays below it by five orders."""


def true_maps(
    labels: Sequence[Int[np.ndarray, "h w"]],
    values: Sequence[Float[np.ndarray, "n _"]],
    finer: Int[np.ndarray, "h w"] | None = None,
    inner: Float[np.ndarray, "n parts"] | None = None,
) -> Float64[np.ndarray, "n h w"]:
    """Return the maps of least squares whose sums over the cells of every grid are the given values.

    Cells of several grids overlap; where all their values can be had at once (their totals are alike, as those of one
    game's are) they are had exactly, else as nearly as squares allow. Finer values are followed as far as that leaves
    room: the differences between the parts of one cell, whose sum is the cell's. Pixels of no cell are 0.

    Parameters
    ----------
    labels
        The cell of each pixel, one picture a grid; negative where it belongs to none.
    values
        Of each grid's cells.
    finer
        The part of each pixel; every part lies in one cell of the first grid.
    inner
        The value of each part within its cell; NaN throughout for an image of which they are not known.
    """
    every = [*labels] if finer is None else [*labels, finer]
    pixels = np.stack([one.ravel() for one in every])
    inside = (pixels != NO_CELL).all(axis=0)
    atoms, atom, area = np.unique(pixels[:, inside], axis=1, return_inverse=True, return_counts=True)
    root = np.sqrt(area)

    def sums(row: int, count: int) -> Float64[np.ndarray, "cells atoms"]:
        members: np.ndarray = (atoms[row] == np.arange(count)[:, None]) * root
        return members

    # Unknown is each atom's density times the root of its area: its squares add up to those of the pixels.
    asked = np.concatenate([sums(row, one.shape[1]) for row, one in enumerate(values)])
    inverse = np.linalg.pinv(asked, rcond=RANK_CUT)
    found = inverse @ np.concatenate(values, axis=1).astype(np.float64).T
    if finer is not None and inner is not None:
        found = found + _refined(found, asked, sums(len(labels), inner.shape[1]), atoms, inner)
    maps = np.zeros((len(values[0]), pixels.shape[1]))
    maps[:, inside] = (found / root[:, None]).T[:, atom.reshape(-1)]
    return maps.reshape(len(maps), *labels[0].shape)


def _refined(
    found: Float64[np.ndarray, "atoms n"],
    asked: Float64[np.ndarray, "cells atoms"],
    parts: Float64[np.ndarray, "parts atoms"],
    atoms: Int[np.ndarray, "levels atoms"],
    inner: Float[np.ndarray, "n parts"],
) -> Float64[np.ndarray, "atoms n"]:
    """Return what to add so that parts differ within their cells as they should, with no cell's sum changed."""
    _, size, basis = np.linalg.svd(asked)
    free = basis[(size > RANK_CUT * size[0]).sum() :].T
    cell = np.zeros(len(parts), dtype=np.int64)
    cell[atoms[-1]] = atoms[0]
    alike = (cell[:, None] == cell).astype(np.float64)
    apart = np.eye(len(parts)) - alike / alike.sum(axis=1, keepdims=True)
    wanted = apart @ (inner.astype(np.float64).T - parts @ found)
    step: np.ndarray = free @ (np.linalg.pinv(apart @ parts @ free, rcond=RANK_CUT) @ wanted)
    return np.where(np.isnan(inner).any(axis=1), 0.0, step)
