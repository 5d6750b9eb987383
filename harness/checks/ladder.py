"""How far an explainer can be believed, and for whom: rungs, each with the claims that it rests on.

A yes or no over everything says too little: a map may show what counted and not tell one image from another. So the
claims that decide stand on rungs, from what every explainer owes to true causes, and what is said of an explainer is
the highest rung that it reaches without a gap. Everything here reads verdicts; it measures nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from harness.checks.base import EVERYTHING, Verdict
from harness.store import LADDER, clearance, deciding_p, frame


class Reached(StrEnum):
    """Whether an explainer stands on a rung."""

    YES = "yes"
    NO = "no"
    OPEN = "open"
    ELSEWHERE = "another question"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes
    ----------
    number, name
        From the bottom; what tables call it.
    claim
        What may be said of an explainer that stands on it, with "it" for the explainer.
    gap
        What must not be read into its maps where it does not stand on it.
    """

    number: int
    name: str
    claim: str
    gap: str


CONTRACT, NETWORK, COUNTED, CLASSES, IMAGES, AMOUNTS, CAUSES = RUNGS = (
    Rung(1, "contract", "keeps its contract", "do not read it at all"),
    Rung(2, "network", "shows the network", "do not read it as what the network learned"),
    Rung(3, "what counts", "shows what counted", "do not read it as what counted"),
    Rung(4, "classes", "tells classes apart", "do not read it as what speaks for one class and not for another"),
    Rung(5, "images", "tells images apart", "do not read it as being about this very image"),
    Rung(6, "amounts", "gives amounts", "do not read its values as amounts"),
    Rung(7, "causes", "finds causes", "do not read it as what in the world made the answer"),
)
"""From the bottom up."""
OF_WHAT_COUNTED = (COUNTED, CLASSES, IMAGES, AMOUNTS)
"""What a map that answers another question is not refuted by."""
NOBODY = "no image is of this class"
ELSEWHERE = "answers another question, what a small change would do"


@dataclass(frozen=True)
class Level:
    """One resolution of the truth of cells.

    Attributes
    ----------
    name
        As its scores' and checks' names have it.
    share
        Side of its cells as a share of the picture's shorter side.
    """

    name: str
    share: float

    def pixels(self, side: int) -> int:
        """Return the side of its cells in a picture whose shorter side has `side` pixels."""
        return max(1, int(side * self.share))


def ladder(
    verdicts: pd.DataFrame,
    rungs: Mapping[str, int],
    *,
    explainers: Mapping[str, str],
    classes: Sequence[str],
    resolutions: Mapping[str, int],
    elsewhere: Collection[str] = (),
    unasked: Collection[tuple[str, str]] = (),
    absent: Collection[str] = (),
    uncalibrated: Mapping[int, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return which rungs each explainer stands on, over all images and for each class.

    A rung is reached where every claim that decides it holds; it is not where one of them fails, nor by what one of
    them compares with; it is open where none fails and one is not settled or could not be judged. Claims at several
    resolutions are one claim at each: the rung stands at the finest at which they all hold, if they hold at the
    coarsest.

    Parameters
    ----------
    verdicts
        See :data:`harness.store.VERDICTS`.
    rungs
        The rung of each check that decides one.
    explainers
        Every explainer with its fault or refusal, "" where there is none.
    classes
        The subject's.
    resolutions
        Side in pixels of the cells that a check looks at, for checks that look at cells.
    elsewhere
        Explainers that claim to say what a small change would do, not what counted: a rung that speaks of what counted
        is not reached by them, and they are not wrong.
    unasked
        Explainers with a check that is not asked of them (:meth:`harness.checks.Check.concerns`): their rung stands
        without it.
    absent
        Classes of which no image was explained: nothing applies to them.
    uncalibrated
        Rungs that nothing decides on this subject, with the reason; see :func:`uncalibrated_rungs`.

    Returns
    -------
    pd.DataFrame
        See :data:`harness.store.LADDER`.
    """
    held: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in verdicts[verdicts["check"].isin(rungs)].to_dict("records"):
        held.setdefault((str(row["explainer"]), str(row["class"])), {})[str(row["check"])] = {
            str(key): value for key, value in row.items()
        }
    rows = []
    for name, fault in explainers.items():
        by_class = {check for where in classes for check in held.get((name, where), {})}
        for where in (EVERYTHING, *classes):
            if where in absent:
                rows += [_filled(name, where, rung, Reached.NOT_APPLICABLE, reason=NOBODY) for rung in RUNGS]
                continue
            rows.append(_contract_row(name, where, fault))
            for rung in RUNGS[1:]:
                checks = [check for check, number in rungs.items() if number == rung.number]
                asked = [] if fault else [check for check in checks if (name, check) not in unasked]
                claims = _claims(held.get((name, EVERYTHING), {}), held.get((name, where), {}), asked, by_class)
                one = _row(name, where, rung, claims, resolutions, uncalibrated.get(rung.number, ""))
                rows.append(_elsewhere(one) if name in elsewhere and rung in OF_WHAT_COUNTED else one)
    return frame(LADDER, rows)


def calibrated_ladder(
    verdicts: pd.DataFrame,
    rungs: Mapping[str, int],
    *,
    truths: Collection[str],
    nulls: Collection[str],
    unasked: Collection[tuple[str, str]] = (),
    **about: Any,
) -> pd.DataFrame:
    """Return :func:`ladder`, on which a rung that does not tell `truths` from `nulls` here decides nothing.

    Truths are maps that nobody can be asked for again: what was not measured of them is not asked of them.
    """
    known = verdicts[verdicts["explainer"].isin(list(truths)) & (verdicts["class"] == EVERYTHING)]
    without = known[(known["n"] == 0) & (known["undefined"] == 0)]
    unasked = {*unasked, *zip(without["explainer"], without["check"], strict=True)}
    everywhere = ladder(verdicts, rungs, unasked=unasked, **about)
    uncalibrated = uncalibrated_rungs(everywhere, truths, nulls)
    return ladder(verdicts, rungs, unasked=unasked, **about, uncalibrated=uncalibrated)


def highest(table: pd.DataFrame, explainer: str, where: str = EVERYTHING) -> int:
    """Return the highest rung reached without a gap; rungs that do not apply are no gap, and none is reached alone.

    Examples
    --------
    >>> rows = [("a", "all", n, r) for n, r in enumerate(["yes", "yes", "open", "yes"], start=1)]
    >>> highest(pd.DataFrame(rows, columns=["explainer", "class", "rung", "reached"]), "a")
    2
    """
    mine = table[(table["explainer"] == explainer) & (table["class"] == where)].sort_values("rung")
    top = 0
    for number, reached in zip(mine["rung"], mine["reached"], strict=True):
        if reached == Reached.YES:
            top = int(number)
        elif reached != Reached.NOT_APPLICABLE:
            break
    return top


def uncalibrated_rungs(table: pd.DataFrame, truths: Collection[str], nulls: Collection[str]) -> dict[int, str]:
    """Return the rungs that cannot decide on this subject at this n, with the reason.

    A rung decides where a map of the truth reaches it and no map that knows nothing of the network does. Truths to
    which it does not apply say nothing of it.

    Parameters
    ----------
    table
        As :func:`ladder` gives it where every rung decides.
    truths, nulls
        Names of the explainers that are known to be right, and of those known to be empty.
    """
    whole = table[(table["class"] == EVERYTHING) & (table["rung"] > CONTRACT.number)]
    found = {}
    for number, rows in whole.groupby("rung"):
        reached = rows.set_index("explainer")["reached"]
        right = reached[reached.index.isin(list(truths)) & (reached != Reached.NOT_APPLICABLE)]
        fooled = sorted(reached.index[reached.index.isin(list(nulls)) & (reached == Reached.YES)])
        if len(right) and not (right == Reached.YES).any():
            found[int(str(number))] = f"the truth itself ({', '.join(right.index)}) does not reach it here"
        elif fooled:
            found[int(str(number))] = f"{', '.join(fooled)} would reach it here, and cannot be faithful"
    return found


def _claims(
    whole: Mapping[str, dict[str, Any]],
    own: Mapping[str, dict[str, Any]],
    checks: Sequence[str],
    by_class: Collection[str],
) -> list[dict[str, Any]]:
    """Return verdicts on one rung for a class; what is judged over all images alone stands for every class."""
    found = [own.get(check) or (None if check in by_class else whole.get(check)) for check in checks]
    return [row for row in found if row is not None]


def _contract_row(name: str, where: str, fault: str) -> dict[str, Any]:
    """Return the first rung, which the contract decides before anything is measured."""
    reached = Reached.NO if fault else Reached.YES
    return _filled(name, where, CONTRACT, reached, reason=fault)


def _row(
    name: str,
    where: str,
    rung: Rung,
    claims: Sequence[dict[str, Any]],
    resolutions: Mapping[str, int],
    uncalibrated: str,
) -> dict[str, Any]:
    """Return one rung of one explainer."""
    if uncalibrated or not claims:
        return _filled(name, where, rung, Reached.NOT_APPLICABLE, reason=uncalibrated or "no claim of it was judged")
    levels = sorted({resolutions.get(row["check"], 0) for row in claims}, reverse=True)
    found = {level: _reached([r for r in claims if resolutions.get(r["check"], 0) == level]) for level in levels}
    # A claim without a resolution holds at all of them.
    general = found.pop(0, None)
    if general is not None and (general[0] is not Reached.YES or not found):
        return _filled(name, where, rung, *general)
    standing, finest = general, 0
    for level, (reached, row, reason) in found.items():
        if reached is not Reached.YES:
            break
        standing, finest = (reached, row, reason), level
    if standing is None or (finest == 0 and found):
        coarsest = next(iter(found.values()))
        return _filled(name, where, rung, *coarsest)
    return _filled(name, where, rung, *standing, resolution=finest)


def _elsewhere(row: dict[str, Any]) -> dict[str, Any]:
    """Return a rung of what counted, of an explainer that answers another question: what refutes it is no fault."""
    if row["reached"] != Reached.NO:
        return row
    return {**row, "reached": Reached.ELSEWHERE.value, "reason": f"{ELSEWHERE}; {row['reason']}"}


def _reached(claims: Sequence[dict[str, Any]]) -> tuple[Reached, dict[str, Any], str]:
    """Weigh claims that must all hold; return what they say together, the claim that decides it, and why."""
    of = {verdict: [row for row in claims if row["verdict"] == verdict] for verdict in Verdict}
    # What a claim compares with is no better than itself.
    itself = [row for row in of[Verdict.NOT_APPLICABLE] if row.get("control") == row["explainer"]]
    if itself and not of[Verdict.FAIL]:
        return Reached.NO, itself[0], f"{itself[0]['check']}: {itself[0]['reason']}"
    if of[Verdict.FAIL]:
        worst = max(of[Verdict.FAIL], key=clearance)
        return Reached.NO, worst, f"{worst['check']}: {worst['reason']}"
    unsettled = of[Verdict.INCONCLUSIVE] or (of[Verdict.NOT_APPLICABLE] if of[Verdict.PASS] else [])
    if unsettled:
        return Reached.OPEN, unsettled[0], f"{unsettled[0]['check']}: {unsettled[0]['reason']}"
    if not of[Verdict.PASS]:
        return Reached.NOT_APPLICABLE, claims[0], str(claims[0]["reason"])
    return Reached.YES, min(of[Verdict.PASS], key=clearance), ""


def _filled(
    name: str,
    where: str,
    rung: Rung,
    reached: Reached,
    row: Mapping[str, Any] | None = None,
    reason: str = "",
    resolution: int = 0,
) -> dict[str, Any]:
    """Return a row of the table."""
    numbers = {key: np.nan if row is None else row[key] for key in ("effect", "low", "high")}
    return {
        "explainer": name,
        "class": where,
        "rung": rung.number,
        "name": rung.name,
        "reached": reached.value,
        "resolution": resolution,
        **numbers,
        "p_adjusted": np.nan if row is None else deciding_p(row),
        "check": "" if row is None else row["check"],
        "n": 0 if row is None else row["n"],
        "unit": "" if row is None else row.get("unit", "images"),
        "reason": reason,
    }
