"""IDSDS: rank correlation of what a map gives a patch with what deleting it alone does, deletion being in domain.

Hesse et al. 2024, Benchmarking the attribution quality of vision models.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from harness.statistics import spearman_rows
from harness.subject import Subject
from harness.truth import Grid, cell_sums

PATCHES = Grid(4, 4, split=1)
"""Sixteen patches, as in the paper."""

FILL = 0.0
"""What a deleted patch holds, in input units: the middle grey of networks that read -1 to 1."""

_LEFT_WHOLE = 0.5


@dataclass(frozen=True)
class Deletions:
    """What deleting each patch by itself does to a network's answers.

    Attributes
    ----------
    grid
        The patches.
    drops
        By how much each target's logit falls, (n, patches).
    whole, deleted
        Share of the images classified as `targets` say: whole, and over all images with one patch deleted.
    """

    grid: Grid
    drops: Float64[np.ndarray, "n d"]
    whole: float
    deleted: float


def deletions(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[np.ndarray, " n"], grid: Grid = PATCHES
) -> Deletions:
    """Return what deleting each patch does, one forward a patch and one for the whole image."""
    labels = torch.from_numpy(grid.labels(images.shape[2], images.shape[3])).to(images.device)
    rows = np.arange(len(images))
    answers = subject.logits(images).double().cpu().numpy()
    drops, right = [], []
    for patch in range(grid.cells):
        after = subject.logits(torch.where(labels == patch, FILL, images)).double().cpu().numpy()
        drops.append(answers[rows, targets] - after[rows, targets])
        right.append(after.argmax(1) == targets)
    whole = float((answers.argmax(1) == targets).mean())
    return Deletions(grid, np.stack(drops, axis=1), whole, float(np.mean(right)))


def idsds(maps: Float[np.ndarray, "n h w"], held: Deletions) -> Float64[np.ndarray, " n"]:
    """Return each map's rank correlation, in [-1, 1], of its sums over patches with the drops; higher is better.

    It is the single deletion score of whatever network the drops are of, and in domain where that network has learnt
    from images with one patch deleted. NaN where a map gives all patches the same, or deleting any does the same.

    Examples
    --------
    >>> maps = np.array([[[3.0, 1.0], [0.0, 2.0]]])
    >>> idsds(maps, Deletions(Grid(2, 2, split=1), np.array([[9.0, 2.0, 1.0, 4.0]]), 1.0, 1.0))
    array([1.])
    """
    labels = held.grid.labels(maps.shape[1], maps.shape[2])
    found: np.ndarray = spearman_rows(cell_sums(maps, labels, held.grid.cells), held.drops)
    return found


def deleted_one(images: Float[Tensor, "n c h w"], rng: torch.Generator, grid: Grid = PATCHES) -> Tensor:
    """Return images of which about half have one patch deleted, any with the same chance: what brings it in domain."""
    labels = torch.from_numpy(grid.labels(images.shape[2], images.shape[3]))
    patch = torch.randint(grid.cells, (len(images), 1, 1), generator=rng)
    changed = torch.rand(len(images), 1, 1, generator=rng) >= _LEFT_WHOLE
    return torch.where(((labels == patch) & changed)[:, None].to(images.device), FILL, images)
