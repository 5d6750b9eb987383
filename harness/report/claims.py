"""What was claimed of an explainer and what was found, in one plain line."""

from typing import Any

import pandas as pd

from harness.report import wording
from harness.report.queries import ALL
from harness.store import CheckRecord, RunFolder, deciding_p

KEEP = "; its figures go with the run, give out=folder to keep them"


def said(run: RunFolder, row: "pd.Series[Any]", *, stays: bool = True) -> str:
    """Say in one line what a verdict's check claims, what was found, and where to see it.

    Parameters
    ----------
    run
        A finished run.
    row
        One row of its verdicts.
    stays
        Whether the run's folder is there for who reads this.
    """
    check = next(each for each in run.record.checks if each.name == row["check"])
    where = "" if row["class"] == ALL else f" for {row['class']}"
    bound = "at most" if check.at_most else "more than"
    counted = "classes" if row["unit"] == "classes" else "images"
    people = f" of {row['units']} people" if row["unit"] == "people" else ""
    return (
        f"{row['explainer']}{where}: {_rung(run, check)}claimed that {check.claim} "
        f"(effect {bound} {row['margin']:g}); found {wording.number(row['effect'], signed=True)} "
        f"({wording.interval(row['low'], row['high'])}) over {row['n']} {counted}{people}, "
        f"adjusted p = {deciding_p(row):.2g}" + (f"; see {run.path / check.figure}" if stays else KEEP)
    )


def _rung(run: RunFolder, check: CheckRecord) -> str:
    """Name the rung that a check decides, where it does."""
    if not check.decides:
        return ""
    claim = next(each.claim for each in run.record.rungs if each.number == check.rung)
    return f"rung {check.rung} ({claim}), "
