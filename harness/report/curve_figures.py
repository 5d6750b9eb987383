"""Deletion, insertion and randomisation curves, each map beside its nulls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report import queries, wording
from harness.report.queries import ALL
from harness.report.style import (
    CONTROL,
    FAINT,
    INK,
    LINE,
    WIDTH,
    Margins,
    alike,
    around,
    colour,
    dashes,
    heading,
    panel_title,
    panels,
    styled,
    title_room,
)
from harness.statistics import people_interval
from harness.store import RunFolder

"""A band of a curve needs no more: its edge moves by less than a line's width."""

_NULL_LINES = {"spectrum-null": (0, (1, 1.2)), "transplant-null": (0, (5, 1.5))}


def curves_figure(run: RunFolder, metric: str, explainers: Sequence[str] = (), classes: Sequence[str] = ()) -> Figure:
    """Return deletion or insertion curves: a row an explainer, a column a class, the map beside its nulls."""
    names, shown = (
        list(explainers) or queries.methods(run) or list(queries.families(run)),
        list(classes) or [*queries.classes(run), ALL],
    )
    size = ((WIDTH - 0.7 - 0.12 * len(shown)) / max(len(shown), 4), 0.95)
    asked = queries.curve_images(run, metric)
    done = "removed" if metric == "deletion" else "shown"
    with styled():
        margins = Margins(left=0.55, top=0.85, across=0.12, down=0.3)
        figure, axes = panels(len(names) * len(shown), len(shown), size, margins)
        alike(axes, (-0.02, 1.02), (0.0, 1.02))
        for row, name in zip(axes, names, strict=True):
            held = queries.curves(run, metric, name)
            for ax, where in zip(row, shown, strict=True):
                ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
                ax.set_yticks([0, 0.5, 1])
                here = {variant: _of_class(each, where) for variant, each in held.items()}
                _curve_panel(ax, queries.family(run, name), here, _own(run, here), asked.get(where, 0))
            panel_title(row[0], name, queries.family(run, name))
        for ax, where in zip(axes[0], shown, strict=True):
            ax.annotate(
                wording.folded(where, 14), (0.5, 1), (0, 13), xycoords="axes fraction", textcoords="offset points",
                ha="center", va="bottom", fontsize=8,
            )  # fmt: skip
        heading(figure, f"{wording.begun(metric)} curves, most relevant pixels {done} first")
        around(figure, f"fraction of pixels {done}", "target's probability")
        _curve_legend(figure, _NULL_LINES)
    return figure


def _of_class(curves: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the curves of one class, or all."""
    return curves if where == ALL else curves[curves.index.get_level_values("target") == where]


@dataclass(frozen=True)
class Band:
    """A mean curve with the ends of its interval, NaN and so not drawn for a single image."""

    x: Float[np.ndarray, " points"]
    mean: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    n: int


def _band(run: RunFolder, curves: pd.DataFrame) -> Band:
    """Return mean and interval at each point."""
    confidence = run.record.confidence
    values = curves.to_numpy(dtype=np.float64)
    who = queries.people([run], curves.index.get_level_values("image"))
    held = [people_interval(column, who, confidence=confidence) for column in values.T]
    mean, low, high = (np.array([getattr(each, end) for each in held]) for end in ("estimate", "low", "high"))
    return Band(curves.columns.to_numpy(dtype=np.float64), mean, low, high, len(values))


def _curve_panel(ax: Axes, family: str, held: dict[str, pd.DataFrame], band: Band | None, asked: int) -> None:
    """Draw one explainer: mean of the map with a band, means of its nulls."""
    for variant, style in _NULL_LINES.items():
        if len(held.get(variant, ())):
            ax.plot(held[variant].columns, held[variant].mean(), linestyle=style, color=FAINT, linewidth=1)
    if band is None:
        ax.text(0.5, 0.5, "no curves", transform=ax.transAxes, ha="center", va="center", fontsize=7, color=FAINT)
        return
    ax.fill_between(band.x, band.low, band.high, color=colour(family), alpha=0.25, linewidth=0)
    ax.plot(band.x, band.mean, dashes(family), color=colour(family))
    # In the corner that a falling, a rising and a level curve leave free.
    change = band.mean[-1] - band.mean[0]
    x, y = (0.98, 0.04) if abs(change) < 0.05 else (0.98, 0.97) if change < 0 else (0.03, 0.97)
    across, up = "left" if x < 0.5 else "right", "bottom" if y < 0.5 else "top"
    told = wording.of([band.n], [asked])
    ax.text(x, y, told, transform=ax.transAxes, ha=across, va=up, fontsize=6, color=FAINT)


def _own(run: RunFolder, held: dict[str, pd.DataFrame]) -> Band | None:
    """Return the band of the map itself, None where it has no curves."""
    own = held.get("map")
    return None if own is None or own.empty else _band(run, own)


def _curve_legend(figure: Figure, nulls: Mapping[str, Any], *, with_controls: bool = False) -> None:
    """Write what the lines are, under the heading."""
    lines = [Line2D([], [], color=INK, label="the map, mean with its interval")]
    lines += [
        Line2D([], [], color=FAINT, linewidth=1, linestyle=style, label=name.replace("-", " "))
        for name, style in nulls.items()
    ]
    if with_controls:
        lines.append(Line2D([], [], color=CONTROL, linestyle="--", label="a control"))
    anchor = (0, 1 - 0.2 / float(figure.get_size_inches()[1]))
    figure.legend(handles=lines, loc="upper left", ncols=len(lines), bbox_to_anchor=anchor, handlelength=2.6)


_ORDERS = {
    "randomization-cascade": "layers randomised from the top",
    "randomization-bottom-up": "layers randomised from the bottom",
    "randomization-independent": "one group of layers randomised at a time",
}


def _drawn(run: RunFolder, metric: str) -> list[str]:
    """Return who has curves, and every method, whose lack of them is to be seen; a map that is given has none."""
    methods = queries.methods(run)
    return [name for name in queries.families(run) if name in methods or queries.curves(run, metric, name)]


def cascade_figure(run: RunFolder, metric: str = "randomization-cascade", explainers: Sequence[str] = ()) -> Figure:
    """Return, panel by explainer, how alike a map stays while layers of the network are randomised in some order."""
    names = list(explainers) or _drawn(run, metric)
    order, layers = metric.removesuffix("-absolute"), queries.layers(run)
    ticks = ["trained", *(layers[::-1] if order == "randomization-bottom-up" else layers)]
    held = {name: queries.curves(run, metric, name) for name in names}
    bands = {name: _own(run, each) for name, each in held.items()}
    asked = queries.curve_images(run, metric)[ALL]
    means = [curve.mean().to_numpy() for each in held.values() for curve in each.values()]
    bounds = [end for band in bands.values() if band for end in (band.low, band.high)]
    ends = np.concatenate([[-0.05, 1.0], *means, *bounds])
    with styled():
        bottom = 0.2 + 0.06 * min(max(map(len, ticks)), 20)
        margins = Margins(left=0.45, top=0.38 + title_room(names), bottom=bottom, down=title_room(names))
        figure, axes = panels(len(names), min(4, len(names)), ((WIDTH - 0.6 - 0.15 * 3) / 4, 1.15), margins)
        alike(axes, (-0.3, len(ticks) - 0.7), (float(np.nanmin(ends)) - 0.03, float(np.nanmax(ends)) + 0.05))
        for ax, name in zip(chain(*axes), names, strict=False):
            ax.axhline(0, color=LINE, linewidth=0.6, zorder=0)
            # More than about sixteen names cannot stand beside each other under a panel of two inches.
            step = -(-len(ticks) // 16)
            ax.set_xticks(range(0, len(ticks), step), ticks[::step], rotation=90, fontsize=6)
            panel_title(ax, name, queries.family(run, name))
            _curve_panel(ax, queries.family(run, name), held[name], bands[name], asked)
        told = "signs dropped" if metric.endswith("absolute") else "signed"
        heading(figure, f"Similarity to the map of the trained network ({told}), {_ORDERS[order]}")
        nulls = {"transplant-null": _NULL_LINES["transplant-null"]}
        _curve_legend(figure, nulls, with_controls=any(queries.family(run, name) == "control" for name in names))
    return figure
