"""What is said of explainers once everything is measured: examinations, verdicts, the ladder. It asks no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.checks import Check, Evidence, Examination, barred, examined, judged, tried
from harness.checks.axioms import CHANGES
from harness.checks.cells import resolutions
from harness.checks.ladder import calibrated_ladder
from harness.containment import Limit
from harness.oracles.known import TRUTH, oracle_name
from harness.store import RunFolder


@dataclass(frozen=True)
class Decision:
    """What the evidence says.

    Attributes
    ----------
    verdicts, ladder
        See :data:`harness.store.VERDICTS` and :data:`harness.store.LADDER`.
    examinations
        Whether each metric tells truth from noise, by metric.
    broken
        Checks of somebody else that broke down, with the reason.
    """

    verdicts: pd.DataFrame
    ladder: pd.DataFrame
    examinations: Mapping[str, Examination]
    broken: Mapping[str, str]


def decided(
    evidence: Evidence,
    checks: Sequence[Check],
    families: Mapping[str, str],
    faults: Mapping[str, str],
    limit: Limit | None = None,
) -> Decision:
    """Judge every explainer by what was measured.

    Parameters
    ----------
    evidence
        Scores, and who is on the images.
    checks
        What is claimed.
    families
        The family of each explainer that is judged, by name.
    faults
        What each explainer that broke its contract did.
    limit
        Of a call of somebody else's check.
    """
    examinations = examined(evidence)
    evidence = evidence.barring(barred(examinations))
    whole, broken = tried(checks, evidence, list(families), limit)
    verdicts = judged(whole, evidence, list(families))
    pairs = zip(verdicts["explainer"], verdicts["reason"], strict=True)
    verdicts["reason"] = [faults.get(explainer, reason) for explainer, reason in pairs]
    table = calibrated_ladder(
        verdicts,
        {check.name: check.rung for check in checks if check.decides},
        explainers={name: faults.get(name, "") for name in families},
        classes=evidence.classes,
        resolutions=resolutions(checks, evidence.scores),
        elsewhere=set(evidence.scores.loc[evidence.scores["metric"].isin(CHANGES), "explainer"]),
        unasked=[(name, check.name) for check in whole for name in families if not check.concerns(evidence, name)],
        absent=set(evidence.classes) - set(evidence.scores["target"]),
        truths={oracle_name(0.0), oracle_name(0.0, TRUTH)} & set(families),
        nulls={name for name, family in families.items() if family == "control"},
    )
    return Decision(verdicts, table, examinations, broken)


def stored_evidence(run: RunFolder) -> Evidence:
    """Return what a run measured, as it was judged."""
    persons, blank, record = run.persons, run.blank, run.record
    return Evidence(
        run.scores,
        run.matrices,
        record.subject.judged or record.subject.classes,
        record.seed,
        persons=dict(zip(persons["image"], persons["person"], strict=True)),
        blank={str(name): frozenset(map(int, rows["image"])) for name, rows in blank.groupby("explainer")},
    )


def stored_families(run: RunFolder) -> dict[str, str]:
    """Return the family of each explainer of a run."""
    return {each.name: each.family for each in run.record.explainers}


def stored_faults(run: RunFolder) -> dict[str, str]:
    """Return what each explainer of a run that broke its contract did."""
    return {each.name: each.reason for each in run.record.explainers if each.status == "failed"}
