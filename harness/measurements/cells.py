"""What the exact games over coalitions of cells say of a map: the truth, at a stated resolution, on any network.

Score rows, one for each image that the games are played on, the same ones for every explainer:

- ``settled-pairs``: variants map, spectrum-null, transplant-null, portrait; and each of them with ``within`` after its
  name (:func:`within`), where parts of one cell are compared and not cells.
- ``settled-pairs-size``: the same of absolute values, for maps that have no sign; the two are never compared.
- ``coalition-fit``: variants map, spectrum-null, transplant-null, portrait.
- ``settled-pairs-rival``, of the runner-up class's truth: variants map (asked for the runner-up) and predicted (the map
  of the predicted class).
- ``settled-pairs-contrast``, of the truth of the predicted class less that of the runner-up: variants map (the
  difference of both maps) and predicted (the map of the predicted class). Not of a network of two classes: what speaks
  for one speaks against the other, so that the difference is the predicted one's own truth twice.

Each has a gain (``settled-pairs-gain``, ...) with a row for every variant but the map's own: how much better the map
scores, paired by image. What depends on the network alone has rows without an explainer, see :func:`of_the_network`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int, Shaped

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import (
    MAP,
    PORTRAIT,
    SPECTRUM,
    TRANSPLANT,
    Attributions,
    Measured,
    score_rows,
)
from harness.measurements.scored import CONSTANT, rows_against_nulls, score_of_shifted
from harness.metrics.cards import card_of
from harness.metrics.cells import (
    additivity,
    coalition_fit,
    fill_recognition,
    settled_order,
    settled_pairs,
    settled_share,
)
from harness.metrics.score import Score
from harness.store import NOT_SCORABLE, SCORES, SILENT, joined
from harness.truth import coalitions
from harness.truth.games import Shared
from harness.truth.images import Games, Level, Truth

PREDICTED = "predicted"
"""Variant of the map of the predicted class where another class was asked about."""
CELLS, WITHIN = "cells", "within"
"""What is compared: cells, or parts of one cell. The second word follows the names of variants."""

NO_DIFFERENCE = f"{CONSTANT}, or one map for both classes"
SETTLED, SIZE, FIT = "settled-pairs", "settled-pairs-size", "coalition-fit"
RIVAL, CONTRAST = "settled-pairs-rival", "settled-pairs-contrast"


def within(variant: str) -> str:
    """Return what a variant is called where parts of one cell are compared.

    Examples
    --------
    >>> within("portrait")
    'portrait within'
    """
    return f"{variant} {WITHIN}"


@dataclass(frozen=True)
class Cells:
    """How much of what the games settle a map orders right, and how well its cells account for all coalitions.

    Attributes
    ----------
    games
        What is played.
    spectrum_draws
        Spectrum nulls an image; their scores are averaged.
    """

    games: Games
    spectrum_draws: int

    name = "cells"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the rows of settled pairs and of the fit, for the map, its null maps and its portrait."""
        few, lacking = attributions.some(self.games.per_class), self.games.lacking(attributions.case)
        if lacking:
            return _nothing(few.case, (SETTLED, SIZE, FIT), lacking)
        truth, maps = self.games.truth(attributions.case, attributions.shared), _variants(few, self.spectrum_draws)
        targets = truth.case.targets
        rows = against_nulls(few, FIT, maps, partial(_fit, truth))
        for metric, change in ((SETTLED, _signed), (SIZE, np.abs)):
            right = [Ordered.of(level, level.of(targets), change) for level in truth.cells]
            rows += against_nulls(few, metric, maps, partial(share_right, right), unsettled(right))
            deep = [Ordered.of(truth.parts, truth.parts.of(targets[truth.deep]), change)]
            inner = partial(_of_some, truth.deep, partial(share_right, deep))
            lost = np.full(len(targets), "", dtype=object)
            lost[truth.deep] = unsettled(deep)
            rows += [
                table.assign(variant=table["variant"].map(within))[
                    np.isin(table["image"], few.case.faces.ids[truth.deep])
                ]
                for table in against_nulls(few, metric, maps, inner, lost)
            ]
        return Measured(scores=joined(SCORES, rows))


@dataclass(frozen=True)
class CellsByClass:
    """Whether an explainer asked for another class orders that class's settled pairs right, and those of the contrast.

    The other class is each image's runner-up: the one that the network finds next likely, so that there is something
    in the picture for it.

    Attributes
    ----------
    games
        What is played.
    per_class
        Images of each class, at most those that are played on.
    """

    games: Games
    per_class: int

    name = "cells-by-class"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the rows of the runner-up's pairs and of the contrast's, by its own map and the predicted class's."""
        case, lacking = attributions.case, self.games.lacking(attributions.case)
        if len(case.subject.classes) < 2:
            return Measured()
        chosen = self.games.chosen(case)
        index = np.flatnonzero(np.isin(chosen, case.some(self.per_class)))
        few = case.take(chosen[index])
        kinds = (RIVAL, CONTRAST)[: len(case.subject.classes) - 1]
        if lacking:
            return _nothing(few, kinds, lacking)
        truth, rivals = self.games.truth(case, attributions.shared), few.runners_up
        by_target, by_rival = attributions.maps[chosen[index]], attributions.explain(few.images, rivals)
        levels = [level.take(index) for level in truth.cells]
        asked = {
            RIVAL: ([Ordered.of(level, level.of(rivals)) for level in levels], by_rival),
            CONTRAST: (
                [Ordered.of(level, level.of(few.targets) - level.of(rivals)) for level in levels],
                by_target - by_rival,
            ),
        }
        rows = []
        for metric in kinds:
            right, maps = asked[metric]
            own, predicted = (_unless_constant(each, share_right(right, each)) for each in (maps, by_target))
            lost = unsettled(right)
            reason = np.where(lost != "", lost, NO_DIFFERENCE)
            status = np.where(lost != "", NOT_SCORABLE, SILENT)
            rows += [
                score_rows(few, metric, MAP, own, reason, status),
                score_rows(few, metric, PREDICTED, predicted, reason, status),
                score_rows(few, Score(metric).gain, PREDICTED, own - predicted, reason, status),
            ]
        return Measured(scores=joined(SCORES, rows))


def of_the_network(games: Games, case: EvaluationSet, shared: Shared) -> Measured:
    """Return what the games say of the network and the fills, whoever explains.

    Rows without an explainer: ``settled-share`` (variants cells and within: the share of pairs that is settled, .5 or
    less for half of them to be anybody's guess), ``additivity`` (a variant a fill: the share of the answers to all
    coalitions that the best additive account explains, so what any map could tell), ``fill-recognition`` (a variant a
    fill: of the coalitions that keep at least half of the cells, the share that is still taken for the class of the
    whole picture; the nearer to 1, the less the fill takes the network away from what it knows, after the idea of
    Bluecher et al. 2024) and ``resolution`` (variants cells and within: the shorter side of a cell, or part, in pixels
    of the network's input).

    Parameters
    ----------
    games
        What is played.
    case
        All images.
    shared
        Keeps the answers.
    """
    if games.lacking(case):
        return Measured()
    truth = games.truth(case, shared)
    few, deep = truth.case, truth.case.take(truth.deep)
    side = min(games.games.grids[0].sides(*case.images.shape[-2:]))
    settled = np.stack([settled_share(Ordered.of(one, one.of(few.targets)).order) for one in truth.cells])
    inner = Ordered.of(truth.parts, truth.parts.of(deep.targets)).order
    rows = [
        _row_of_network(few, "settled-share", CELLS, settled.mean(axis=0)),
        _row_of_network(deep, "settled-share", WITHIN, settled_share(inner)),
        _row_of_network(few, "resolution", CELLS, np.full(len(few.targets), float(side))),
        _row_of_network(deep, "resolution", WITHIN, np.full(len(deep.targets), side / games.games.grids[0].split)),
    ]
    for number, (name, _) in enumerate(games.games.fills):
        additive = np.stack([additivity(table) for table in truth.worth[:, number]])
        rows.append(_row_of_network(few, "additivity", name, additive.mean(axis=0)))
        rows.append(_row_of_network(few, "fill-recognition", name, _recognised(truth.taken[:, number])))
    return Measured(scores=joined(SCORES, rows))


@dataclass(frozen=True)
class Ordered:
    """One level's pairs in the order that the truth has for one class an image.

    Attributes
    ----------
    level
        Cells and pairs.
    order
        As :func:`harness.metrics.cells.settled_order` gives it.
    change
        What is done to values, and to sums of a map, before they are compared: nothing, or the sign goes.
    """

    level: Level
    order: Int[np.ndarray, "n p"]
    change: Callable[[np.ndarray], np.ndarray]

    @staticmethod
    def of(
        level: Level, values: Float[np.ndarray, "fills n d"], change: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> "Ordered":
        """Return the pairs that `values` settle."""
        change = change or _signed
        return Ordered(level, settled_order(change(values), level.pairs), change)


def share_right(ordered: Sequence[Ordered], maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the share of settled pairs that maps order right, the pairs of all grids together."""
    shares = np.stack([settled_pairs(one.change(one.level.sums(maps)), one.order, one.level.pairs) for one in ordered])
    counts = np.stack([(one.order != 0).sum(axis=1) for one in ordered])
    total = counts.sum(axis=0)
    # A tie is half a pair: in halves, so that as many right pairs are the same share whatever the grid they lie on.
    right = np.rint(np.where(counts > 0, 2 * shares * counts, 0.0)).sum(axis=0) / 2
    found: np.ndarray = np.divide(right, total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def unsettled(ordered: Sequence[Ordered]) -> Shaped[np.ndarray, " n"]:
    """Say of each image of which no pair is settled on any grid that it cannot be scored, "" of the others."""
    settled = np.any([(one.order != 0).any(axis=1) for one in ordered], axis=0)
    return np.where(settled, "", card_of(SETTLED).undefined).astype(object)


def against_nulls(
    attributions: Attributions,
    metric: str,
    maps: Mapping[str, Sequence[Float[np.ndarray, "n h w"]]],
    score: Callable[[Float[np.ndarray, "n h w"]], Float[np.ndarray, " n"]],
    lacking: Shaped[np.ndarray, " n"] | None = None,
) -> list[pd.DataFrame]:
    """Return the rows of one score of every variant, averaged over its draws, and the gains over them.

    `lacking` says why an image cannot be scored whatever its map, "" where it can.
    """
    found = {
        name: score_of_shifted(score, drawn) if name == SPECTRUM else np.mean([score(each) for each in drawn], axis=0)
        for name, drawn in maps.items()
    }
    return rows_against_nulls(attributions, metric, found, lacking=lacking)


def _variants(attributions: Attributions, draws: int) -> dict[str, list[Float[np.ndarray, "n h w"]]]:
    """Return the map and what it is compared with, several draws of what is drawn."""
    return {
        MAP: [attributions.maps],
        SPECTRUM: list(attributions.spectrum_nulls(draws)),
        TRANSPLANT: [attributions.transplanted],
        PORTRAIT: [attributions.portraits],
    }


def _signed(values: np.ndarray) -> np.ndarray:
    """Leave the sign."""
    return values


def _of_some(
    index: Int[np.ndarray, " m"],
    score: Callable[[Float[np.ndarray, "m h w"]], Float[np.ndarray, " m"]],
    maps: Float[np.ndarray, "n h w"],
) -> Float64[np.ndarray, " n"]:
    """Return the scores of the images at `index`, NaN for the others."""
    found = np.full(len(maps), np.nan)
    found[index] = score(maps[index])
    return found


def _fit(truth: Truth, maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the mean fit over all grids and fills."""
    fits = [
        coalition_fit(level.sums(maps), table)
        for level, tables in zip(truth.cells, truth.worth, strict=True)
        for table in tables
    ]
    mean: np.ndarray = np.mean(fits, axis=0)
    return mean


def _recognised(taken: Float[np.ndarray, "grids n s"]) -> Float64[np.ndarray, " n"]:
    """Return the share of coalitions of at least half of the cells that are taken for the target."""
    held = coalitions(taken.shape[2].bit_length() - 1)
    large = 2 * held.sum(axis=1) >= held.shape[1]
    return fill_recognition(taken[:, :, large])


def _unless_constant(maps: Float[np.ndarray, "n h w"], scores: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the scores, NaN where the map is constant."""
    flat = maps.reshape(len(maps), -1)
    constant: Bool[np.ndarray, " n"] = flat.min(axis=1) == flat.max(axis=1)
    return np.where(constant, np.nan, scores)


def _row_of_network(case: EvaluationSet, metric: str, variant: str, values: Float[np.ndarray, " n"]) -> pd.DataFrame:
    """Return the rows of a number that hangs on no explainer."""
    return score_rows(case, metric, variant, values, "all answers are alike, or one is not finite")


def _nothing(case: EvaluationSet, metrics: Sequence[str], reason: str) -> Measured:
    """Return rows that say why nothing could be played."""
    missing = np.full(len(case.targets), np.nan)
    rows = [score_rows(case, metric, MAP, missing, reason, NOT_SCORABLE) for metric in metrics]
    return Measured(scores=joined(SCORES, rows))
