"""Names beside dots, placed so that they cover neither each other nor the dots."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

_PLACES = [(distance * x, distance * y) for distance in (1.0, 1.9, 2.8, 3.7)
           for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))]  # fmt: skip
"""Directions to try, nearest first, in units of the text's own height."""

Box = tuple[float, float, float, float]


def place(ax: Axes, points: Float[np.ndarray, "n 2"], names: Sequence[str], size: float) -> None:
    """Write a name beside each point, the first free place around it; a thin line leads to a distant one.

    Parameters
    ----------
    ax
        With its limits set.
    points
        In data coordinates.
    names
        One a point.
    size
        Of the text, in points.
    """
    at = _in_points(ax, points)
    taken: list[Box] = [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in at]
    frame = _frame(ax)
    for i in np.argsort(at[:, 1]):
        offset, box = _free(at[i], names[i], size, taken, frame)
        taken.append(box)
        far = max(abs(offset[0]), abs(offset[1])) > 1.5 * size + 4
        ax.annotate(
            names[i], points[i], offset, textcoords="offset points", fontsize=size, va="center",
            ha="left" if offset[0] > 0 else "right" if offset[0] < 0 else "center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#999999", "shrinkB": 2} if far else None,
        )  # fmt: skip


def _in_points(ax: Axes, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Return positions in points (1/72 inch) from the figure's corner."""
    made: Float[np.ndarray, "n 2"] = ax.transData.transform(points) * 72 / ax.figure.dpi
    return made


def _frame(ax: Axes) -> Box:
    """Return the panel in points."""
    box = ax.bbox
    x0, y0, x1, y1 = (float(each) * 72 / ax.figure.dpi for each in (box.x0, box.y0, box.x1, box.y1))
    return x0, y0, x1, y1


def _free(
    at: Float[np.ndarray, " 2"], name: str, size: float, taken: Sequence[Box], frame: Box
) -> tuple[tuple[float, float], Box]:
    """Return the offset and box that covers least of what is taken."""
    wide, best = 0.58 * size * len(name), None
    for dx, dy in _PLACES:
        offset = (dx * (size * 0.6 if dy == 0 or dx == 0 else size * 0.5), dy * size * 1.05)
        x, y = at[0] + offset[0], at[1] + offset[1]
        left = x if offset[0] > 0 else x - wide if offset[0] < 0 else x - wide / 2
        box = (left, y - 0.6 * size, left + wide, y + 0.6 * size)
        cost = sum(_shared(box, other) for other in taken) + 3 * _outside(box, frame)
        if best is None or cost < best[0]:
            best = (cost, offset, box)
        if cost == 0:
            break
    assert best is not None
    return best[1], best[2]


def _shared(a: Box, b: Box) -> float:
    """Return the area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: Box, frame: Box) -> float:
    """Return the area of a box beyond the frame."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, frame)
