"""Where randomness comes from: one generator for each seed, purpose and image."""

from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Int

from harness.digest import image_keys


class Stream(IntEnum):
    """What a draw is for, so that one seed used twice for different things gives unrelated draws."""

    TIES = 1
    SPECTRUM = 2
    SEGMENTS = 3
    SAME_CLASS = 4
    OTHER_CLASS = 5
    NOISE = 6
    JUDGE_MASKS = 7
    EXPLAIN_MASKS = 8
    COPIES = 9
    MOSAICS = 10
    CONTEXTS = 11


def generator(seed: int, stream: Stream, key: int | np.integer = 0) -> np.random.Generator:
    """Return the generator of one seed, purpose and image; `seed` is not negative."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), int(key) % 2**64)))


def keys_or_content(arrays: np.ndarray | torch.Tensor, keys: Int[np.ndarray, " n"] | None) -> Int[np.ndarray, " n"]:
    """Return the keys as given, or one from each array's content."""
    if keys is None:
        return image_keys(arrays)
    if len(keys) != len(arrays):
        raise ValueError(f"{len(keys)} keys for {len(arrays)} images; give one key an image")
    return keys
