"""Four small images in one, so that it is known where the explained class is to be seen."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from harness.perturbation._seeds import Stream, generator, keys_or_content

TILES = 4


@dataclass(frozen=True)
class Mosaics:
    """Mosaics and where each shows the class that it is explained for.

    Attributes
    ----------
    images
        In the unit and size of the images that they are made of, (n, c, h, w).
    shown
        Pixels of the two tiles of the class, (n, h, w).
    undefined
        Images with no second of their class or fewer than two of other classes, of which no mosaic can be made.
    """

    images: Float[Tensor, "n c h w"]
    shown: Bool[np.ndarray, "n h w"]
    undefined: Bool[np.ndarray, " n"]


def mosaics(
    images: Float[Tensor, "n c h w"], classes: Int[np.ndarray, " n"], *, seed: int, keys: Int[np.ndarray, " n"]
) -> Mosaics:
    """Return a mosaic of 2 by 2 for each image: itself, another of its class, and two of other classes.

    Each is shrunk to half its sides; which tile is which is drawn from the seed and the image (Arias-Duart et al.
    2022).

    Parameters
    ----------
    images
        In any unit.
    classes
        What each image counts as.
    seed
        Same seed, same mosaics.
    keys
        One integer an image, from its content.

    Examples
    --------
    >>> found = mosaics(torch.rand(4, 1, 8, 8), np.array([0, 0, 1, 1]), seed=0, keys=np.arange(4))
    >>> found.images.shape, found.shown.mean()
    (torch.Size([4, 1, 8, 8]), np.float64(0.5))
    """
    height, width = images.shape[-2:]
    rows, columns = (height + 1) // 2, (width + 1) // 2
    small = functional.interpolate(images, (rows, columns), mode="bilinear", align_corners=False, antialias=True)
    made, shown, undefined = [], [], []
    for number, key in enumerate(keys_or_content(images, keys)):
        source = generator(seed, Stream.MOSAICS, key)
        tiles = _tiles(number, classes, source)
        undefined.append(tiles is None)
        chosen = np.full(TILES, number) if tiles is None else source.permutation(tiles)
        quarters = small[torch.from_numpy(chosen).to(images.device)]
        upper, lower = (torch.cat([quarters[k], quarters[k + 1]], dim=-1) for k in (0, 2))
        made.append(torch.cat([upper, lower], dim=-2)[:, :height, :width])
        mine = (classes[chosen] == classes[number]).reshape(2, 2)
        shown.append(mine.repeat(rows, axis=0).repeat(columns, axis=1)[:height, :width])
    return Mosaics(torch.stack(made), np.stack(shown), np.array(undefined))


def _tiles(number: int, classes: Int[np.ndarray, " n"], source: np.random.Generator) -> Int[np.ndarray, " four"] | None:
    """Return the images of one mosaic: two of the class, two of others; None where there are too few."""
    same = np.flatnonzero((classes == classes[number]) & (np.arange(len(classes)) != number))
    other = np.flatnonzero(classes != classes[number])
    if len(same) < 1 or len(other) < 2:
        return None
    return np.array([number, source.choice(same), *source.choice(other, 2, replace=False)])
