"""Rungs that were reached in one run and are not in a later one: what continuous integration stops at."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.report import queries, wording
from harness.report.queries import ALL
from harness.store import RunFolder

REACHED, REFUTED = "yes", "no"
SAID = ("reached", "effect", "low", "high", "n", "unit", "reason")
"""What a line says of the later run."""
MARKED = {REFUTED: "refuted", "open": "open", "not applicable": "not applicable", REACHED: "reached", "": "not asked"}
"""What a line calls the state of a rung."""


@dataclass(frozen=True, eq=False)
class Kept:
    """One rung that an explainer stood on in the earlier run, and what has become of it.

    Attributes
    ----------
    explainer, where
        Who, and "all" or a class.
    rung, name
        Its number and what it is called.
    before, after
        Rows of both ladders; `after` is empty where the later run does not hold the explainer.
    """

    explainer: str
    where: str
    rung: int
    name: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def lost(self) -> bool:
        """Whether the later run takes it back.

        Over all images a rung is lost where it is not reached any more; for a class, where it is refuted: a class has
        few images, and what is open there says nothing of a change. An explainer that is not in the later run has lost
        nothing: nobody asked.
        """
        reached = self.after.get("reached", REACHED)
        return bool(reached == REFUTED if self.where != ALL else reached != REACHED)

    def __str__(self) -> str:
        """Say it in one line with the numbers of both runs."""
        where = "" if self.where == ALL else f" for {self.where}"
        was, now = _found(self.before), _found(self.after)
        reason = f": {self.after['reason']}" if self.after.get("reason") else ""
        numbers = f", {was or 'no effect'} then and {now or 'no effect'} now" if was or now else ""
        return (
            f"{self.explainer}{where} has lost rung {self.rung} ({self.name}), "
            f"which is {MARKED[self.after.get('reached', '')]}{numbers}{reason}"
        )


def _found(row: dict[str, Any]) -> str:
    """Return the effect with its interval and n, "" where there is none."""
    if not row or not np.isfinite(row["effect"]):
        return ""
    interval = wording.interval(float(row["low"]), float(row["high"]))
    return f"{wording.number(float(row['effect']), signed=True)} ({interval}; {row['n']} {row['unit']})"


def kept_rungs(old: RunFolder, new: RunFolder) -> list[Kept]:
    """Return every rung that a method reached in the earlier run, with its row in the later one.

    Parameters
    ----------
    old, new
        Runs of one subject's kin on the same pictures: another network, other code, other settings.

    Raises
    ------
    UsageError
        Where a run holds no ladder, or the two judge other classes: then a rung of one is none of the other.
    """
    for run in (old, new):
        if run.ladder.empty:
            raise UsageError(f"{run.path} holds no ladder; run it with the checks that decide (--check all)")
    if queries.classes(old) != queries.classes(new):
        raise UsageError(f"{old.path} and {new.path} judge other classes; compare runs of the same classes")
    return list(_kept(old, new))


def _kept(old: RunFolder, new: RunFolder) -> Iterator[Kept]:
    """Yield them, an explainer after the other."""
    found = {
        (row["explainer"], row["class"], row["rung"]): {str(key): value for key, value in row.items()}
        for row in new.ladder.to_dict("records")
    }
    methods = set(queries.methods(old))
    for row in old.ladder.to_dict("records"):
        if row["reached"] == REACHED and row["explainer"] in methods:
            who, where, rung = str(row["explainer"]), str(row["class"]), int(row["rung"])
            before = {str(key): value for key, value in row.items()}
            yield Kept(who, where, rung, str(row["name"]), before, found.get((who, where, rung), {}))


def lost_rungs(kept: list[Kept]) -> list[Kept]:
    """Return the rungs that are lost; of an explainer at fault the lowest alone, since the others go with it."""
    lost = [one for one in kept if one.lost]
    broken = {(one.explainer, one.where) for one in lost if one.rung == 1}
    everywhere = {one.explainer for one in lost if one.rung == 1 and one.where == ALL}
    return [
        one
        for one in lost
        if (one.rung == 1 or (one.explainer, one.where) not in broken)
        and (one.where == ALL or one.explainer not in everywhere)
    ]


def lines(lost: Sequence[Kept]) -> list[str]:
    """Return a line a lost rung; classes of which the later run says what it says over all images share that line."""
    whole = {(one.explainer, one.rung): one for one in lost if one.where == ALL}
    told: dict[Kept, list[str]] = {}
    for one in lost:
        over_all = whole.get((one.explainer, one.rung), one)
        alike = all(one.after.get(key) == over_all.after.get(key) for key in SAID)
        told.setdefault(over_all if alike else one, []).extend([one.where] * (one is not over_all and alike))
    return [f"{one}" + (f"; so for {wording.listed(classes)}" if classes else "") for one, classes in told.items()]


def write_junit(kept: list[Kept], path: Path) -> None:
    """Write a test case for each rung that was reached, failed where it is lost and skipped where nobody asked."""
    lost, suite = set(lost_rungs(kept)), ElementTree.Element("testsuite", name="rungs")
    for one in kept:
        where = "" if one.where == ALL else f" ({one.where})"
        case = ElementTree.SubElement(
            suite, "testcase", classname=one.explainer, name=f"rung {one.rung}, {one.name}{where}"
        )
        if one in lost:
            ElementTree.SubElement(case, "failure", message=str(one)).text = str(one)
        elif not one.after:
            ElementTree.SubElement(case, "skipped", message="not in the later run")
    counts = {"tests": len(kept), "failures": len(lost), "skipped": sum(not one.after for one in kept)}
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
