"""Claim by claim: what it says, against what, by which margin and why, and every verdict on it with its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report import answer, queries, wording
from harness.report.queries import ALL
from harness.store import CheckRecord, RunFolder, deciding_p

MOST_ROWS = 4000
"""Verdicts that a page holds; of a larger run it has those over all images, and the tables have all."""


@dataclass(frozen=True)
class Row:
    """One verdict in words; `anchor` is "" for that of a class."""

    explainer: str
    where: str
    verdict: str
    numbers: tuple[str, ...]
    reason: str
    anchor: str


@dataclass(frozen=True)
class Claim:
    """A claim with all verdicts on it, and the place of the page where its figure stands."""

    name: str
    anchor: str
    claim: str
    control: str
    margin: str
    reason: str
    reference: str
    metric: str
    figure: str
    rows: tuple[Row, ...]


HEAD = ("verdict", "effect", "interval", "n", "corrected p", "reason")


def anchor(run: RunFolder, check: str, explainer: str = "") -> str:
    """Return the place of a claim or of a verdict over all images; "" for a claim that the run does not state."""
    stated = [each.name for each in run.record.checks]
    if check not in stated:
        return ""
    names = list(queries.families(run))
    return f"claim-{stated.index(check)}" + (f"-{names.index(explainer)}" if explainer in names else "")


def told(run: RunFolder, row: Mapping[str, Any]) -> str:
    """Return one verdict in a line: who, which claim, effect, interval, n, margin, and what would settle it."""
    if pd.isna(row["effect"]):
        return f"{row['explainer']}, {row['check']}: {row['verdict']} ({row['reason'] or 'effect undefined'})"
    parts = [f"effect {wording.number(row['effect'], signed=True)}"]
    if not pd.isna(row["low"]):
        parts.append(f"{run.record.confidence:.0%} interval {wording.interval(row['low'], row['high'])}")
    parts += [answer.counted(dict(row)), f"margin {row['margin']:g}"]
    reason = f". {row['reason']}" if row["reason"] else ""
    return f"{row['explainer']}, {row['check']}: {row['verdict']}, {', '.join(parts)}{reason}"


def claims(run: RunFolder, figures: Mapping[str, str]) -> list[Claim]:
    """Return every claim of a run.

    Parameters
    ----------
    run
        A finished run.
    figures
        Where the figures stand on the page, by the names of their files.
    """
    held = run.verdicts if len(run.verdicts) <= MOST_ROWS else queries.verdicts(run)
    by_check = {str(name): group for name, group in held.groupby("check", sort=False)}
    return [_claim(run, each, by_check.get(each.name, held.iloc[:0]), figures) for each in run.record.checks]


def shortened(run: RunFolder) -> str:
    """Return what a page leaves out of the verdicts, "" for nothing."""
    if len(run.verdicts) <= MOST_ROWS:
        return ""
    return (
        f"Verdicts over all images; the {len(run.verdicts):,} with those class by class are in "
        "tables/verdicts-by-class.csv of the run folder."
    )


def _claim(run: RunFolder, check: CheckRecord, held: pd.DataFrame, figures: Mapping[str, str]) -> Claim:
    """Return one claim with its verdicts, in the order of explainers and classes."""
    order = {name: place for place, name in enumerate(queries.families(run))}
    places = {name: place for place, name in enumerate([ALL, *queries.classes(run)])}
    rows = sorted(
        ({str(key): value for key, value in row.items()} for row in held.to_dict("records")),
        key=lambda row: (order.get(row["explainer"], len(order)), places.get(row["class"], len(places))),
    )
    return Claim(
        name=check.name,
        anchor=anchor(run, check.name),
        claim=check.claim,
        control=str(held["control"].iloc[0]) if len(held) else "",
        margin=f"{'below' if check.at_most else 'above'} {check.margin:g}",
        reason=check.margin_reason,
        reference=check.reference,
        metric=check.metric,
        figure=figures.get(check.figure.rpartition("/")[2].removesuffix(".png"), ""),
        rows=tuple(_row(run, row) for row in rows),
    )


def _row(run: RunFolder, row: Mapping[str, Any]) -> Row:
    """Return one verdict in words."""
    known = not pd.isna(row["effect"])
    numbers = (
        wording.number(row["effect"], signed=True) if known else "–",
        wording.interval(row["low"], row["high"]) if known and not pd.isna(row["low"]) else "–",
        answer.counted(dict(row)) if known else "–",
        "–" if pd.isna(deciding_p(row)) else wording.bare_chance(deciding_p(row)),
    )
    name, where = str(row["explainer"]), str(row["class"])
    link = anchor(run, str(row["check"]), name) if where == ALL else ""
    return Row(name, where, str(row["verdict"]), numbers, str(row["reason"]), link)
