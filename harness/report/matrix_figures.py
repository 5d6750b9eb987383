"""Class by class matrices, and the verdicts as a coloured table."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.report import queries, tables, wording
from harness.report.style import (
    ALIKE,
    FAINT,
    INK,
    LINE,
    SHARE,
    VERDICTS,
    WIDTH,
    Margins,
    alike,
    canvas,
    heading,
    ink,
    ink_on,
    panel_title,
    panels,
    styled,
    title_room,
)
from harness.store import RunFolder

_LETTER = 0.068
"""Inches that a letter of a tick label takes, at most."""


def confusion_figure(run: RunFolder) -> Figure | None:
    """Return the confusion matrix beside the similarity of class-mean images; None where both are absent."""
    told = {"confusion": "Confusion matrix (share of the row)", "image-similarity": "Similarity of class-mean images"}
    held = {name: table for name in told if (table := queries.matrix(run, name)) is not None}
    if not held:
        return None
    names = queries.classes(run)
    left = 0.3 + _LETTER * max(map(len, names))
    side = (WIDTH - 2 * left - 2 * 0.6) / 2
    with styled():
        margins = Margins(left=left, right=0.6, top=0.35, bottom=left, across=left + 0.6)
        figure, axes = panels(len(held), len(held), (side, side), margins)
        for ax, (name, table) in zip(axes[0], held.items(), strict=True):
            values = _shares(table) if name == "confusion" else _off_diagonal(table)
            _shade(ax, values, SHARE if name == "confusion" else ALIKE, (0.0, 1.0) if name == "confusion" else None)
            _numbers(ax, values, table.to_numpy(dtype=np.float64) if name == "confusion" else values, side)
            ax.set_title(told[name], fontsize=9, weight="bold", loc="left")
            _class_ticks(ax, names)
            ax.set_ylabel("true class" if name == "confusion" else "")
            ax.set_xlabel("predicted class" if name == "confusion" else "")
            _scale(figure, ax)
    return figure


def draw_confusion(ax: Axes, table: pd.DataFrame, side: float) -> None:
    """Draw a confusion matrix into a panel `side` inches wide: counts, shaded by their share of the row."""
    values = _shares(table)
    _shade(ax, values, SHARE, (0.0, 1.0))
    _numbers(ax, values, table.to_numpy(dtype=np.float64), side)
    _class_ticks(ax, [str(name) for name in table.index])
    ax.set_ylabel("true class")
    ax.set_xlabel("predicted class")


def similarity_figure(run: RunFolder, explainers: Sequence[str] = ()) -> Figure | None:
    """Return, panel by explainer, how alike the mean maps of two classes are, after the network's mistakes."""
    asked = list(explainers) or list(queries.families(run))
    names = [name for name in asked if queries.matrix(run, "map-similarity", name) is not None]
    if not names:
        return None
    classes, confusion = queries.classes(run), queries.matrix(run, "confusion")
    shown = names if confusion is None else ["", *names]
    left = 0.2 + 0.062 * max(map(len, classes))
    side = (WIDTH - left - 0.15 - 0.15 * 4) / 5
    with styled():
        margins = Margins(left=left, top=0.22 + title_room(names), bottom=left, down=title_room(names))
        figure, axes = panels(len(shown), min(5, len(shown)), (side, side), margins)
        for ax, name in zip(chain(*axes), shown, strict=False):
            table = queries.matrix(run, "map-similarity", name) if name else confusion
            if table is not None:
                _shade(ax, _off_diagonal(table) if name else _mistakes(table), ALIKE if name else SHARE, None)
            panel_title(ax, name or "mistakes", queries.family(run, name) if name else "")
            _class_ticks(ax, classes)
            ax.tick_params(labelsize=min(7.0, side * 72 / len(classes) * 0.85))
        alike(axes)
        beside = "" if confusion is None else ", after the network's mistakes"
        heading(figure, f"Similarity of class-mean maps{beside}")
    return figure


def _shares(table: pd.DataFrame) -> Float[np.ndarray, "k k"]:
    """Return each count as a share of its row; NaN in a row without faces."""
    counts = table.fillna(0).to_numpy(dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    shares: Float[np.ndarray, "k k"] = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    return shares


def _off_diagonal(table: pd.DataFrame) -> Float[np.ndarray, "k k"]:
    """Return the values between classes; the diagonal, 1 by definition, is left out."""
    values = table.to_numpy(dtype=np.float64, copy=True)
    np.fill_diagonal(values, np.nan)
    return values


def _mistakes(table: pd.DataFrame) -> Float[np.ndarray, "k k"]:
    """Return shares without the diagonal, so that they can be held beside similarities."""
    values = _shares(table)
    np.fill_diagonal(values, np.nan)
    return values


def _range(values: Float[np.ndarray, "k k"]) -> tuple[float, float]:
    """Return the least and largest value, apart from each other even where all are equal or none is."""
    good = values[np.isfinite(values)]
    low, high = (float(good.min()), float(good.max())) if len(good) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _shade(ax: Axes, values: Float[np.ndarray, "k k"], shades: str, ends: tuple[float, float] | None) -> None:
    """Colour a matrix, darker is more; what is undefined stays grey."""
    low, high = ends or _range(values)
    ax.set_facecolor(LINE)
    ax.imshow(np.ma.masked_invalid(values), cmap=shades, vmin=low, vmax=high)


def _numbers(ax: Axes, shaded: Float[np.ndarray, "k k"], values: Float[np.ndarray, "k k"], side: float) -> None:
    """Write each value into its cell, counts as counts; a row without any value says so."""
    low, high = ax.images[0].get_clim()
    size = float(np.clip(side * 72 / len(values) / 3.0, 3.5, 8))
    counted = shaded is not values
    for i, j in np.argwhere(np.isfinite(shaded)).tolist():
        text = f"{values[i, j]:.0f}" if counted else f"{values[i, j]:.2f}".replace("0.", ".", 1)
        if text != "0":
            ax.text(j, i, text, ha="center", va="center", fontsize=size, color=ink_on(shaded[i, j], low, high))
    for i in np.flatnonzero(~np.isfinite(shaded).any(axis=1)).tolist():
        ax.text(
            (len(values) - 1) / 2,
            i,
            "no images of this class" if counted else "no value",
            ha="center",
            va="center",
            fontsize=6.5,
            color=INK,
        )


def _class_ticks(ax: Axes, names: Sequence[str]) -> None:
    """Name rows and columns."""
    ax.set_xticks(range(len(names)), names, rotation=90)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _scale(figure: Figure, ax: Axes) -> None:
    """Draw a colour bar that takes no room from the panel."""
    box = ax.get_position()
    inch = 1 / float(figure.get_size_inches()[0])
    side = figure.add_axes((box.x1 + 0.08 * inch, box.y0, 0.1 * inch, box.height))
    figure.colorbar(ax.images[0], cax=side)
    for spine in side.spines.values():
        spine.set_visible(False)


def verdict_figure(run: RunFolder, checks: Sequence[str] = ()) -> Figure | None:
    """Return the verdicts over all images as a coloured table, explainer by check; None where there are none.

    Parameters
    ----------
    run
        A finished run.
    checks
        Which columns; all by default.
    """
    checks = list(checks) or queries.checks(run)
    held, names = queries.verdicts(run), list(queries.families(run))
    held = held[held["check"].isin(checks)]
    if held.empty:
        return None
    left = 0.2 + _LETTER * max(map(len, names))
    wide, high = (WIDTH - left - 0.15) / max(len(checks), 6), 0.21
    longest = max(len(part) for name in checks for part in name.split("-")) + 1
    size = min(7.0, wide * 72 / longest / 0.6)
    headers = [wording.folded(name, longest) for name in checks]
    top = 0.4 + 0.0175 * size * max(header.count("\n") + 1 for header in headers)
    with styled():
        figure = canvas(left + wide * len(checks) + 0.15, top + high * len(names) + 0.1)
        width, height = (float(each) for each in figure.get_size_inches())
        ax = figure.add_axes((left / width, 0.1 / height, wide * len(checks) / width, high * len(names) / height))
        ax.set_xlim(0, len(checks))
        ax.set_ylim(len(names), 0)
        for row in held[held["explainer"].isin(names)].to_dict("records"):
            at = checks.index(str(row["check"])), names.index(str(row["explainer"]))
            _verdict_cell(ax, at, str(row["verdict"]), float(row["effect"]), min(6.5, wide * 72 / 12 / 0.67))
        ax.set_xticks(np.arange(len(checks)) + 0.5, headers, fontsize=size)
        ax.set_yticks(np.arange(len(names)) + 0.5, names)
        ax.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        for tick, name in zip(ax.get_yticklabels(), names, strict=True):
            tick.set_color(ink(queries.family(run, name)))
        for spine in ax.spines.values():
            spine.set_visible(False)
        heading(figure, "Verdicts over all images: mark and effect")
    return figure


def _verdict_cell(ax: Axes, at: tuple[int, int], verdict: str, effect: float, size: float) -> None:
    """Draw one verdict."""
    x, y = at
    fill = VERDICTS.get(verdict, "white")
    ax.add_patch(Rectangle((x + 0.02, y + 0.06), 0.96, 0.88, facecolor=fill, edgecolor="none"))
    ax.text(
        x + 0.5, y + 0.52, tables.cell(verdict, effect), ha="center", va="center", fontsize=size,
        weight="bold" if verdict == "fail" else "normal", color=FAINT if verdict == "not applicable" else INK,
    )  # fmt: skip
