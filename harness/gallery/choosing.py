"""Which image stands for a class."""

import numpy as np
from jaxtyping import Float, Int

from harness.faces.faceset import is_right

NONE = -1
"""A class without an image."""


def shown_classes(predicted: Int[np.ndarray, " n"], classes: int, most: int) -> Int[np.ndarray, " s"]:
    """Return which classes are shown: all, or of more than `most` those that images are taken for, most images first.

    Examples
    --------
    >>> shown_classes(np.array([1, 0, 1]), 3, 5).tolist(), shown_classes(np.array([7, 2, 7, 4]), 900, 2).tolist()
    ([0, 1, 2], [7, 2])
    """
    if classes <= most:
        return np.arange(classes)
    counts = np.bincount(predicted, minlength=classes)
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0][:most]


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
