"""The share of settled pairs that each explainer orders right, on one axis from chance to the truth."""

import numpy as np
from matplotlib.figure import Figure

from harness.report import ladder, queries
from harness.report.ladder import CHANCE, ELSEWHERE, Standing
from harness.report.style import FAINT, INK, STATES, WIDTH, Margins, heading, panels, styled
from harness.store import RunFolder

ROW = 0.24
"""Height of an explainer's row, in inches."""
TRUTH = 1.0


def shares(run: RunFolder) -> list[Standing]:
    """Return the standings of which a share of settled pairs is known: none where the game was not played."""
    return [one for one in ladder.standings(run) if one.share is not None and np.isfinite(one.share.mean)]


def ladder_figure(run: RunFolder) -> Figure:
    """Return a dot with its interval for each explainer; the rung it reaches stands beside it.

    Methods come first, then what they are compared with. Green reaches the rung of what counts, orange is refuted on
    the way there, yellow is open.
    """
    held = shares(run)
    margins = Margins(left=1.5, right=1.5, top=0.45, bottom=0.5, across=0.1, down=0.1)
    size = (WIDTH - margins.left - margins.right, max(1, len(held)) * ROW)
    with styled():
        figure, axes = panels(1, 1, size, margins)
        heading(figure, "Settled pairs of cells ordered right")
        ax = axes[0][0]
        for place, one in enumerate(held):
            share = one.share
            assert share is not None
            is_method = one.explainer in queries.methods(run)
            ink = paint(one) if is_method else FAINT
            ax.plot([share.low, share.high], [place, place], color=ink, linewidth=2, solid_capstyle="butt")
            ax.plot(share.mean, place, "o", color=ink, markersize=5)
            said = f"rung {one.rung}" + (f", {one.name}" if one.name else "") if is_method else ""
            ax.text(1.02, place, said, transform=ax.get_yaxis_transform(), va="center", fontsize=7, color=INK)
        for value, what in ((CHANCE, "chance"), (TRUTH, "the truth")):
            ax.axvline(value, color=FAINT, linewidth=0.8, zorder=0)
            ax.annotate(what, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
                        ha="center", va="bottom", fontsize=7, color=FAINT)  # fmt: skip
        ax.set_yticks(range(len(held)), [one.explainer for one in held])
        ax.set_ylim(len(held) - 0.5, -0.5)
        ax.set_xlim(min([0.35, *(one.share.low for one in held if one.share and np.isfinite(one.share.low))]), 1.02)
        ax.set_xlabel("share of settled pairs ordered right, with its 99 % interval")
    return figure


def paint(one: Standing) -> str:
    """Return the colour of what is said of a method up to the rung of what counts."""
    if one.resolution and one.rung >= 3:
        return STATES["pass"]
    if one.stopped is not None and one.stopped["reached"] == ELSEWHERE:
        return STATES["another question"]
    refused = one.stopped is not None and one.stopped["reached"] == "no" and int(str(one.stopped["rung"])) <= 3
    return STATES["fail" if refused else "inconclusive"]
