"""Mean ranks on one axis, with a bar over methods that are not told apart: the critical-difference diagram."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import queries, wording
from harness.report.ranks import SETTLED, Ranked, ranked
from harness.report.style import FAINT, INK, WIDTH, Margins, heading, ink, panels, styled
from harness.store import RunFolder

ROW, BAR = 0.22, 0.12
"""Inches that a method's name takes, and a bar."""


def rank_figure(run: RunFolder) -> Figure | None:
    """Return the diagram of settled pairs; None where the game was not played or fewer than three methods have ranks.

    The best stands at the left. Names hang from their mean rank, the better half to the left.
    """
    held = ranked(run, SETTLED, "map") if SETTLED in queries.metrics(run) else None
    if held is None or len(held.names) < 3 or len(held.places) < 2:
        return None
    alpha, k = run.record.alpha, len(held.names)
    groups = held.together(alpha)
    above, below = 0.5 + BAR * len(groups), 0.2 + ROW * -(-k // 2)
    margins = Margins(left=2.0, right=2.0, top=0.45, bottom=0.1, across=0.0, down=0.0)
    with styled():
        figure, axes = panels(1, 1, (WIDTH - margins.left - margins.right, above + below), margins)
        heading(figure, f"Settled pairs: mean ranks over {len(held.places)} {held.unit}")
        ax = axes[0][0]
        ax.set_xlim(1, k)
        ax.set_ylim(-below, above)
        _axis(ax, k)
        _bars(ax, held, groups)
        _names(ax, run, held)
        _difference(ax, held.difference(alpha), above, f"told apart from here on (alpha {alpha:g})")
    return figure


def _axis(ax: Axes, k: int) -> None:
    """Draw the axis of ranks through zero height, without a frame."""
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.plot([1, k], [0, 0], color=INK, linewidth=0.8)
    step = max(1, k // 10)
    for rank in range(1, k + 1, step):
        ax.plot([rank, rank], [0, 0.06], color=INK, linewidth=0.8, clip_on=False)
        ax.text(rank, 0.09, str(rank), ha="center", va="bottom", fontsize=7)


def _bars(ax: Axes, held: Ranked, groups: list[tuple[int, ...]]) -> None:
    """Draw a bar over each group of methods that are not told apart."""
    for number, group in enumerate(groups):
        ends = [float(held.means[group[0]]), float(held.means[group[-1]])]
        height = 0.3 + BAR * number
        ax.plot(ends, [height, height], color=INK, linewidth=3, solid_capstyle="butt")


def _names(ax: Axes, run: RunFolder, held: Ranked) -> None:
    """Write each method's name and mean rank beside a line to its place, the better half at the left."""
    k = len(held.names)
    order = sorted(range(k), key=lambda place: held.means[place])
    half = -(-k // 2)
    for number, place in enumerate(order):
        left = number < half
        row = number if left else k - 1 - number
        height, mean = -0.2 - ROW * row, float(held.means[place])
        edge = 1.0 if left else float(k)
        ax.plot([mean, mean, edge], [0, height, height], color=FAINT, linewidth=0.7, clip_on=False)
        name = wording.shortened(held.names[place], 24)
        ax.annotate(f"{name}  {mean:.2f}" if left else f"{mean:.2f}  {name}", (edge, height), (-4 if left else 4, 0),
                    textcoords="offset points", ha="right" if left else "left", va="center", fontsize=7.5,
                    color=ink(queries.family(run, held.names[place])), annotation_clip=False)  # fmt: skip


def _difference(ax: Axes, difference: float, above: float, said: str) -> None:
    """Draw how far mean ranks must lie apart, where that fits the axis."""
    low, high = ax.get_xlim()
    shown, height = min(difference, high - low), above - 0.08
    ax.plot([low, low + shown], [height, height], color=FAINT, linewidth=1.5, solid_capstyle="butt")
    over = "" if shown == difference else "; more than there are ranks"
    ax.annotate(f"{difference:.2f} ranks: {said}{over}", (low + shown, height), (4, 0), textcoords="offset points",
                ha="left", va="center", fontsize=7, color=FAINT, annotation_clip=False)  # fmt: skip
