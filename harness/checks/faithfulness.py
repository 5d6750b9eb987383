"""Claims that the pixels a map points at are the pixels that the network uses."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores

MARGIN = 0.02
MARGIN_REASON = (
    "two points of probability, averaged over the curve: less than that, nobody who reads the two curves could tell "
    "them apart"
)
REFERENCES = {
    "deletion": "Petsiuk et al. 2018 (RISE); Samek et al. 2017",
    "insertion": "Petsiuk et al. 2018 (RISE)",
}
WHAT_HAPPENS = {
    "deletion": "removing the map's best pixels first lowers the target's probability sooner",
    "insertion": "showing the map's best pixels first raises the target's probability sooner",
}


def _against_null(metric: str, null: str, what: str) -> Check:
    """Return the claim that a map beats one of its null maps."""
    return Check(
        name=f"{metric}-{null.removesuffix('-null')}",
        family="faithfulness",
        claim=f"{WHAT_HAPPENS[metric]} than {what}",
        control=null,
        margin=MARGIN,
        margin_reason=MARGIN_REASON,
        reference=REFERENCES[metric],
        figure=f"figures/{metric}.png",
        needs=frozenset({"removal"}),
        judge=PairedScores(f"{metric}-gain", null),
    )


def _against_edges(metric: str) -> Check:
    """Return the claim that a map gains more over its own null than edges gain over theirs."""
    return Check(
        name=f"{metric}-edges",
        family="faithfulness",
        claim=f"by {metric} the map gains more over its spectrum null than edges gain over theirs",
        control="edges",
        margin=0.0,
        margin_reason="any gain beyond what an edge detector earns without reading the network counts",
        reference=REFERENCES[metric],
        figure=f"figures/{metric}.png",
        needs=frozenset({"removal"}),
        judge=PairedScores(f"{metric}-gain", "spectrum-null", against="edges"),
    )


CHECKS = tuple(
    check
    for metric in ("deletion", "insertion")
    for check in (
        _against_null(metric, "spectrum-null", "the same values and smoothness in random places"),
        _against_null(metric, "transplant-null", "the same explainer's map of another image of the class"),
        _against_edges(metric),
    )
)
