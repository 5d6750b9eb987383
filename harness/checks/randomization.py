"""Claims that a map depends on what the network learned."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores

MARGIN = 0.1
MARGIN_REASON = "a rank correlation of .1 is one per cent of shared variance: an eye does not see it in two maps"


def _full(suffix: str, how: str, reference: str) -> Check:
    """Return the claim about a fully randomised network."""
    return Check(
        name=f"randomization-full{suffix}",
        family="randomization",
        claim=(
            f"with every layer drawn at random the map{how} is no more like the original than the map of another "
            "image of the class is"
        ),
        control="transplant-null",
        margin=MARGIN,
        margin_reason=MARGIN_REASON,
        reference=reference,
        figure="figures/randomization-cascade.png",
        needs=frozenset({"randomization"}),
        judge=PairedScores(f"randomization-full{suffix}-excess", "transplant-null"),
        at_most=True,
    )


CEILING = 0.5
CHECKS = (
    Check(
        name="randomization-residual",
        family="randomization",
        claim=(
            "with every layer drawn at random, what the map shows beyond its class's mean map is no longer seen, nor "
            "its negative"
        ),
        control="the ceiling",
        margin=CEILING,
        margin_reason=(
            "a rank correlation of .5 is a quarter of shared variance, at which a reader begins to see one picture in "
            "two; maps as coarse as a dozen cells reach .3 by chance"
        ),
        reference="after Adebayo et al. 2018",
        figure="figures/randomization-cascade.png",
        needs=frozenset({"randomization"}),
        judge=PairedScores("randomization-residual", "map"),
        at_most=True,
        rung=2,
    ),
    _full("", "", "Adebayo et al. 2018; Binder et al. 2023"),
    _full("-absolute", "'s absolute value", "Adebayo et al. 2018; Sundararajan & Taly 2018"),
    Check(
        name="randomization-labels",
        family="randomization",
        claim=(
            "the map is no more like that of the same architecture trained on permuted labels than the map of another "
            "image of the class is"
        ),
        control="transplant-null",
        margin=MARGIN,
        margin_reason=MARGIN_REASON,
        reference="Adebayo et al. 2018 (data randomisation)",
        figure="figures/maps.png",
        needs=frozenset({"labels"}),
        judge=PairedScores("randomization-labels-excess", "transplant-null", by_class=False),
        at_most=True,
    ),
    Check(
        name="targets-differ",
        family="randomization",
        claim="the maps of the target and of the class that it is most confused with differ",
        control="the rival's map",
        margin=0.9,
        margin_reason=(
            "a rank correlation of .9 leaves a fifth of the variance to tell two classes apart; with less, both maps "
            "show a reader the same picture"
        ),
        reference="Sixt et al. 2020 (Random Logit)",
        figure="figures/maps.png",
        needs=frozenset({"targets"}),
        judge=PairedScores("random-logit-rival", "map", by_class=False),
        at_most=True,
    ),
    Check(
        name="targets-specific",
        family="randomization",
        claim=(
            "removing pixels in the order of the target's map lowers the target's probability sooner than in the order "
            "of the map of the class that it is most confused with"
        ),
        control="the rival's map",
        margin=0.02,
        margin_reason=(
            "two points of probability, averaged over the curve: less than that, nobody who reads the two curves could "
            "tell them apart"
        ),
        reference="after Sixt et al. 2020",
        figure="figures/maps.png",
        needs=frozenset({"targets"}),
        judge=PairedScores("target-specificity", "map", by_class=False),
    ),
)
