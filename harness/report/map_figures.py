"""The maps themselves, beside the pictures that they explain."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import queries, wording
from harness.report.style import (
    FAINT,
    VERDICTS,
    WIDTH,
    Margins,
    bare,
    heading,
    panels,
    show_face,
    show_map,
    styled,
)
from harness.store import RunFolder


def gallery_figure(run: RunFolder, explainers: Sequence[str] = (), classes: Sequence[str] = ()) -> Figure:
    """Return the first stored maps of each class: a row a class, the picture and then one column an explainer.

    Red speaks for the explained class and blue against it; white is zero, and full colour is the 99th percentile of the
    map's own size.
    """
    held = run.examples
    names = list(explainers) or list(queries.families(run))
    wanted, targets = set(classes or queries.classes(run)), [str(target) for target in held.targets]
    shown = [i for i, target in enumerate(targets) if target in wanted and targets.index(target) == i]
    side = min(1.25, (WIDTH - 1.1 - 0.06 * len(names)) / (len(names) + 1))
    wide = int(side * 72 / 4.3)
    deep = max(wording.folded(name, wide).count("\n") + 1 for name in names)
    margins = Margins(left=1.0, right=0.1, top=0.35 + 0.12 * deep, bottom=0.1, across=0.06, down=0.06)
    with styled():
        figure, axes = panels(max(1, len(shown)) * (len(names) + 1), len(names) + 1, (side, side), margins)
        heading(figure, "Maps: red speaks for the class, blue against it")
        for row, i in zip(axes, shown, strict=False):
            show_face(row[0], held.pictures[i])
            _row_title(row[0], run, i)
            for ax, name in zip(row[1:], names, strict=True):
                _one_map(ax, run, name, i)
        for ax, name in zip(axes[0], ["image", *names], strict=True):
            ax.set_title(wording.folded(name, wide), fontsize=7, pad=3)
        for ax in (ax for row in axes for ax in row):
            bare(ax)
    return figure


def _one_map(ax: Axes, run: RunFolder, name: str, i: int) -> None:
    """Draw one explainer's map of one example, or a word where it made none."""
    held = run.examples
    place = [str(each) for each in held.explainers].index(name) if name in held.explainers else -1
    if place >= 0 and np.isfinite(held.maps[place, i]).all():
        show_map(ax, held.maps[place, i])
    else:
        ax.set_facecolor(VERDICTS["not applicable"])
        ax.text(0.5, 0.5, "no map", transform=ax.transAxes, ha="center", va="center", fontsize=7, color=FAINT)


def _row_title(ax: Axes, run: RunFolder, i: int) -> None:
    """Write class, index, and what was seen where that is something else."""
    held = run.examples
    target, label, image = str(held.targets[i]), str(held.labels[i]), int(held.images[i])
    seen = run.scores.loc[run.scores["image"] == image, "predicted"]
    predicted = str(seen.iloc[0]) if len(seen) else target
    lines = [target, f"image {wording.shortened(run.called(image))}"]
    lines += [f"truly {label}"] if label not in ("", target) else []
    lines += [f"seen as {predicted}"] if predicted not in ("", target) else []
    text = "\n".join(wording.folded(line, 15) for line in lines)
    ax.text(-0.08, 0.5, text, transform=ax.transAxes, ha="right", va="center", fontsize=7, linespacing=1.3)
