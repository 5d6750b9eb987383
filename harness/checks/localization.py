"""Claims that a map points at what is known to matter."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores

CHECKS = (
    Check(
        name="localization-mark",
        family="localization",
        claim="more of the map's positive relevance lies on the planted mark than of the same values in random places",
        control="spectrum-null",
        margin=0.05,
        margin_reason="a twentieth of the relevance, three times what a patch of 36 of 2,304 pixels gets by chance",
        reference="Arras et al. 2022 (relevance mass); Adebayo et al. 2022 (planted shortcuts)",
        figure="figures/maps.png",
        needs=frozenset({"localization"}),
        judge=PairedScores("mass-on-mark-gain", "spectrum-null"),
        evidence="mark",
    ),
)
