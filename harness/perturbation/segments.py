"""Segments read from a map: which maps are made of them, and where they lie."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components

MOST_VALUES = 140
"""Of a map that counts as made of segments. XRAI's maps of faces had 109 to 129, LIME's and Kernel SHAP's have one a
segment, some 30 to 50; the 144 blocks of occlusion follow no edges and need no such null."""
LEAST_PIXELS = 2
"""Half of the areas have at least so many pixels: a map that is flat but for scattered pixels has no segments."""


def value_areas(maps: Float[np.ndarray, "n h w"]) -> Int[np.ndarray, "n h w"]:
    """Return each pixel's area: the pixels of its own value that hang together by their sides.

    Neighbouring segments of one weight count as one area.

    Examples
    --------
    >>> value_areas(np.array([[[5.0, 5.0, 0.0, 5.0]]]))
    array([[[0, 0, 1, 2]]])
    """
    return np.stack([_areas(values) for values in maps]) if len(maps) else np.zeros(maps.shape, np.int64)


def is_of_segments(maps: Float[np.ndarray, "n h w"]) -> Bool[np.ndarray, " n"]:
    """Say which maps are made of segments.

    Such a map has at least two and at most `MOST_VALUES` values, and half of the areas that they form (see
    :func:`value_areas`) have `LEAST_PIXELS` pixels or more.

    Examples
    --------
    >>> halves = np.repeat([[0.0, 1.0]], 4, axis=0).repeat(2, axis=1)
    >>> is_of_segments(np.stack([halves, 0 * halves, np.arange(16.0).reshape(4, 4)])).tolist()
    [True, False, False]
    """
    return np.array([_few_and_large(values) for values in maps], dtype=bool)


def _areas(values: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Return the areas of one map, numbered in raster order."""
    pixels = np.arange(values.size).reshape(values.shape)
    down, across = values[1:] == values[:-1], values[:, 1:] == values[:, :-1]
    start = np.concatenate([pixels[:-1][down], pixels[:, :-1][across]])
    end = np.concatenate([pixels[1:][down], pixels[:, 1:][across]])
    links = sp.coo_array((np.ones(len(start)), (start, end)), shape=(values.size, values.size))
    labels = connected_components(links, directed=False)[1]
    return np.unique(labels, return_inverse=True)[1].reshape(values.shape).astype(np.int64)


def _few_and_large(values: Float[np.ndarray, "h w"]) -> bool:
    """Say whether one map has few values, and not mostly specks of them."""
    if not 2 <= len(np.unique(values)) <= MOST_VALUES:
        return False
    return bool(np.median(np.bincount(_areas(values).ravel())) >= LEAST_PIXELS)
