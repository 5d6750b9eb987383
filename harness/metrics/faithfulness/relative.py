"""Curves whose unit is not the output's: relative to the whole image's, or images still recognised."""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64

from harness.metrics._rows import (
    doubles,
    ratio,
)
from harness.metrics.cards import NULL_SCORE, metric
from harness.metrics.faithfulness.curves import TRAJECTORY, TRAPEZOID, area_under_curve


@metric(
    higher_is_better=True,
    range=(-math.inf, 1.0),
    meaning="mean relative fall of the probability while segments are set to the picture's mean, best first",
    undefined="the whole image's output is 0, or an output is NaN",
    chance=NULL_SCORE,
    cost="one forward a segment",
    reference="Rieger & Hansen 2020, IROF",
    compared_with="Quantus 0.6 IROF",
    differs=f"{TRAPEZOID}; Quantus's area grows with the number of segments",
)
def irof(
    fractions: Float[np.ndarray, " steps"] | Float[np.ndarray, "n steps"],
    values: Float[np.ndarray, "n steps"],
) -> Float64[np.ndarray, " n"]:
    """Return the mean relative fall of the output while segments are removed, highest mean relevance first.

    Rieger & Hansen 2020: 1 minus the area under output / output of the whole image. At most 1 for
    probabilities, higher is better. NaN where the whole image's output is 0 or a value is NaN.

    Parameters
    ----------
    fractions
        The share of segments removed. Images with fewer segments repeat their last point (see
        :func:`area_under_curve`).
    values
        Outputs, positive (probabilities), step 0 being the whole image.

    Examples
    --------
    >>> irof(np.array([0.0, 0.5, 1.0]), np.array([[0.8, 0.0, 0.0]]))
    array([0.75])
    """
    whole = np.broadcast_to(values[:, :1], values.shape).astype(np.float64)
    return 1 - area_under_curve(fractions, ratio(values.astype(np.float64), whole))


def road_curve(correct: Bool[np.ndarray, "n steps"]) -> Float64[np.ndarray, " steps"]:
    """Return the accuracy after each removal, in [0, 1]; NaN without images.

    Rong et al. 2022 (ROAD): the fill is noisy linear imputation.

    Examples
    --------
    >>> road_curve(np.array([[True, True], [True, False]]))
    array([1. , 0.5])
    """
    return doubles(correct.mean(axis=0)) if len(correct) else np.full(correct.shape[1], np.nan)


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="share of the removal over which images are still recognised, pixels imputed",
    undefined="never",
    chance=NULL_SCORE,
    cost=TRAJECTORY,
    reference="Rong et al. 2022, A consistent and efficient evaluation strategy for attribution methods",
    compared_with="Quantus 0.6 ROAD",
    differs="the curve is the same; its area over each image is added",
)
def road(fractions: Float[np.ndarray, " steps"], correct: Bool[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the share of the removal over which each image was still recognised, in [0, 1].

    Its mean over images is the area under :func:`road_curve`. Removing most relevant first, lower is better;
    least relevant first, higher is; their difference is symmetric and 0 by chance. Rong et al. 2022.

    Examples
    --------
    >>> road(np.array([0.0, 0.5, 1.0]), np.array([[True, False, False]]))
    array([0.25])
    """
    return area_under_curve(fractions, correct.astype(np.float64))
