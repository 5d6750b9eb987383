"""Global sensitivity analysis: how the answer varies, and depends, when cells of the picture are hidden at random.

Cells lie on a grid; a hidden cell takes the image's own mean, a channel at a time. Designs of a seed serve every image
and are not those that metrics use. What is asked of the network is the same for every class.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from harness.explainers._passes import logits_at, remembered
from harness.explainers.base import explainer
from harness.perturbation.masks import grid_cells
from harness.subject import Subject


@explainer(
    name="sobol", family="perturbation", reference="Fel et al. 2021", cost="1,040 forward, shared by all classes"
)
def sobol(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    grid: int = 8,
    designs: int = 16,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the total Sobol index of each pixel's cell for the target logit, never negative.

    Cells are shown in part, by shares that are uniform and independent. The index is the share of the answer's variance
    that is left when all other cells are known: the cell's own and all interactions that it is part of. It is Jansen's
    estimate over a scrambled Sobol sequence, zero everywhere where the answer never changes.

    Parameters
    ----------
    grid
        Cells along each side.
    designs
        Points of the sequence, each asked as it is and with one cell drawn anew for every cell; powers of 2 are even.

    Raises
    ------
    ValueError
        Where the picture has fewer pixels a side than the grid cells.
    """
    cells = grid_cells((images.shape[-2], images.shape[-1]), grid)
    drawn = sobol_sequence(designs, 2 * grid**2, seed)
    shown = replicated(drawn[:, : grid**2], drawn[:, grid**2 :])
    answers = _answers(subject, images, shown, cells, "sobol")
    return _on_cells(images, targets, answers, cells, lambda y: total_indices(y.reshape(-1, designs)))


@explainer(
    name="hsic", family="perturbation", reference="Novello et al. 2022", cost="512 forward, shared by all classes"
)
def hsic(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    grid: int = 8,
    masks: int = 512,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return how much the target logit depends on whether each pixel's cell is shown, never negative.

    Each cell is shown in half of the masks, at random. Dependence is the Hilbert-Schmidt independence criterion of the
    cell and the logit, with the kernel that is 1/2 for equal and -1/2 for unequal states of the cell, and for logits a
    Gaussian one as wide as their median distance. Zero everywhere where the answer never changes.

    Parameters
    ----------
    grid
        Cells along each side.
    masks
        How many.

    Raises
    ------
    ValueError
        Where the picture has fewer pixels a side than the grid cells.
    """
    cells = grid_cells((images.shape[-2], images.shape[-1]), grid)
    # Each by itself: of an exact half, cells would depend on each other a little.
    shown = np.random.default_rng(seed % 2**63).random((masks, grid**2)) < 0.5
    answers = _answers(subject, images, shown.astype(np.float64), cells, "hsic")
    return _on_cells(images, targets, answers, cells, lambda y: dependences(shown, y))


def sobol_sequence(points: int, dimensions: int, seed: int) -> Float64[np.ndarray, "points dimensions"]:
    """Return the first points of a scrambled Sobol sequence, evenly spread in the unit cube."""
    engine = torch.quasirandom.SobolEngine(dimensions, True, seed % 2**63)  # type: ignore[no-untyped-call]
    found: Float64[np.ndarray, "points dimensions"] = engine.draw(points, dtype=torch.float64).numpy()
    return found


def replicated(
    first: Float64[np.ndarray, "designs cells"], second: Float64[np.ndarray, "designs cells"]
) -> Float64[np.ndarray, "rows cells"]:
    """Return the first design, and then for each cell the first design with that cell as in the second."""
    cells = first.shape[1]
    again = np.repeat(first[None], cells, axis=0)
    again[np.arange(cells), :, np.arange(cells)] = second.T
    return np.concatenate([first, again.reshape(-1, cells)])


def total_indices(answers: Float64[np.ndarray, "sets designs"]) -> Float64[np.ndarray, " cells"]:
    """Return Jansen's estimate of total Sobol indices from answers to :func:`replicated` designs, 0 if they are equal.

    Parameters
    ----------
    answers
        To the first design, then to it with each cell drawn anew; there is one set more than cells.
    """
    plain, again = answers[0], answers[1:]
    variance = plain.var(ddof=1) if len(plain) > 1 else 0.0
    left: Float64[np.ndarray, " cells"] = ((plain - again) ** 2).mean(1) / 2
    return left / variance if variance > 0 else np.zeros_like(left)


def dependences(
    shown: Bool[np.ndarray, "masks cells"], answers: Float64[np.ndarray, " masks"]
) -> Float64[np.ndarray, " cells"]:
    """Return the Hilbert-Schmidt independence criterion of each cell's state and the answer, 0 if answers are equal.

    It is tr(K H L H) / (m - 1)^2 with m masks, H centring, K the cell's kernel and L the answers'. K is half the
    product of states -1 and 1, so that the trace is a square form and no matrix a cell is made.
    """
    apart = np.abs(answers[:, None] - answers)
    width = np.median(apart[np.triu_indices(len(answers), 1)]) if len(answers) > 1 else 0.0
    if width == 0:
        return np.zeros(shown.shape[1])
    kernel = np.exp(-((apart / width) ** 2) / 2)
    centred = kernel - kernel.mean(0) - kernel.mean(1, keepdims=True) + kernel.mean()
    states = np.where(shown, 1.0, -1.0)
    found: Float64[np.ndarray, " cells"] = np.einsum("mc,mk,kc->c", states, centred, states, optimize=True)
    return found.clip(min=0) / 2 / (len(answers) - 1) ** 2


def _answers(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    shown: Float64[np.ndarray, "rows cells"],
    cells: Int[np.ndarray, "h w"],
    name: str,
) -> list[Float[Tensor, "rows k"]]:
    """Return the logits of each image with each cell shown by its share, from memory where they were asked before."""
    shares = torch.from_numpy(shown).to(images)

    def ask(image: Tensor) -> tuple[Tensor]:
        mean = image.mean((1, 2), keepdim=True)
        parts = (torch.lerp(mean, image, part[:, cells][:, None]) for part in torch.split(shares, 64))
        return (logits_at(subject, parts),)

    return [remembered(subject, partial(ask, image), name, image, shown, cells)[0] for image in images]


def _on_cells(
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    answers: list[Float[Tensor, "rows k"]],
    cells: Int[np.ndarray, "h w"],
    values: Callable[[Float64[np.ndarray, " rows"]], Float64[np.ndarray, " cells"]],
) -> Float[Tensor, "n h w"]:
    """Return maps in which every pixel has its cell's value, which `values` makes of the answers for the target."""
    chosen = [each[:, int(target)].double().cpu().numpy() for each, target in zip(answers, targets, strict=True)]
    return torch.from_numpy(np.stack([values(each)[cells] for each in chosen])).to(images)
