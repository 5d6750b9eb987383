"""Where a map looks when the image shows the class in two of its four quarters."""

from dataclasses import dataclass, replace

import numpy as np

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.measurements.scored import scored_against_nulls
from harness.metrics.localization import focus, mosaic_answer
from harness.perturbation import Mosaics, mosaics
from harness.store import SCORES, joined

FEW = "no second image of the class, or fewer than two of others"


@dataclass(frozen=True)
class Focus:
    """Share of positive relevance on the quarters of a mosaic that show the explained class (Arias-Duart et al. 2022).

    A map can focus no better than the network does, which was never shown a quarter: `mosaic-answer` says for each
    mosaic whether the network answers the explained class. Where it does so no oftener than by chance, focus says
    nothing of maps.

    Attributes
    ----------
    per_class
        Images of each class.
    spectrum_draws
        Spectrum nulls drawn a mosaic; their shares are averaged.
    """

    per_class: int
    spectrum_draws: int

    name = "focus"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the shares, the gains over the nulls, and the network's own answers."""
        some = attributions.some(self.per_class)
        case, made = some.case, _of(some.case)
        maps = some.explain(made.images, case.targets)
        rows = scored_against_nulls(
            replace(some, maps=maps),
            {"focus": lambda asked: np.where(made.undefined, np.nan, focus(asked, made.shown))},
            self.spectrum_draws,
            beside=(FEW,),
        )
        answered = some.shared(("mosaics",), lambda: {"right": _right(case, made)})["right"]
        answered = np.where(made.undefined, np.nan, answered)
        return Measured(scores=joined(SCORES, [*rows, score_rows(case, "mosaic-answer", MAP, answered, FEW)]))


def _of(case: EvaluationSet) -> Mosaics:
    """Return the set's mosaics."""
    return mosaics(case.images, case.targets, seed=case.seed, keys=case.keys)


def _right(case: EvaluationSet, made: Mosaics) -> np.ndarray:
    """Return 1 where the network answers a mosaic with the explained class, 0 elsewhere."""
    answers = case.subject.logits(made.images).argmax(1).cpu().numpy()
    return mosaic_answer(answers, case.targets)
