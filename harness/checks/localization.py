"""Claims that a map points at what is known to matter."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores


def _on_mark(null: str, what: str) -> Check:
    """Return the claim that a map finds the planted mark better than one of its null maps."""
    return Check(
        name=f"mark-{null.removesuffix('-null')}",
        family="localization",
        claim=f"more of the map's positive relevance lies on the planted mark than of {what}",
        control=null,
        margin=0.05,
        margin_reason="a twentieth of the relevance, three times what a patch of 36 of 2,304 pixels gets by chance",
        reference="Arras et al. 2022 (relevance mass); Adebayo et al. 2022 (planted shortcuts)",
        figure="figures/maps.png",
        needs=frozenset({"localization"}),
        judge=PairedScores("mass-on-mark-gain", null, own="mass-on-mark"),
        evidence="mark",
        rung=7,
    )


def _on_causes(null: str, what: str) -> Check:
    """Return the claim that a map ranks the pixels known to matter higher than one of its null maps does."""
    return Check(
        name=f"localization-{null.removesuffix('-null')}",
        family="localization",
        claim=f"a pixel known to matter is higher in the map than one that is not, more often than in {what}",
        control=null,
        margin=0.02,
        margin_reason="two points of the area under the curve (.5 is chance), as for removal curves",
        reference="Fawcett 2006 (area under the curve); Hesse et al. 2023 (causes from faces rendered again)",
        figure="figures/maps.png",
        needs=frozenset({"localization"}),
        judge=PairedScores("localization-gain", null),
        # The pixels that a change of expression moves hold edges: a map that knows nothing of the network finds them.
        evidence="counterfactuals",
    )


CHECKS = (
    _on_causes("spectrum-null", "the same values and smoothness in random places"),
    _on_causes("transplant-null", "the same explainer's map of another image of the class"),
    _on_mark("spectrum-null", "the same values and smoothness in random places"),
    _on_mark("transplant-null", "the same explainer's map of another image of the class"),
)
