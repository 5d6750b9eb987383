"""The page's tables: names that can be filtered by, cells that can be sorted by and lead to their evidence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from harness.report import answer, evidence, ladder, queries, rendering, tables, wording
from harness.report.answer import Belief, State
from harness.report.queries import ALL
from harness.store import RunFolder

SHADES = 5
"""Strengths of a colour behind a number."""

STATES = {
    State.BELIEVED: ("yes", "pass"),
    State.REFUTED: ("NO", "fail"),
    State.ELSEWHERE: ("other", "not applicable"),
    State.OPEN: ("?", "inconclusive"),
    State.UNJUDGED: ("–", "not applicable"),
}
_REACHED = {
    "yes": "pass", "no": "fail", ladder.ELSEWHERE: "not applicable", "open": "inconclusive",
    "not applicable": "not applicable",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes
    ----------
    text, below
        What stands in it, and in smaller letters under it.
    verdict
        By which it is filtered, sorted and coloured; "" for none.
    heat
        How strong a number's colour is, from minus to plus :data:`SHADES`.
    link, tip
        To which place of the page it leads, and what is said of it when it is pointed at.
    """

    text: str
    below: str = ""
    verdict: str = ""
    heat: int = 0
    link: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Name:
    """The name of a row or column: what it is of (explainer, class, claim or metric), whether it is no method's."""

    text: str
    of: Mapping[str, str] = field(default_factory=dict)
    faint: bool = False
    below: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of the page; what it is of as a whole stands in `of`."""

    title: str
    head: Sequence[Name]
    rows: Sequence[tuple[Name, Sequence[Cell]]]
    notes: Sequence[str] = ()
    of: Mapping[str, str] = field(default_factory=dict)


def explainer(run: RunFolder, name: str) -> Name:
    """Return an explainer's name, faint for one that is no method."""
    return Name(name, {"explainer": name}, name not in queries.methods(run))


def place(where: str) -> Name:
    """Return a class's name; "all" is none of them and stays whatever class is asked for."""
    return Name(where, {} if where == ALL else {"class": where})


# ---------------------------------------------------------------------- the answer


def in_short(run: RunFolder) -> Grid:
    """Return what to use each method for and what not, the surest first."""
    held = answer.beliefs(run)
    order = [one.explainer for one in ladder.standings(run)] if len(run.ladder) else queries.methods(run)
    names = [name for name in order if name in queries.methods(run)]
    head = ["explainer", "believed", *(["read it as", "do not use it for"] if len(run.ladder) else []), "trusted for"]
    rows = [
        (
            explainer(run, name),
            [
                Cell(held[name, ALL].state.value, verdict=STATES[held[name, ALL].state][1]),
                *([Cell(text) for text in _reading(run, name)] if len(run.ladder) else []),
                Cell(_trusted(run, held, name)),
            ],
        )
        for name in names
    ]
    return Grid("In short: what to use, and what not to use it for", [Name(text) for text in head], rows)


def _reading(run: RunFolder, name: str) -> tuple[str, str]:
    """Return as what a method's maps can be read, and as what not or not yet."""
    one, rungs = ladder.standing(run, name, with_share=False), {each.name: each for each in run.record.rungs}
    rose = [each for each in run.record.rungs if ladder.COUNTED <= each.number <= one.rung]
    shown = [each.claim for each in rose if each.name in one.yes]
    good = wording.listed(shown) if shown else "nothing yet"
    if one.stopped is not None:
        gap = rungs[str(one.stopped["name"])].gap
        if one.stopped["reached"] == ladder.ELSEWHERE:
            return "what a small change would do", gap
        return good, gap if one.stopped["reached"] == "no" else f"not settled yet: {gap}"
    unasked = [each for each in run.record.rungs if each.number == ladder.COUNTED and each.name not in one.yes]
    return good, f"not asked in full: {unasked[0].gap}" if unasked else "–"


def _trusted(run: RunFolder, held: Mapping[tuple[str, str], Belief], name: str) -> str:
    """Return the classes for which a method is believed, and how many are open."""
    if held[name, ALL].state is State.ELSEWHERE:
        return "–"
    states = {where: held[name, where].state for where in queries.classes(run)}
    good = [where for where, state in states.items() if state is State.BELIEVED]
    if len(good) == len(states):
        return "every class"
    bad = [where for where, state in states.items() if state is State.REFUTED]
    against = f"; not {wording.listed(bad)}" if bad else ""
    together = "all classes together, " if held[name, ALL].state is State.BELIEVED else ""
    if not good and all(state is State.OPEN for state in states.values()):
        return f"{together}none by itself yet: too few images of each"
    return together + (wording.listed(good) if good else "no class by itself") + against


def standing(run: RunFolder) -> Grid:
    """Return how far each explainer can be believed, or, where nothing decides a rung, for which class."""
    if len(run.ladder):
        return _ladder(run)
    held = answer.beliefs(run)
    shown = [ALL, *queries.classes(run)]
    rows = [
        (explainer(run, name), [_standing_cell(held[name, where]) for where in shown]) for name in queries.sound(run)
    ]
    return Grid("Who can be believed for which class", [Name("explainer"), *map(place, shown)], rows)


def _standing_cell(belief: Belief) -> Cell:
    """Return one standing as a mark; what made it so is said of it."""
    mark, verdict = STATES[belief.state]
    because = list(dict.fromkeys(str(row["check"]) for row in belief.because))
    said = f"{belief.explainer}, {belief.where}: {belief.state.value}"
    return Cell(mark, verdict=verdict, tip=said + (f" by {wording.listed(because)}" if because else ""))


def _ladder(run: RunFolder) -> Grid:
    """Return the ladder over all images, a rung a column."""
    table = ladder.ladder_table(run)
    held = run.ladder[run.ladder["class"] == ALL].to_dict("records")
    rungs = {(str(row["explainer"]), str(row["name"])): {str(key): value for key, value in row.items()} for row in held}
    rows = [
        (
            explainer(run, str(name)),
            [_rung_cell(run, str(text), rungs.get((str(name), str(column)))) for column, text in row.items()],
        )
        for name, row in table.iterrows()
    ]
    gaps = {each.name: each for each in run.record.rungs}
    head = [Name(str(each), below=gaps[each].claim if each in gaps else "") for each in map(str, table.columns)]
    return Grid(wording.begun(str(table.attrs["title"])), [Name("explainer"), *head], rows, table.attrs["notes"])


def _rung_cell(run: RunFolder, text: str, row: Mapping[str, Any] | None) -> Cell:
    """Return a rung as a mark with its effect under it, and the claim that decides it."""
    if row is None:
        return Cell(text)
    mark, _, effect = text.partition(" ")
    verdict = _REACHED[str(row["reached"])]
    parts = [f"{row['explainer']}, {row['name']}: {row['reached']}"]
    if not pd.isna(row["effect"]):
        parts.append(f"{row['check']} {wording.number(row['effect'], signed=True)}")
        parts.append(f"{run.record.confidence:.0%} interval {wording.interval(row['low'], row['high'])}")
        parts.append(f"n {row['n']}")
    told = ", ".join(parts) + (f". {row['reason']}" if row["reason"] else "")
    return Cell(mark, effect, verdict, link=evidence.anchor(run, str(row["check"]), str(row["explainer"])), tip=told)


def by_class(run: RunFolder) -> Grid | None:
    """Return the highest rung of each method for each class; nothing where nothing decides a rung."""
    if not len(run.ladder):
        return None
    table, held = ladder.class_table(run), answer.beliefs(run)
    names = [str(name) for name in table.columns if name != "images"]
    rows = [
        (
            place(str(where)),
            [
                Cell(str(row["images"])),
                *(_class_cell(str(row[name]), held[name, str(where)]) for name in names),
            ],
        )
        for where, row in table.iterrows()
    ]
    numbers = "; ".join(f"{each.number} {each.claim}" for each in run.record.rungs)
    notes = [f"The first number is the rung: {numbers}.", *table.attrs["notes"][len(run.record.rungs) :]]
    head = [Name("class"), Name("images"), *(explainer(run, name) for name in names)]
    return Grid(wording.begun(str(table.attrs["title"])), head, rows, notes)


def _class_cell(text: str, belief: Belief) -> Cell:
    """Return a rung with its share of pairs under it."""
    rung, _, share = text.partition(" ") if "%" in text else (text, "", "")
    told = f"{belief.explainer}, {belief.where}: {belief.state.value}"
    return Cell(rung, share, STATES[belief.state][1], tip=told)


# ---------------------------------------------------------------------- verdicts and scores


def verdicts(run: RunFolder, title: str, checks: Sequence[str]) -> Grid:
    """Return the verdicts of some checks: mark and effect in every cell, n where it is not that of the column."""
    held = queries.verdicts(run)
    found = {(str(row["explainer"]), str(row["check"])): row for row in held.to_dict("records")}
    usual = {check: _usual(found.get((name, check)) for name in queries.sound(run)) for check in checks}
    rows = [
        (explainer(run, name), [_verdict_cell(run, found.get((name, check)), usual[check]) for check in checks])
        for name in queries.sound(run)
    ]
    metric = {each.name: each.metric for each in run.record.checks}
    head = [Name(name, {"claim": name, "metric": metric.get(name, "")}, below=usual[name]) for name in checks]
    return Grid(wording.begun(title), [Name("explainer"), *head], rows)


def _usual(rows: Any) -> str:
    """Return the sample that most verdicts of a check have."""
    counted = Counter(_n(row) for row in rows if row is not None and not pd.isna(row["effect"]))
    return counted.most_common(1)[0][0] if counted else ""


def _n(row: Mapping[Any, Any]) -> str:
    """Return a verdict's sample in short."""
    told = f"{row['n']} of {row['n'] + row['undefined']}"
    return told + (f", {row['units']} people" if row["unit"] == "people" else "")


def _verdict_cell(run: RunFolder, row: Mapping[Any, Any] | None, usual: str) -> Cell:
    """Return one verdict: mark and effect, n where it is not the usual one, all else when it is pointed at."""
    if row is None:
        return Cell("")
    verdict, effect = str(row["verdict"]), float(row["effect"])
    below = "" if pd.isna(effect) or _n(row) == usual else _n(row)
    told = {str(key): value for key, value in row.items()}
    link = evidence.anchor(run, str(row["check"]), str(row["explainer"]))
    return Cell(tables.cell(verdict, effect), below, verdict, link=link, tip=evidence.told(run, told))


def scores(run: RunFolder, metric: str, variant: str) -> Grid:
    """Return a metric class by class, coloured by how far from zero."""
    table = tables.metric_table(run, metric, variant, by="explainer")
    shown, lost = rendering.readable(table), queries.faults(run)
    names = table.attrs["explainers"]
    top = float(table.loc[names].astype(float).abs().max().max()) or 1.0
    rows = []
    for row in shown.itertuples(index=False):
        name = str(row[0])
        if name in lost:
            continue
        values = table.loc[name] if name in names else [None] * (len(row) - 1)
        cells = [Cell(str(text), heat=_heat(value, top)) for text, value in zip(row[1:], values, strict=True)]
        rows.append((explainer(run, name) if name in names else Name(name), cells))
    head = [Name("explainer"), *(place(str(name)) for name in shown.columns[1:])]
    return Grid(str(table.attrs["title"]), head, rows, table.attrs["notes"], {"metric": metric})


def _heat(value: Any, top: float) -> int:
    """Return the shade of a number, the stronger the further from zero; none where undefined.

    Examples
    --------
    >>> _heat(0.5, 1.0), _heat(-1.0, 1.0), _heat(0.0, 1.0), _heat(None, 1.0)
    (3, -5, 0, 0)
    """
    if value is None or pd.isna(value) or top != top or not value:
        return 0
    size = max(1, -int(-SHADES * min(abs(float(value)) / top, 1) // 1))
    return size if value > 0 else -size


def without(grid: Grid, said: Sequence[str]) -> Grid:
    """Return a table without the notes that are said elsewhere."""
    return replace(grid, notes=[note for note in grid.notes if note not in said])


def metrics(run: RunFolder) -> Grid:
    """Return every metric's mean with the digits that matter; an explainer that was not asked for it has a dash."""
    table = tables.overview_table(run)
    scores_ = run.named_scores
    asked = set(scores_.loc[scores_["variant"] == "map", ["name", "explainer"]].itertuples(index=False, name=None))
    names = [name for name in queries.sound(run) if name in table.columns]
    facts = [str(name) for name in table.columns if name not in queries.families(run)]
    rows = [
        (
            Name(str(metric), {"metric": str(metric)}),
            [
                *(Cell(_digits(row[name])) for name in facts),
                *(Cell(_digits(row[name]) if (metric, name) in asked else "–") for name in names),
            ],
        )
        for metric, row in table.iterrows()
    ]
    head = [Name("metric"), *map(Name, facts), *(explainer(run, name) for name in names)]
    return Grid(wording.begun(str(table.attrs["title"])), head, rows, table.attrs["notes"])


def _digits(value: Any) -> str:
    """Return a number with the digits that matter, a text as it is."""
    return wording.sensible(float(value)) if isinstance(value, float) else str(value)


def plain(table: pd.DataFrame, of: str) -> Grid:
    """Return a table as it is printed, its rows of what kind."""
    shown = rendering.readable(table)
    rows = [(Name(str(row[0]), {of: str(row[0])}), [Cell(str(text)) for text in row[1:]]) for row in shown.to_numpy()]
    head = [Name(str(name)) for name in shown.columns]
    return Grid(wording.begun(str(table.attrs["title"])), head, rows, table.attrs["notes"])
