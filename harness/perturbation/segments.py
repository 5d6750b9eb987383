"""Segments read from a map: which maps are made of them, and where they lie."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components

MOST_SEGMENTS = 100
"""Areas of one value in a map that counts as made of segments: twice what surrogate explainers ask for."""
LEAST_PIXELS = 4
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


def is_of_segments(areas: Int[np.ndarray, "n h w"]) -> Bool[np.ndarray, " n"]:
    """Say which maps are made of segments, from :func:`value_areas`.

    Such a map has at least two and at most `MOST_SEGMENTS` areas, half of which have `LEAST_PIXELS` pixels or more.

    Examples
    --------
    >>> halves = np.repeat([[0, 1]], 4, axis=0).repeat(2, axis=1)
    >>> is_of_segments(np.stack([halves, 0 * halves, np.arange(16).reshape(4, 4)])).tolist()
    [True, False, False]
    """
    return np.array([_few_and_large(labels) for labels in areas], dtype=bool)


def _areas(values: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Return the areas of one map, numbered in raster order."""
    pixels = np.arange(values.size).reshape(values.shape)
    down, across = values[1:] == values[:-1], values[:, 1:] == values[:, :-1]
    start = np.concatenate([pixels[:-1][down], pixels[:, :-1][across]])
    end = np.concatenate([pixels[1:][down], pixels[:, 1:][across]])
    links = sp.coo_array((np.ones(len(start)), (start, end)), shape=(values.size, values.size))
    labels = connected_components(links, directed=False)[1]
    return np.unique(labels, return_inverse=True)[1].reshape(values.shape).astype(np.int64)


def _few_and_large(labels: Int[np.ndarray, "h w"]) -> bool:
    """Say whether one map has few areas, and not mostly specks."""
    sizes = np.bincount(labels.ravel())
    return 2 <= len(sizes) <= MOST_SEGMENTS and bool(np.median(sizes) >= LEAST_PIXELS)
