"""What several figures of the gallery share."""

import textwrap

from matplotlib.axes import Axes

from harness.report.gallery_queries import NONE, StoredGallery
from harness.report.style import (
    FAINT,
    VERDICTS,
)
from harness.report.wording import shortened

WIDTH = 7.2
"""Inches of a figure: the text width of a page, so that type is printed at its size."""

GAP = 0.06


def class_title(ax: Axes, held: StoredGallery, choice: str, place: int) -> None:
    """Write the class, and under it the image's id and the class's probability."""
    image, chance = int(held.arrays[f"{choice}_ids"][place]), held.arrays[f"{choice}_probabilities"][place]
    below = "no image" if image == NONE else f"{shortened(held.called(image), 14)}  p {share(float(chance))}"
    ax.set_title(below, fontsize=6.5, pad=3, color=FAINT)
    ax.annotate(
        held.classes[place], (0.5, 1), (0, 12), xycoords="axes fraction", textcoords="offset points", ha="center",
        fontsize=7.5, weight="bold",
    )  # fmt: skip


def no_image(ax: Axes, why: str) -> None:
    """Say in an empty panel why it is empty."""
    ax.patch.set_visible(True)
    ax.set_facecolor(VERDICTS["not applicable"])
    ax.text(
        0.5, 0.5, textwrap.fill(why, 13), transform=ax.transAxes, ha="center", va="center", fontsize=6.5, color=FAINT
    )


def share(value: float) -> str:
    """Return a probability in two decimals, never as certain as 1.

    Examples
    --------
    >>> share(0.5), share(0.999), share(0.004)
    ('.50', '>.99', '<.01')
    """
    if value > 0.995:
        return ">.99"
    return "<.01" if value < 0.005 else f"{value:.2f}"[1:]
