"""The regions of a picture that speak for a class."""

import numpy as np
from jaxtyping import Bool, Float, Int

MOST = 5
"""Regions marked at most; the lime package's own default."""


def speaking_regions(
    map_: Float[np.ndarray, "h w"], segments: Int[np.ndarray, "h w"], most: int = MOST
) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of the `most` segments of largest weight, among those whose weight is positive.

    Examples
    --------
    >>> speaking_regions(np.array([[0.3, 0.1, -0.2]]), np.array([[0, 1, 2]]), most=1).tolist()
    [[True, False, False]]
    """
    count = int(segments.max()) + 1
    weights = np.array([map_[segments == k].mean() for k in range(count)])
    chosen = [k for k in np.argsort(-weights)[:most] if weights[k] > 0]
    return np.isin(segments, chosen)
