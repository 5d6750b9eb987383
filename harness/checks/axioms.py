"""Claims that an explainer keeps the axioms that it is built on."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks.base import EVERYTHING, Check, Evidence, Finding
from harness.checks.paired import PairedScores


@dataclass(frozen=True)
class WhereClaimed:
    """Judges an axiom of the explainers that claim it; the others have no scores of it.

    Attributes
    ----------
    axiom
        As its metric is called.
    """

    axiom: str

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the findings of the axiom's scores."""
        if not len(evidence.of(explainer, self.axiom, "map")):
            return [Finding(EVERYTHING, 0, reason=f"does not claim {self.axiom}")]
        return PairedScores(self.axiom, "map")(check, evidence, explainer)


CHECKS = (
    Check(
        name="completeness",
        family="axioms",
        claim="the map adds up to the fall of the target's logit from the image to the explainer's baseline",
        control="the logit's fall",
        margin=0.05,
        margin_reason=(
            "a path of 32 steps through a network of ReLUs is off by about one step, a thirtieth of the fall, where a "
            "slope breaks inside it; a twentieth leaves room for that, and no reader would miss it in a map"
        ),
        reference="Sundararajan et al. 2017 (completeness); Shrikumar et al. 2017 (summation to delta)",
        figure="figures/verdicts.png",
        needs=frozenset({"completeness"}),
        judge=WhereClaimed("completeness"),
        at_most=True,
    ),
)
