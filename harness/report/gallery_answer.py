"""What measurement says of the gallery's question, whether some classes do best because of what their maps show."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.report import answer, queries, wording
from harness.report.answer import State
from harness.report.effects import effect_table
from harness.report.queries import ALL
from harness.statistics.relabelling import EXACT_UP_TO
from harness.store import RunFolder, deciding_p

QUESTION = "A few classes do best. Is it because of what the maps show?"
NAMED = ("Happy", "Surprise")
"""The classes of which the report that the gallery follows asked."""
CHECKS = ("confusion-recall", "confusion-mantel", "confusion-mantel-partial")


@dataclass(frozen=True)
class GalleryAnswer:
    """The answer in a paragraph, and its parts: a question each with sentences that hold the numbers."""

    lead: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]


def gallery_answer(run: RunFolder, shown: Sequence[str]) -> GalleryAnswer:
    """Return the answer that a run's verdicts give, for the methods that the gallery shows."""
    names = [name for name in queries.methods(run) if name in shown]
    parts = (
        ("Which classes do best?", _best_said(run)),
        ("Are these maps faithful?", _faithful(run, names)),
        ("Is a class's score related to its recall?", _class_check(run, names, CHECKS[:1])),
        ("Are classes that are confused explained alike?", _class_check(run, names, CHECKS[1:])),
        ("Could it be chance?", _chance(run, names)),
        ("What does the network truly use?", _uses(run)),
    )
    return GalleryAnswer(_lead(run, names), parts)


def _lead(run: RunFolder, names: Sequence[str]) -> str:
    """Return the answer in a few sentences."""
    rows = _rows(run, names, CHECKS[0])
    holds = list(rows.loc[rows["verdict"] == "pass", "explainer"])
    best = _best(run)
    if not best:
        told = (
            "Which classes do best cannot be known: the images have no labels, so nothing can be held against recall."
        )
    else:
        told = f"{wording.listed(f'{name} (recall {value:.2f})' for name, value in best)} do best. "
        if holds:
            told += f"For {wording.listed(holds)}, classes with a higher recall do have more faithful maps."
        elif rows["p"].notna().any():
            least = rows.sort_values("p").iloc[0]
            told += (
                "That this has to do with what the maps show is not shown: for none of "
                f"{wording.listed(names)} does faithfulness follow recall at the level asked (closest: "
                f"{least['explainer']}, rank correlation {wording.number(least['effect'], signed=True)} over "
                f"{least['n']} classes, {_chance_of(least['p'], least['n'])}, "
                f"corrected {wording.chance(least['p_adjusted'])})."
            )
        else:
            told += "Whether that has to do with what the maps show was not judged."
    held = answer.beliefs(run)
    good = [name for name in names if held[name, ALL].state is State.BELIEVED]
    passes = "passes" if len(good) < 2 else "pass"
    told += f" Of the methods shown, {wording.listed(good)} {passes} every claim that applies."
    return told + _causes(run, [name for name, _ in best])


def _causes(run: RunFolder, best: Sequence[str]) -> str:
    """Return which part the best classes truly depend on, where that was measured."""
    held = _losses(run)
    told = []
    for name in best:
        rows = held[held["class"] == name]
        if len(rows):
            top = rows.iloc[0]
            told.append(f"{name} loses {float(top['probability']):.2f} of its probability with {top['part']} at rest")
    return f" Rendered again, {wording.listed(told)}: a cause, measured without any map." if told else ""


def _losses(run: RunFolder) -> pd.DataFrame:
    """Return the parts whose rest costs a class something beyond doubt, largest first."""
    table = effect_table(run)
    held = table[(table["kind"] == "at-rest") & (table["part"] != "all") & (table["low"] > 0)]
    return held.sort_values("probability", ascending=False, kind="stable")


def _best(run: RunFolder) -> list[tuple[str, float]]:
    """Return the two classes of highest recall."""
    recalls = queries.recalls(run)
    if recalls is None:
        return []
    held = recalls.drop(ALL).dropna().sort_values(ascending=False, kind="stable")
    return [(str(name), float(value)) for name, value in held.head(2).items()]


def _best_said(run: RunFolder) -> tuple[str, ...]:
    """Return the recall of every class."""
    recalls = queries.recalls(run)
    if recalls is None:
        return ("The images have no labels, so there is no recall and no confusion matrix.",)
    held = recalls.drop(ALL).sort_values(ascending=False, kind="stable")
    told = ", ".join(f"{name} {'undefined' if pd.isna(value) else f'{value:.2f}'}" for name, value in held.items())
    said = f"Recall over {run.record.faces.n} faces: {told}; accuracy {recalls[ALL]:.2f}."
    places = {str(name): place for place, name in enumerate(held.index, 1)}
    if not set(NAMED) <= set(places):
        return (said,)
    named = wording.listed(f"{name} is number {places[name]}" for name in NAMED)
    return (said, f"The report found {wording.listed(NAMED)} to do best; here {named} of {len(places)}.")


def _faithful(run: RunFolder, names: Sequence[str]) -> tuple[str, ...]:
    """Return each method's standing with the numbers that decide it, and the controls."""
    held, beliefs = answer.answer(run), answer.beliefs(run)
    told = []
    for name, state, why, _ in held.explainers:
        if name in names:
            states = {where: beliefs[name, where].state for where in queries.classes(run)}
            told.append(f"{name}: {state.value}. {why} {_by_class(states)}")
    return (*told, held.controls)


def _by_class(states: Mapping[str, State]) -> str:
    """Return for which classes a method is believed, refuted and undecided."""
    phrases = {
        State.BELIEVED: "believed for", State.REFUTED: "not for", State.ELSEWHERE: "another question for",
        State.OPEN: "undecided for",
    }  # fmt: skip
    told = [
        f"{phrase} {wording.listed(where for where, found in states.items() if found is state)}"
        for state, phrase in phrases.items()
        if state in states.values()
    ]
    return f"Class by class: {'; '.join(told)}." if told else "No class was judged by itself."


def _rows(run: RunFolder, names: Sequence[str], check: str) -> pd.DataFrame:
    """Return the verdicts of one check over classes."""
    held = queries.verdicts(run)
    return held[(held["check"] == check) & held["explainer"].isin(list(names))]


def _class_check(run: RunFolder, names: Sequence[str], checks: Sequence[str]) -> tuple[str, ...]:
    """Return what checks over classes found for each method."""
    claims = {each.name: each.claim for each in run.record.checks}
    told = []
    for check in checks:
        rows = _rows(run, names, check)
        if rows.empty:
            told.append(f"{check} was not asked for.")
            continue
        reasons = set(rows["reason"])
        if rows["effect"].isna().all() and len(reasons) == 1:
            found = [f"Not judged: {reasons.pop() or 'undefined'}"]
        else:
            found = [_class_finding(row) for row in rows.to_dict("records")]
        told.append(f"Claim: {claims.get(check, check)}. " + "; ".join(found) + ".")
    return tuple(told)


def _class_finding(row: dict[object, object]) -> str:
    """Return one method's correlation over classes with its p, or why there is none."""
    effect = float(str(row["effect"]))
    if math.isnan(effect):
        return f"{row['explainer']} not judged ({row['reason'] or 'undefined'})"
    p = float(str(row["p_fail" if row["verdict"] == "fail" else "p"]))
    return (
        f"{row['explainer']} {row['verdict']} (rank correlation {wording.number(effect, signed=True)} over {row['n']} "
        f"classes, {_chance_of(p, int(str(row['n'])))}, corrected {wording.chance(deciding_p(row))})"
    )


def _chance_of(p: float, classes: int) -> str:
    """Return a p over classes, and whether it comes from all their orders or from random ones.

    Examples
    --------
    >>> _chance_of(0.158, 7), _chance_of(0.158, 10)
    ('exact p = 0.158', 'Monte Carlo p = 0.158')
    """
    return f"{'exact' if classes <= EXACT_UP_TO else 'Monte Carlo'} {wording.chance(p)}"


def _chance(run: RunFolder, names: Sequence[str]) -> tuple[str, ...]:
    """Return how many claims over classes hold, and what the controls get in the same tests."""
    mine = pd.concat([_rows(run, names, check) for check in CHECKS])
    judged = mine.dropna(subset="p")
    if judged.empty:
        return ("No claim over classes could be judged, so nothing is held up as more than chance.",)
    orders = f"all {math.factorial(int(judged['n'].max())):,}" if judged["n"].max() <= EXACT_UP_TO else "random"
    count, held = int(judged["n"].max()), int((judged["verdict"] == "pass").sum())
    told = [
        f"Classes are the sample: every p comes from {orders} orders of {count} classes. "
        f"Of {len(judged)} claims over classes {held or 'none'} {'hold' if held > 1 else 'holds'} once corrected for "
        "the number of each explainer's; the smallest corrected p is "
        f"{wording.bare_chance(float(judged['p_adjusted'].min()))}."
    ]
    controls = _rows(run, queries.controls(run), CHECKS[0]).dropna(subset="p")
    if len(controls):
        said = [
            f"{row['explainer']} {wording.number(float(row['effect']), signed=True)} "
            f"({_chance_of(float(row['p']), int(row['n']))})"
            for row in controls.to_dict("records")
        ]
        told.append(
            f"Controls, which know nothing of the network, get in the test against recall: {wording.listed(said)}."
        )
    return tuple(told)


def _uses(run: RunFolder) -> tuple[str, ...]:
    """Return for each class the part whose rest costs it most, with its interval; or that it cannot be known."""
    if run.effects.empty:
        return ("Cannot be known here: these images cannot be rendered again with a part at rest.",)
    table, told = _losses(run), []
    for name in queries.classes(run):
        said = [
            f"{row['part']} {wording.number(float(row['probability']), signed=True)} "
            f"({wording.interval(float(row['low']), float(row['high']))})"
            for row in table[table["class"] == name].head(2).to_dict("records")
        ]
        told.append(f"{name}: " + (wording.listed(said) if said else "no part is shown to matter by itself"))
    confidence = f"{run.record.confidence:.0%}"
    lead = f"Probability that the true class loses with a part put to rest ({confidence} interval), the two largest: "
    return (lead + "; ".join(told) + ".",)
