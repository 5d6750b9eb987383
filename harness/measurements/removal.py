"""Taking pixels away in a map's order, and putting them back: one trajectory serves every removal metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from harness.measurements.base import (
    MAP,
    SEGMENT,
    SPECTRUM,
    TRANSPLANT,
    Attributions,
    Measured,
    curve_rows,
    score_rows,
)
from harness.measurements.outputs import Filled, Outputs, filled
from harness.measurements.scored import gained, rows_against_nulls
from harness.metrics import faithfulness
from harness.metrics.cards import card_of
from harness.metrics.score import Score
from harness.perturbation import (
    Fill,
    NoisyLinearFill,
    is_of_segments,
    removal_order,
    removed_steps,
    segment_null,
    step_fractions,
    value_areas,
)
from harness.store import CURVES, SCORES, joined


@dataclass(frozen=True)
class Trajectories:
    """What the network answers along the way from the whole image to the empty one and back, step by step.

    Attributes
    ----------
    fractions
        The share of pixels removed, or shown, at each step; the same seen from either end.
    deletion
        Pixels go, most relevant first. Backwards, pixels come, least relevant first.
    insertion
        Pixels come, most relevant first. Backwards, pixels go, least relevant first: what is shown first is what
        would be removed last, so the images are the same and no further pass is needed.
    """

    fractions: Float[np.ndarray, " steps"]
    deletion: Outputs
    insertion: Outputs

    @property
    def shares(self) -> Int[np.ndarray, " shares"]:
        """The steps after the first at which at most half of the pixels are removed, or kept."""
        half = max(0.5, float(self.fractions[1]))
        found: np.ndarray = np.flatnonzero((self.fractions > 0) & (self.fractions <= half))
        return found


@dataclass(frozen=True)
class Scored:
    """A metric of trajectories.

    Attributes
    ----------
    name
        As in its card.
    score
        From trajectories to one number an image.
    unit
        Which output it follows.
    stepwise
        Whether it cannot be taken of the mean trajectory of several null maps, because it looks at single steps.
    """

    name: str
    score: Callable[[Trajectories], Float[np.ndarray, " n"]]
    unit: str = "probability"
    stepwise: bool = False

    def taken(self, fill: str) -> Score:
        """Return which score it is with a fill, "" being the usual one, as the probability is the usual output."""
        return Score(self.name, "" if self.unit == "probability" else self.unit, fill)


def _deletion_auc(unit: str) -> Callable[[Trajectories], np.ndarray]:
    """Return deletion in one unit."""
    return lambda found: faithfulness.deletion_auc(found.fractions, getattr(found.deletion, unit))


def _insertion_auc(unit: str) -> Callable[[Trajectories], np.ndarray]:
    """Return insertion in one unit."""
    return lambda found: faithfulness.insertion_auc(found.fractions, getattr(found.insertion, unit))


def _srg(found: Trajectories) -> Float[np.ndarray, " n"]:
    """Set least relevant first, which is insertion backwards, beside most relevant first."""
    least_first = found.insertion.probability[:, ::-1]
    return faithfulness.symmetric_relevance_gain(found.fractions, least_first, found.deletion.probability)


def _comprehensiveness(found: Trajectories) -> Float[np.ndarray, " n"]:
    """Take the shares at the steps up to a half."""
    values = found.deletion.probability
    return faithfulness.comprehensiveness(values[:, 0], values[:, found.shares])


def _sufficiency(found: Trajectories) -> Float[np.ndarray, " n"]:
    """Take the shares at the steps up to a half."""
    return faithfulness.sufficiency(found.deletion.probability[:, 0], found.insertion.probability[:, found.shares])


def _monotonicity(found: Trajectories) -> Float[np.ndarray, " n"]:
    """Put pixels back, least relevant first, which is deletion backwards."""
    return faithfulness.monotonicity_arya(found.deletion.probability[:, ::-1])


BY_EVERY_FILL = (
    Scored("deletion-auc", _deletion_auc("probability")),
    Scored("insertion-auc", _insertion_auc("probability")),
    Scored("symmetric-relevance-gain", _srg),
)
"""What is measured with every fill, to see whether it is the fill that speaks."""

BY_ONE_FILL = (
    Scored("deletion-auc", _deletion_auc("logit"), unit="logit"),
    Scored("insertion-auc", _insertion_auc("logit"), unit="logit"),
    Scored("comprehensiveness", _comprehensiveness),
    Scored("sufficiency", _sufficiency),
    Scored("monotonicity-arya", _monotonicity, stepwise=True),
)
"""What else the same passes tell."""

NOT_OF_SEGMENTS = "constant map, or it is not made of segments"


@dataclass(frozen=True)
class Removal:
    """Deletion and insertion curves of a map and of its null maps, and all that is read from them.

    Deletion takes the most relevant pixels first and follows the target's probability; a faithful map makes it fall
    early. Insertion starts from the filled image and shows the most relevant pixels first; a faithful map makes it
    rise early (Petsiuk et al. 2018). The gain is how much better the map does than its own null, image by image.
    A map made of segments also meets the segment null: its own segments, their weights permuted.

    Attributes
    ----------
    fill
        What stands where pixels were removed.
    steps
        Steps from nothing to everything removed.
    spectrum_draws
        Spectrum nulls drawn an image, and segment nulls where a map has them; their curves are averaged.
    suffix
        Name of the fill where it is not the usual one: then the metrics that compare fills are measured alone, and
        carry the suffix.
    per_class
        Most images of each class; None takes all.
    """

    fill: Fill
    steps: int
    spectrum_draws: int
    suffix: str = ""
    per_class: int | None = None

    asks_again = False

    @property
    def name(self) -> str:
        """What checks ask for: removal, with the fill's name where it is not the usual one."""
        return f"removal-{self.suffix}" if self.suffix else "removal"

    @property
    def scored(self) -> tuple[Scored, ...]:
        """The metrics."""
        return BY_EVERY_FILL if self.suffix else BY_EVERY_FILL + BY_ONE_FILL

    def measure(self, attributions: Attributions) -> Measured:
        """Return areas, gains and curves for the map, the spectrum null and the transplant null."""
        attributions = attributions if self.per_class is None else attributions.some(self.per_class)
        prepared = filled(attributions, self.fill)
        draws = [self._trajectories(prepared, null) for null in attributions.spectrum_nulls(self.spectrum_draws)]
        variants = {
            MAP: self._trajectories(prepared, attributions.maps),
            SPECTRUM: _mean(draws),
            TRANSPLANT: self._trajectories(prepared, attributions.transplanted),
        }
        scores = []
        for metric in self.scored:
            found = {name: metric.score(trajectories) for name, trajectories in variants.items()}
            if metric.stepwise:
                found[SPECTRUM] = np.mean([metric.score(draw) for draw in draws], axis=0)
            scores += rows_against_nulls(attributions, metric.taken(self.suffix), found)
        if not self.suffix:
            scores += self._against_segments(attributions, prepared, variants[MAP])
        return Measured(scores=joined(SCORES, scores), curves=joined(CURVES, self._curves(attributions, variants)))

    def _trajectories(self, prepared: Filled, maps: Float[np.ndarray, "n h w"]) -> Trajectories:
        """Return the answers at each step of deletion and insertion."""
        case, fractions = prepared.case, step_fractions(self.steps)
        order = removal_order(maps, seed=case.seed, keys=case.keys)
        removed = removed_steps(order, fractions, maps.shape[1:])
        gone = [prepared.without(removed[:, step]) for step in range(1, self.steps)]
        # The pixels shown first are those that deletion removes first, so the ends of both curves are the same images.
        shown = [prepared.without(~removed[:, step]) for step in range(1, self.steps)]
        return Trajectories(
            fractions,
            deletion=Outputs.joined([prepared.whole, *gone, prepared.empty], _steps),
            insertion=Outputs.joined([prepared.empty, *shown, prepared.whole], _steps),
        )

    def _against_segments(self, attributions: Attributions, prepared: Filled, own: Trajectories) -> list[pd.DataFrame]:
        """Return the rows of deletion and insertion for the segment null, which few maps have."""
        case, index = attributions.case, np.flatnonzero(is_of_segments(attributions.maps))
        nulls = self._segment_trajectories(prepared, attributions.maps[index], index) if len(index) else None
        rows = []
        for metric in BY_EVERY_FILL[:2]:
            values = np.full(len(case.targets), np.nan)
            if nulls is not None:
                values[index] = metric.score(nulls)
            gains = gained(card_of(metric.name), metric.score(own), values)
            rows += [
                score_rows(case, metric.name, SEGMENT, values, NOT_OF_SEGMENTS),
                score_rows(case, metric.taken("").gain, SEGMENT, gains, NOT_OF_SEGMENTS),
            ]
        return rows

    def _segment_trajectories(
        self,
        prepared: Filled,
        maps: Float[np.ndarray, "m h w"],
        index: Int[np.ndarray, " m"],
    ) -> Trajectories:
        """Return the mean trajectories of the segment nulls of the maps of the images at `index`."""
        some, areas = prepared.take(index, self.fill), value_areas(maps)
        return _mean(
            [
                self._trajectories(some, segment_null(maps, areas, seed=some.case.seed + draw, keys=some.case.keys))
                for draw in range(self.spectrum_draws)
            ]
        )

    def _curves(self, attributions: Attributions, variants: Mapping[str, Trajectories]) -> list[pd.DataFrame]:
        """Return the curves of the probability."""
        case, everyone = attributions.case, np.arange(len(attributions.maps))
        return [
            curve_rows(
                case,
                f"{metric}-{self.suffix}" if self.suffix else metric,
                name,
                everyone,
                found.fractions,
                np.where(attributions.lacks(name)[:, None], np.nan, getattr(found, metric).probability),
            )
            for metric in ("deletion", "insertion")
            for name, found in variants.items()
        ]


@dataclass(frozen=True)
class Road:
    """How long an image is recognised while a map's best pixels are imputed away (Rong et al. 2022).

    Imputation solves for every removed pixel from its neighbours, so that the shape of what was removed tells little.

    Attributes
    ----------
    fill
        The imputation.
    steps
        Steps from nothing to everything removed.
    spectrum_draws
        Spectrum nulls an image.
    """

    fill: NoisyLinearFill
    steps: int
    spectrum_draws: int

    name = "road"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return ROAD and its gains, and for each variant whether an image is recognised at each step."""
        prepared, fractions = filled(attributions, self.fill), step_fractions(self.steps)
        draws = [self._recognised(prepared, null) for null in attributions.spectrum_nulls(self.spectrum_draws)]
        curves = {
            MAP: [self._recognised(prepared, attributions.maps)],
            SPECTRUM: draws,
            TRANSPLANT: [self._recognised(prepared, attributions.transplanted)],
        }
        found = {
            name: np.mean([faithfulness.road(fractions, one) for one in drawn], axis=0)
            for name, drawn in curves.items()
        }
        everyone = np.arange(len(attributions.maps))
        rows = [
            curve_rows(
                attributions.case,
                "road",
                name,
                everyone,
                fractions,
                np.where(attributions.lacks(name)[:, None], np.nan, np.mean(drawn, axis=0)),
            )
            for name, drawn in curves.items()
        ]
        scores = rows_against_nulls(attributions, "road", found)
        return Measured(scores=joined(SCORES, scores), curves=joined(CURVES, rows))

    def _recognised(self, prepared: Filled, maps: Float[np.ndarray, "n h w"]) -> np.ndarray:
        """Return whether each image is still taken for its class at each step."""
        case = prepared.case
        order = removal_order(maps, seed=case.seed, keys=case.keys)
        removed = removed_steps(order, step_fractions(self.steps), maps.shape[1:])
        gone = [prepared.without(removed[:, step]) for step in range(1, self.steps)]
        path = Outputs.joined([prepared.whole, *gone, prepared.empty], _steps)
        recognised: np.ndarray = path.recognised == 1
        return recognised


def _steps(values: list[np.ndarray]) -> Float[np.ndarray, "n steps"]:
    """Return answers of several steps as trajectories."""
    return np.stack(values, axis=1)


def _mean(found: list[Trajectories]) -> Trajectories:
    """Return the mean of several draws' trajectories."""

    def average(values: list[np.ndarray]) -> np.ndarray:
        mean: np.ndarray = np.mean(values, axis=0)
        return mean

    return replace(
        found[0],
        deletion=Outputs.joined([one.deletion for one in found], average),
        insertion=Outputs.joined([one.insertion for one in found], average),
    )
