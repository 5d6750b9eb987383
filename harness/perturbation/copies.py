"""Copies of images under noise, for asking whether an answer holds."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.perturbation._seeds import Stream, generator, keys_or_content


def noisy_copies(
    images: Float[Tensor, "n c h w"],
    spread: float,
    *,
    draws: int,
    seed: int,
    keys: Int[np.ndarray, " n"] | None = None,
) -> Float[Tensor, "n draws c h w"]:
    """Return each image `draws` times under normal noise, drawn from the seed and the image alone.

    Values may leave the range of a picture a little: cutting them off would spare dark and bright places.

    Parameters
    ----------
    images
        In any unit.
    spread
        Standard deviation of the noise, in that unit.
    draws
        Copies of each image; more of them leave the first as they were.
    seed
        Same seed, same copies.
    keys
        One integer an image; by default from its content.

    Examples
    --------
    >>> noisy_copies(torch.zeros(2, 1, 4, 4), 0.1, draws=3, seed=0).shape
    torch.Size([2, 3, 1, 4, 4])
    """
    sources = [generator(seed, Stream.COPIES, key) for key in keys_or_content(images, keys)]
    shape = (draws, *images.shape[1:])
    noise = np.stack([source.standard_normal(shape, dtype=np.float32) for source in sources])
    return images[:, None] + spread * torch.from_numpy(noise).to(images.device)
