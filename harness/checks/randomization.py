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
        decides=not suffix,
    )


CHECKS = (
    _full("", "", "Adebayo et al. 2018; Binder et al. 2023"),
    _full("-absolute", "'s absolute value", "Adebayo et al. 2018; Sundararajan & Taly 2018"),
)
