"""Claims held against networks that were built around the subject, whose exact attributions are known."""

from harness.checks.axioms import WhereClaimed
from harness.checks.base import Check
from harness.checks.paired import PairedScores

REFERENCE = "Zhou et al. 2022; Zhang et al. 2023 (AttributionLab); Hesse et al. 2023"

CHECKS = (
    Check(
        name="blind",
        family="constructed",
        claim="of the map's mass, less than half its share of the area lies where the network cannot look",
        control="the blind part's share of the area",
        margin=0.5,
        margin_reason=(
            "0 is exact and 1 is what a map has that knows nothing; half of that is nearer to knowing nothing than to "
            "exact"
        ),
        reference=REFERENCE,
        figure="figures/ladder.png",
        needs=frozenset({"blind"}),
        judge=PairedScores("blind-share", "map", by_class=False),
        at_most=True,
        rung=2,
    ),
    Check(
        name="tile-ranks",
        family="constructed",
        claim="the map's sums over the tiles of a mosaic rank as their exact signed contributions",
        control="the exact contributions",
        margin=0.6,
        margin_reason=(
            "the rank correlation of four tiles with both pairs of neighbours exchanged; below it, hardly a tile is in "
            "its place"
        ),
        reference=REFERENCE,
        figure="figures/ladder.png",
        needs=frozenset({"tiles"}),
        judge=PairedScores("tile-ranks", "map", by_class=False),
        rung=6,
    ),
    Check(
        name="tile-amounts",
        family="constructed",
        claim="the map gives each tile of a mosaic its exact amount, within a fifth of what is shared out",
        control="the exact contributions",
        margin=0.2,
        margin_reason=(
            "four tiles share out the whole, so that an error of a fifth is nearly what one of them has; paths of some "
            "dozen steps stay well below it"
        ),
        reference="Sundararajan et al. 2017 (completeness)",
        figure="figures/ladder.png",
        needs=frozenset({"tiles"}),
        judge=WhereClaimed("tile-amounts", by_class=False),
        at_most=True,
        rung=6,
    ),
    Check(
        name="dead-tile",
        family="constructed",
        claim="a tile of a mosaic that does not count gets less than its share of the map's mass",
        control="the tile's share of the area",
        margin=1.0,
        margin_reason="1 is the share of the area, which a map has that knows nothing",
        reference=REFERENCE,
        figure="figures/ladder.png",
        needs=frozenset({"tiles"}),
        judge=PairedScores("dead-tile-share", "map", by_class=False),
        at_most=True,
    ),
    Check(
        name="planted",
        family="constructed",
        claim="evidence planted on a patch stands out in the map, more than in the map without it",
        control="the same picture's map without the evidence",
        margin=0.1,
        margin_reason="a tenth of the area under the curve: less than that, nobody would see the patch come up",
        reference=REFERENCE,
        figure="figures/ladder.png",
        needs=frozenset({"planted"}),
        judge=PairedScores("planted-patch-gain", "unplanted", by_class=False),
        rung=7,
    ),
)
