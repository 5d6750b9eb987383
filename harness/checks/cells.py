"""Claims held against the truth of cells: the exact game of the network's own answers, on any network and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from harness.checks.base import EVERYTHING, Check, Evidence, Finding
from harness.checks.correction import FINE
from harness.checks.paired import PairedScores

WITHIN = " within"
"""Ends the name of a variant where parts of one cell are compared, as scores have it."""
REFERENCE = "Shapley 1953, over the network's answers to all coalitions of cells"
CHANCE = 0.5
"""What a map has that orders no pair: it counts so where an explainer gives none."""
NOISE_MARGIN = 0.05
NOISE_REASON = (
    "one settled pair in twenty, one or two of the 36 that nine cells make: less than that, nobody who looks at the "
    "map could tell"
)
OWN_MARGIN = 0.02
OWN_REASON = (
    "one settled pair in fifty, less than one of the 36 that nine cells make: maps of one method share what it says of "
    "every picture, so that what is left to tell them apart is smaller than what tells it from noise"
)


def resolutions(checks: Sequence[Check], scores: pd.DataFrame) -> dict[str, int]:
    """Return the side, in pixels of the network's input, of the cells that each check looks at."""
    held = scores[scores["metric"] == "resolution"].groupby("variant")["value"].min()
    levels = {check.name: "within" if check.name.endswith(FINE) else "cells" for check in checks}
    shown = {check.name for check in checks if check.family == "cells" and check.rung == 3}
    return {name: int(held[level]) for name, level in levels.items() if name in shown and level in held.index}


RIVAL, CONTRAST = "settled-pairs-rival-gain", "settled-pairs-contrast-gain"


@dataclass(frozen=True)
class AmongSeveralClasses(PairedScores):
    """Judges the difference of two classes' maps, which is measured of networks of three classes and more.

    Of two, what speaks for one speaks against the other: the truth of their difference is twice that of the predicted
    class, which no map can tell better than the map of that class.
    """

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the findings; of a network of two classes one that says why there are none."""
        if not self.concerns(evidence, explainer) and RIVAL in evidence.measured:
            return [Finding(EVERYTHING, 0, reason="of two classes the difference is the predicted one's own truth")]
        return super().__call__(check, evidence, explainer)

    def concerns(self, evidence: Evidence, explainer: str) -> bool:
        """Return whether the difference was measured."""
        return self.metric in evidence.measured


def _claim(name: str, rung: int, claim: str, control: str, judge: PairedScores, *, own: bool) -> Check:
    """Return one claim about cells."""
    return Check(
        name=name,
        family="cells",
        claim=claim,
        control=control,
        margin=OWN_MARGIN if own else NOISE_MARGIN,
        margin_reason=OWN_REASON if own else NOISE_REASON,
        reference=REFERENCE,
        figure="figures/ladder.png",
        # Who answers what a small change would do, and not what counted, is known by what is measured of that.
        needs=frozenset({"cells-by-class" if "asked for" in claim else "cells", "small-changes"}),
        judge=judge,
        rung=rung,
    )


def _against_control(control: str, what: str) -> Check:
    """Return the claim that the map orders more pairs right than a control."""
    return _claim(
        f"cells-{control}",
        3,
        f"the map orders more of the settled pairs of cells right than {what}",
        control,
        PairedScores("settled-pairs", "map", against=control, blank=CHANCE),
        own=False,
    )


def _against_null(name: str, rung: int, null: str, what: str) -> Check:
    """Return the claim that the map orders more pairs right than one of its null maps."""
    return _claim(
        name,
        rung,
        f"the map orders more of the settled pairs of cells right than {what}",
        null,
        PairedScores("settled-pairs-gain", null),
        own=rung > 3,
    )


def _finer(check: Check) -> Check:
    """Return the same claim about the parts of each cell."""
    judge = check.judge
    assert isinstance(judge, PairedScores)
    return replace(
        check,
        name=f"{check.name}{FINE}",
        claim=check.claim.replace("pairs of cells", "pairs of parts of one cell"),
        judge=replace(judge, variant=judge.variant + WITHIN),
    )


COUNTED: Sequence[Check] = (
    _against_control("edges", "a Sobel filter does"),
    _against_control("centre", "the middle of the picture does"),
    _against_control("mean-face", "the mean picture of the class does"),
    _against_null("cells-scattered", 3, "spectrum-null", "the same values and smoothness in random places do"),
)

CHECKS = (
    *COUNTED,
    *(_finer(check) for check in COUNTED),
    _claim(
        "cells-rival",
        4,
        "asked for the class that the network finds next likely, the map orders more of that class's settled pairs "
        "right than the map of the predicted class does",
        "predicted",
        PairedScores(RIVAL, "predicted", by_class=False),
        own=True,
    ),
    _claim(
        "cells-contrast",
        4,
        "asked for both classes, the difference of the maps orders more settled pairs of the two classes' difference "
        "right than the map of the predicted class does",
        "predicted",
        AmongSeveralClasses(CONTRAST, "predicted", by_class=False),
        own=True,
    ),
    _against_null("cells-another", 5, "transplant-null", "the same explainer's map of another image of the class does"),
    _against_null("cells-portrait", 5, "portrait", "the mean of the explainer's maps of the class's other images does"),
)
