"""Whether the map looks the same once the network has forgotten what it learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from harness.measurements.base import Explained, Measured, curve_rows, score_rows
from harness.metrics.similarity import spearman_similarity
from harness.random_networks import layer_groups
from harness.store import CURVES, SCORES, joined

Similarity = Callable[[Float[np.ndarray, "n h w"], Float[np.ndarray, "n h w"]], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class ParameterRandomization:
    """Model parameter randomisation test, cascading from the output and full (Adebayo et al. 2018).

    The similarity of the map and the map of the randomised network is set beside the similarity of the map and the map
    of another image of the same class: a map that tells of the network is no more like its randomised self than that.
    Signed similarity is what is judged; a product with the input stays alike in absolute value whatever the network
    does (Sundararajan & Taly 2018), so the absolute one is measured too.

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

    def measure(self, explained: Explained) -> Measured:
        """Return similarities after full randomisation, their excess over the transplant null, and the cascade."""
        case, maps, donors = explained.case, explained.maps, explained.donors
        everyone, some = np.arange(len(maps)), case.some(self.cascade_per_class)
        groups = layer_groups(case.subject, self.stages)
        full = _maps_after(groups, self.draws, explained, everyone)
        between = [_maps_after(groups[:stage], self.draws, explained, some) for stage in range(1, len(groups))]
        scores, curves = [], []
        for suffix, similarity in (("", spearman_similarity), ("-absolute", _absolute_similarity)):
            alike = _mean_similarity(similarity, maps, full)
            null = np.where(donors < 0, np.nan, similarity(maps, maps[np.maximum(donors, 0)]))
            reason = "constant map"
            name = f"randomization-full{suffix}"
            scores += [
                score_rows(case, name, "map", alike, reason),
                score_rows(case, name, "transplant-null", null, f"{reason} or no other image of its class"),
                score_rows(case, f"{name}-excess", "transplant-null", alike - null, f"{reason} or no other image"),
            ]
            steps = [similarity(maps[some], maps[some])]
            steps += [_mean_similarity(similarity, maps[some], stage) for stage in between]
            steps.append(alike[some])
            xs = np.arange(len(groups) + 1, dtype=np.float64)
            level = np.repeat(null[some][:, None], len(xs), axis=1)
            cascade = f"randomization-cascade{suffix}"
            curves += [
                curve_rows(case, cascade, "map", some, xs, np.stack(steps, axis=1)),
                curve_rows(case, cascade, "transplant-null", some, xs, level),
            ]
        return Measured(scores=joined(SCORES, scores), curves=joined(CURVES, curves))


def _maps_after(
    groups: Sequence[Sequence[str]], draws: int, explained: Explained, index: Int[np.ndarray, " m"]
) -> list[Float[np.ndarray, "m h w"]]:
    """Return the maps of the images at `index` with these groups of layers random, one array a draw."""
    case, layers = explained.case, [name for group in groups for name in group]
    images, targets = case.images[torch.from_numpy(index)], case.targets[index]
    return [explained.explain(images, targets, explained.random_network(layers, draw)) for draw in range(draws)]


def _absolute_similarity(a: Float[np.ndarray, "n h w"], b: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return the rank correlation of absolute values."""
    return spearman_similarity(np.abs(a), np.abs(b))


def _mean_similarity(
    similarity: Similarity, maps: Float[np.ndarray, "n h w"], others: list[Float[np.ndarray, "n h w"]]
) -> Float[np.ndarray, " n"]:
    """Return the mean over draws of each map's similarity; undefined where any draw is."""
    mean: np.ndarray = np.mean([similarity(maps, other) for other in others], axis=0)
    return mean
