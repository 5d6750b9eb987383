"""Taking regions away in the order of a map's relevance in them: patches of a grid, and segments of the picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Float64, Int

from harness.digest import code_digest
from harness.explainers._segments import SEGMENTS, segments_of
from harness.measurements.base import Explained, Measured
from harness.measurements.outputs import Filled, filled
from harness.measurements.scored import scored_against_nulls
from harness.metrics import faithfulness
from harness.perturbation import Fill, removal_order
from harness.store import SCORES, joined

PATCHES = 6
"""Patches along each side: 8 x 8 pixels of a picture of 48 x 48, about an eye."""


@dataclass(frozen=True)
class Regions:
    """Selectivity over patches (Montavon et al. 2018) and IROF over segments (Rieger & Hansen 2020).

    The network's answers depend on the order in which a map puts the regions, so that each map needs its own passes;
    the segments depend on the picture alone and are found once.

    Attributes
    ----------
    fill
        What stands where regions were removed.
    spectrum_draws
        Spectrum nulls an image.
    per_class
        Most images of each class: every region is a pass.
    """

    fill: Fill
    spectrum_draws: int
    per_class: int

    name = "regions"
    asks_again = False

    def measure(self, explained: Explained) -> Measured:
        """Return both scores and their gains."""
        explained = explained.some(self.per_class)
        prepared = filled(explained, self.fill)
        patches = grid_patches(explained.maps.shape)
        named = ("segments", SEGMENTS, code_digest(segments_of))
        segments = explained.shared(named, partial(_segments, explained))["segments"]

        def selectivity(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            _, values = removed_by_region(prepared, maps, patches, region_sums)
            return faithfulness.selectivity(values)

        def irof(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
            return faithfulness.irof(*removed_by_region(prepared, maps, segments, region_means))

        rows = scored_against_nulls(explained, {"selectivity": selectivity, "irof": irof}, self.spectrum_draws)
        return Measured(scores=joined(SCORES, rows))


RegionScore = Callable[[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"]], Float64[np.ndarray, " regions"]]


def region_sums(values: Float[np.ndarray, "h w"], labels: Int[np.ndarray, "h w"]) -> Float64[np.ndarray, " regions"]:
    """Return the relevance of each region."""
    return np.bincount(labels.ravel(), weights=values.ravel())


def region_means(values: Float[np.ndarray, "h w"], labels: Int[np.ndarray, "h w"]) -> Float64[np.ndarray, " regions"]:
    """Return the mean relevance of each region's pixels."""
    return region_sums(values, labels) / np.bincount(labels.ravel())


def grid_patches(shape: tuple[int, ...]) -> Int[np.ndarray, "n h w"]:
    """Return each pixel's patch, the same for all n images."""
    n, h, w = shape
    row, column = (np.arange(side) * PATCHES // side for side in (h, w))
    labels = np.unique(row[:, None] * PATCHES + column[None, :], return_inverse=True)[1].reshape(h, w)
    return np.repeat(labels[None], n, axis=0)


def removed_by_region(
    prepared: Filled, maps: Float[np.ndarray, "n h w"], labels: Int[np.ndarray, "n h w"], score: RegionScore
) -> tuple[Float[np.ndarray, "n steps"], Float[np.ndarray, "n steps"]]:
    """Return the share of regions removed and the target's probability at each step, highest score first.

    Ties are broken by the case's seed. Images with fewer regions repeat their last point.

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
    """
    case, counts = prepared.case, labels.max(axis=(1, 2)) + 1
    ranks = np.stack(
        [
            _ranks(score(values, mine), case.seed, case.keys[[image]])[mine]
            for image, (values, mine) in enumerate(zip(maps, labels, strict=True))
        ]
    )
    steps = np.arange(counts.max() + 1)
    values = np.repeat(prepared.empty.probability[:, None], len(steps), axis=1)
    values[:, 0] = prepared.whole.probability
    for step in steps[1:-1]:
        # The last region of an image gone, everything is, and that was passed before.
        index = np.flatnonzero(counts > step)
        values[index, step] = prepared.without_of(index, ranks < step).probability
    return np.minimum(steps, counts[:, None]) / counts[:, None], values


def _ranks(scores: Float64[np.ndarray, " k"], seed: int, key: Int[np.ndarray, " one"]) -> Int[np.ndarray, " k"]:
    """Return each region's place, 0 being the highest."""
    return np.argsort(removal_order(scores[None, None], seed=seed, keys=key)[0])


def _segments(explained: Explained) -> dict[str, np.ndarray]:
    """Return each picture's segments."""
    return {"segments": np.stack([segments_of(image) for image in explained.case.images])}
