"""A run as a notebook shows it: answer, picture and tables in the page's look, which touches nothing else there."""

from dataclasses import replace

from harness.report import answer, grids, style
from harness.report.grids import Grid
from harness.report.ladder_figure import ladder_figure, shares
from harness.report.templating import picture_source, rendered, scoped
from harness.store import RunFolder


def shown(run: RunFolder) -> str:
    """Return a piece of HTML: names are escaped, it runs no script and asks for nothing."""
    tables = [(grids.in_short(run), "text short"), (grids.standing(run), "marks rungs"), (grids.by_class(run), "marks")]
    return rendered(
        "notebook.html",
        scoped=scoped(),
        lead=answer.answer(run).lead,
        picture=picture_source(style.png(ladder_figure(run))) if len(run.ladder) and shares(run) else "",
        tables=[(_unlinked(table), kind) for table, kind in tables if table is not None],
    )


def _unlinked(grid: Grid) -> Grid:
    """Return a table whose cells lead nowhere: the evidence stands on the run's page."""
    rows = [(name, [replace(cell, link="") for cell in cells]) for name, cells in grid.rows]
    return replace(grid, rows=rows)
