"""Claims about the network's mistakes: removing what misled it turns the answer back."""

from collections.abc import Sequence

from harness.checks.base import EVERYTHING, Check, Evidence, Finding
from harness.checks.paired import PairedScores

_BY_IMAGE = PairedScores("turn-back-gain", "spectrum-null", by_class=False)
LEAST = 2
"""Misclassified images without which there is nothing to tell."""


def _turns_back(check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
    """Judge the misclassified images, or say why there are none to judge."""
    if evidence.matrix("confusion") is None:
        return [Finding(EVERYTHING, 0, reason="the images have no labels")]
    rows = evidence.scores
    wrong = rows.loc[(rows["label"] != rows["predicted"]) & (rows["explainer"] == explainer), "image"].nunique()
    if wrong < LEAST:
        return [Finding(EVERYTHING, 0, reason=f"{wrong} of the images are misclassified; {LEAST} are needed")]
    return _BY_IMAGE(check, evidence, explainer)


CHECKS = (
    Check(
        name="turn-back-spectrum",
        family="mistakes",
        claim=(
            "on misclassified images, removing the tenth of the pixels that speaks most for the predicted class and "
            "against the true one turns the answer back more than the same values and smoothness in random places"
        ),
        control="spectrum-null",
        margin=0.05,
        margin_reason=(
            "five points of the difference between two probabilities, a fortieth of the way from sure of one class to "
            "sure of the other: less than that turns no answer that was not about to turn"
        ),
        reference="after Samek et al. 2017 (removal) and Wang & Vasconcelos 2020 (contrast of two classes)",
        figure="figures/confusion.png",
        needs=frozenset({"mistakes"}),
        judge=_turns_back,
    ),
)
