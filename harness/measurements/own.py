"""Anybody's metric: a plain function on arrays, scored on every map and on its null maps as the others are."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.containment import Limit
from harness.digest import digest
from harness.errors import MetricFault
from harness.identity import content
from harness.importing import has_signature
from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.measurements.contained import contained
from harness.measurements.localization import Known, main_evidence
from harness.measurements.scored import scored_against_nulls
from harness.metrics.cards import MetricCard
from harness.origin import said_origin
from harness.store import FAILED, NOT_SCORABLE, SCORES, joined

GIVEN: Mapping[str, Callable[[Attributions, Known | None], Any]] = {
    "images": lambda attributions, _: attributions.case.subject.spec.to_grey(attributions.case.images),
    "targets": lambda attributions, _: attributions.case.targets.copy(),
    "probabilities": lambda attributions, _: attributions.case.probabilities.copy(),
    "evidence": lambda _, known: None if known is None else known.pixels.copy(),
}
"""What a metric may ask for by the name of a parameter: grey pictures (n, h, w) from 0 to 1, explained classes (n,),
the network's answers (n, k), and which pixels are known to matter (n, h, w)."""
NO_EVIDENCE = "of these images it is not known which pixels matter"


@dataclass(frozen=True)
class OwnMetric:
    """A metric of somebody else, ``f(maps, ...) -> (n,)``, which needs no further pass of the network.

    Its first parameter is the maps (n, h, w), signed; further ones without a default are given by their names, see
    :data:`GIVEN`. A metric of the evidence is undefined for images of which none is known.

    Attributes
    ----------
    code
        Digest of the metric's name, code and settings.
    spectrum_draws
        Spectrum nulls drawn an image; their scores are averaged.
    card
        What is said of it.
    """

    code: str
    spectrum_draws: int
    card: MetricCard = field(repr=False)

    asks_again = False

    @staticmethod
    def of(card: MetricCard, spectrum_draws: int) -> "OwnMetric":
        """Return the measurement of a metric.

        Raises
        ------
        MetricFault
            Where its parameters ask for what is not given.
        """
        asked_for(card)
        facts = (card.name, repr(card.higher_is_better), repr((card.low, card.high)), card.undefined)
        return OwnMetric(digest(*facts, content(card.function).digest), spectrum_draws, card)

    @property
    def name(self) -> str:
        """What a check needs, and a progress bar says."""
        return measurement_of(self.card.name)

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores and the gains; where the metric breaks down, rows of status failed that say how."""
        try:
            return Measured(scores=joined(SCORES, self._rows(attributions)))
        except MetricFault as fault:
            nothing = np.full(len(attributions.maps), np.nan)
            return Measured(scores=score_rows(attributions.case, self.card.name, MAP, nothing, str(fault), FAILED))

    def _rows(self, attributions: Attributions) -> list[pd.DataFrame]:
        """Return the rows of the map and its null maps."""
        wanted = asked_for(self.card)
        known = main_evidence(attributions) if "evidence" in wanted else None
        if "evidence" in wanted and known is None:
            nothing = np.full(len(attributions.maps), np.nan)
            return [score_rows(attributions.case, self.card.name, MAP, nothing, NO_EVIDENCE, NOT_SCORABLE)]

        def score(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            given = {name: GIVEN[name](attributions, known) for name in wanted}
            return self._scored(maps, given, attributions.case.subject.limit)

        lacking = None if known is None else known.lacking
        return scored_against_nulls(attributions, {self.card.name: score}, self.spectrum_draws, lacking=lacking)

    def _scored(
        self, maps: Float[np.ndarray, "n h w"], given: Mapping[str, Any], limit: Limit
    ) -> Float[np.ndarray, " n"]:
        """Return one number a map, or say what the metric did instead."""
        called = f"metric {self.card.name!r} of {said_origin(self.card.origin)}"
        found: np.ndarray = contained(
            lambda: np.asarray(self.card.function(maps.copy(), **given)),
            limit,
            len(maps),
            called,
            MetricFault,
            self.name,
        )
        if found.shape != (len(maps),):
            raise MetricFault(f"{called} returned shape {found.shape}; return one number a map, ({len(maps)},)")
        if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool) or np.iscomplexobj(found):
            raise MetricFault(f"{called} returned {found.dtype} values; return real numbers, NaN where undefined")
        values = found.astype(np.float64)
        outside = np.flatnonzero(np.isinf(values) | (values < self.card.low) | (values > self.card.high))
        if len(outside):
            raise MetricFault(
                f"{called} returned {values[outside[0]]:g}, outside its range {self.card.low:g} to {self.card.high:g}; "
                "mend the metric or its range, and return NaN where it is undefined"
            )
        return values


def measurement_of(metric: str) -> str:
    """Return what the measurement of somebody's metric is called.

    Examples
    --------
    >>> measurement_of("share-on-bright")
    'metric share-on-bright'
    """
    return f"metric {metric}"


def asked_for(card: MetricCard) -> tuple[str, ...]:
    """Return what a metric asks for beside the maps, by the names of its parameters.

    Raises
    ------
    MetricFault
        Where it takes no maps, or asks for what is not given.
    """
    called = f"metric {card.name!r} of {said_origin(card.origin)}"
    if not has_signature(card.function):
        raise MetricFault(f"{called} takes nobody knows what; write f(maps, ...), maps of shape (n, h, w)")
    parameters = list(inspect.signature(card.function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        raise MetricFault(f"{called} takes no maps; write f(maps, ...), maps of shape (n, h, w)")
    wanted = [
        each.name
        for each in parameters[1:]
        if each.default is inspect.Parameter.empty
        and each.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    strange = [name for name in wanted if name not in GIVEN]
    if strange:
        raise MetricFault(
            f"{called} asks for {strange[0]!r}; beside the maps a metric may ask for {', '.join(GIVEN)}, and other "
            "parameters need a default"
        )
    return tuple(wanted)
