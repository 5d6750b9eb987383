"""What the exact games say of the images of an evaluation set: asked once, and shared by all who use it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int

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
    answers
        The worth of each coalition for every class, on each grid and under each fill.
    cells
        Each grid's cells.
    parts
        The parts of the first grid's cells, of the images at `deep` alone.
    deep
        Images whose cells were played within.
    """

    case: EvaluationSet
    answers: Float[np.ndarray, "grids fills n s k"]
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
        games, shape = self.games, case.images.shape[-2:]
        few, deep = self._chosen(case)
        answers = worths(games.answers(few.subject, few.images, shared))
        cells = tuple(
            Level(grid.labels(*shape), pairs_of(grid.cells), _values(table))
            for grid, table in zip(games.grids, answers, strict=True)
        )
        deeper, first = few.take(deep), games.grids[0]
        inner = worths(games.within(few.subject, deeper.images, deeper.keys, case.seed, shared))
        values = _values(inner.reshape(inner.shape[0], -1, *inner.shape[3:]))
        parts = Level(
            first.part_labels(*shape),
            pairs_within(first.cells, first.split),
            values.reshape(*inner.shape[:2], first.parts, -1),
        )
        return Truth(few, answers, cells, parts, deep)

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

    def _chosen(self, case: EvaluationSet) -> tuple[EvaluationSet, Int[np.ndarray, " m"]]:
        """Return the images that are played on, and which of them are played within."""
        few = case.take(self.chosen(case))
        return few, np.flatnonzero(np.isin(self.chosen(case), case.some(self.within_per_class)))


def _values(worth: Float[np.ndarray, "fills n s k"]) -> Float64[np.ndarray, "fills n d k"]:
    """Return the Shapley values under each fill."""
    return np.stack([shapley_values(table) for table in worth])


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
