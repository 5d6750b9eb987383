"""A check is a claim about an explainer; judging it gives findings, and findings together give verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.statistics import holm
from harness.store import VERDICTS, frame

ALPHA = 0.01
"""Level at which a claim passes, after Holm's correction within its family."""
CONFIDENCE = 0.99
"""Of the intervals, matched to ALPHA: a true effect beyond the margin is called a failure once in 200 claims."""
EVERYTHING = "all"
"""The class name of a finding over all images."""


class Verdict(StrEnum):
    """What is said of a claim."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Evidence:
    """All that was measured, from which checks judge.

    Attributes
    ----------
    scores, matrices
        As stored; see :mod:`harness.store`.
    classes
        The subject's classes, in order.
    seed
        For bootstrap resampling.
    """

    scores: pd.DataFrame
    matrices: pd.DataFrame
    classes: tuple[str, ...]
    seed: int

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """The scores of each explainer, metric and variant, indexed by image."""
        grouped = self.scores.groupby(["explainer", "metric", "variant"], sort=False)
        return {(str(e), str(m), str(v)): rows.set_index("image") for (e, m, v), rows in grouped}

    def of(self, explainer: str, metric: str, variant: str) -> pd.DataFrame:
        """Return one row an image, with columns `target` and `value` (null where undefined); empty if not measured."""
        empty = self.scores.iloc[:0].set_index("image")
        return self._by_key.get((explainer, metric, variant), empty)[["target", "value", "status", "reason"]]

    def matrix(self, name: str, explainer: str = "") -> Float[np.ndarray, "k k"] | None:
        """Return a class by class matrix in the order of the classes, or None if it was not measured."""
        held = self.matrices[(self.matrices["matrix"] == name) & (self.matrices["explainer"] == explainer)]
        if not len(held):
            return None
        square = held.pivot(index="row", columns="column", values="value")
        return square.reindex(index=list(self.classes), columns=list(self.classes)).to_numpy(np.float64)


@dataclass(frozen=True)
class Finding:
    """What the data say of one claim for one class, before claims are corrected for their number.

    Attributes
    ----------
    kind
        The class, or "all".
    n, undefined
        Images that the effect rests on, and images left out because a score is undefined.
    effect, low, high
        Estimate and interval, in the check's unit; null where there is none.
    p
        One-sided, against the claim's margin; null where the claim cannot be tested.
    settled_by
        Images that would settle it, where that can be said.
    reason
        Why it cannot be tested, or "".
    """

    kind: str
    n: int
    undefined: int = 0
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    settled_by: int | None = None
    reason: str = ""


Judge = Callable[["Check", Evidence, str], Sequence[Finding]]


@dataclass(frozen=True)
class Check:
    """A claim, and how it is judged.

    Attributes
    ----------
    name, family
        What the command line and tables call it; claims of one family are corrected together.
    claim
        One sentence with "the map" or "the explainer" as its subject.
    control
        What it is compared with.
    margin
        The least effect that counts (or, where `at_most`, the largest that is let pass).
    margin_reason
        Why the margin is what it is; it was set before any result was seen.
    reference
        The paper.
    figure
        Which figure of the run shows it.
    needs
        Measurements that it is judged by: removal, road, randomization, similarity, localization.
    judge
        Turns evidence into findings: one for all images, and one a class where classes can be judged.
    evidence
        Known evidence that the faces must have for the claim to mean anything, or "".
    at_most
        Whether the claim is that the effect stays below the margin, instead of exceeding it.
    """

    name: str
    family: str
    claim: str
    control: str
    margin: float
    margin_reason: str
    reference: str
    figure: str
    needs: frozenset[str]
    judge: Judge
    evidence: str = ""
    at_most: bool = False

    def decide(self, finding: Finding, p_adjusted: float) -> tuple[Verdict, str]:
        """Return the verdict of one finding and its reason in words."""
        if np.isnan(finding.p):
            return Verdict.NOT_APPLICABLE, finding.reason
        sign = -1.0 if self.at_most else 1.0
        if p_adjusted < ALPHA and sign * finding.effect > sign * self.margin:
            return Verdict.PASS, ""
        wrong_side = finding.low > self.margin if self.at_most else finding.high < self.margin
        if wrong_side:
            side = "above" if self.at_most else "below"
            return Verdict.FAIL, f"the whole interval lies {side} the margin of {self.margin:g}"
        return Verdict.INCONCLUSIVE, _what_would_settle(finding, self.margin, p_adjusted)


def _what_would_settle(finding: Finding, margin: float, p_adjusted: float) -> str:
    """Say why nothing can be said yet, and what would change that."""
    said = f"adjusted p = {p_adjusted:.2g}"
    if finding.low <= margin <= finding.high:
        said += " and the interval holds the margin"
    if finding.settled_by is None:
        return said
    if finding.settled_by > finding.n:
        return f"{said}; about {finding.settled_by} images would settle it"
    return f"{said}; a few more images than {finding.n} would settle it"


def judged(checks: Sequence[Check], evidence: Evidence, explainers: Sequence[str]) -> pd.DataFrame:
    """Return the verdict table: every check of every explainer, for all images and for each class.

    Holm's correction runs over all claims of a family, every explainer and class included. Families are corrected
    apart: an exact test over 5,040 relabellings cannot go below p = .0002, and no such claim could ever pass beside a
    few hundred paired ones.
    """
    rows: list[Mapping[str, object]] = []
    for family in dict.fromkeys(check.family for check in checks):
        found = [
            (name, check, finding)
            for check in checks
            if check.family == family
            for name in explainers
            for finding in check.judge(check, evidence, name)
        ]
        adjusted = holm(np.array([finding.p for _, _, finding in found], dtype=np.float64))
        rows += [
            _row(name, check, finding, p_adjusted)
            for (name, check, finding), p_adjusted in zip(found, adjusted, strict=True)
        ]
    return frame(VERDICTS, [dict(row) for row in rows])


def _row(explainer: str, check: Check, finding: Finding, p_adjusted: float) -> Mapping[str, object]:
    """Return one row of the verdict table."""
    verdict, reason = check.decide(finding, float(p_adjusted))
    return {
        "explainer": explainer,
        "check": check.name,
        "family": check.family,
        "control": check.control,
        "class": finding.kind,
        "n": finding.n,
        "undefined": finding.undefined,
        "effect": finding.effect,
        "low": finding.low,
        "high": finding.high,
        "margin": check.margin,
        "p": finding.p,
        "p_adjusted": p_adjusted,
        "verdict": verdict.value,
        "reason": reason,
    }
