"""The output along a removal of pixels, as areas and means."""

import numpy as np
from jaxtyping import Float, Float64

from harness.metrics._rows import (
    doubles,
    ratio,
)
from harness.metrics.cards import NULL_SCORE, metric

NAN_OUTPUT = "an output along the trajectory is NaN"
TRAJECTORY = "one forward a step"
_FILLS = {"mean": "with the mean as fill", "noisy-linear": "with noisy linear imputation as fill"}
_OUTPUTS_AND_FILLS = {"logit": "of the logit", **_FILLS}
_DELETION = "area under the target's probability over the fraction of pixels removed, most relevant first"
_INSERTION = "area under the target's probability over the fraction of pixels shown, most relevant first"
_SYMMETRIC = "area between removing least relevant first and most relevant first"
TRAPEZOID = "counts the whole image as step 0 and divides the area by the span, so that steps do not change the unit"


def area_under_curve(
    fractions: Float[np.ndarray, " steps"] | Float[np.ndarray, "n steps"],
    values: Float[np.ndarray, "n steps"],
) -> Float64[np.ndarray, " n"]:
    """Return the mean height of each curve, in the unit of `values`, by the trapezoid rule.

    The area is divided by the fraction spanned, so that the score does not depend on how far the curve goes.
    NaN where a value is NaN, or where the curve spans nothing.

    Parameters
    ----------
    fractions
        Where the values were measured, not decreasing; one row for all, or one an image. A repeated fraction
        adds no area, so curves of fewer steps can be filled up with their last point.
    values
        Trajectories.

    Raises
    ------
    ValueError
        If the fractions decrease somewhere or are not as many as the values.

    Examples
    --------
    >>> area_under_curve(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 0.0, 0.0]]))
    array([0.25])
    """
    if fractions.shape[-1] != values.shape[1]:
        raise ValueError(f"{fractions.shape[-1]} fractions for {values.shape[1]} values; give one for each")
    across = np.broadcast_to(fractions, values.shape).astype(np.float64)
    if not (np.diff(across, axis=1) >= 0).all():
        raise ValueError("the fractions of a curve decrease; sort the curve by fraction")
    area = doubles(np.trapezoid(values.astype(np.float64), across, axis=1))
    return ratio(area, across[:, -1] - across[:, 0])


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning=_DELETION,
    gain="how far the deletion curve runs under that of its null map, on average",
    variants={f"deletion-auc-{name}": f"{_DELETION}, {said}" for name, said in _OUTPUTS_AND_FILLS.items()},
    unbounded=("deletion-auc-logit",),
    undefined=NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=TRAJECTORY,
    reference="Petsiuk et al. 2018, RISE",
    compared_with="the exact area under piecewise linear curves",
)
def deletion_auc(
    fractions: Float[np.ndarray, " steps"], values: Float[np.ndarray, "n steps"]
) -> Float64[np.ndarray, " n"]:
    """Return the mean output while the most relevant pixels are removed first; lower is better.

    Petsiuk et al. 2018. In the unit and range of `values`; NaN where a value is.

    Parameters
    ----------
    fractions
        The share of pixels removed, from 0 to 1.
    values
        Outputs along the removal.

    Examples
    --------
    >>> deletion_auc(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 0.0, 0.0]]))
    array([0.25])
    """
    return area_under_curve(fractions, values)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=_INSERTION,
    gain="how far the insertion curve runs over that of its null map, on average",
    variants={f"insertion-auc-{name}": f"{_INSERTION}, {said}" for name, said in _OUTPUTS_AND_FILLS.items()},
    unbounded=("insertion-auc-logit",),
    undefined=NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=TRAJECTORY,
    reference="Petsiuk et al. 2018, RISE",
    compared_with="the exact area under piecewise linear curves",
)
def insertion_auc(
    fractions: Float[np.ndarray, " steps"], values: Float[np.ndarray, "n steps"]
) -> Float64[np.ndarray, " n"]:
    """Return the mean output while the most relevant pixels are put back first; higher is better.

    Petsiuk et al. 2018. In the unit and range of `values`; NaN where a value is. Step 0 is the empty image
    here.

    Parameters
    ----------
    fractions
        The share of pixels put back, from 0 to 1.
    values
        Outputs along the insertion.

    Examples
    --------
    >>> insertion_auc(np.array([0.0, 0.5, 1.0]), np.array([[0.0, 1.0, 1.0]]))
    array([0.75])
    """
    return area_under_curve(fractions, values)


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="mean probability of the target while pixels are turned to their negative, most relevant first",
    undefined=NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=TRAJECTORY,
    reference="Bach et al. 2015, layer-wise relevance propagation",
    compared_with="Quantus 0.6 PixelFlipping",
    differs=TRAPEZOID,
)
def pixel_flipping(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean output while equal shares of pixels are flipped, most relevant first; lower is better.

    Bach et al. 2015, who turn each pixel to its negative: with another fill it is :func:`deletion_auc`. Trapezoid over
    equal steps, the whole image being step 0. In the unit and range of `values`; NaN where a value is, or with a single
    step.

    Examples
    --------
    >>> pixel_flipping(np.array([[1.0, 0.0, 0.0]]))
    array([0.25])
    """
    return area_under_curve(np.linspace(0.0, 1.0, values.shape[1]), values)


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="mean probability of the target while patches are removed, most relevant first",
    undefined=NAN_OUTPUT,
    chance=NULL_SCORE,
    cost="one forward a patch",
    reference="Montavon et al. 2018, Methods for interpreting and understanding deep neural networks",
    compared_with="Quantus 0.6 Selectivity",
    differs=TRAPEZOID,
)
def selectivity(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean output while patches are removed, highest summed relevance first; lower is better.

    Montavon et al. 2018. As :func:`pixel_flipping`, one step a patch.

    Examples
    --------
    >>> selectivity(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return pixel_flipping(values)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=(
        "mean fall of the target's probability while regions of 9 x 9 pixels, at most 100, turn to noise, most "
        "relevant first"
    ),
    undefined=NAN_OUTPUT,
    chance=NULL_SCORE,
    cost="one forward a region",
    reference="Samek et al. 2017, Evaluating the visualization of what a deep network has learned",
    compared_with="Quantus 0.6 RegionPerturbation",
    differs="Quantus gives the curve of falls without step 0; the paper's mean over L + 1 steps is taken here",
)
def aopc(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean fall of the output over the steps of a removal, most relevant first; higher is better.

    Samek et al. 2017, area over the perturbation curve: step 0 counts as a fall of 0, so that L removals are
    divided by L + 1. There each removal fills a region of 9 x 9 pixels with values drawn evenly from their range. In
    the unit of `values`, 0 where nothing is removed; NaN where a value is.

    Examples
    --------
    >>> aopc(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return _mean_fall(values[:, 0], values)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=_SYMMETRIC,
    variants={f"symmetric-relevance-gain-{name}": f"{_SYMMETRIC}, {said}" for name, said in _FILLS.items()},
    undefined=NAN_OUTPUT,
    chance="0",
    cost="two forwards a step",
    reference="Bluecher et al. 2024, Decoupling pixel flipping and occlusion strategy",
    compared_with="the exact area between piecewise linear curves",
)
def symmetric_relevance_gain(
    fractions: Float[np.ndarray, " steps"],
    least_first: Float[np.ndarray, "n steps"],
    most_first: Float[np.ndarray, "n steps"],
) -> Float64[np.ndarray, " n"]:
    """Return SRG: the area between removing least relevant first (LeRF) and most relevant first (MoRF).

    Higher is better; 0 is the expectation of a random order, whatever the fill, which is what makes SRG
    comparable across fills. In the unit of the values. NaN where a value is. Bluecher et al. 2024.

    Examples
    --------
    >>> ends = np.array([0.0, 0.5, 1.0])
    >>> symmetric_relevance_gain(ends, np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]))
    array([0.5])
    """
    return doubles(area_under_curve(fractions, least_first) - area_under_curve(fractions, most_first))


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="mean fall once the most relevant share, up to a half, is removed",
    undefined="an output is NaN",
    chance=NULL_SCORE,
    cost="one forward a share removed",
    reference="DeYoung et al. 2020, ERASER",
    compared_with="networks with known contributions",
)
def comprehensiveness(
    whole: Float[np.ndarray, " n"], removed: Float[np.ndarray, "n bins"]
) -> Float64[np.ndarray, " n"]:
    """Return the mean fall of the output once the most relevant share is removed; higher is better.

    DeYoung et al. 2020 (ERASER). In the unit of the outputs; NaN where one is.

    Parameters
    ----------
    whole
        Output for the whole image.
    removed
        Output without the most relevant pixels, one column for each share removed (1, 5, 10, 20 and 50 %
        there).

    Examples
    --------
    >>> comprehensiveness(np.array([1.0]), np.array([[0.5, 0.0]]))
    array([0.75])
    """
    return _mean_fall(whole, removed)


@metric(
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning="mean fall when only the most relevant share, up to a half, is kept",
    undefined="an output is NaN",
    chance=NULL_SCORE,
    cost="one forward a share kept",
    reference="DeYoung et al. 2020, ERASER",
    compared_with="networks with known contributions",
)
def sufficiency(whole: Float[np.ndarray, " n"], kept: Float[np.ndarray, "n bins"]) -> Float64[np.ndarray, " n"]:
    """Return the mean fall of the output when only the most relevant share is kept; lower is better.

    DeYoung et al. 2020 (ERASER). In the unit of the outputs; negative where the kept part alone speaks louder
    than the whole; NaN where an output is.

    Parameters
    ----------
    whole
        Output for the whole image.
    kept
        Output of the most relevant pixels alone, one column for each share kept.

    Examples
    --------
    >>> sufficiency(np.array([1.0]), np.array([[0.5, 1.0]]))
    array([0.25])
    """
    return _mean_fall(whole, kept)


def _mean_fall(whole: Float[np.ndarray, " n"], after: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return how far outputs fell below the whole image's, on average over the columns."""
    return doubles((doubles(whole)[:, None] - after).mean(axis=1))
