"""What a run's verdicts say in words: who can be believed, for which class, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from harness.report import ladder, queries, wording
from harness.report.queries import ALL
from harness.store import RunFolder, clearance

Row = dict[str, Any]
"""One verdict, by the names of its columns."""


class State(StrEnum):
    """Whether an explainer's maps can be believed."""

    BELIEVED = "believed"
    REFUTED = "not believed"
    OPEN = "undecided"
    ELSEWHERE = "another question"
    UNJUDGED = "not judged"


VERDICT_OF = {
    State.BELIEVED: "pass",
    State.REFUTED: "fail",
    State.ELSEWHERE: "fail",
    State.OPEN: "inconclusive",
}
"""The verdicts that make it so."""


@dataclass(frozen=True)
class Belief:
    """An explainer's standing over all images or for one class.

    Attributes
    ----------
    explainer, where
        Who, and "all" or a class.
    state
        Believed: every deciding check passes, one of faithfulness at least. Not believed: one fails. Undecided: none
        fails and one is inconclusive or does not apply. Another question: it claims to say what a small change
        would do, and is not what counted. Not judged: no check of faithfulness applies.
    because
        The verdicts that made it so: those that fail, else those that are open, else all that pass.
    """

    explainer: str
    where: str
    state: State
    because: tuple[Row, ...]


def beliefs(run: RunFolder) -> dict[tuple[str, str], Belief]:
    """Return the standing of every explainer over all images and, where classes were judged, for each class."""
    if len(run.ladder):
        return _by_rung(run)
    held = run.verdicts[run.verdicts["check"].isin(queries.deciding(run))]
    found: dict[tuple[str, str], list[Row]] = {}
    for row in held.to_dict("records"):
        found.setdefault((str(row["explainer"]), str(row["class"])), []).append({str(k): v for k, v in row.items()})
    made = {}
    for name in queries.families(run):
        whole = found.get((name, ALL), [])
        apart = {where: found.get((name, where), []) for where in queries.classes(run)}
        # What was judged over all images alone stands for every class.
        by_class = {row["check"] for rows in apart.values() for row in rows}
        gates = [row for row in whole if row["check"] not in by_class]
        made[name, ALL] = _belief(name, ALL, whole)
        for where, rows in apart.items():
            made[name, where] = _belief(name, where, rows + gates if rows else [])
    return made


def _by_rung(run: RunFolder) -> dict[tuple[str, str], Belief]:
    """Return the standing of every explainer by the ladder: believed from the rung on that shows what counted."""
    undecided, rows = ladder.deciding_nothing(run).get(ladder.COUNTED, ""), _rows_up_to_counted(run)
    made = {}
    for name in queries.families(run):
        for where in (ALL, *queries.classes(run)):
            state = _state(ladder.standing(run, name, where, with_share=False))
            if undecided and state is State.OPEN:
                made[name, where] = Belief(name, where, State.UNJUDGED, ({"reason": undecided},))
            else:
                made[name, where] = Belief(name, where, state, _because(state, rows.get((name, where), [])))
    return made


def _rows_up_to_counted(run: RunFolder) -> dict[tuple[str, str], list[Row]]:
    """Return the verdicts of each explainer and class on the rungs up to that of what counted."""
    rung_of = {each.name: each.rung for each in run.record.checks}
    decisive = run.verdicts[run.verdicts["check"].map(rung_of).fillna(0).between(1, ladder.COUNTED)]
    held: dict[tuple[str, str], list[Row]] = {}
    for row in decisive.to_dict("records"):
        held.setdefault((str(row["explainer"]), str(row["class"])), []).append({str(k): v for k, v in row.items()})
    for name in queries.families(run):
        by_class = {row["check"] for where in queries.classes(run) for row in held.get((name, where), [])}
        # What was judged over all images alone stands for every class.
        gates = [row for row in held.get((name, ALL), []) if row["check"] not in by_class]
        for where in queries.classes(run):
            held[name, where] = [*held.get((name, where), []), *gates]
    return held


def _because(state: State, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the verdicts that make it so; where there is none, it is what could not be judged."""
    of = VERDICT_OF.get(state, "not applicable")
    found = tuple(row for row in rows if row["verdict"] == of)
    return found or tuple(row for row in rows if row["verdict"] == "not applicable")


def _state(one: ladder.Standing) -> State:
    """Return what a standing says of whether a map may be read as what counted."""
    if one.counted:
        return State.BELIEVED
    if one.stopped is None:
        return State.UNJUDGED
    if one.stopped["reached"] == ladder.ELSEWHERE:
        return State.ELSEWHERE
    refused = one.stopped["reached"] == "no" and int(str(one.stopped["rung"])) <= ladder.COUNTED
    if refused:
        return State.UNJUDGED if one.stopped["name"] == "contract" else State.REFUTED
    return State.OPEN


def _belief(name: str, where: str, rows: Sequence[Row]) -> Belief:
    """Weigh the verdicts on one explainer in one place."""
    of = {verdict: tuple(row for row in rows if row["verdict"] == verdict) for verdict in wording.MARKS}
    faithful = [row for row in of["pass"] if row["family"] == "faithfulness"]
    if of["fail"]:
        return Belief(name, where, State.REFUTED, of["fail"])
    if of["inconclusive"]:
        return Belief(name, where, State.OPEN, of["inconclusive"])
    # What could not be asked is not known; an explainer that is itself the control of a check is not asked that.
    unasked = tuple(row for row in of["not applicable"] if row["control"] != name)
    if faithful and unasked:
        return Belief(name, where, State.OPEN, unasked)
    if faithful:
        return Belief(name, where, State.BELIEVED, of["pass"])
    return Belief(name, where, State.UNJUDGED, of["not applicable"])


# ---------------------------------------------------------------------- in words


@dataclass(frozen=True)
class Answer:
    """The run in words.

    Attributes
    ----------
    lead
        One paragraph over all images.
    explainers
        For each method its standing over all images and a sentence with the numbers that decide it, then a sentence on
        the classes.
    classes
        For each class who can be believed.
    controls
        Whether the checks told the controls from the methods.
    confusion
        Whether what the maps look like goes with what the network confuses; empty where not asked.
    """

    lead: str
    explainers: tuple[tuple[str, State, str, str], ...]
    classes: tuple[tuple[str, str], ...]
    controls: str
    confusion: tuple[str, ...]


def answer(run: RunFolder) -> Answer:
    """Return what the verdicts say, in words."""
    held, methods = beliefs(run), queries.methods(run)
    return Answer(
        lead=_lead(run, held),
        explainers=tuple(
            (name, held[name, ALL].state, _why(run, held[name, ALL]), _classes_of(run, held, name)) for name in methods
        ),
        classes=tuple((name, _believed_for(run, held, name)) for name in queries.classes(run)),
        controls=_controls(run, held),
        confusion=tuple(_confusion(run)),
    )


def _lead(run: RunFolder, held: dict[tuple[str, str], Belief]) -> str:
    """Return who can be believed over all images."""
    methods = queries.methods(run)
    by_state = {state: [name for name in methods if held[name, ALL].state is state] for state in State}
    good = by_state[State.BELIEVED]
    said = "can be read as what counted (rung 3 or higher)" if len(run.ladder) else "can be believed"
    parts = [
        f"Over all images, {len(good)} of {len(methods)} methods {said}"
        + (f": {wording.listed(good)}." if good else ".")
    ]
    absent = [] if len(run.ladder) else _not_asked(run)
    if good and absent:
        parts.append(f"That is said without claims on {wording.listed(absent)}, which were not asked for.")
    told = {
        State.REFUTED: "a claim fails for",
        State.ELSEWHERE: "answering another question, what a small change would do, not what counted:",
        State.OPEN: "undecided for want of images or of effect:",
        State.UNJUDGED: "not judged:",
    }
    for state, phrase in told.items():
        if by_state[state]:
            parts.append(f"{wording.begun(phrase)} {wording.listed(by_state[state])}.")
    return " ".join(parts)


def _not_asked(run: RunFolder) -> list[str]:
    """Return what a map must stand to be believed in full and the run did not ask: it is believed the less for it."""
    held = queries.checks(run)
    return [name for name in ("deletion", "insertion", "randomization") if not any(c.startswith(name) for c in held)]


def _why(run: RunFolder, belief: Belief) -> str:
    """Return the verdicts that decide, with their numbers."""
    if belief.state is State.UNJUDGED:
        fault = queries.faults(run).get(belief.explainer)
        reasons = [fault] if fault else [row["reason"] for row in belief.because]
        told = dict.fromkeys(str(reason) for reason in reasons if reason)
        return "Not judged: " + (_shortened(list(told), "; ") or "no verdict was stored") + "."
    if belief.state is State.BELIEVED:
        tightest = min(belief.because, key=clearance)
        count = len(belief.because)
        if count == 1:
            return f"The one claim that applies holds: {said(run, tightest)}."
        hold = "Both" if count == 2 else f"All {count}"
        return f"{hold} claims that apply hold; the closest call is {said(run, tightest)}."
    lead = {
        State.REFUTED: "Fails ",
        State.ELSEWHERE: "Answers what a small change would do; taken for what counted it fails ",
    }.get(belief.state, "No claim fails, but not settled: ")
    return lead + _shortened([said(run, row) for row in belief.because], "; ") + "."


def brief(run: RunFolder, belief: Belief) -> str:
    """Return the one verdict that says most, with three numbers: the effect and the two ends of its interval."""
    if belief.state is State.UNJUDGED or not belief.because:
        return _why(run, belief)
    if belief.state is State.OPEN:
        row = max(belief.because, key=lambda each: -1.0 if pd.isna(each["p_adjusted"]) else float(each["p_adjusted"]))
    else:
        row = (min if belief.state is State.BELIEVED else max)(belief.because, key=clearance)
    if pd.isna(row["effect"]):
        number = "could not be asked"
    else:
        ends = "" if pd.isna(row["low"]) else f" ({wording.interval(row['low'], row['high'])})"
        number = f"{wording.number(row['effect'], signed=True)}{ends}"
    others = ", among others" if len(belief.because) > 1 else ""
    return {
        State.BELIEVED: f"Every claim that applies holds; the closest call is {row['check']} {number}.",
        State.REFUTED: f"Fails {row['check']} {number}{others}.",
        State.ELSEWHERE: f"Answers what a small change would do, not what counted: {row['check']} {number}{others}.",
        State.OPEN: f"No claim fails, but not settled: {row['check']} {number}{others}.",
    }[belief.state]


def _shortened(parts: Sequence[str], between: str) -> str:
    """Return the first three and how many more."""
    more = len(parts) - 3
    return between.join(parts[:3]) + (f" and {more} more" if more > 0 else "")


def said(run: RunFolder, row: Row) -> str:
    """Return one verdict as a clause: check, effect, interval, n and what would settle it."""
    if pd.isna(row["effect"]):
        return f"{row['check']} ({row['reason'] or 'effect undefined'})"
    confidence = f"{run.record.confidence:.0%}"
    parts = [wording.number(row["effect"], signed=True)]
    if not pd.isna(row["low"]):
        parts.append(f"{confidence} interval {wording.interval(row['low'], row['high'])}")
    parts.append(counted(row))
    why = f" ({row['reason']})" if row["verdict"] != "pass" and row["reason"] else ""
    return f"{row['check']} {', '.join(parts)}{why}"


def counted(row: Row) -> str:
    """Return the sample of a verdict: images with a score of those asked for and, where known, the people on them."""
    if row["unit"] == "classes":
        return f"{row['n']} of {row['n'] + row['undefined']} classes"
    people = f" of {row['units']} people" if row["unit"] == "people" else ""
    return f"{row['n']} of {row['n'] + row['undefined']} images{people}"


def _classes_of(run: RunFolder, held: dict[tuple[str, str], Belief], name: str) -> str:
    """Return for which classes a method can be believed, and what speaks against it in the others."""
    by_state = {state: [where for where in queries.classes(run) if held[name, where].state is state] for state in State}
    if len(by_state[State.UNJUDGED]) == len(queries.classes(run)):
        return "No class was judged by itself."
    parts = []
    if by_state[State.BELIEVED]:
        parts.append(f"believed for {wording.listed(by_state[State.BELIEVED])}")
    for state, phrase in (
        (State.REFUTED, "not for"),
        (State.ELSEWHERE, "another question for"),
        (State.OPEN, "undecided for"),
    ):
        if by_state[state]:
            parts.append(f"{phrase} " + ", ".join(_with_checks(held[name, where]) for where in by_state[state]))
    if by_state[State.UNJUDGED]:
        parts.append(f"not judged for {wording.listed(by_state[State.UNJUDGED])}")
    return "By class: " + "; ".join(parts) + "."


def _with_checks(belief: Belief) -> str:
    """Return a class with the checks that stand against it."""
    return f"{belief.where} ({_shortened([str(row['check']) for row in belief.because], ', ')})"


def _believed_for(run: RunFolder, held: dict[tuple[str, str], Belief], where: str) -> str:
    """Return who can be believed for one class."""
    states = {name: held[name, where].state for name in queries.methods(run)}
    if all(state is State.UNJUDGED for state in states.values()):
        images = int((run.scores.drop_duplicates(["image", "target"])["target"] == where).sum())
        return "not judged by itself" if images else "no images"
    good = [name for name, state in states.items() if state is State.BELIEVED]
    open_ = sum(state is State.OPEN for state in states.values())
    return wording.listed(good) + (f" ({open_} undecided)" if open_ else "")


def _controls(run: RunFolder, held: dict[tuple[str, str], Belief]) -> str:
    """Return whether a stand-in that cannot be faithful was believed."""
    names = queries.controls(run)
    if not names:
        return "The run has no controls, so nothing shows that its checks can refuse a map."
    fooled = [name for name in names if held[name, ALL].state is State.BELIEVED or name in ladder.fooled(run)]
    known = _oracle(run, held)
    if fooled:
        return (
            f"Caution: {wording.listed(fooled)} cannot be faithful and yet passed every claim that applies. "
            f"On this subject these checks do not tell a faithful map from a control.{known}"
        )
    return f"None of the {len(names)} controls ({wording.listed(names)}) passed every claim, as it should be.{known}"


def _oracle(run: RunFolder, held: dict[tuple[str, str], Belief]) -> str:
    """Return where the true causes, or the truth of the games, stand, in a sentence; nothing where neither is known."""
    names = queries.oracles(run)
    if not names:
        return ""
    what = "The truth of the games is" if names[0].startswith(queries.TRUTH) else "The true causes are"
    return f" {what} {held[names[0], ALL].state.value} ({names[0]})."


def _confusion(run: RunFolder) -> list[str]:
    """Return each check over classes, in a sentence."""
    held = queries.verdicts(run)
    held = held[held["family"] == "confusion"]
    return [
        _confusion_sentence(run, check, held[held["check"] == check])
        for check in queries.checks(run)
        if (held["check"] == check).any()
    ]


def _confusion_sentence(run: RunFolder, check: str, rows: pd.DataFrame) -> str:
    """Return for how many methods a class by class claim holds."""
    mine = rows[rows["explainer"].isin(queries.methods(run))]
    by_verdict = {verdict: list(mine.loc[mine["verdict"] == verdict, "explainer"]) for verdict in wording.MARKS}
    claim = next((each.claim for each in run.record.checks if each.name == check), "")
    effects = mine["effect"].dropna()
    spread = (
        f" Effects run from {wording.number(effects.min(), signed=True)} to "
        f"{wording.number(effects.max(), signed=True)} over {int(mine['n'].max())} classes."
        if len(effects)
        else " No effect is defined."
    )
    told = [
        f"{verdict} for " + (f"all {len(mine)} methods" if len(names) == len(mine) > 2 else wording.listed(names))
        for verdict, names in by_verdict.items()
        if names
    ]
    return f"{check}" + (f" ({claim})" if claim else "") + f": {'; '.join(told) or 'no method was judged'}.{spread}"
