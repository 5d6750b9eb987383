"""Metrics of randomization beside their references."""

import numpy as np
from torch import nn

from benchmarks.metrics_parity.setup import (
    CLASSES,
    MAPS,
    NETWORK,
    PICTURES,
    Array,
    Pair,
    from_quantus,
    gradient_maps,
    plain,
    quantus,
    random_maps,
)
from harness.metrics import randomization
from harness.metrics import similarity as like


def mprt() -> Array:
    """Return our likeness along the cascade from the top."""
    return randomization.mprt_curve(MAPS, random_maps("top_down"), like.pearson_similarity)


def mprt_last() -> Pair:
    """Randomise the same layers with the same seed."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    settings = plain(similarity_func=pearson, layer_order="top_down", return_last_correlation=True)
    return randomization.mprt_last(mprt()), np.array(quantus("MPRT", **settings))


def mprt_average() -> Pair:
    """Average Quantus's scores of the stages without that of the unrandomised network."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    found = quantus("MPRT", **plain(similarity_func=pearson, layer_order="top_down"))
    stages = np.array([scores for stage, scores in found.items() if stage != "original"])
    return randomization.mprt_average(mprt()), stages.mean(axis=0)


def efficient_mprt() -> Pair:
    """Quantus compares the complexity before and after."""
    ours = randomization.efficient_mprt(MAPS, random_maps("bottom_up")[:, -1])
    return ours, np.array(quantus("EfficientMPRT", softmax=True, **plain(layer_order="bottom_up")))


def smooth_mprt() -> Pair:
    """Average maps over one noiseless copy each, where nothing is drawn."""
    ours = randomization.smooth_mprt(MAPS[:, None], random_maps("bottom_up")[:, -1:], like.spearman_similarity)
    settings = plain(nr_samples=1, return_last_correlation=True)
    return ours, np.array(quantus("SmoothMPRT", **settings))


def random_logit() -> Pair:
    """Explain the other classes that Quantus drew; likeness by correlation, since Quantus flattens the maps."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    found: list[Array] = []

    def recorded(model: nn.Module, inputs: Array, targets: Array, **_: object) -> Array:
        found.append(np.asarray(targets))
        return gradient_maps(model, inputs, targets)

    settings = plain(num_classes=CLASSES, similarity_func=pearson)
    theirs = np.array(quantus("RandomLogit", call={"explain_func": recorded}, **settings))
    other = gradient_maps(NETWORK, PICTURES, found[-1])[:, 0].astype(np.float64)
    return randomization.random_logit(MAPS, other, like.pearson_similarity), theirs
