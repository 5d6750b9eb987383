"""Claims that a map holds where the prediction does, and does not hang on a draw."""

from harness.checks.base import Check
from harness.checks.paired import PairedScores

CHECKS = (
    Check(
        name="robustness-noise",
        family="robustness",
        claim=(
            "under noise that leaves the prediction as it was, the map moves less than it differs from the map of "
            "another image of the class"
        ),
        control="transplant-null",
        margin=0.1,
        margin_reason="a tenth of the map's own length: of less, an eye does not see which of two maps moved more",
        reference="Yeh et al. 2019; Alvarez-Melis & Jaakkola 2018",
        figure="figures/verdicts.png",
        needs=frozenset({"robustness"}),
        judge=PairedScores("average-sensitivity-gain", "transplant-null"),
    ),
    Check(
        name="seed-stability",
        family="robustness",
        claim="maps of one image that the explainer makes under two seeds rank the pixels alike",
        control="another seed",
        margin=0.9,
        margin_reason=(
            "a rank correlation of .9 leaves a fifth of the variance to the draw: with more, two people who run the "
            "same method read two maps"
        ),
        reference="Visani et al. 2022",
        figure="figures/verdicts.png",
        needs=frozenset({"seeds"}),
        judge=PairedScores("seed-stability", "map"),
    ),
)
