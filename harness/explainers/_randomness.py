"""Draws that depend on the seed and the image alone, never on its company in a batch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from harness.digest import image_keys


def generators(images: Shaped[Tensor, "n ..."], seed: int) -> list[np.random.Generator]:
    """Return one generator an image."""
    return [np.random.default_rng([seed % 2**63, int(key)]) for key in image_keys(images)]


def normal(images: Float[Tensor, "n ..."], sources: list[np.random.Generator]) -> Float[Tensor, "n ..."]:
    """Return standard normal noise of the images' shape, each image's from its own generator."""
    noise = np.stack([source.standard_normal(images.shape[1:], dtype=np.float32) for source in sources])
    return torch.from_numpy(noise).to(images.device)


def seeds(images: Shaped[Tensor, "n ..."], seed: int) -> list[int]:
    """Return one seed of 32 bits an image, for libraries that take no generator."""
    return [int(source.integers(2**32)) for source in generators(images, seed)]


@contextmanager
def global_generators_seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, NumPy and torch for a library that draws from them; restore them."""
    python, array, tensor = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(tensor)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
