"""What a measurement is given, what it gives, and how its rows are made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from harness.evaluation_set import EvaluationSet
from harness.metrics.score import Score
from harness.perturbation import spectrum_null, transplant_pairs
from harness.store import CURVES, MATRICES, OK, SCORES, UNDEFINED, frame, joined
from harness.subject import Subject

MAP, SPECTRUM, TRANSPLANT = "map", "spectrum-null", "transplant-null"
"""Variants under which a score is stored: of the map itself, and of its two null maps."""
PORTRAIT = "portrait"
"""Variant of the explainer's mean map of the class's other images: what it says of every image of the class."""
SEGMENT = "segment-null"
"""Variant of a null map that only maps made of segments have."""

MapScore = Callable[[Float[np.ndarray, "n h w"]], Float[np.ndarray, " n"]]
"""``score(maps) -> one number an image``, NaN where undefined; map i is scored on image i of the set."""


@runtime_checkable
class Explain(Protocol):
    """One explainer, asked again."""

    def __call__(
        self,
        images: Float[Tensor, "m c h w"],
        targets: Int[np.ndarray, " m"],
        subject: Subject | None = None,
        seed: int | None = None,
    ) -> Float[np.ndarray, "m h w"]:
        """Return maps of any images and targets, under any network and seed (by default the set's), made once."""
        ...


def _nobody(images: Tensor, targets: np.ndarray, subject: Subject | None = None, seed: int | None = None) -> np.ndarray:
    """Stand in where there is no explainer to ask."""
    raise LookupError("these maps come from no explainer that could be asked again")


def _not_drawn(layers: Sequence[str], draw: int) -> Subject:
    """Stand in where no random network can be had."""
    raise LookupError("no random network was given")


@runtime_checkable
class Baselines(Protocol):
    """The pictures from which one explainer explains."""

    def __call__(
        self, images: Float[Tensor, "m c h w"], subject: Subject | None = None
    ) -> Iterable[Float[Tensor, "m c h w"]]:
        """Return them for some images, one set after another, under a subject (by default the set's)."""
        ...


def _no_baselines(images: Tensor, subject: Subject | None = None) -> Iterable[Tensor]:
    """Stand in where nothing is explained from a baseline."""
    return ()


def _made_anew(what: tuple[object, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Keep nothing."""
    return dict(make())


def are_constant(maps: Float[np.ndarray, "n h w"]) -> Bool[np.ndarray, " n"]:
    """Return which maps hold one value throughout and so have no order and no places."""
    flat = maps.reshape(len(maps), -1)
    same: np.ndarray = flat.min(axis=1) == flat.max(axis=1)
    return same


@dataclass(frozen=True)
class Attributions:
    """One explainer's maps of an evaluation set, and the ways to ask for more.

    Attributes
    ----------
    case
        The network and the images.
    maps
        Of the trained network, signed, (n, h, w).
    explain
        Asks the explainer again.
    random_network
        ``(layers, draw)`` -> the network with those layers drawn at random, the same for every explainer.
    shared
        ``(what, make)`` -> arrays that depend on the set alone, made once for all explainers by `make` and kept
        under `what`, which names them with every setting they depend on.
    axioms
        Axioms that the explainer claims.
    seeded
        Whether the explainer takes a seed.
    baselines
        The pictures from which it explains, where it claims completeness.
    """

    case: EvaluationSet
    maps: Float[np.ndarray, "n h w"]
    explain: Explain = _nobody
    random_network: Callable[[Sequence[str], int], Subject] = _not_drawn
    shared: Callable[[tuple[object, ...], Callable[[], Mapping[str, Any]]], dict[str, Any]] = _made_anew
    axioms: frozenset[str] = frozenset()
    seeded: bool = False
    baselines: Baselines = _no_baselines

    @cached_property
    def constant(self) -> Bool[np.ndarray, " n"]:
        """Which maps hold one value throughout and so have no order and no places."""
        return are_constant(self.maps)

    @cached_property
    def donors(self) -> Int[np.ndarray, " n"]:
        """The image of the class, of another person, whose map is transplanted; -1 where there is none."""
        pairs: np.ndarray = transplant_pairs(self.case.targets, seed=self.case.seed, persons=self.case.faces.persons)
        return pairs

    @cached_property
    def transplanted(self) -> Float[np.ndarray, "n h w"]:
        """Each image's donor's map; meaningless where there is no donor (see :meth:`lacks`)."""
        maps: np.ndarray = self.maps[self.donors]
        return maps

    @cached_property
    def others(self) -> Bool[np.ndarray, "n n"]:
        """Which images make each image's portrait: its class's, of other people where the class shows any."""
        targets, persons = self.case.targets, self.case.faces.persons
        of_class = (targets[:, None] == targets) & ~np.eye(len(targets), dtype=bool)
        strangers = of_class if persons is None else of_class & (persons[:, None] != persons)
        made_of: np.ndarray = np.where(strangers.any(axis=1, keepdims=True), strangers, of_class)
        return made_of

    @cached_property
    def portraits(self) -> Float[np.ndarray, "n h w"]:
        """The mean map of each image's class, the image left out; meaningless where it is alone (see :meth:`lacks`).

        Maps count alike: each is divided by the mean of its absolute values first, since one of large values would
        be the portrait by itself.
        """
        flat = self.maps.reshape(len(self.maps), -1).astype(np.float64)
        size = np.abs(flat).mean(axis=1, keepdims=True)
        alike = np.divide(flat, size, out=np.zeros_like(flat), where=size > 0)
        count = np.maximum(self.others.sum(axis=1, keepdims=True), 1)
        means: np.ndarray = self.others @ alike / count
        return means.reshape(self.maps.shape)

    def spectrum_nulls(self, draws: int) -> Iterator[Float[np.ndarray, "n h w"]]:
        """Yield `draws` sets of the maps' own values, equally smooth, in random places."""
        for draw in range(draws):
            yield spectrum_null(self.maps, seed=self.case.seed + draw, keys=self.case.keys)

    def some(self, per_class: int) -> "Attributions":
        """Return the same of at most `per_class` images of each explained class, for what is costly."""
        index = self.case.some(per_class)
        return replace(
            self,
            case=self.case.take(index),
            maps=self.maps[index],
            shared=lambda what, make: self.shared(("some", per_class, *what), make),
        )

    def alone(self, variant: str) -> Bool[np.ndarray, " n"]:
        """Return the images that have no variant whatever the maps are: there is no other image of their class."""
        found: np.ndarray = np.zeros(len(self.maps), bool)
        if variant == PORTRAIT:
            found = np.logical_not(self.others.any(axis=1))
        elif variant == TRANSPLANT:
            found = np.asarray(self.donors < 0, dtype=bool)
        return found

    def lacks(self, variant: str) -> Bool[np.ndarray, " n"]:
        """Return the images for which a variant means nothing: constant maps, and those without a donor."""
        lacking: np.ndarray = np.logical_or(self.constant, self.alone(variant))
        return np.logical_or(lacking, self.constant[self.donors]) if variant == TRANSPLANT else lacking


@dataclass(frozen=True)
class Measured:
    """Rows that one measurement of one explainer adds to a run."""

    scores: pd.DataFrame = field(default_factory=lambda: frame(SCORES))
    curves: pd.DataFrame = field(default_factory=lambda: frame(CURVES))
    matrices: pd.DataFrame = field(default_factory=lambda: frame(MATRICES))

    @staticmethod
    def joined(found: "Sequence[Measured]") -> "Measured":
        """Return the rows of several under each other."""
        return Measured(
            scores=joined(SCORES, [one.scores for one in found]),
            curves=joined(CURVES, [one.curves for one in found]),
            matrices=joined(MATRICES, [one.matrices for one in found]),
        )


@runtime_checkable
class Measurement(Protocol):
    """Turns one explainer's maps into rows; a frozen dataclass whose fields are its settings."""

    @property
    def name(self) -> str:
        """What a progress bar says, and what a check asks for in its `needs`."""
        ...

    @property
    def asks_again(self) -> bool:
        """Whether it asks the explainer for maps beside those of the trained network."""
        ...

    def measure(self, attributions: Attributions) -> Measured:
        """Return the rows."""
        ...


def score_rows(
    case: EvaluationSet,
    metric: str | Score,
    variant: str,
    values: Float[np.ndarray, " n"],
    reason: str | Shaped[np.ndarray, " n"],
    status: str | Shaped[np.ndarray, " n"] = UNDEFINED,
) -> pd.DataFrame:
    """Return one row an image; NaN becomes null with `status` and `reason`.

    A metric given by its name is its usual score.
    """
    undefined = np.isnan(values)
    classes = np.array(case.subject.classes)
    return frame(
        SCORES,
        {
            "explainer": "",
            **vars(Score.of(metric)),
            "variant": variant,
            "image": case.faces.ids,
            "label": case.label_names,
            "predicted": classes[case.probabilities.argmax(1)],
            "target": case.target_names,
            "value": values,
            "status": np.where(undefined, status, OK),
            "reason": np.where(undefined, reason, ""),
        },
    )


def curve_rows(
    case: EvaluationSet,
    metric: str,
    variant: str,
    index: Int[np.ndarray, " m"],
    xs: Float[np.ndarray, " s"],
    values: Float[np.ndarray, "m s"],
) -> pd.DataFrame:
    """Return one row a point for the images at `index`."""
    return frame(
        CURVES,
        {
            "explainer": "",
            "metric": metric,
            "variant": variant,
            "image": np.repeat(case.faces.ids[index], len(xs)),
            "target": np.repeat(case.target_names[index], len(xs)),
            "x": np.tile(xs, len(index)),
            "value": values.ravel(),
        },
    )


def matrix_rows(classes: tuple[str, ...], matrix: str, values: Float[np.ndarray, "k k"]) -> pd.DataFrame:
    """Return one row a cell."""
    return frame(
        MATRICES,
        {
            "matrix": matrix,
            "explainer": "",
            "row": np.repeat(classes, len(classes)),
            "column": np.tile(classes, len(classes)),
            "value": values.ravel(),
        },
    )
