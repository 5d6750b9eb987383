"""What each face part does for each class: a table and a figure of stored effects."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import queries
from harness.report.rendering import inert
from harness.report.style import LINE, WIDTH, Margins, alike, around, heading, panel_title, panels, styled
from harness.statistics import people_interval
from harness.store import RunFolder

KINDS = {"at-rest": ("#0072B2", "o", "lost with the part at rest"), "alone": ("#D55E00", "D", "gained by it alone")}
"""Colour, marker and meaning of each kind of effect."""


def effect_table(run: RunFolder) -> pd.DataFrame:
    """Return the mean effect of each part on each class, with its interval.

    Returns
    -------
    pd.DataFrame
        One row a class, part and kind: n, and of the true class's probability and logit the mean change; of the
        probability the interval too. Empty where the run has no effects.
    """
    confidence = run.record.confidence
    rows = []
    for (label, part, kind), held in run.effects.groupby(["label", "part", "kind"], sort=False):
        who = queries.people([run], held["image"])
        found = people_interval(held["probability"].to_numpy(np.float64), who, confidence=confidence)
        logit = float(held["logit"].mean())
        rows.append((label, part, kind, found.n, found.estimate, found.low, found.high, logit))
    return pd.DataFrame(rows, columns=["class", "part", "kind", "n", "probability", "low", "high", "logit"])


def write_effects(run: RunFolder) -> None:
    """Write ``tables/part-effects.csv`` where the run has effects."""
    if len(run.effects):
        run.write_text("tables/part-effects.csv", inert(effect_table(run)).to_csv(index=False, float_format="%.4f"))


def effects_figure(run: RunFolder) -> Figure | None:
    """Return a panel a class: what its probability loses and gains with each part; None where nothing is known."""
    table = effect_table(run)
    shown = [name for name in queries.classes(run) if name in set(table["class"])]
    if not shown:
        return None
    parts = list(dict.fromkeys(table["part"]))
    with styled():
        columns = min(4, len(shown))
        size = ((WIDTH - 1.1 - 0.15 - 0.15 * (columns - 1)) / columns, 0.2 + 0.24 * len(parts))
        figure, axes = panels(len(shown), columns, size, Margins(left=1.1, top=0.85, down=0.4))
        low, high = float(table["low"].min()), float(table["high"].max())
        alike(axes, (min(low, 0) - 0.03, high + 0.03), (len(parts) - 0.5, -0.5))
        for ax, name in zip([ax for row in axes for ax in row], shown, strict=False):
            ax.set_yticks(range(len(parts)), parts)
            _draw(ax, table[table["class"] == name], parts)
            held = table.loc[table["class"] == name, "n"].max()
            panel_title(ax, f"{name} ({held})", "")
        heading(figure, "What the network uses for each class, in true causes")
        _key(figure)
        around(figure, "change of the true class's probability (mean with its interval)")
    return figure


def _draw(ax: Axes, table: pd.DataFrame, parts: list[str]) -> None:
    """Draw both kinds of effect of each part, one above the other."""
    ax.axvline(0, color=LINE, linewidth=0.6, zorder=0)
    for offset, (kind, (paint, marker, _)) in zip((-0.14, 0.14), KINDS.items(), strict=True):
        held = table[table["kind"] == kind]
        places = [parts.index(part) + offset for part in held["part"]]
        ax.hlines(places, held["low"], held["high"], color=paint, linewidth=1.3)
        ax.plot(held["probability"], places, marker, markersize=3.6, color=paint)


def _key(figure: Figure) -> None:
    """Say under the heading which colour is which."""
    width, height = figure.get_size_inches()
    for place, (paint, marker, meaning) in enumerate(KINDS.values()):
        x = (0.16 + 2.3 * place) / width
        figure.text(x, 1 - 0.42 / height, {"o": "●", "D": "◆"}[marker], color=paint, fontsize=8, va="center")
        figure.text(x + 0.14 / width, 1 - 0.42 / height, meaning, fontsize=8, va="center")
