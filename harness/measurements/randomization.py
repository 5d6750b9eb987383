"""Whether the map looks the same once the network has forgotten what it learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, TRANSPLANT, Attributions, Measured, curve_rows, score_rows
from harness.metrics.cards import card_of
from harness.metrics.randomization import (
    efficient_mprt,
    mprt_average,
    mprt_last,
    repeated,
    residual_likeness,
    smooth_mprt,
)
from harness.metrics.score import Score
from harness.metrics.similarity import Similarity, absolute, hog_similarity, spearman_similarity, ssim_similarity
from harness.networks.random import layer_groups
from harness.store import CURVES, NOT_SCORABLE, SCORES, UNDEFINED, joined
from harness.subject import Subject
from harness.subject.channels import scaled_by_channel

SMALLEST = 8
"""Side of the smallest map that has structure to compare: SSIM's window is 7 pixels wide, HOG's cell 8."""


def _of_absolute(similarity: Similarity) -> Similarity:
    """Return the same similarity of magnitudes."""
    return lambda maps, others: similarity(absolute(maps), absolute(others))


RANKS: Mapping[str, Similarity] = MappingProxyType(
    {"": spearman_similarity, "-absolute": _of_absolute(spearman_similarity)}
)
"""What is drawn as curves, by the suffix of its name."""
SIMILARITIES: Mapping[str, Similarity] = MappingProxyType(
    {
        **RANKS,
        "-ssim": ssim_similarity,
        "-ssim-absolute": _of_absolute(ssim_similarity),
        "-hog": hog_similarity,
        "-hog-absolute": _of_absolute(hog_similarity),
    }
)
"""Every similarity that full randomisation is measured by; the first is judged, the others are shown."""


@dataclass(frozen=True)
class ParameterRandomization:
    """Model parameter randomisation test, cascading from the output and full (Adebayo et al. 2018).

    The similarity of the map and the map of the randomised network is set beside the similarity of the map and the map
    of another image of the same class: a map that tells of the network is no more like its randomised self than that.
    Signed similarity is what is judged; a product with the input stays alike in absolute value whatever the network
    does (Sundararajan & Taly 2018), so the absolute one is measured too, and so are SSIM and HOG.

    Attributes
    ----------
    stages
        Most groups of layers that the cascade goes through.
    draws
        Random networks; similarities are averaged over them.
    cascade_per_class
        Images of each class under which the cascade between its ends is measured.
    """

    stages: int
    draws: int
    cascade_per_class: int

    name = "randomization"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return similarities after full randomisation, their excess over the transplant null, and the cascade."""
        case, maps = attributions.case, attributions.maps
        everyone, some = np.arange(len(maps)), case.some(self.cascade_per_class)
        groups = layer_groups(case.subject, self.stages)
        full = _maps_after(_named(groups), self.draws, attributions, everyone)
        between = [_maps_after(_named(groups[:n]), self.draws, attributions, some) for n in range(1, len(groups))]
        scores, curves = [self._complexity(attributions, full), self._beyond_class(attributions, full)], []
        for suffix, similarity in SIMILARITIES.items():
            if min(maps.shape[1:]) < SMALLEST and suffix not in RANKS:
                continue
            alike, null = mean_similarity(similarity, maps, full), null_similarity(similarity, attributions)
            scores += excess_rows(case, f"randomization-full{suffix}", alike, null)
            if suffix in RANKS:
                steps = [mean_similarity(similarity, maps[some], stage) for stage in between] + [alike[some]]
                curves += _curve(attributions, f"randomization-cascade{suffix}", some, steps, null)
            if not suffix:
                average = mprt_average(np.stack(steps, axis=1))
                scores += excess_rows(case.take(some), "mprt-average", average, null[some])
                scores += excess_rows(case, "mprt-last", mprt_last(alike[:, None]), null)
        return Measured(scores=joined(SCORES, scores), curves=joined(CURVES, curves))

    def _complexity(self, attributions: Attributions, full: list[Float[np.ndarray, "n h w"]]) -> pd.DataFrame:
        """Return how much the map's complexity rises with every layer random."""
        rise = np.mean([efficient_mprt(attributions.maps, other) for other in full], axis=0)
        return score_rows(attributions.case, "efficient-mprt", MAP, rise, card_of("efficient-mprt").undefined)

    def _beyond_class(self, attributions: Attributions, full: list[Float[np.ndarray, "n h w"]]) -> pd.DataFrame:
        """Return how alike the map and its randomised self are beyond their class's mean maps."""
        targets = attributions.case.targets
        alike = [residual_likeness(attributions.maps, other, targets, spearman_similarity) for other in full]
        metric, few = "randomization-residual", repeated(targets)
        reason = np.where(few, "fewer than three images of its class", card_of(metric).undefined)
        status = np.where(few, NOT_SCORABLE, UNDEFINED)
        return score_rows(attributions.case, metric, MAP, np.mean(alike, axis=0), reason, status)


@dataclass(frozen=True)
class RandomizationOrders:
    """The same test with layers randomised from the input upwards, and each group of layers alone.

    The cascade from the output cannot say which layers a map depends on, because what is below a random layer is no
    longer heard. Curves, shown and not judged.

    Attributes
    ----------
    stages, draws, per_class
        As in :class:`ParameterRandomization`, whose maps serve here where they are the same.
    """

    stages: int
    draws: int
    per_class: int

    name = "randomization-orders"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return both curves, signed and absolute."""
        some, groups = attributions.case.some(self.per_class), layer_groups(attributions.case.subject, self.stages)
        upwards = [_maps_after(_named(groups[-n:]), self.draws, attributions, some) for n in range(1, len(groups))]
        everyone = np.arange(len(attributions.maps))
        upwards.append([maps[some] for maps in _maps_after(_named(groups), self.draws, attributions, everyone)])
        alone = [_maps_after(group, self.draws, attributions, some) for group in groups]
        curves = []
        for suffix, similarity in RANKS.items():
            null = null_similarity(similarity, attributions)
            for order, stages in (("bottom-up", upwards), ("independent", alone)):
                steps = [mean_similarity(similarity, attributions.maps[some], stage) for stage in stages]
                curves += _curve(attributions, f"randomization-{order}{suffix}", some, steps, null)
        return Measured(curves=joined(CURVES, curves))


@dataclass(frozen=True)
class SmoothRandomization:
    """Full randomisation of maps averaged over noisy copies of the image (Hedstroem et al. 2024).

    A gradient is ragged, and two ragged maps are unlike for that alone; their means over noise are not.

    Attributes
    ----------
    stages, draws
        As in :class:`ParameterRandomization`.
    per_class
        Images of each class.
    copies
        Noisy copies of an image.
    spread
        Standard deviation of the noise as a share of the range of values that a pixel can take, in each channel.
    """

    stages: int
    draws: int
    per_class: int
    copies: int
    spread: float = 0.1

    name = "smooth-randomization"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the similarity of the mean maps, and that of mean maps of two images of a class."""
        few = attributions.some(self.per_class)
        case, layers = few.case, _named(layer_groups(attributions.case.subject, self.stages))
        before = self._noisy_maps(few, None)
        after = [self._noisy_maps(few, few.random_network(layers, draw)) for draw in range(self.draws)]
        alike = np.mean([smooth_mprt(before, other, spearman_similarity) for other in after], axis=0)
        null = np.where(few.donors < 0, np.nan, smooth_mprt(before, before[few.donors], spearman_similarity))
        return Measured(scores=joined(SCORES, excess_rows(case, "smooth-mprt", alike, null)))

    def _noisy_maps(self, few: Attributions, subject: Subject | None) -> Float[np.ndarray, "n copies h w"]:
        """Return the maps of every image's noisy copies, the same copies under every network."""
        images, n = few.case.images, len(few.maps)
        shape = (self.copies, *images.shape[1:])
        drawn = [np.random.default_rng([few.case.seed, key]).standard_normal(shape) for key in few.case.keys]
        noise = scaled_by_channel(torch.from_numpy(np.stack(drawn)).to(images) * self.spread, few.case.subject.spec)
        noisy = (images[:, None] + noise).flatten(0, 1)
        maps = few.explain(noisy, np.repeat(few.case.targets, self.copies), subject)
        return maps.reshape(n, self.copies, *maps.shape[1:])


def excess_rows(
    case: EvaluationSet, name: str, alike: Float[np.ndarray, " n"], null: Float[np.ndarray, " n"], reason: str = ""
) -> list[pd.DataFrame]:
    """Return the rows of a similarity, of the same similarity to another image's map, and of what it is beyond that.

    Where nothing else is the `reason`, they are undefined for that of the metric's card.
    """
    reason = reason or card_of(name).undefined
    without = f"{reason}, or no other image of its class"
    return [
        score_rows(case, name, MAP, alike, reason),
        score_rows(case, name, TRANSPLANT, null, without),
        score_rows(case, Score(name).excess, TRANSPLANT, alike - null, without),
    ]


def null_similarity(similarity: Similarity, attributions: Attributions) -> Float[np.ndarray, " n"]:
    """Return how alike each map is to the map of another image of its class; NaN where there is none."""
    return np.where(attributions.donors < 0, np.nan, similarity(attributions.maps, attributions.transplanted))


def mean_similarity(
    similarity: Similarity, maps: Float[np.ndarray, "n h w"], others: Sequence[Float[np.ndarray, "n h w"]]
) -> Float[np.ndarray, " n"]:
    """Return the mean over draws of each map's similarity; undefined where any draw is."""
    mean: np.ndarray = np.mean([similarity(maps, other) for other in others], axis=0)
    return mean


def _curve(
    attributions: Attributions,
    name: str,
    some: Int[np.ndarray, " m"],
    steps: Sequence[Float[np.ndarray, " m"]],
    null: Float[np.ndarray, " n"],
) -> list[pd.DataFrame]:
    """Return the rows of a curve that begins at the trained network, and of its null's level all along it."""
    case, maps = attributions.case, attributions.maps[some]
    similarity = RANKS["-absolute" if name.endswith("-absolute") else ""]
    points = np.stack([similarity(maps, maps), *steps], axis=1)
    xs = np.arange(points.shape[1], dtype=np.float64)
    level = np.repeat(null[some][:, None], len(xs), axis=1)
    return [
        curve_rows(case, name, MAP, some, xs, points),
        curve_rows(case, name, TRANSPLANT, some, xs, level),
    ]


def _named(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return the layers of several groups."""
    return [name for group in groups for name in group]


def _maps_after(
    layers: Sequence[str], draws: int, attributions: Attributions, index: Int[np.ndarray, " m"]
) -> list[Float[np.ndarray, "m h w"]]:
    """Return the maps of the images at `index` with these layers random, one array a draw."""
    images, targets = attributions.case.images[torch.from_numpy(index)], attributions.case.targets[index]
    return [attributions.explain(images, targets, attributions.random_network(layers, draw)) for draw in range(draws)]
