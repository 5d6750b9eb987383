"""One explainer judged: raised where a claim fails, in plain words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from harness.api.evaluating import asked, explainers_of, made
from harness.api.inputs import as_profile
from harness.api.run import Run
from harness.arithmetic import AUTO
from harness.checks import EVERYTHING, Check, Verdict
from harness.checks.contract import ContractGate, contract_clauses
from harness.errors import UsageError
from harness.evaluation import Request, prepared
from harness.explainers import Explainer
from harness.profiles import Profile
from harness.report import claims
from harness.store import RunFolder
from harness.subject import InputSpec, Subject

CONTRACT = "contract"
"""What the clauses that every explainer owes are called, beside the checks."""


class ClaimFailed(AssertionError):  # noqa: N818 - a claim that failed, as pytest and readers know assertions
    """A claim about an explainer does not hold; the message says which, what was found and where to see it."""


@dataclass(frozen=True)
class Judgement:
    """What came of one check of one explainer, over all images.

    Attributes
    ----------
    explainer, check
        Their names; "contract" is what every explainer owes.
    verdict
        pass, fail, inconclusive or not applicable.
    said
        What was claimed and found, or why nothing could be said, in one line.
    refused
        Whether the explainer says itself that it does not explain this network.
    """

    explainer: str
    check: str
    verdict: Verdict
    said: str = ""
    refused: bool = False


def check(
    explainer: Any,
    subject: Subject | nn.Module | str,
    images: Any,
    labels: Any = None,
    *,
    checks: str | Check | Iterable[str | Check] | None = None,
    profile: str | Profile = "quick",
    per_class: int | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    device: str = "auto",
    feed: str = AUTO,
    out: Path | str | None = None,
) -> dict[str, Judgement]:
    """Judge one explainer: raise where a claim fails, else return what was found.

    Parameters
    ----------
    explainer
        A name, a function (subject, images, targets) -> maps, or an explainer.
    subject, images, labels, profile, per_class, seed, classes, spec, device, feed, out
        As :func:`harness.evaluate` takes them.
    checks
        Names or families; by default those on which a rung of the ladder rests and that the images can answer.

    Returns
    -------
    dict
        One judgement a check over all images, by its name; "contract" comes first. None of them is a fail.

    Raises
    ------
    ClaimFailed
        Naming the clauses of the contract that are broken, or the claims that fail, a line each.
    UsageError
        Naming in one line what cannot be done and how to mend it.
    """
    chosen = explainers_of(explainer)
    if len(chosen) != 1:
        raise UsageError(
            f"{explainer!r} names {len(chosen)} explainers; harness.check judges one, harness.evaluate all"
        )
    request = asked(
        subject, images, labels, classes=classes, spec=spec, explainers=list(chosen), checks=checks,
        default="decides", profile=as_profile(profile, per_class), seed=seed, device=device, feed=feed,
    )  # fmt: skip
    run = made(request, out, command="harness.check")
    found = judgements(request, run, stays=out is not None)
    failed = [each.said for each in found.values() if each.verdict is Verdict.FAIL]
    if failed:
        __tracebackhide__ = True
        raise ClaimFailed("\n".join(failed))
    return {each.check: each for each in found.values()}


def judgements(request: Request, run: Run, *, stays: bool = True) -> dict[tuple[str, str], Judgement]:
    """Return what came of every check of a request's explainers, by explainer and check, the contract before others.

    Where the contract is broken, or an explainer cannot go on, nothing else is judged: one cause is one fail.
    """
    folder = RunFolder(run.path)
    gate = ContractGate(request.subject, request.faces, request.seed, prepared(request, RunFolder(run.path)).remembered)
    faults = {about.name: about.reason for about in run.record.explainers}
    found: list[Judgement] = []
    for explainer in request.explainers:
        owed = _contract(explainer, gate, faults[explainer.name])
        found.append(owed)
        if owed.verdict is Verdict.PASS:
            found += _claims(explainer.name, request.checks, folder, stays=stays)
        else:
            found += [
                Judgement(explainer.name, each.name, Verdict.NOT_APPLICABLE, f"not judged: {owed.said}", owed.refused)
                for each in request.checks
            ]
    return {(each.explainer, each.check): each for each in found}


def _contract(explainer: Explainer, gate: ContractGate, fault: str) -> Judgement:
    """Say whether an explainer keeps its contract, which includes that every image could be explained."""
    found = gate.examination(explainer)
    name = explainer.name
    if found.refusal:
        return Judgement(name, CONTRACT, Verdict.NOT_APPLICABLE, f"refuses: {found.reason}", refused=True)
    owed = contract_clauses()
    broken = [
        f"{name} breaks its contract: {clause}, {what} (owed: {owed[clause].claim})"
        for clause, what in found.broken.items()
    ]
    said = "\n".join(broken) or fault
    return Judgement(name, CONTRACT, Verdict.FAIL if said else Verdict.PASS, said)


def _claims(name: str, checks: Sequence[Check], folder: RunFolder, *, stays: bool) -> list[Judgement]:
    """Return what came of the checks of one explainer over all images; one that breaks down is a fail."""
    broken = {about.name: about.fault for about in folder.record.checks if about.fault}
    held = folder.verdicts
    mine = held[(held["explainer"] == name) & (held["class"] == EVERYTHING)].set_index("check", drop=False)
    rows: list[tuple[str, Any]] = [(check.name, mine.loc[check.name]) for check in checks if check.name in mine.index]
    return [
        Judgement(name, check, Verdict.FAIL, broken[check])
        if check in broken
        else _judgement(name, check, row, claims.said(folder, row, stays=stays))
        for check, row in rows
    ]


def _judgement(name: str, check: str, row: Any, line: str) -> Judgement:
    """Return one judgement."""
    verdict = Verdict(row["verdict"])
    if verdict in (Verdict.PASS, Verdict.FAIL):
        return Judgement(name, check, verdict, line)
    why = f"{verdict.value}: {row['reason']}"
    return Judgement(name, check, verdict, f"{why}; {line}" if row["n"] else why)
