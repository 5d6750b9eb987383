"""Claims that an explainer keeps the axioms that it is built on."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks.base import EVERYTHING, Check, Evidence, Finding
from harness.checks.paired import PairedScores

CHANGES = ("small-changes", "small-changes-size")
"""Axioms of explainers that answer what a small change of the picture would do; who claims one claims nothing of what
counted."""


@dataclass(frozen=True)
class WhereClaimed:
    """Judges an axiom of the explainers that claim it; the others have no scores of it.

    Attributes
    ----------
    axiom
        As its metric is called.
    by_class
        Whether each class is judged too; see :class:`PairedScores`.
    """

    axiom: str
    by_class: bool = True

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the findings of the axiom's scores."""
        if not self.concerns(evidence, explainer):
            return [Finding(EVERYTHING, 0, reason=f"does not claim {self.axiom}")]
        return PairedScores(self.axiom, "map", by_class=self.by_class)(check, evidence, explainer)

    def concerns(self, evidence: Evidence, explainer: str) -> bool:
        """Return whether the explainer claims it."""
        return len(evidence.of(explainer, self.axiom, "map")) > 0


def _axiom(name: str, claim: str, control: str) -> Check:
    """Return the claim that an axiom holds."""
    return Check(
        name=name,
        family="axioms",
        claim=claim,
        control=control,
        margin=0.01,
        margin_reason=(
            "a hundredth of the map's length: single precision leaves far less through some dozens of layers, and no "
            "reader sees a hundredth"
        ),
        reference="Sundararajan et al. 2017",
        figure="figures/verdicts.png",
        needs=frozenset({"invariance"}),
        judge=WhereClaimed(name),
        at_most=True,
    )


def _changes(name: str, claim: str) -> Check:
    """Return the claim that the map says what a small change of each cell does."""
    return Check(
        name=name,
        family="axioms",
        claim=claim,
        control="one grey level more and less on each cell",
        margin=0.9,
        margin_reason=(
            "nine in ten of the pairs that a step tells clearly apart: a step of one grey level may cross a few kinks "
            "of the network, where the slope that a map shows ends"
        ),
        reference="Baehrens et al. 2010; Simonyan et al. 2013",
        figure="figures/verdicts.png",
        needs=frozenset({"small-changes"}),
        judge=WhereClaimed(name),
    )


CHECKS = (
    Check(
        name="completeness",
        family="axioms",
        claim="the map adds up to the fall of the target's logit from the image to the explainer's baseline",
        control="the logit's fall, averaged over images",
        margin=0.05,
        margin_reason=(
            "a path of 32 steps through a network of ReLUs is off by about one step, a thirtieth of the mean fall, "
            "where a slope breaks inside it; a twentieth leaves room for that, and no reader would miss it in a map"
        ),
        reference="Sundararajan et al. 2017 (completeness); Shrikumar et al. 2017 (summation to delta)",
        figure="figures/verdicts.png",
        needs=frozenset({"completeness"}),
        judge=WhereClaimed("completeness"),
        at_most=True,
    ),
    _axiom(
        "implementation-invariance",
        "the map is the same on a network of other weights that gives the same answers",
        "a network of equal answers",
    ),
    _axiom(
        "linearity",
        "the map on a weighted sum of two networks is the weighted sum of their maps",
        "the sum of two networks' maps",
    ),
    _changes(CHANGES[0], "the map orders cells by what a little more light on them does to the target's logit"),
    _changes(CHANGES[1], "the map orders cells by how much a small change of their pixels can do, either way"),
)
