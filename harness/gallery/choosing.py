"""Which image stands for a class."""

import numpy as np
from jaxtyping import Float, Int

from harness.faces.faceset import is_right

NONE = -1
"""A class without an image."""


def random_right(
    labels: Int[np.ndarray, " n"] | None, predicted: Int[np.ndarray, " n"], classes: int, seed: int
) -> Int[np.ndarray, " k"]:
    """Return for each class the index of a random image among those classified right.

    Without labels it is one among those predicted as the class; a class that has none gets :data:`NONE`.
    """
    right = is_right(labels, predicted)
    pools = [np.flatnonzero(right & (predicted == k)) for k in range(classes)]
    return np.array(
        [np.random.default_rng([seed, k]).choice(pool) if len(pool) else NONE for k, pool in enumerate(pools)], np.int64
    )


def surest_right(
    labels: Int[np.ndarray, " n"] | None, probabilities: Float[np.ndarray, "n k"]
) -> Int[np.ndarray, " k"]:
    """Return for each class the index of the image with the highest probability among those classified right.

    Without labels it is one among those predicted as the class; a class that has none gets :data:`NONE`.
    """
    predicted = probabilities.argmax(1)
    right = is_right(labels, predicted)
    pools = [np.flatnonzero(right & (predicted == k)) for k in range(probabilities.shape[1])]
    return np.array(
        [pool[probabilities[pool, k].argmax()] if len(pool) else NONE for k, pool in enumerate(pools)], np.int64
    )
