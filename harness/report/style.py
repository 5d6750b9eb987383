"""One look for every figure: colours that colour-blind readers can tell apart, fonts, panels measured in inches."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.colors
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from harness.report.wording import folded

DPI = 160
WIDTH = 9.6
"""Inches across a full figure; at this width the page shows its smallest text at about 10 pixels."""

LEAST_WIDTH = 7.0

INK, FAINT, LINE, CONTROL = "#222222", "#6b6b6b", "#cccccc", "#8a8a8a"

# Okabe & Ito's palette, one colour a family, and a brown; yellow is left out: thin lines of it vanish on white.
FAMILIES = {
    "gradient": "#0072B2",
    "backprop": "#56B4E9",
    "cam": "#D55E00",
    "attention": "#8C564B",
    "perturbation": "#009E73",
    "surrogate": "#CC79A7",
    "user": "#E69F00",
    "control": CONTROL,
    "oracle": CONTROL,
}

VERDICTS = {"pass": "#a6d9c7", "fail": "#f2b48f", "inconclusive": "#f4eecb", "not applicable": "#f2f2f2"}
"""Fills of a verdict's cell, light enough for black text; the mark says the same in letters."""

STATES = {"pass": "#009E73", "fail": "#D55E00", "inconclusive": "#C9A227", "another question": "#56B4E9"}
"""The same in lines and dots, strong enough for white."""

TITLE = 26
"""Letters of a panel's title before it breaks; a panel is about two inches wide."""

SIGNED = "RdBu_r"
SHARE = "Blues"
ALIKE = "Purples"

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Margins:
    """Inches around and between panels."""

    left: float = 0.6
    right: float = 0.15
    top: float = 0.5
    bottom: float = 0.45
    across: float = 0.15
    down: float = 0.35


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the harness's look, and leave matplotlib's settings as they were."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        yield


def ink(family: str) -> str:
    """Return a family's colour dark enough to read as text on white, black for no family."""
    if not family:
        return INK
    red, green, blue = matplotlib.colors.to_rgb(colour(family))
    return matplotlib.colors.to_hex((0.7 * red, 0.7 * green, 0.7 * blue))


def colour(family: str) -> str:
    """Return a family's colour, the same in every figure and run."""
    return FAMILIES.get(family, FAMILIES["user"])


def dashes(family: str) -> str:
    """Return the line style: dashed for what cannot be faithful."""
    return "--" if family == "control" else "-"


class Shown(Figure):
    """A figure that a notebook shows, whether or not pyplot was ever imported there."""

    def _repr_png_(self) -> bytes:
        return png(self)


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that no window and no pyplot state knows of."""
    figure = Shown(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def panels(
    count: int, columns: int, size: tuple[float, float], margins: Margins = Margins()
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of equal panels in rows; those of the last row that are not needed are hidden.

    Parameters
    ----------
    count, columns
        How many panels, and how many in a row.
    size
        Width and height of one panel in inches.
    margins
        Inches around and between them.
    """
    rows = -(-count // columns)
    needed = margins.left + columns * size[0] + (columns - 1) * margins.across + margins.right
    # A figure of one small panel still has room for its heading.
    width = max(needed, LEAST_WIDTH)
    height = margins.top + rows * size[1] + (rows - 1) * margins.down + margins.bottom
    figure = canvas(width, height)
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": margins.left / width,
            "right": (needed - margins.right) / width,
            "top": 1 - margins.top / height,
            "bottom": margins.bottom / height,
            "wspace": margins.across / size[0],
            "hspace": margins.down / size[1],
        },
    )
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, [list(row) for row in axes]


def alike(
    axes: Sequence[Sequence[Axes]], x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
) -> None:
    """Give every panel the same limits, and numbers only to the left column and to the lowest panel of each column.

    Matplotlib's own shared axes do the same in a time that grows with the square of the number of panels.
    """
    for i, row in enumerate(axes):
        for j, ax in enumerate(row):
            lowest = i + 1 == len(axes) or not axes[i + 1][j].get_visible()
            ax.tick_params(labelleft=j == 0, labelbottom=lowest)
            if x is not None:
                ax.set_xlim(x)
            if y is not None:
                ax.set_ylim(y)


def heading(figure: Figure, text: str) -> None:
    """Write what the figure shows at its upper left."""
    height = float(figure.get_size_inches()[1])
    figure.text(0.08 / float(figure.get_size_inches()[0]), 1 - 0.07 / height, text, va="top", fontsize=9, weight="bold")


def around(figure: Figure, below: str, left: str = "") -> None:
    """Write what the axes of all panels are."""
    width, height = (float(each) for each in figure.get_size_inches())
    figure.supxlabel(below, fontsize=8, y=0.05 / height)
    if left:
        figure.supylabel(left, fontsize=8, x=0.06 / width)


def panel_title(ax: Axes, name: str, family: str) -> None:
    """Write an explainer's name in its family's colour."""
    ax.set_title(folded(name, TITLE), loc="left", fontsize=7.5, weight="bold", pad=3, color=ink(family))


def title_room(names: Sequence[str]) -> float:
    """Return the inches that panels need between their rows for titles of these names."""
    return 0.19 + 0.125 * max(folded(name, TITLE).count("\n") + 1 for name in names)


def limits(map_: Float[np.ndarray, "h w"]) -> float:
    """Return the half-range of a signed map's colours: the 99th percentile of its size, 1 for a map of zeros.

    Examples
    --------
    >>> limits(np.array([[-3.0, 0.0]])) <= 3, limits(np.zeros((2, 2)))
    (True, 1.0)
    """
    top = float(np.percentile(np.abs(map_), 99)) or float(np.abs(map_).max())
    return top or 1.0


def show_map(ax: Axes, map_: Float[np.ndarray, "h w"]) -> None:
    """Draw a signed map, white at zero, red for and blue against."""
    top = limits(map_)
    ax.imshow(map_, cmap=SIGNED, vmin=-top, vmax=top)


def show_face(ax: Axes, picture: Float[np.ndarray, "h w"]) -> None:
    """Draw a grey picture of 0 to 1."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)


def bare(ax: Axes) -> None:
    """Take ticks and frame away."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def ink_on(value: float, low: float, high: float) -> str:
    """Return white for text on the dark end of a sequential colour scale, else the usual ink."""
    return "white" if high > low and (value - low) / (high - low) > 0.6 else INK


def chunks(names: Sequence[str], size: int) -> list[list[str]]:
    """Split names into the fewest groups of at most `size`, of about equal length.

    Examples
    --------
    >>> chunks("abcde", 4)
    [['a', 'b', 'c'], ['d', 'e']]
    """
    if not names:
        return []
    count = -(-len(names) // size)
    step = -(-len(names) // count)
    return [list(names[start : start + step]) for start in range(0, len(names), step)]


def save(figure: Figure, path: Path, dpi: int = DPI) -> Path:
    """Write a figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure, dpi))
    return path


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """Return a figure as PNG, without the version that would make two equal figures differ."""
    made = io.BytesIO()
    figure.savefig(made, dpi=dpi, format="png", metadata={"Software": None})
    return made.getvalue()


def save_picture(picture: Image.Image, path: Path, dpi: int) -> Path:
    """Write a picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", dpi=(dpi, dpi))
    return path
