"""How few cells of a picture suffice for the answer, taken in a map's order, by the games that are played anyway."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Float64

from harness.measurements.base import MAP, PORTRAIT, SPECTRUM, TRANSPLANT, Attributions, Measured, score_rows
from harness.measurements.cells import against_nulls
from harness.metrics.cells import minimal_subset
from harness.perturbation import removal_order
from harness.store import NOT_SCORABLE, SCORES, joined
from harness.truth.images import Games, Truth

NAME = "minimal-subset"


@dataclass(frozen=True)
class MinimalSubset:
    """The smallest share of cells that keeps the answer, the map's best cells first; the mean over grids and fills.

    Fills whose picture alone is taken for the class are left out. The answers are those of the exact games, so that
    no further pass is needed where these are played.

    Attributes
    ----------
    games
        What is played.
    spectrum_draws
        Spectrum nulls an image; scores are averaged over them.
    """

    games: Games
    spectrum_draws: int

    name = NAME
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the score and its gains over null maps and portrait."""
        few, lacking = attributions.some(self.games.per_class), self.games.lacking(attributions.case)
        if lacking:
            nothing = np.full(len(few.maps), np.nan)
            return Measured(scores=score_rows(few.case, NAME, MAP, nothing, lacking, NOT_SCORABLE))
        truth = self.games.truth(attributions.case, attributions.shared)
        maps = {
            MAP: [few.maps],
            SPECTRUM: list(few.spectrum_nulls(self.spectrum_draws)),
            TRANSPLANT: [few.transplanted],
            PORTRAIT: [few.portraits],
        }
        score = partial(_subsets, truth)
        return Measured(scores=joined(SCORES, against_nulls(few, NAME, maps, score)))


def _subsets(truth: Truth, maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the mean over the grids and fills under which there is a smallest subset."""
    found = []
    for level, tables in zip(truth.cells, truth.taken, strict=True):
        order = removal_order(level.sums(maps)[:, None, :], seed=truth.case.seed, keys=truth.case.keys)
        found += [minimal_subset(order, table) for table in tables]
    shares = np.stack(found)
    known = ~np.isnan(shares)
    count = known.sum(axis=0)
    mean: np.ndarray = np.divide(
        np.where(known, shares, 0.0).sum(axis=0), count, out=np.full(len(maps), np.nan), where=count > 0
    )
    return mean
