"""Metrics that ignore the network: what a judge of metrics has to turn away."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy import ndimage

from harness.metrics.cards import MetricCard, card, register
from harness.metrics.localization import localization_auc
from harness.metrics.similarity import absolute, spearman_similarity

SPREAD = 0.25
"""Standard deviation of the blob in the middle, as a share of each side."""
AXES = (0.38, 0.3)
"""Half the height and half the width of the oval that a face fills, as shares of each side."""


def likeness_to_edges(
    maps: Float[np.ndarray, "n h w"], images: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation of each map's size with the Sobel magnitude of its picture."""
    edges = np.stack([np.hypot(ndimage.sobel(each, axis=0), ndimage.sobel(each, axis=1)) for each in images])
    return spearman_similarity(absolute(maps), edges)


def likeness_to_centre(maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation of each map's size with a blob in the middle of the picture."""
    rows, columns = _from_middle(*maps.shape[1:])
    blob = np.exp(-((rows / SPREAD) ** 2 + (columns / SPREAD) ** 2) / 2)
    return spearman_similarity(absolute(maps), np.broadcast_to(blob, maps.shape))


def in_oval(maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return how well each map's size tells the pixels of one fixed oval from the others: the area under the curve."""
    rows, columns = _from_middle(*maps.shape[1:])
    oval: Bool[np.ndarray, "h w"] = (rows / AXES[0]) ** 2 + (columns / AXES[1]) ** 2 <= 1
    return localization_auc(absolute(maps), np.broadcast_to(oval, maps.shape))


def _from_middle(height: int, width: int) -> tuple[Float64[np.ndarray, "h 1"], Float64[np.ndarray, " w"]]:
    """Return how far rows and columns lie from the middle, in sides."""
    return (np.arange(height)[:, None] + 0.5) / height - 0.5, (np.arange(width) + 0.5) / width - 0.5


def blind_metrics() -> tuple[MetricCard, ...]:
    """Return them, registered as anybody's metrics are."""
    for each in _made():
        register(each)
    return _made()


@cache
def _made() -> tuple[MetricCard, ...]:
    """Return their cards."""
    return (
        card(likeness_to_edges, range=(-1.0, 1.0), higher_is_better=True, meaning="likeness of the map to edges"),
        card(likeness_to_centre, range=(-1.0, 1.0), higher_is_better=True, meaning="likeness of the map to a blob"),
        card(in_oval, range=(0.0, 1.0), higher_is_better=True, meaning="area under the curve for a fixed oval"),
    )
