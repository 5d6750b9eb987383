"""How much each explainer gains over its null maps: over all images, class by class, and against recall."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import labels, queries, tables, wording
from harness.report.queries import ALL, DEFAULT_METRIC
from harness.report.style import (
    FAINT,
    LINE,
    WIDTH,
    Margins,
    alike,
    around,
    colour,
    dashes,
    heading,
    ink,
    panel_title,
    panels,
    styled,
    title_room,
)
from harness.statistics import Interval, people_interval
from harness.store import RunFolder, deciding_p

GAINS = (
    ("deletion-gain", "spectrum-null"),
    ("deletion-gain", "transplant-null"),
    ("insertion-gain", "spectrum-null"),
    ("insertion-gain", "transplant-null"),
)

_LETTER = 0.068
"""Inches that a letter of a tick label takes, at most."""


def overview_figure(run: RunFolder) -> Figure | None:
    """Return every explainer's gains over its nulls, over all images, with intervals; None where there are none."""
    held = queries.metrics(run)
    shown = [(metric, variant) for metric, variant in GAINS if variant in held.get(metric, ())]
    if not shown:
        return None
    names = list(queries.families(run))
    left = 0.2 + _LETTER * max(map(len, names))
    dots = [_column(run, queries.rows(run, *gain), names) for gain in shown]
    with styled():
        size = ((WIDTH - left - 0.15 - 0.2 * 3) / 4, 0.25 + 0.17 * len(names))
        figure, axes = panels(len(shown), len(shown), size, Margins(left=left, top=0.68, across=0.2))
        alike(axes, _span(chain(*dots)), (len(names) - 0.4, -0.6))
        for ax, (metric, variant), column in zip(axes[0], shown, dots, strict=True):
            ax.set_title(f"{metric}\nover {variant.replace('-', ' ')}", fontsize=8)
            ax.set_yticks(range(len(names)), names)
            _draw(ax, column, [queries.family(run, name) for name in names])
        heading(figure, "Gain over each explainer's own null map, all images")
        around(figure, "gain (mean with its interval)")
    return figure


def gains_figure(run: RunFolder, metric: str = DEFAULT_METRIC, explainers: Sequence[str] = ()) -> Figure:
    """Return gains class by class: a panel an explainer, classes on one axis, the mean with its interval."""
    metric, variant = queries.chosen(run, metric)
    names, shown = list(explainers) or list(queries.families(run)), [*queries.classes(run), ALL]
    held = queries.rows(run, metric, variant)
    by_class = [_column(run, each, names) for each in _by_class(held, shown)]
    dots = [list(row) for row in zip(*by_class, strict=True)]
    ticks = [f"{where} ({column[0][1] or 'no images'})" for where, column in zip(shown, by_class, strict=True)]
    left = 0.2 + _LETTER * max(map(len, ticks))
    with styled():
        columns = min(5, len(names))
        size = ((WIDTH - left - 0.15 - 0.15 * 4) / 5, 0.15 + 0.15 * len(shown))
        figure, axes = panels(
            len(names),
            columns,
            size,
            Margins(left=left, top=0.22 + title_room(names), bottom=0.42, down=title_room(names)),
        )
        alike(axes, _span(chain(*dots)), (len(shown) - 0.5, -0.5))
        for ax, name, rows in zip(chain(*axes), names, dots, strict=False):
            ax.set_yticks(range(len(shown)), ticks)
            ax.axhline(len(shown) - 1.5, color=LINE, linewidth=0.6)
            _draw(ax, rows, [queries.family(run, name)] * len(shown))
            panel_title(ax, name, queries.family(run, name))
        heading(figure, f"{metric} over {variant.replace('-', ' ')}, class by class")
        around(figure, "gain (mean with its interval)")
    return figure


Dot = tuple[Interval | None, int]
"""A mean with its interval, None where undefined, and of how many images."""


def _split(held: pd.DataFrame, column: str, names: Sequence[str]) -> list[pd.DataFrame]:
    """Return the rows of each name."""
    groups = dict(iter(held.groupby(column)))
    return [groups.get(name, held.iloc[:0]) for name in names]


def _by_class(held: pd.DataFrame, shown: Sequence[str]) -> list[pd.DataFrame]:
    """Return the rows of each class, and all."""
    return [held if where == ALL else each for where, each in zip(shown, _split(held, "target", shown), strict=True)]


def _column(run: RunFolder, held: pd.DataFrame, names: Sequence[str]) -> list[Dot]:
    """Return mean and interval of each explainer's defined values, and how many images were asked for."""
    asked = len(held[["image", "target"]].drop_duplicates())
    confidence = run.record.confidence
    defined = [each[each["defined"]] for each in _split(held, "explainer", names)]
    return [(_interval(run, each, confidence) if len(each) else None, asked) for each in defined]


def _interval(run: RunFolder, held: pd.DataFrame, confidence: float) -> Interval:
    """Return the mean of some rows with the interval that verdicts show: people are the sample where they are known."""
    values = held["value"].to_numpy(dtype=np.float64)
    return people_interval(values, queries.people([run], held["image"]), confidence=confidence)


def _span(dots: chain[Dot]) -> tuple[float, float]:
    """Return limits that hold zero and every interval, with room for a note at the right."""
    ends = [end for found, _ in dots if found for end in (found.low, found.estimate, found.high)]
    held = [0.0, *(end for end in ends if np.isfinite(end))]
    low, high = min(held), max(held)
    spread = (high - low) or 0.1
    return low - 0.06 * spread, high + 0.06 * spread


def _draw(ax: Axes, dots: Sequence[Dot], families: Sequence[str]) -> None:
    """Draw one dot and interval a row; a row that lacks values says how many it has."""
    ax.axvline(0, color=FAINT, linewidth=0.6, zorder=0)
    for place, ((found, asked), family) in enumerate(zip(dots, families, strict=True)):
        if found is None:
            _beside(ax, place, "undefined" if asked else "")
            continue
        if np.isfinite(found.low):
            style = (0, (2, 1)) if family in ("control", "oracle") else dashes(family)
            ax.plot([found.low, found.high], [place, place], linestyle=style, color=colour(family), linewidth=1.3)
        face = "white" if family in ("control", "oracle") else colour(family)
        ax.plot(found.estimate, place, "o", markersize=3.6, color=colour(family), markerfacecolor=face)
        if found.n < asked:
            _beside(ax, place, f"{found.n}/{asked}")


def _beside(ax: Axes, place: int, text: str) -> None:
    """Write at the right end of a row."""
    ax.annotate(
        text, (1, place), (1, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", ha="right",
        va="center", fontsize=5.5, color=FAINT, annotation_clip=False,
    )  # fmt: skip


def recall_figure(run: RunFolder, metric: str = DEFAULT_METRIC, explainers: Sequence[str] = ()) -> Figure | None:
    """Return each class's mean score against its recall, panel by explainer; None where faces have no labels."""
    recall = queries.recalls(run)
    if recall is None:
        return None
    metric, variant = queries.chosen(run, metric)
    names = list(explainers) or queries.methods(run)
    score = queries.means(run, queries.rows(run, metric, variant))[names].drop(index=ALL)
    with styled():
        size = ((WIDTH - 0.75 - 0.15 * 2) / 3, 1.9)
        figure, axes = panels(len(names), min(3, len(names)), size, Margins(top=0.72, down=0.52))
        alike(axes, _room(recall.drop(ALL), 0.18), _room(pd.Series(score.to_numpy().ravel()), 0.12))
        for ax, name in zip(chain(*axes), names, strict=False):
            ax.axhline(0, color=LINE, linewidth=0.6, zorder=0)
            paint = ink(queries.family(run, name))
            ax.set_title(f"{name}\n", fontsize=7.5, weight="bold", loc="left", pad=2, color=paint)
            ax.text(0, 1.015, _recall_verdict(run, name), transform=ax.transAxes, fontsize=6.5, va="bottom")
            _named_points(ax, recall, score[name], colour(queries.family(run, name)))
        heading(figure, f"{metric} over {variant.replace('-', ' ')} against recall, class by class")
        around(figure, "recall", "mean gain")
    return figure


def _room(values: pd.Series, share: float) -> tuple[float, float]:
    """Return limits that leave room for names."""
    good = values.dropna().to_numpy(dtype=np.float64)
    low, high = (float(good.min()), float(good.max())) if len(good) else (0.0, 1.0)
    spread = (high - low) or 0.1
    return low - share * spread, high + share * spread


def _recall_verdict(run: RunFolder, name: str) -> str:
    """Return what the check on recall found."""
    held = queries.verdicts(run)
    held = held[(held["check"] == "confusion-recall") & (held["explainer"] == name)]
    if held.empty:
        return ""
    row = held.iloc[0]
    said = "confusion-recall: " + tables.cell(str(row["verdict"]), float(row["effect"]))
    return said if pd.isna(row["effect"]) else f"{said}, corrected {wording.chance(deciding_p(row))}"


def _named_points(ax: Axes, recall: pd.Series, score: pd.Series, paint: str) -> None:
    """Draw dots with the names of their classes, placed so that they do not cover each other."""
    both = pd.DataFrame({"x": recall.reindex(score.index), "y": score}).dropna()
    if both.empty:
        ax.text(0.5, 0.5, "undefined", transform=ax.transAxes, ha="center", va="center", fontsize=7, color=FAINT)
        return
    ax.plot(both["x"], both["y"], "o", markersize=3.6, color=paint, markeredgewidth=0)
    labels.place(ax, both.to_numpy(dtype=np.float64), [str(name) for name in both.index], 6.5)
