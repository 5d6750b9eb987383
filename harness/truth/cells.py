"""Cells: the players of the exact game, equal in area, and what a map gives each of them.

Cells are equal because sums over unequal ones rank by size: on 48 pixels cut into 11, 20 and 17 every positive map
gains. What does not divide belongs to no cell, is part of every coalition, and counts for nothing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from harness.errors import UsageError

NO_CELL = -1
"""Label of a pixel that belongs to no cell."""


@dataclass(frozen=True)
class Grid:
    """A picture cut into rows and columns of equal cells, each cut again into equal parts.

    Attributes
    ----------
    rows, columns
        How many cells.
    shift
        By what share of a cell, down and to the right, the cells are moved; what leaves the picture comes in again at
        the other side, so that a cell may lie at both borders.
    split
        Parts along each side of a cell. The sides of cells are multiples of it.

    Examples
    --------
    >>> Grid(2, 2).labels(4, 4)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [2, 2, 3, 3],
           [2, 2, 3, 3]])
    >>> Grid(2, 2, shift=0.5).labels(4, 5)
    array([[ 3,  2,  2,  3, -1],
           [ 1,  0,  0,  1, -1],
           [ 1,  0,  0,  1, -1],
           [ 3,  2,  2,  3, -1]])
    """

    rows: int = 3
    columns: int = 3
    shift: float = 0.0
    split: int = 2

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.split) < 1 or not 0 <= self.shift < 1:
            raise ValueError(f"{self}; give at least one row, column and part, and a shift of at least 0 and below 1")

    @property
    def cells(self) -> int:
        """How many cells."""
        return self.rows * self.columns

    @property
    def parts(self) -> int:
        """How many parts all cells have."""
        return self.cells * self.split**2

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of a cell, in pixels.

        Raises
        ------
        UsageError
            Where the picture is too small for these cells.
        """
        lacking = self.lacking(height, width)
        if lacking:
            raise UsageError(lacking)
        return (
            height // self.rows // self.split * self.split,
            width // self.columns // self.split * self.split,
        )

    def lacking(self, height: int, width: int) -> str:
        """Return why a picture cannot be cut so, "" where it can."""
        least = self.rows * self.split, self.columns * self.split
        if height >= least[0] and width >= least[1]:
            return ""
        return (
            f"a picture of {height} x {width} is too small for {self.rows} x {self.columns} cells of at least "
            f"{self.split} pixels a side; {least[0]} x {least[1]} would do"
        )

    def labels(self, height: int, width: int) -> Int[np.ndarray, "{height} {width}"]:
        """Return the cell of each pixel, row by row from 0, -1 where it belongs to none."""
        cells: np.ndarray = parts_of_cells(self.part_labels(height, width), self.split)
        return cells

    def part_labels(self, height: int, width: int) -> Int[np.ndarray, "{height} {width}"]:
        """Return the part of each pixel: part p belongs to cell ``p // split**2``; -1 where it belongs to none.

        Raises
        ------
        UsageError
            Where the picture is too small for these cells.
        """
        (down, down_part), (across, across_part) = (
            self._along(side, count)
            for side, count in zip(self.sides(height, width), (self.rows, self.columns), strict=True)
        )
        cells = down[:, None] * self.columns + across
        parts = cells * self.split**2 + down_part[:, None] * self.split + across_part
        found = np.full((height, width), NO_CELL, dtype=np.int64)
        top, left = (height - len(down)) // 2, (width - len(across)) // 2
        found[top : top + len(down), left : left + len(across)] = parts
        return found

    def _along(self, side: int, count: int) -> tuple[Int[np.ndarray, " s"], Int[np.ndarray, " s"]]:
        """Return the cell and the part within it of each pixel along one axis."""
        pixels = np.roll(np.arange(side * count), round(self.shift * side))
        return pixels // side, pixels % side // (side // self.split)


def parts_of_cells(parts: Int[np.ndarray, "h w"], split: int) -> Int[np.ndarray, "h w"]:
    """Return the cell of each pixel whose part is known."""
    return np.where(parts == NO_CELL, NO_CELL, parts // split**2)


def parts_of(cell: int, split: int) -> Int[np.ndarray, " p"]:
    """Return the parts of one cell."""
    return np.arange(cell * split**2, (cell + 1) * split**2)


def pairs_of(cells: int) -> Int[np.ndarray, "2 p"]:
    """Return every pair of cells, the smaller number first.

    Examples
    --------
    >>> pairs_of(3).tolist()
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.stack(np.triu_indices(cells, 1))


def pairs_within(cells: int, split: int) -> Int[np.ndarray, "2 p"]:
    """Return every pair of parts of one cell, for all cells.

    Examples
    --------
    >>> pairs_within(2, 2).T.tolist()[:7]
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3], [4, 5]]
    """
    inner = pairs_of(split**2)
    return np.concatenate([inner + cell * split**2 for cell in range(cells)], axis=1)


def cell_sums(
    maps: Float[np.ndarray, "n h w"], labels: Int[np.ndarray, "h w"], cells: int
) -> Float64[np.ndarray, "n {cells}"]:
    """Return the sum of each map over each cell, in double precision.

    Parameters
    ----------
    labels
        The cell of each pixel; negative where it belongs to none.

    Raises
    ------
    ValueError
        Where maps and labels differ in size.

    Examples
    --------
    >>> cell_sums(np.array([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]]), np.array([[0, 1, -1], [0, 1, -1]]), 2)
    array([[4., 6.]])
    """
    _require_fitting(maps, labels)
    members = (labels.ravel() == np.arange(cells)[:, None]).astype(np.float64)
    sums: np.ndarray = maps.reshape(len(maps), -1).astype(np.float64) @ members.T
    return sums


def _require_fitting(maps: Shaped[np.ndarray, "n ..."], labels: Int[np.ndarray, "h w"]) -> None:
    """Raise where the maps are of another size than the picture that was cut."""
    if maps.shape[1:] != labels.shape:
        raise ValueError(f"maps of {maps.shape[1:]} on cells of {labels.shape}; give both one size")
