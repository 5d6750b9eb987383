"""The game of a picture: its cells are the players, the network's answers to coalitions of them the worths.

A coalition is the picture with the cells outside it filled. What is stored are the logits themselves, of all classes.
The worth of class c is its logit less the mean of all logits (:func:`worths`): a network may add one number to all
logits without answering anything else, and that must not count for or against a cell. Worths are linear in the
logits, so the values of any contrast of classes follow from the same table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Shaped
from torch import Tensor

from harness.digest import digest
from harness.perturbation import Fill, Stream, generator
from harness.subject import Subject
from harness.truth.cells import Grid, parts_of
from harness.truth.values import coalitions

Game = Callable[[Bool[np.ndarray, "m d"]], Float[np.ndarray, "m k"]]
"""From coalitions to what they are worth for each class."""

Shared = Callable[[tuple[object, ...], Callable[[], Mapping[str, Any]]], dict[str, Any]]
"""``(what, make)`` -> arrays made once by `make` and kept under `what`, which names all that they depend on."""

Reading = Callable[[Float32[np.ndarray, "m s k"], slice], tuple[np.ndarray, ...]]
"""``(answers, which)`` -> what is read off the answers about some images, one row an image; `which` of all they are."""

BLOCK = 8
"""Images whose answers are kept together: what a stopped run loses at most."""
CONTEXTS = 4
"""What the other cells do while parts of one are played for."""
BATCHES = 4
"""Micro-batches whose pictures are made at a time."""


def worths(logits: Float[np.ndarray, "*batch k"]) -> Float64[np.ndarray, "*batch k"]:
    """Return what each answer is worth for each class: the logit less the mean of all logits.

    Examples
    --------
    >>> worths(np.array([[1.0, 2.0, 6.0]]))
    array([[-2., -1.,  3.]])
    """
    exact = logits.astype(np.float64)
    centred: np.ndarray = exact - exact.mean(axis=-1, keepdims=True)
    return centred


def filled_pictures(images: Float[Tensor, "n c h w"], fill: Fill) -> Float[Tensor, "n c h w"]:
    """Return the pictures that stand where everything is removed.

    A game takes removed pixels from there, so that what stands for a cell does not hang on which others are gone.
    """
    everything = np.ones((len(images), *images.shape[2:]), dtype=bool)
    return fill.prepare(images)(everything, 0)


def coalition_answers(
    subject: Subject,
    image: Float[Tensor, "c h w"],
    filled: Float[Tensor, "c h w"],
    labels: Int[np.ndarray, "h w"],
    kept: Bool[np.ndarray, "m d"],
) -> Float32[np.ndarray, "m k"]:
    """Return the network's logits for one picture of which only some cells are kept.

    Parameters
    ----------
    filled
        Takes the place of the cells that are not kept.
    labels
        The cell of each pixel, 0 to d - 1; negative where it belongs to none and is always kept.
    kept
        One coalition a row; equal rows are asked about once.
    """
    # A last player, kept always, stands for the pixels of no cell: their label of -1 finds it.
    distinct, place = np.unique(np.pad(kept, ((0, 0), (0, 1)), constant_values=True), axis=0, return_inverse=True)
    members = torch.from_numpy(distinct)
    where = torch.from_numpy(np.where(labels < 0, kept.shape[1], labels))
    answers = [
        subject.logits(torch.where(some[:, where][:, None].to(image.device), image, filled))
        for some in torch.split(members, BATCHES * subject.feed.forward_batch)
    ]
    found: np.ndarray = torch.cat(answers).float().cpu().numpy()[place.reshape(-1)]
    return found


def picture_game(
    subject: Subject, image: Float[Tensor, "c h w"], filled: Float[Tensor, "c h w"], labels: Int[np.ndarray, "h w"]
) -> Game:
    """Return the game of one picture: from coalitions of its cells to their worths for each class."""
    ask = partial(coalition_answers, subject, image, filled, labels)
    return lambda kept: worths(ask(kept))


@dataclass(frozen=True)
class ExactGames:
    """Every coalition of the cells of pictures, on several grids and under several fills.

    Attributes
    ----------
    grids
        All of the same number of cells.
    fills
        By name. Each gives the same pixel whatever else is removed.
    """

    grids: tuple[Grid, ...]
    fills: tuple[tuple[str, Fill], ...]

    def __post_init__(self) -> None:
        if not self.grids or not self.fills:
            raise ValueError("a game needs at least one grid and one fill")
        if len({(grid.rows, grid.columns, grid.split) for grid in self.grids}) > 1:
            raise ValueError("the grids of a game differ in their number of cells; give grids that differ by a shift")

    def lacking(self, images: Float[Tensor, "n c h w"]) -> str:
        """Return why pictures of this size cannot be cut so, "" where they can."""
        return self.grids[0].lacking(images.shape[-2], images.shape[-1])

    @property
    def passes(self) -> int:
        """Forward passes an image of :meth:`answers`."""
        return int(len(self.grids) * len(self.fills) * 2 ** self.grids[0].cells)

    def answers(
        self, subject: Subject, images: Float[Tensor, "n c h w"], shared: Shared
    ) -> Float32[np.ndarray, "grids fills n s k"]:
        """Return the logits of all coalitions of cells, on every grid and under every fill.

        They fill memory where there are many classes and images; :meth:`read` holds a few images' at a time.

        Parameters
        ----------
        shared
            Keeps the answers block by block.

        Raises
        ------
        UsageError
            Where the pictures are too small, or there are too many cells.
        """
        return self.read(subject, images, shared, _as_they_are)[0]

    def read(
        self, subject: Subject, images: Float[Tensor, "n c h w"], shared: Shared, reading: Reading
    ) -> tuple[Shaped[np.ndarray, "grids fills n ..."], ...]:
        """Return what `reading` makes of the logits of all coalitions of cells, on every grid and under every fill.

        Parameters
        ----------
        shared
            Keeps the answers block by block.
        reading
            Is given the answers of one block at a time.

        Raises
        ------
        UsageError
            Where the pictures are too small, or there are too many cells.
        """
        by_grid = [_read(each, shared, reading) for each in self._of_cells(subject, images)]
        return tuple(np.stack(each) for each in zip(*by_grid, strict=True))

    def within(
        self, subject: Subject, images: Float[Tensor, "n c h w"], keys: Int[np.ndarray, " n"], seed: int, shared: Shared
    ) -> Float32[np.ndarray, "fills n cells s k"]:
        """Return the logits of all coalitions of each cell's parts, on the first grid, averaged over contexts.

        A context is what the other cells do: all present, all absent, a random half of them present, or the other
        half. The worth of parts is their mean worth over the four.

        Parameters
        ----------
        keys
            One integer an image, from which its halves are drawn, whatever stands beside it.
        seed
            Not negative.
        shared
            Keeps the answers block by block.

        Raises
        ------
        UsageError
            Where the pictures are too small, or a cell has too many parts.
        """
        return self.read_within(subject, images, keys, seed, shared, _as_they_are)[0]

    def read_within(
        self,
        subject: Subject,
        images: Float[Tensor, "n c h w"],
        keys: Int[np.ndarray, " n"],
        seed: int,
        shared: Shared,
        reading: Callable[[Float32[np.ndarray, "m cells s k"], slice], tuple[np.ndarray, ...]],
    ) -> tuple[Shaped[np.ndarray, "fills n ..."], ...]:
        """Return what `reading` makes of the logits that :meth:`within` gives, a few images at a time."""
        cells = self.grids[0].cells

        def over_contexts(answers: Float32[np.ndarray, "m s k"], which: slice) -> tuple[np.ndarray, ...]:
            apart = answers.reshape(len(answers), cells, -1, CONTEXTS, answers.shape[-1])
            return reading(apart.mean(axis=3), which)

        return _read(self._of_parts(subject, images, keys, seed), shared, over_contexts)

    def pieces(self, subject: Subject, images: Float[Tensor, "n c h w"]) -> list["Piece"]:
        """Return what :meth:`answers` asks, piece by piece."""
        return [piece for by_fill in self._of_cells(subject, images) for blocks in by_fill for piece in blocks]

    def pieces_within(
        self, subject: Subject, images: Float[Tensor, "n c h w"], keys: Int[np.ndarray, " n"], seed: int
    ) -> list["Piece"]:
        """Return what :meth:`within` asks, piece by piece."""
        return [piece for blocks in self._of_parts(subject, images, keys, seed) for piece in blocks]

    def _of_cells(self, subject: Subject, images: Tensor) -> list["ByFill"]:
        """Return the questions about cells, a grid each."""
        kept = coalitions(self.grids[0].cells)
        every = np.broadcast_to(kept, (len(images), *kept.shape))
        shape = images.shape[-2:]
        return [self._by_fill("cells", subject, images, grid, grid.labels(*shape), every) for grid in self.grids]

    def _of_parts(self, subject: Subject, images: Tensor, keys: Int[np.ndarray, " n"], seed: int) -> "ByFill":
        """Return the questions about parts of the first grid's cells."""
        grid = self.grids[0]
        kept = np.stack([_within_contexts(grid, generator(seed, Stream.CONTEXTS, key)) for key in keys])
        labels = grid.part_labels(*images.shape[-2:])
        return self._by_fill("within", subject, images, grid, labels, kept.reshape(len(kept), -1, grid.parts))

    def _by_fill(
        self,
        what: str,
        subject: Subject,
        images: Tensor,
        grid: Grid,
        labels: Int[np.ndarray, "h w"],
        kept: Bool[np.ndarray, "n m d"],
    ) -> "ByFill":
        """Return the questions about the same coalitions under each fill, in blocks of images."""
        blocks = [slice(start, start + BLOCK) for start in range(0, len(images), BLOCK)]
        return [
            [
                Piece(
                    (what, grid, fill, digest(images[block], np.packbits(kept[block]))),
                    partial(_answered, subject, images[block], fill, labels, kept[block]),
                )
                for block in blocks
            ]
            for _, fill in self.fills
        ]


class Piece(NamedTuple):
    """The answers to all coalitions of a few images: what they are kept under, and what asks for them."""

    what: tuple[object, ...]
    make: Callable[[], Mapping[str, Any]]


ByFill = list[list[Piece]]
"""Pieces of consecutive images, under each fill."""


def _read(asked: ByFill, shared: Shared, reading: Reading) -> tuple[Shaped[np.ndarray, "fills n ..."], ...]:
    """Return what is read off the answers block by block, asking for those that are not kept yet."""
    by_fill = [_joined(_read_blocks(pieces, shared, reading)) for pieces in asked]
    return tuple(np.stack(each) for each in zip(*by_fill, strict=True))


def _read_blocks(pieces: Sequence[Piece], shared: Shared, reading: Reading) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield what is read off each block of consecutive images."""
    start = 0
    for piece in pieces:
        answers = shared(*piece)["answers"]
        yield reading(answers, slice(start, start + len(answers)))
        start += len(answers)


def _joined(blocks: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Return one array of all blocks for each thing that was read."""
    return tuple(np.concatenate(each) for each in zip(*blocks, strict=True))


def _as_they_are(answers: Float32[np.ndarray, "m ... k"], which: slice) -> tuple[np.ndarray, ...]:
    """Read off the answers themselves."""
    return (answers,)


def _answered(
    subject: Subject, images: Tensor, fill: Fill, labels: Int[np.ndarray, "h w"], kept: Bool[np.ndarray, "n m d"]
) -> dict[str, np.ndarray]:
    """Ask the network about the coalitions of some images."""
    pictures = zip(images, filled_pictures(images, fill), kept, strict=True)
    answers = [coalition_answers(subject, image, filled, labels, asked) for image, filled, asked in pictures]
    return {"answers": np.stack(answers)}


def _within_contexts(grid: Grid, source: np.random.Generator) -> Bool[np.ndarray, "cells s 4 parts"]:
    """Return which parts are kept in the games within all cells of one image: each coalition in four contexts."""
    inner, size = coalitions(grid.split**2), grid.split**2
    half = np.zeros(grid.cells, bool)
    half[source.permutation(grid.cells)[: grid.cells // 2]] = True
    contexts = np.stack([np.ones_like(half), np.zeros_like(half), half, ~half]).repeat(size, axis=1)
    kept = np.broadcast_to(contexts, (grid.cells, len(inner), *contexts.shape)).copy()
    for cell in range(grid.cells):
        kept[cell][..., parts_of(cell, grid.split)] = inner[:, None, :]
    return kept


def games_of(cells_per_side: int, grids: int, fills: Sequence[tuple[str, Fill]]) -> ExactGames:
    """Return the games on square grids that differ by equal shares of a cell."""
    shifts = [number / grids for number in range(grids)]
    return ExactGames(tuple(Grid(cells_per_side, cells_per_side, shift) for shift in shifts), tuple(fills))
