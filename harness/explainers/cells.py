"""The exact game itself as an explainer: at its resolution the one map that needs no belief."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int
from torch import Tensor

from harness.digest import image_keys
from harness.explainers._passes import remembered
from harness.explainers.base import explainer
from harness.perturbation import BlurFill
from harness.subject import Subject
from harness.truth import ExactGames, Grid, shapley_values, true_maps, worths

FILL = BlurFill(0.2)
"""Beyond the blurs that judge (a tenth, an eighth of the side): light stays, features and outline go."""
SHIFT = 0.25
"""Grids that judge are moved by nothing and by half of a cell."""


@explainer(
    name="exact-cells",
    family="perturbation",
    reference="Shapley 1953",
    cost="about 1,060 forward, shared by all classes",
)
def exact_cells(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    side: int = 3,
    seed: int = 0,
) -> Float[np.ndarray, "n h w"]:
    """Return what each part of a picture is worth to the target: exact Shapley values of cells and, in them, of parts.

    The picture is cut in cells, and each cell in 2 x 2 parts. A cell's value is exact in the game of all coalitions of
    cells; its parts share it, and differ as they do in the game of the cell's parts, averaged over what the other cells
    do (present, absent, a random half and the other half). Worth is the logit less the mean of all logits. The map adds
    up to the worth of the picture less that of its blur. Cells and fill are not those that maps are judged by.

    Parameters
    ----------
    side
        Cells along each side.

    Raises
    ------
    UsageError
        Where the picture is too small.
    """
    grid, shape = Grid(side, side, SHIFT), images.shape[-2:]
    asked = [
        remembered(subject, partial(_exact_values, subject, image[None], grid, seed), "exact-cells", image, side, seed)
        for image in images
    ]
    cells, parts = (np.stack(found) for found in zip(*asked, strict=True))
    classes = targets.cpu().numpy()[:, None, None]
    return true_maps(
        [grid.labels(*shape)],
        [np.take_along_axis(cells, classes, axis=2)[..., 0]],
        grid.part_labels(*shape),
        np.take_along_axis(parts, classes, axis=2)[..., 0],
    )


def _exact_values(
    subject: Subject, image: Float[Tensor, "1 c h w"], grid: Grid, seed: int
) -> tuple[Float64[np.ndarray, "cells k"], Float64[np.ndarray, "parts k"]]:
    """Return what each cell, and each part within its cell, is worth to every class."""
    games = ExactGames((grid,), (("blur", FILL),))
    cells = worths(games.answers(subject, image, _kept_nowhere)[0, 0])
    within = worths(games.within(subject, image, image_keys(image), seed, _kept_nowhere)[0, 0])
    return shapley_values(cells)[0], shapley_values(within).reshape(grid.parts, -1)


def _kept_nowhere(what: tuple[object, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Keep nothing beside what is remembered of the subject."""
    return dict(make())
