"""In which order pixels are removed, and which are gone at each step."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from harness.perturbation._seeds import Stream, generator, keys_or_content


def removal_order(
    maps: Float[np.ndarray, "n h w"], *, seed: int, keys: Int[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, "n hw"]:
    """Return each map's pixels, most relevant first, ties in uniformly random order.

    A constant or sparse map has no order of its own where it is tied. Raster order there would remove the top
    of the image first and score that as if the map had said so.

    Parameters
    ----------
    maps
        Signed relevance; the most positive value comes first. Infinite values are ranked like any other.
    seed
        Not negative. Another seed breaks the ties otherwise; untied pixels stay where they are.
    keys
        One integer an image, from which its ties are drawn wherever it stands in the batch. Pass keys of the
        *images* (`harness.digest.image_keys`). By default they come from the maps' content, so that equal
        maps, such as those of a constant explainer, have their ties broken alike in every image.

    Returns
    -------
    Flat indices (row * w + column), int64; each row is a permutation.

    Raises
    ------
    ValueError
        If a map holds NaN, which has no rank.

    Examples
    --------
    >>> removal_order(np.array([[[0.1, 0.9], [-3.0, 0.2]]]), seed=0)
    array([[1, 3, 0, 2]])
    """
    broken = np.flatnonzero(np.isnan(maps).any(axis=(1, 2)))
    if broken.size:
        raise ValueError(f"map {broken[0]} holds NaN, which has no rank; drop the map as undefined")
    flat = maps.reshape(len(maps), -1)
    order = np.empty(flat.shape, dtype=np.int64)
    for row, key, values in zip(order, keys_or_content(maps, keys), flat, strict=True):
        shuffled = generator(seed, Stream.TIES, key).permutation(values.size)
        # Stable, because NumPy's faster sorts order ties differently from one processor to another.
        row[:] = shuffled[np.argsort(-_told_apart(values)[shuffled], kind="stable")]
    return order


SAME_SHARE = 2.0**-16
"""Values nearer to each other than this share of a map's largest are tied.

A sum of k products in single precision is off by about sqrt(k) * 2**-24 of its terms (Higham & Mary 2019); a layer that
sums some thousands of them leaves 2**-18, and the pixels that a network does not use, or that hiding does not change,
are noise of that size instead of zeros. Ranked as they are, that noise would order half of a picture otherwise on every
processor.
"""


def _told_apart(values: Float[np.ndarray, " hw"]) -> Float[np.ndarray, " hw"]:
    """Return values on a grid whose lines rounding crosses for few of them; zero lies on no line."""
    largest = np.abs(values, where=np.isfinite(values), out=np.zeros(values.shape)).max()
    if largest == 0:
        return values
    with np.errstate(over="ignore"):
        grid: np.ndarray = np.rint(values / (largest * SAME_SHARE))
    return grid


def least_first(order: Int[np.ndarray, "n hw"]) -> Int[np.ndarray, "n hw"]:
    """Return the exact reverse of an order: least relevant first.

    Examples
    --------
    >>> least_first(np.array([[1, 3, 0, 2]]))
    array([[2, 0, 3, 1]])
    """
    return np.ascontiguousarray(order[:, ::-1])


def step_fractions(steps: int) -> Float[np.ndarray, " steps_and_start"]:
    """Return `steps` + 1 evenly spaced fractions from 0 (nothing removed) to 1 (everything).

    Raises
    ------
    ValueError
        If there is not at least one step.

    Examples
    --------
    >>> step_fractions(4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if steps < 1:
        raise ValueError(f"{steps} steps; a removal takes at least one")
    return np.linspace(0.0, 1.0, steps + 1)


def removed_steps(
    order: Int[np.ndarray, "n hw"],
    fractions: Sequence[float] | Float[np.ndarray, " steps"],
    shape: tuple[int, int],
) -> Bool[np.ndarray, "n steps h w"]:
    """Return which pixels are gone at each step: the first round(fraction * h * w) of the order.

    Pixels are counted, never compared with a threshold: on a sparse map a percentile is tied with most of the
    image and would remove all of it. Python's `round` decides, so a half goes to the even count.

    Parameters
    ----------
    order
        From `removal_order` or `least_first`.
    fractions
        In [0, 1], in any order. One byte an image, step and pixel is returned; call it for some fractions at
        a time where that is too much.
    shape
        (h, w).

    Raises
    ------
    ValueError
        If a fraction is outside [0, 1], or a row of `order` is not a permutation of the h * w pixels, since
        then another number of pixels than asked would go.

    Examples
    --------
    >>> removed_steps(np.array([[1, 3, 0, 2]]), [0.0, 0.5], (2, 2)).astype(int)
    array([[[[0, 0],
             [0, 0]],
    <BLANKLINE>
            [[0, 1],
             [0, 1]]]])
    """
    pixels = shape[0] * shape[1]
    share = np.asarray(fractions, dtype=np.float64)
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError("a removed fraction lies outside [0, 1]")
    counts = np.rint(share * pixels).astype(np.int64)
    removed = _ranks(order, pixels)[:, None, :] < counts[:, None]
    if not (removed.sum(axis=2) == counts).all():
        raise AssertionError("another number of pixels than asked is removed")
    return removed.reshape(len(order), len(counts), *shape)


def _ranks(order: Int[np.ndarray, "n hw"], pixels: int) -> Int[np.ndarray, "n hw"]:
    """Return each pixel's place in its order."""
    ranks = np.full((len(order), pixels), -1, dtype=np.int64)
    if order.shape[1] == pixels and ((order >= 0) & (order < pixels)).all():
        np.put_along_axis(ranks, order, np.arange(pixels)[None], axis=1)
    if (ranks < 0).any():
        raise ValueError(f"an order is not a permutation of {pixels} pixels")
    return ranks
