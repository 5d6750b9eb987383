"""Claims that a map weighs the parts of a face as the network does."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores


def _as_the_network(null: str, what: str) -> Check:
    """Return the claim that a map ranks the parts better than one of its null maps."""
    return Check(
        name=f"parts-{null.removesuffix('-null')}",
        family="parts",
        claim=f"the map's mass on the parts of a face ranks as their true effects, more closely than that of {what}",
        control=null,
        margin=0.1,
        margin_reason=(
            "a tenth of a rank correlation: with four parts that is one swap of neighbours (a step of .2) in every "
            "second face"
        ),
        reference="Hesse et al. 2023 (FunnyBirds: effects of parts put away); Spearman 1904",
        figure="figures/part-effects.png",
        needs=frozenset({"parts"}),
        judge=PairedScores("part-spearman-gain", null),
        evidence="counterfactuals",
        rung=7 if null == "spectrum-null" else 0,  # causes are common to a class: telling images apart is rung 5
    )


CHECKS = (
    _as_the_network("spectrum-null", "the same values and smoothness in random places"),
    _as_the_network("transplant-null", "the same explainer's map of another image of the class"),
)
