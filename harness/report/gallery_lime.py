"""The gallery's figure of LIME, with the confusion matrix beside it."""

import textwrap
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from harness.report import queries
from harness.report.gallery_parts import GAP, WIDTH, class_title, no_image
from harness.report.gallery_queries import NONE, StoredGallery
from harness.report.matrix_figures import draw_confusion
from harness.report.style import (
    FAINT,
    bare,
    canvas,
    heading,
    show_face,
    styled,
)

OUTLINE = "#ffd400"


def lime_figure(held: StoredGallery) -> Figure:
    """Return for each class the face, and the face with the regions that speak for it; the confusion matrix beside."""
    count = len(held.classes)
    across = min(4, count)
    rows = -(-count // across)
    matrix, gap = 2.2, 0.75
    side = (WIDTH - 0.08 - gap - matrix - 0.12 - GAP * 3) / 4
    block = 2 * side + GAP
    height = max(0.75 + rows * block + (rows - 1) * 0.62 + 0.3, 5.4)
    with styled():
        figure = canvas(WIDTH, height)
        for place in range(count):
            x = 0.08 + (place % across) * (side + GAP)
            y = height - 0.75 - (place // across) * (block + 0.62)
            upper, lower = (
                figure.add_axes((x / WIDTH, (y - drop - side) / height, side / WIDTH, side / height))
                for drop in (0, side + GAP)
            )
            _lime_pair(held, place, upper, lower)
        left = WIDTH - 0.12 - matrix
        ax = figure.add_axes((left / WIDTH, (height - 0.75 - matrix) / height, matrix / WIDTH, matrix / height))
        _beside_lime(held, ax, matrix)
        key = (
            "Bright and outlined: the segments of largest positive LIME weight (at most five), which speak for the "
            "class. The rest is darkened. Under each pair: segments outlined of all segments. Over it: the image's "
            "number and the class's probability."
        )
        text = textwrap.fill(key, 50)
        y = height - 0.75 - matrix - 0.75
        _draw_recalls(held, figure, (left, y - 1.15, matrix, 1.05))
        low = 0.1 if held.labelled else y - 0.6
        figure.text((left - 0.55) / WIDTH, low / height, text, fontsize=6.5, va="bottom", color=FAINT, linespacing=1.4)
        heading(figure, f"Figure 3. LIME: {held.title}")
    return figure


def _lime_pair(held: StoredGallery, place: int, upper: Axes, lower: Axes) -> None:
    """Draw one class's face twice, the second time with its regions."""
    for ax in (upper, lower):
        bare(ax)
    class_title(upper, held, "surest", place)
    if held.arrays["surest_ids"][place] == NONE:
        no_image(upper, held.absent(held.classes[place]))
        no_image(lower, "")
        return
    picture, speaking, segments = (
        held.arrays[f"surest_{what}"][place] for what in ("pictures", "speaking", "segments")
    )
    show_face(upper, picture)
    if not np.isfinite(held.arrays["surest_lime"][place]).all():
        no_image(lower, "no map was made")
        return
    show_face(lower, np.where(speaking, picture, 0.35 * picture))
    lower.add_collection(LineCollection(_borders(segments, speaking), colors=OUTLINE, linewidths=1.0))
    marked, every = len(np.unique(segments[speaking])), int(segments.max()) + 1
    lower.text(
        0.5, -0.04, f"{marked} of {every} segments", transform=lower.transAxes, ha="center", va="top", fontsize=6.5
    )


def _borders(segments: Int[np.ndarray, "h w"], speaking: Bool[np.ndarray, "h w"]) -> list[list[tuple[float, float]]]:
    """Return the lines between pixels around each speaking segment."""
    told = np.pad(np.where(speaking, segments, -1), 1, constant_values=-1)
    lines = []
    for y, x in np.argwhere(told[1:] != told[:-1]).tolist():
        lines.append([(x - 1.5, y - 0.5), (x - 0.5, y - 0.5)])
    for y, x in np.argwhere(told[:, 1:] != told[:, :-1]).tolist():
        lines.append([(x - 0.5, y - 1.5), (x - 0.5, y - 0.5)])
    return lines


def _beside_lime(held: StoredGallery, ax: Axes, side: float) -> None:
    """Draw the confusion matrix, or where there are no labels how many faces are seen as each class."""
    table = queries.matrix(held.run, "confusion")
    if table is not None:
        draw_confusion(ax, table.reindex(index=held.classes, columns=held.classes), side)
        ax.set_title("Confusion matrix: images, shaded by share of the row", fontsize=7, loc="right", weight="bold")
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_fontsize(7)
        return
    counts = held.about["predicted"]
    _bars(ax, {name: float(counts[name]) for name in held.classes}, "{:.0f}")
    ax.set_xlabel("images seen as the class", fontsize=7)
    ax.set_title("No labels, so no confusion matrix", fontsize=7, loc="left", weight="bold")


def _draw_recalls(held: StoredGallery, figure: Figure, box: tuple[float, float, float, float]) -> None:
    """Draw each class's recall, where it is known, into a box in inches."""
    recalls = queries.recalls(held.run)
    if recalls is None:
        return
    wide, high = (float(each) for each in figure.get_size_inches())
    ax = figure.add_axes((box[0] / wide, box[1] / high, box[2] / wide, box[3] / high))
    _bars(ax, {name: float(recalls[name]) for name in held.classes}, "{:.2f}")
    ax.set_title("Recall", fontsize=7, loc="left", weight="bold")
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _bars(ax: Axes, values: Mapping[str, float], form: str) -> None:
    """Draw a bar a class with its number; one without a number says so."""
    ax.barh(range(len(values)), np.nan_to_num(list(values.values())), color="#6baed6", height=0.65)
    for place, value in enumerate(values.values()):
        text = form.format(value) if np.isfinite(value) else "no images"
        ax.text(np.nan_to_num(value), place, f" {text}", va="center", fontsize=6.5)
    ax.set_yticks(range(len(values)), list(values), fontsize=6.5)
    ax.tick_params(length=0)
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.set_xlim(0, 1.2 * max(np.nan_to_num(list(values.values())).max(), 1e-9))
