"""How far each explainer can be believed, in lines, a table and a figure: the answer of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.report import queries, wording
from harness.report.queries import ALL
from harness.statistics import people_interval
from harness.store import NOT_SCORABLE, RunFolder

SHARE = "settled-pairs"
"""What is said of every explainer: of the pairs of cells that all fills order alike, the share ordered right."""
CHANCE = 0.5
"""The share that is right of a map that says nothing."""
MAP = "map"
ELSEWHERE = "another question"
"""What a rung of what counted says of an explainer that answers what a small change would do."""
NOT_ASKED, FOOLED = "no claim of it was judged", "would reach it here, and cannot be faithful"
"""What the ladder says of a rung of which nothing was asked, and after the names of controls that it does not tell."""
COUNTED, COUNTS = 3, "what counts"
"""The rung from which on a map may be read as what counted, as the checks number it."""


@dataclass(frozen=True)
class Share:
    """The share of settled pairs that an explainer orders right, with its interval over people or images."""

    mean: float
    low: float
    high: float
    n: int
    asked: int

    @property
    def missing(self) -> str:
        """Say how many images it rests on, where the explainer's map says nothing of others."""
        return "" if self.n == self.asked else f"{self.n} of {self.asked} images"

    def __str__(self) -> str:
        """Say it in hundredths.

        Examples
        --------
        >>> str(Share(0.781, 0.708, 0.84, 24, 24)), str(Share(float("nan"), 0, 0, 0, 4))
        ('78 % (71-84)', 'undefined')
        >>> str(Share(0.781, float("nan"), float("nan"), 2, 4))
        '78 % (2 of 4 images)'
        """
        if not np.isfinite(self.mean):
            return "undefined"
        ends = f"{100 * self.low:.0f}-{100 * self.high:.0f}" if np.isfinite(self.low) else ""
        beside = ", ".join(filter(None, [ends, self.missing]))
        return f"{100 * self.mean:.0f} %" + (f" ({beside})" if beside else "")


@dataclass(frozen=True)
class Standing:
    """Where an explainer stands, over all images or for one class.

    Attributes
    ----------
    explainer, where
        Who, and "all" or a class.
    share
        Of settled pairs; None where the game was not played.
    rung, name
        The highest rung reached without a gap, and what it is called; 0 and "" where none.
    resolution
        Side in pixels of the finest cells at which it shows what counted; 0 where it does not.
    yes, stopped
        The names of the rungs reached, and the row of what speaks against more: the first rung that is refuted up to
        that of what counted, open ones below it or not, else the first that is not reached; None where none is left.
    """

    explainer: str
    where: str
    share: Share | None
    rung: int
    name: str
    resolution: int
    yes: tuple[str, ...]
    stopped: dict[str, Any] | None

    @property
    def counted(self) -> bool:
        """Whether its maps may be read as what counted: that was asked and shown, and so was every rung below."""
        return self.rung >= COUNTED and COUNTS in self.yes


def standings(run: RunFolder, where: str = ALL) -> list[Standing]:
    """Return where each explainer stands, methods first, the highest and then the best share first."""
    held = [standing(run, name, where) for name in queries.families(run)]
    order = list(queries.families(run).values())
    ranked = sorted(
        zip(held, order, strict=True),
        key=lambda pair: (pair[1] in ("control", queries.ORACLE), -pair[0].rung, -_mean(pair[0].share)),
    )
    return [one for one, _ in ranked]


def standing(run: RunFolder, name: str, where: str = ALL, *, with_share: bool = True) -> Standing:
    """Return where one explainer stands; its share of pairs takes the longest and can be left out."""
    rows = run.ladder[(run.ladder["explainer"] == name) & (run.ladder["class"] == where)].sort_values("rung")
    asked = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
    asked = [row for row in asked if row["reached"] != "not applicable"]
    missed = [row for row in asked if row["reached"] != "yes"]
    first = missed[0]["rung"] if missed else np.inf
    top, label = max(((row["rung"], row["name"]) for row in asked if row["rung"] < first), default=(0, ""))
    refuted = [row for row in missed if row["reached"] in ("no", ELSEWHERE) and row["rung"] <= COUNTED]
    return Standing(
        explainer=name,
        where=where,
        share=share(run, name, where) if with_share else None,
        rung=top,
        name=label,
        resolution=int(rows["resolution"].max()),
        yes=tuple(row["name"] for row in asked if row["reached"] == "yes"),
        stopped=next(iter([*refuted, *missed]), None),
    )


def deciding_nothing(run: RunFolder) -> dict[int, str]:
    """Return the rungs that decide nothing on this subject, with the reason; those of which nothing was asked apart."""
    whole = run.ladder[run.ladder["class"] == ALL]
    found = {}
    for number, rows in whole.groupby("rung"):
        reasons = set(rows["reason"])
        if set(rows["reached"]) == {"not applicable"} and len(reasons) == 1 and not reasons & {"", NOT_ASKED}:
            name, reason = rows["name"].iloc[0], reasons.pop()
            found[int(str(number))] = f"rung {number} ({name}) decides nothing here: {reason}"
    return found


def fooled(run: RunFolder) -> list[str]:
    """Return the controls that would reach the rung of what counted, which decides nothing for that."""
    rows = run.ladder[(run.ladder["rung"] == COUNTED) & (run.ladder["class"] == ALL)]
    said = [reason.removesuffix(FOOLED) for reason in set(rows["reason"]) if reason.endswith(FOOLED)]
    return [name for name in queries.controls(run) if any(name in reason.strip().split(", ") for reason in said)]


def share(run: RunFolder, name: str, where: str = ALL) -> Share | None:
    """Return the share of settled pairs that an explainer orders right; None where the game was not played."""
    rows = run.scores[(run.scores["metric"] == SHARE) & (run.scores["variant"] == MAP)]
    rows = rows[rows["explainer"] == name]
    rows = rows if where == ALL else rows[rows["target"] == where]
    known, asked = rows.dropna(subset="value"), int((rows["status"] != NOT_SCORABLE).sum())
    if rows.empty:
        return None
    who, values = queries.people([run], known["image"]), known["value"].to_numpy(np.float64)
    found = people_interval(values, who, confidence=run.record.confidence)
    # What lies beyond a share's ends is no share.
    return Share(
        found.estimate, float(np.maximum(found.low, 0.0)), float(np.minimum(found.high, 1.0)), len(known), asked
    )


def _mean(held: Share | None) -> float:
    """Return a share for sorting: of an image of which nothing is said half is right, as by chance."""
    if held is None or not np.isfinite(held.mean):
        return -1.0
    return (held.n * held.mean + (held.asked - held.n) * CHANCE) / held.asked


# ---------------------------------------------------------------------- in words


def lines(run: RunFolder) -> list[str]:
    """Return the answer in lines for a terminal: a line a method, one of what it is compared with, and what to use."""
    held = standings(run)
    methods = [one for one in held if one.explainer in queries.methods(run)]
    wide = max((len(one.explainer) for one in methods), default=0)
    said = [f"{one.explainer:{wide}}  {_told(one)}" for one in methods]
    unable = [f"{why}." for why in deciding_nothing(run).values()]
    return [*said, *_beside(run, held), *unable, *_advice(run, methods)]


def _told(one: Standing) -> str:
    """Say one standing in a line."""
    parts = [f"{one.share} of settled pairs right"] if one.share is not None else []
    if one.resolution:
        parts[-1:] = [f"{parts[-1]}, down to {one.resolution} px"] if parts else []
    parts.append(f"rung {one.rung}" + (f" ({one.name})" if one.name else ""))
    if one.stopped is not None:
        word = {"no": "not", ELSEWHERE: "answers another question than"}.get(str(one.stopped["reached"]), "open")
        parts.append(f"{word}: {one.stopped['name']}")
    return "; ".join(parts)


def _beside(run: RunFolder, held: Sequence[Standing]) -> list[str]:
    """Say what empty maps and the truth itself have, in a line; nothing where the game was not played."""
    apart = [one for one in held if one.explainer not in queries.methods(run) and one.share is not None]
    known = [f"{one.explainer} {100 * one.share.mean:.0f} %" for one in apart if one.share and one.share.n]
    return [f"beside: {', '.join(known)}; chance 50 %"] if known else []


def _advice(run: RunFolder, methods: Sequence[Standing]) -> list[str]:
    """Say what to use and what not to read as what counted."""
    good = [one for one in methods if one.counted]
    best = [one.explainer for one in good if one.rung == max(each.rung for each in good)]
    refused = [
        one.explainer
        for one in methods
        if one.stopped is not None and one.stopped["reached"] == "no" and int(str(one.stopped["rung"])) <= COUNTED
    ]
    said = []
    if best:
        said.append(f"For this network use {wording.listed(best)}.")
    elif (run.scores["metric"] == SHARE).any():
        said.append("No method is shown to show what counted for this network.")
    else:
        said.append("What counted was not asked: `--check cells` asks it, or no --check at all.")
    if refused:
        said.append(f"Do not read as what counted: {wording.listed(refused)}.")
    other = [one.explainer for one in methods if one.stopped is not None and one.stopped["reached"] == ELSEWHERE]
    if other:
        said.append(f"Another question, what a small change would do, is answered by {wording.listed(other)}.")
    return [" ".join(said)]


# ---------------------------------------------------------------------- as a table


MARKS = {"yes": "yes", "no": "NO", ELSEWHERE: "other", "open": "?", "not applicable": "–"}


def ladder_table(run: RunFolder) -> pd.DataFrame:
    """Return a row an explainer: its share of settled pairs, the finest resolution, and a column a rung.

    A cell is yes, NO, ? for open or – for not applicable, with the effect of the claim that decides it.
    """
    names = [each.name for each in run.record.rungs]
    rows = run.ladder[run.ladder["class"] == ALL]
    cells = rows.assign(cell=[_cell(r, e) for r, e in zip(rows["reached"], rows["effect"], strict=True)])
    made = cells.pivot(index="explainer", columns="name", values="cell")
    held = standings(run)
    made = made.reindex(index=[one.explainer for one in held], columns=names).rename_axis(columns=None)
    made.insert(0, "pairs right", ["–" if one.share is None else str(one.share) for one in held])
    made.insert(1, "rung", [str(one.rung) for one in held])
    made.insert(2, "cells", [f"{one.resolution} px" if one.resolution else "–" for one in held])
    made.attrs = {
        "kind": "ladder", "title": "how far each explainer can be believed: the highest rung without a gap",
        "notes": [
            "pairs right: of the pairs of cells that the network's answers order alike under every fill, the share "
            "that the map orders alike; 50 % is chance. cells: the finest at which it still beats what knows nothing.",
            "yes and NO: every claim of the rung holds, or one does not; ?: not settled; other: it answers what a "
            "small change would do, not what counted; –: not applicable.",
        ],
    }  # fmt: skip
    return made.fillna("–")


def _cell(reached: str, effect: float) -> str:
    """Return one rung as a mark and the effect that decides it."""
    mark = MARKS[reached]
    return mark if np.isnan(effect) or mark == "–" else f"{mark} {wording.number(effect, signed=True)}"


def class_table(run: RunFolder, by: Literal["class", "explainer"] = "class", *, controls: bool = False) -> pd.DataFrame:
    """Return the highest rung of each explainer for each class, with its share of settled pairs.

    Parameters
    ----------
    run
        A run with a ladder.
    by
        What the rows are. Columns are the other, and how many ``images`` of a class are explained.
    controls
        Whether controls and oracles stand beside the methods.
    """
    names = [one.explainer for one in standings(run)] if controls else queries.methods(run)
    explained = run.scores.drop_duplicates("image")["target"].value_counts()
    rows = {
        where: {name: _class_cell(standing(run, name, where)) for name in names}
        if where == ALL or where in explained
        else dict.fromkeys(names, "no images")
        for where in (ALL, *queries.classes(run))
    }
    made = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=names).rename_axis("class")
    counts = [int(explained.sum()), *(int(explained.get(name, 0)) for name in queries.classes(run))]
    made.insert(0, "images", [str(count) for count in counts])
    made = made if by == "class" else made.T.rename_axis("explainer")
    made.attrs = {
        "kind": "ladder", "title": "the highest rung class by class, and the share of settled pairs that is right",
        "notes": [f"{each.number}: {each.claim}." for each in run.record.rungs]
        + [
            "?: what the next rung claims is not settled; for a class few images are there to settle it. Without it "
            "the next rung, or one up to what counts, is refuted, or none is left."
        ],
    }  # fmt: skip
    return made


def _class_cell(one: Standing) -> str:
    """Return a rung with its share; – where nothing of the class was judged."""
    if one.share is not None and not one.share.n:
        return "no maps" if one.share.asked else "not settled"
    said = "" if one.share is None else f" {100 * one.share.mean:.0f} %"
    said += f" ({one.share.n} of {one.share.asked})" if one.share is not None and one.share.missing else ""
    open_ = "?" if one.stopped is not None and one.stopped["reached"] == "open" else ""
    return f"{one.rung}{open_}{said}"
