"""Taking regions away in the order of a map's relevance in them: patches, squares, segments, single pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Float64, Int

from harness.explainers._segments import SEGMENTS, segments_of
from harness.identity import content
from harness.measurements.base import Attributions, Measured
from harness.measurements.outputs import Filled, filled
from harness.measurements.scored import scored_against_nulls
from harness.metrics import faithfulness
from harness.perturbation import (
    Fill,
    MeanFill,
    NegativeFill,
    UniformFill,
    removal_order,
    removed_steps,
    step_fractions,
)
from harness.store import SCORES, joined

PATCHES = 6
"""Patches along each side: 8 x 8 pixels of a picture of 48 x 48, about an eye."""
REGION = 9
"""Pixels along each side of a region of Samek et al. 2017."""
MOST_REGIONS = 100
"""How many of them are taken away: there, the first sixth of a picture of 227 x 227. A small picture has fewer."""


@dataclass(frozen=True)
class Regions:
    """Regions taken away in a map's order, each metric with the regions and the fill of its paper.

    Selectivity removes patches of a grid (Montavon et al. 2018), AOPC turns regions of 9 x 9 pixels to noise (Samek et
    al. 2017), IROF sets segments to the picture's mean (Rieger & Hansen 2020), and pixel flipping turns single pixels
    to their negative (Bach et al. 2015). The network's answers depend on the order in which a map puts the regions, so
    that each map needs its own passes; the segments depend on the picture alone and are found once.

    Attributes
    ----------
    fill
        What stands where patches were removed: the paper of selectivity leaves it open.
    steps
        Steps of pixel flipping from nothing to every pixel.
    spectrum_draws
        Spectrum nulls an image.
    per_class
        Most images of each class: every region is a pass.
    """

    fill: Fill
    steps: int
    spectrum_draws: int
    per_class: int

    name = "regions"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores and their gains."""
        attributions = attributions.some(self.per_class)
        spec, shape = attributions.case.subject.spec, attributions.maps.shape
        ends = spec.shade(0.0), spec.shade(1.0)
        named = ("segments", SEGMENTS, content(segments_of).digest)
        segments = attributions.shared(named, partial(_segments, attributions))["segments"]
        filled_, noisy, plain, negative = (
            filled(attributions, fill) for fill in (self.fill, UniformFill(*ends), MeanFill(), NegativeFill(*ends))
        )
        patches, squares = grid_patches(shape), square_regions(shape)

        def selectivity(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            return faithfulness.selectivity(removed_by_region(filled_, maps, patches, region_sums)[1])

        def aopc(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            _, values = removed_by_region(noisy, maps, squares, region_sums, most=MOST_REGIONS)
            return faithfulness.aopc(values)

        def irof(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            return faithfulness.irof(*removed_by_region(plain, maps, segments, region_means))

        def pixel_flipping(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            return faithfulness.pixel_flipping(removed_by_pixel(negative, maps, self.steps))

        scores = {"selectivity": selectivity, "aopc": aopc, "irof": irof, "pixel-flipping": pixel_flipping}
        rows = scored_against_nulls(attributions, scores, self.spectrum_draws)
        return Measured(scores=joined(SCORES, rows))


def removed_by_pixel(prepared: Filled, maps: Float[np.ndarray, "n h w"], steps: int) -> Float64[np.ndarray, "n steps"]:
    """Return the target's probability as equal shares of pixels go, most relevant first, in `steps` steps."""
    case = prepared.case
    order = removal_order(maps, seed=case.seed, keys=case.keys)
    removed = removed_steps(order, step_fractions(steps), maps.shape[1:])
    between = [prepared.without(removed[:, step]).probability for step in range(1, steps)]
    return np.stack([prepared.whole.probability, *between, prepared.empty.probability], axis=1)


RegionScore = Callable[[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"]], Float64[np.ndarray, " regions"]]


def region_sums(values: Float[np.ndarray, "h w"], labels: Int[np.ndarray, "h w"]) -> Float64[np.ndarray, " regions"]:
    """Return the relevance of each region."""
    return np.bincount(labels.ravel(), weights=values.ravel())


def region_means(values: Float[np.ndarray, "h w"], labels: Int[np.ndarray, "h w"]) -> Float64[np.ndarray, " regions"]:
    """Return the mean relevance of each region's pixels."""
    return region_sums(values, labels) / np.bincount(labels.ravel())


def grid_patches(shape: tuple[int, ...]) -> Int[np.ndarray, "n h w"]:
    """Return each pixel's patch, the same for all n images."""
    _, h, w = shape
    return _crossed(shape, *(np.arange(side) * PATCHES // side for side in (h, w)))


def square_regions(shape: tuple[int, ...]) -> Int[np.ndarray, "n h w"]:
    """Return each pixel's region of 9 x 9 pixels, cut off at the right and lower edge, the same for all n images."""
    _, h, w = shape
    return _crossed(shape, *(np.arange(side) // REGION for side in (h, w)))


def _crossed(
    shape: tuple[int, ...], row: Int[np.ndarray, " h"], column: Int[np.ndarray, " w"]
) -> Int[np.ndarray, "n h w"]:
    """Return each pixel's region, numbered without gaps, from that of its row and of its column."""
    n, h, w = shape
    labels = np.unique(row[:, None] * (column.max() + 1) + column[None, :], return_inverse=True)[1].reshape(h, w)
    return np.repeat(labels[None], n, axis=0)


def removed_by_region(
    prepared: Filled,
    maps: Float[np.ndarray, "n h w"],
    labels: Int[np.ndarray, "n h w"],
    score: RegionScore,
    *,
    most: int | None = None,
) -> tuple[Float[np.ndarray, "n steps"], Float[np.ndarray, "n steps"]]:
    """Return the share of regions removed and the target's probability at each step, highest score first.

    Ties are broken by the set's seed. Images with fewer regions repeat their last point.

    Parameters
    ----------
    prepared
        The images and their fill.
    maps
        Signed relevance.
    labels
        Each pixel's region, numbered from 0 without gaps.
    score
        By which a map ranks regions.
    most
        How many regions are removed; None removes all.
    """
    case, counts = prepared.case, labels.max(axis=(1, 2)) + 1
    ranks = np.stack(
        [
            _ranks(score(values, mine), case.seed, case.keys[[image]])[mine]
            for image, (values, mine) in enumerate(zip(maps, labels, strict=True))
        ]
    )
    steps = np.arange((counts.max() if most is None else min(most, counts.max())) + 1)
    values = np.repeat(prepared.empty.probability[:, None], len(steps), axis=1)
    values[:, 0] = prepared.whole.probability
    for step in steps[1:]:
        # The last region of an image gone, everything is, and that was passed before.
        index = np.flatnonzero(counts > step)
        if len(index):
            values[index, step] = prepared.without_of(index, ranks < step).probability
    return np.minimum(steps, counts[:, None]) / counts[:, None], values


def _ranks(scores: Float64[np.ndarray, " k"], seed: int, key: Int[np.ndarray, " one"]) -> Int[np.ndarray, " k"]:
    """Return each region's place, 0 being the highest."""
    return np.argsort(removal_order(scores[None, None], seed=seed, keys=key)[0])


def _segments(attributions: Attributions) -> dict[str, np.ndarray]:
    """Return each picture's segments."""
    return {"segments": np.stack([segments_of(image) for image in attributions.case.images])}
