"""What the exact games say of the images of an evaluation set: asked once, and shared by all who use it."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from harness.digest import digest
from harness.evaluation_set import EvaluationSet
from harness.truth import ExactGames, cell_sums, pairs_of, pairs_within, shapley_values, true_maps, worths
from harness.truth.games import Piece, Shared


@dataclass(frozen=True)
class Level:
    """One grid of cells, or of their parts, and what the game says of them.

    Attributes
    ----------
    labels
        The cell of each pixel.
    pairs
        The cells that are compared.
    values
        Shapley values of each cell for every class, under each fill.
    """

    labels: Int[np.ndarray, "h w"]
    pairs: Int[np.ndarray, "2 p"]
    values: Float[np.ndarray, "fills n d k"]

    def sums(self, maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n d"]:
        """Return what maps give each cell."""
        return cell_sums(maps, self.labels, self.values.shape[2])

    def take(self, index: Int[np.ndarray, " m"]) -> "Level":
        """Return the same of some of the images."""
        return replace(self, values=self.values[:, index])

    def of(self, classes: Int[np.ndarray, " n"]) -> Float[np.ndarray, "fills n d"]:
        """Return the values for one class an image."""
        return np.take_along_axis(self.values, classes[None, :, None, None], axis=3)[..., 0]


@dataclass(frozen=True)
class Truth:
    """What the games say of the images of an evaluation set.

    Attributes
    ----------
    case
        The images that were played on.
    worth
        Of each coalition for the image's target, on each grid and under each fill.
    taken
        Whether the coalition is taken for the target, 1 or 0: its logit is the largest, or the first of the largest.
        NaN where an answer is not finite.
    cells
        Each grid's cells.
    parts
        The parts of the first grid's cells, of the images at `deep` alone.
    deep
        Images whose cells were played within.
    """

    case: EvaluationSet
    worth: Float64[np.ndarray, "grids fills n s"]
    taken: Float[np.ndarray, "grids fills n s"]
    cells: tuple[Level, ...]
    parts: Level
    deep: Int[np.ndarray, " m"]


@dataclass(frozen=True)
class Games:
    """Which games are played, and on how many images; what they say serves every explainer.

    Attributes
    ----------
    games
        Grids and fills.
    per_class
        Images of each class.
    within_per_class
        Those of them whose cells are played within, at the resolution of their parts.
    """

    games: ExactGames
    per_class: int
    within_per_class: int

    def lacking(self, case: EvaluationSet) -> str:
        """Return why nothing can be played on an evaluation set, "" where it can."""
        return self.games.lacking(case.images)

    def chosen(self, case: EvaluationSet) -> Int[np.ndarray, " m"]:
        """Return the images of an evaluation set that are played on."""
        return case.some(self.per_class)

    def truth(self, case: EvaluationSet, shared: Shared) -> Truth:
        """Return what the games say, asking the network where that is not known yet.

        Parameters
        ----------
        case
            All images, of which :meth:`chosen` are played on.
        shared
            Keeps the answers.

        Raises
        ------
        UsageError
            Where the pictures are too small.
        """
        few, deep = self._chosen(case)
        which = digest(few.images, few.targets, few.keys, few.seed, deep)
        told = shared(("truth", self, which), lambda: self._told(few, deep, shared))
        shape, first = case.images.shape[-2:], self.games.grids[0]
        cells = tuple(
            Level(grid.labels(*shape), pairs_of(grid.cells), values)
            for grid, values in zip(self.games.grids, told["cells"], strict=True)
        )
        parts = Level(first.part_labels(*shape), pairs_within(first.cells, first.split), told["parts"])
        return Truth(few, told["worth"], told["taken"], cells, parts, deep)

    def pieces(self, case: EvaluationSet) -> list[Piece]:
        """Return what :meth:`truth` asks the network, piece by piece; nothing where it cannot be played."""
        if self.lacking(case):
            return []
        few, deep = self._chosen(case)
        deeper = few.take(deep)
        return [
            *self.games.pieces(few.subject, few.images),
            *self.games.pieces_within(few.subject, deeper.images, deeper.keys, case.seed),
        ]

    def _told(self, few: EvaluationSet, deep: Int[np.ndarray, " m"], shared: Shared) -> dict[str, np.ndarray]:
        """Return what the games say, reading the answers of a few images at a time: those of all would fill memory."""
        cells, worth, taken = self.games.read(few.subject, few.images, shared, partial(_of_cells, few.targets))
        inner = few.take(deep)
        (parts,) = self.games.read_within(few.subject, inner.images, inner.keys, few.seed, shared, _of_parts)
        return {"cells": cells, "worth": worth, "taken": taken, "parts": parts}

    def _chosen(self, case: EvaluationSet) -> tuple[EvaluationSet, Int[np.ndarray, " m"]]:
        """Return the images that are played on, and which of them are played within."""
        few = case.take(self.chosen(case))
        return few, np.flatnonzero(np.isin(self.chosen(case), case.some(self.within_per_class)))


def _of_cells(
    targets: Int[np.ndarray, " n"], answers: Float32[np.ndarray, "m s k"], which: slice
) -> tuple[np.ndarray, ...]:
    """Return what some images' games say: Shapley values of all classes, worths of the target, whether it is taken."""
    worth, classes = worths(answers), targets[which]
    of_target = np.take_along_axis(worth, classes[:, None, None], axis=2)[..., 0]
    taken = np.where(np.isfinite(worth).all(axis=2), worth.argmax(axis=2) == classes[:, None], np.nan)
    return shapley_values(worth), of_target, taken


def _of_parts(answers: Float32[np.ndarray, "m cells s k"], which: slice) -> tuple[np.ndarray, ...]:
    """Return the Shapley values of all parts for all classes."""
    images, _, coalitions, classes = answers.shape
    values = shapley_values(worths(answers).reshape(-1, coalitions, classes))
    return (values.reshape(images, -1, classes),)


def target_maps(truth: Truth) -> Float64[np.ndarray, "n h w"]:
    """Return the truth of each image's target as a map, the mean over fills of what each cell and part is worth.

    Its sums over the cells of every grid are their true values, so that it orders every settled pair right; within
    cells it follows the values of parts as far as that leaves room.
    """
    targets, deep = truth.case.targets, truth.deep
    inner = np.full((len(targets), truth.parts.values.shape[2]), np.nan)
    inner[deep] = truth.parts.of(targets[deep]).mean(axis=0)
    means = [level.of(targets).mean(axis=0) for level in truth.cells]
    return true_maps([level.labels for level in truth.cells], means, truth.parts.labels, inner)
