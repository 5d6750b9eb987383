"""``harness run --plan``: what a run would take, as tables."""

import json
from dataclasses import asdict

import pandas as pd

from harness.evaluation.outlook import Expected, Outlook, outlook
from harness.evaluation.request import Request
from harness.profiles import GLANCE
from harness.store import RunFolder

LONG = 3600.0
"""Seconds from which on a plan names what takes less."""
SHORTER = " --profile glance takes less: cells of 2 x 2, and most sizes smaller."


def planned(request: Request, folder: RunFolder, *, as_json: bool = False) -> str:
    """Return what a request would take into a folder, as two tables or as JSON; nothing is written."""
    found = outlook(request, folder)
    if as_json:
        return json.dumps({**asdict(found), "altogether": asdict(found.altogether)}, indent=2, ensure_ascii=False)
    from harness.report import rendering  # with all that tables need, which a refusal does not wait for

    tables = [_by_explainer(found), _by_measurement(found)]
    shorter = SHORTER if request.profile.name != GLANCE.name and found.altogether.seconds > LONG else ""
    return "\n".join([*(rendering.render(table, "text") for table in tables), _last_line(found) + shorter])


def _last_line(found: Outlook) -> str:
    """Say all of it in a line."""
    total = found.altogether
    passes = f"{total.forward:,.0f} passes forward and {total.backward:,.0f} back"
    return f"{found.images} images: about {passes}, {minutes(total.seconds)} min in one process; nothing was made."


def _by_explainer(found: Outlook) -> pd.DataFrame:
    """Return a row an explainer, and one for each thing that serves all."""
    rows = {row.name: _row(row, "rows there") for row in found.explainers}
    rows |= {f"all: {row.name}": _row(row, "rows there") for row in found.shared}
    rows["altogether"] = _row(found.altogether, "rows there")
    return _table(
        rows,
        "explainer",
        "what it would take, by explainer",
        "Of an explainer: what it costs beside what is made once for all. How often measurements ask is counted on a "
        "few images and scaled; a map's passes and seconds are those of a few maps just made; the network's pace at "
        f"{found.feed} was {found.forward_pace:,.0f} images a second forward, {found.backward_pace:,.0f} forward and "
        "back. Tables, figures and page come on top.",
    )


def _by_measurement(found: Outlook) -> pd.DataFrame:
    """Return a row a measurement, dearest first."""
    order = sorted(found.measurements, key=lambda row: -row.seconds)
    rows = {row.name: {"maps": f"{row.maps:,.0f}", **_row(row, "explainers there")} for row in order}
    return _table(
        rows,
        "measurement",
        "what it would take, by measurement",
        "Of all explainers together, what serves all of them included. maps: those that it asks of one explainer "
        "beside the maps of the images themselves.",
    )


def _row(row: Expected, there: str) -> dict[str, str]:
    """Return what something takes, in words."""
    return {
        "forward": f"{row.forward:,.0f}",
        "backward": f"{row.backward:,.0f}",
        "minutes": row.reason or minutes(row.seconds),
        there: f"{row.made} of {row.pieces}" if row.pieces else "–",
    }


def minutes(seconds: float) -> str:
    """Return a time in minutes.

    Examples
    --------
    >>> minutes(90), minutes(2)
    ('1.5', '0.0')
    """
    return f"{seconds / 60:.1f}"


def _table(rows: dict[str, dict[str, str]], index: str, title: str, *notes: str) -> pd.DataFrame:
    """Return a table that can be printed."""
    made = pd.DataFrame.from_dict(rows, orient="index", dtype="object")
    made.index.name = index
    made.attrs = {"title": title, "notes": list[str](notes)}
    return made
