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


def _by_both_ends(null: str, what: str) -> Check:
    """Return the claim that removing least relevant first and most relevant first lie further apart than a null's."""
    return Check(
        name=f"srg-{null.removesuffix('-null')}",
        family="faithfulness",
        claim=(
            "removing the map's worst pixels first hurts the target less and its best first more, taken together, "
            f"than with {what}"
        ),
        control=null,
        margin=MARGIN,
        margin_reason=MARGIN_REASON,
        reference="Bluecher et al. 2024 (symmetric relevance gain)",
        figure="figures/deletion.png",
        needs=frozenset({"removal"}),
        judge=PairedScores("symmetric-relevance-gain-over-null", null),
    )


def _by_imputing(null: str, what: str) -> Check:
    """Return the claim that imputing a map's best pixels away makes images be taken for another class sooner."""
    return Check(
        name=f"road-{null.removesuffix('-null')}",
        family="faithfulness",
        claim=(
            "with removed pixels imputed from their neighbours, images are taken for another class sooner when the "
            f"map's best pixels go first than with {what}; over all images, since it is an accuracy"
        ),
        control=null,
        margin=0.02,
        margin_reason="two points of accuracy, averaged over the curve: tables of accuracies call less than that a tie",
        reference="Rong et al. 2022 (ROAD)",
        figure="figures/verdicts.png",
        needs=frozenset({"road"}),
        judge=PairedScores("road-gain", null, by_class=False),
    )


SEGMENTS = Check(
    name="deletion-segment",
    family="faithfulness",
    claim=f"{WHAT_HAPPENS['deletion']} than the same segments with their weights permuted",
    control="segment-null",
    margin=MARGIN,
    margin_reason=MARGIN_REASON,
    reference=REFERENCES["deletion"],
    figure="figures/deletion.png",
    needs=frozenset({"removal"}),
    judge=PairedScores("deletion-gain", "segment-null"),
)

NULLS = {
    "spectrum-null": "the same values and smoothness in random places",
    "transplant-null": "the same explainer's map of another image of the class",
}

CHECKS = (
    *(
        check
        for metric in ("deletion", "insertion")
        for check in (
            *(_against_null(metric, null, what) for null, what in NULLS.items()),
            _against_edges(metric),
        )
    ),
    *(_by_both_ends(null, what) for null, what in NULLS.items()),
    *(_by_imputing(null, what) for null, what in NULLS.items()),
    SEGMENTS,
)
