"""Whether removing what a map calls relevant changes the network's answer as the map says.

Three kinds of measurement come in, none of which is made here.

A **trajectory** ``values`` (n, steps) is the output for the explained class (a probability or a logit, in
that unit) as pixels are removed in the map's order, step 0 being the whole image unless said otherwise. A
**bank** is a set of m random removals: ``attributed`` (n, m) is the relevance that the map gives to what each
removal takes away, ``drops`` (n, m) the output of the whole image minus the output without it. **Effects**
(n, f) are the consequences of removing each feature alone. An undefined measurement is NaN and makes its
image's score NaN.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64, Real

from harness.metrics._rows import (
    constant,
    doubles,
    flat,
    pearson,
    ranks,
    ratio,
    require_same_shape,
    undefined_where,
)
from harness.metrics.cards import NULL_SCORE, metric

_NAN_OUTPUT = "an output along the trajectory is NaN"
_TRAJECTORY = "one forward a step"
_BANK = "one forward a mask, shared by all maps of the image"
_EACH_FEATURE = "one forward a feature, shared by all maps of the image"
_CONSTANT_BANK = "attributed sums or drops are constant over the bank"
_FILLS = {"mean": "with the mean as fill", "noisy-linear": "with noisy linear imputation as fill"}
_OUTPUTS_AND_FILLS = {"logit": "of the logit", **_FILLS}
_DELETION = "area under the target's probability over the fraction of pixels removed, most relevant first"
_INSERTION = "area under the target's probability over the fraction of pixels shown, most relevant first"
_SYMMETRIC = "area between removing least relevant first and most relevant first"
_HIDDEN = "what hiding it does to the target's logit"
_TRAPEZOID = "counts the whole image as step 0 and divides the area by the span, so that steps do not change the unit"


def attributed_sums(
    maps: Float[np.ndarray, "n h w"], removed: Real[np.ndarray, "m h w"] | Bool[np.ndarray, "m h w"]
) -> Float64[np.ndarray, "n m"]:
    """Return the relevance that each map gives to what each removal of a bank takes away.

    Parameters
    ----------
    maps
        Signed relevance.
    removed
        The share of each pixel that is removed, in [0, 1]; 1 minus a bank of what is kept.

    Examples
    --------
    >>> attributed_sums(np.array([[[1.0, 2.0]]]), np.array([[[1, 0]], [[1, 1]]]))
    array([[1., 3.]])
    """
    return doubles(flat(maps) @ flat(removed).T)


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
    undefined=_NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=_TRAJECTORY,
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
    undefined=_NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=_TRAJECTORY,
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
    undefined=_NAN_OUTPUT,
    chance=NULL_SCORE,
    cost=_TRAJECTORY,
    reference="Bach et al. 2015, layer-wise relevance propagation",
    compared_with="Quantus 0.6 PixelFlipping",
    differs=_TRAPEZOID,
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
    undefined=_NAN_OUTPUT,
    chance=NULL_SCORE,
    cost="one forward a patch",
    reference="Montavon et al. 2018, Methods for interpreting and understanding deep neural networks",
    compared_with="Quantus 0.6 Selectivity",
    differs=_TRAPEZOID,
)
def selectivity(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean output while patches are removed, highest summed relevance first; lower is better.

    Montavon et al. 2018. Trapezoid over equal steps, one step a patch, the whole image being step 0.

    Examples
    --------
    >>> selectivity(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return area_under_curve(np.linspace(0.0, 1.0, values.shape[1]), values)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=(
        "mean fall of the target's probability while regions of 9 x 9 pixels, at most 100, turn to noise, most "
        "relevant first"
    ),
    undefined=_NAN_OUTPUT,
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
    undefined=_NAN_OUTPUT,
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


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=(
        "correlation, over random halves of the picture, of the relevance that is hidden and the fall of the "
        "target's logit"
    ),
    undefined=_CONSTANT_BANK,
    chance="0",
    cost=_BANK,
    reference="Bhatt et al. 2020, Evaluating and aggregating feature-based model explanations",
    compared_with="Quantus 0.6 FaithfulnessCorrelation",
)
def faithfulness_correlation(
    attributed: Float[np.ndarray, "n m"], drops: Float[np.ndarray, "n m"]
) -> Float64[np.ndarray, " n"]:
    """Return the linear correlation, over random removals of one size, of summed relevance and drop.

    Bhatt et al. 2020. In [-1, 1], higher is better, 0 by chance. NaN where either is constant over the bank.

    Examples
    --------
    >>> faithfulness_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[0.1, 0.2, 0.3]]))
    array([1.])
    """
    require_same_shape(attributed, drops, "attributed sums and drops")
    return pearson(flat(attributed), flat(drops))


def sensitivity_n_curve(
    attributed: Float[np.ndarray, "n sizes m"], drops: Float[np.ndarray, "n sizes m"]
) -> Float64[np.ndarray, "n sizes"]:
    """Return the linear correlation of summed relevance and drop at each size of removal.

    Ancona et al. 2018. In [-1, 1], higher is better. NaN at a size where either is constant over the
    removals.

    Parameters
    ----------
    attributed, drops
        m random removals of each of several sizes.

    Examples
    --------
    >>> sums = np.array([[[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]])
    >>> sensitivity_n_curve(sums, sums * [[[1], [-1]]])
    array([[ 1., -1.]])
    """
    require_same_shape(attributed, drops, "attributed sums and drops")
    n, sizes, removals = attributed.shape
    rows = (array.reshape(n * sizes, removals).astype(np.float64) for array in (attributed, drops))
    return pearson(*rows).reshape(n, sizes)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="the same correlation, averaged over an eighth, a quarter, a half and three quarters hidden",
    undefined="attributed sums or drops are constant at some size",
    chance="0",
    cost=_BANK,
    reference="Ancona et al. 2018, Towards better understanding of gradient-based attribution methods",
    compared_with="Quantus 0.6 SensitivityN",
    differs=(
        "correlates over random removals of one image; Quantus correlates over the images of a batch, and one "
        "step's relevance with the drop of all steps so far, so exact contributions of a linear network score "
        "below 1 there"
    ),
)
def sensitivity_n(
    attributed: Float[np.ndarray, "n sizes m"], drops: Float[np.ndarray, "n sizes m"]
) -> Float64[np.ndarray, " n"]:
    """Return the mean of :func:`sensitivity_n_curve` over the sizes; NaN where it is undefined at any size.

    Ancona et al. 2018.

    Examples
    --------
    >>> sums = np.array([[[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]])
    >>> sensitivity_n(sums, sums * [[[1], [-1]]])
    array([0.])
    """
    return doubles(sensitivity_n_curve(attributed, drops).mean(axis=1))


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=f"correlation, over patches, of relevance and {_HIDDEN}",
    undefined="relevances or drops are constant",
    chance="0",
    cost=_EACH_FEATURE,
    reference="Alvarez-Melis & Jaakkola 2018, Towards robust interpretability with self-explaining neural networks",
    compared_with="Quantus 0.6 FaithfulnessEstimate",
)
def faithfulness_estimate(
    relevances: Float[np.ndarray, "n f"], drops: Float[np.ndarray, "n f"]
) -> Float64[np.ndarray, " n"]:
    """Return the linear correlation, over features, of relevance and the drop when it alone is removed.

    Alvarez-Melis & Jaakkola 2018. In [-1, 1], higher is better, 0 by chance. NaN where either is constant.

    Examples
    --------
    >>> faithfulness_estimate(np.array([[1.0, 2.0, 3.0]]), np.array([[0.3, 0.2, 0.1]]))
    array([-1.])
    """
    require_same_shape(relevances, drops, "relevances and drops")
    return pearson(flat(relevances), flat(drops))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="1 where the output never falls while pixels come, least relevant first",
    undefined="the output never moves, or is NaN somewhere",
    chance=NULL_SCORE,
    cost=_TRAJECTORY,
    reference="Arya et al. 2019, One explanation does not fit all",
    compared_with="Quantus 0.6 Monotonicity",
    differs="Quantus puts the baseline in place of the baseline, so its image stays empty and every map is monotonic",
)
def monotonicity_arya(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return 1 where the output never falls while pixels are put back, least relevant first, else 0.

    Arya et al. 2019. Step 0 is the empty image. NaN where a value is, or where the output never moves: an
    image on which nothing has an effect orders nothing.

    Examples
    --------
    >>> monotonicity_arya(np.array([[0.0, 0.1, 1.0], [0.0, 0.2, 0.1], [0.5, 0.5, 0.5]]))
    array([ 1.,  0., nan])
    """
    undefined = constant(values) | np.isnan(values).any(axis=1)
    return undefined_where(undefined, doubles((np.diff(values, axis=1) >= 0).all(axis=1)))


def nguyen_effects(
    whole: Float[np.ndarray, " n"], resampled: Float[np.ndarray, "n f samples"]
) -> Float64[np.ndarray, "n f"]:
    """Return each feature's expected squared change of the output when its value is drawn anew.

    Nguyen & Rodriguez Martinez 2020, in squared units of the output.

    Parameters
    ----------
    whole
        Output for the whole image.
    resampled
        Output with each feature alone replaced, once for each drawn value.

    Examples
    --------
    >>> nguyen_effects(np.array([1.0]), np.array([[[0.0, 2.0], [1.0, 1.0]]]))
    array([[1., 0.]])
    """
    changes = resampled.astype(np.float64) - whole.astype(np.float64)[:, None, None]
    return doubles((changes**2).mean(axis=2))


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=f"rank correlation, over patches, of absolute relevance and {_HIDDEN}, squared",
    undefined="absolute relevances or effects are constant",
    chance="0",
    cost="one forward a feature and drawn value, shared by all maps of the image",
    reference="Nguyen & Rodriguez Martinez 2020, On quantitative aspects of model interpretability",
    compared_with="Quantus 0.6 MonotonicityCorrelation",
    differs="takes the absolute relevance, because an effect has no sign; Quantus does so only where asked",
)
def monotonicity_nguyen(
    relevances: Float[np.ndarray, "n f"], effects: Float[np.ndarray, "n f"]
) -> Float64[np.ndarray, " n"]:
    """Return the rank correlation, over features, of absolute relevance and effect.

    Nguyen & Rodriguez Martinez 2020. In [-1, 1], higher is better, 0 by chance. NaN where either is constant.

    Parameters
    ----------
    relevances
        Signed; the sign is dropped here, because an effect has none.
    effects
        From :func:`nguyen_effects`.

    Examples
    --------
    >>> monotonicity_nguyen(np.array([[-3.0, 1.0, 2.0]]), np.array([[9.0, 1.0, 4.0]]))
    array([1.])
    """
    require_same_shape(relevances, effects, "relevances and effects")
    return pearson(ranks(np.abs(flat(relevances))), ranks(flat(effects)))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="mean squared difference of the relevance that is hidden and the fall of the logit, in the map's own scale",
    undefined="a measurement is NaN",
    chance="the variance of the drops, for a map of zeros that meets drops of mean 0",
    cost=_BANK,
    reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
    compared_with="Quantus 0.6 Infidelity; captum 0.9 infidelity",
)
def infidelity(attributed: Float[np.ndarray, "n m"], drops: Float[np.ndarray, "n m"]) -> Float64[np.ndarray, " n"]:
    """Return the mean squared difference of summed relevance and drop over a bank of perturbations.

    Yeh et al. 2019. In squared units of the output, 0 is perfect, lower is better; it depends on the map's
    scale. NaN where a measurement is.

    Parameters
    ----------
    attributed
        Perturbation times relevance, summed. For a map of sensitivities, such as a gradient, the perturbation
        is what is taken off each input value; for a map of contributions, which has the output's unit, it is
        1 where a pixel is removed (:func:`attributed_sums`).
    drops
        Output of the whole image minus output of the perturbed one.

    Examples
    --------
    >>> infidelity(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]]))
    array([2.])
    """
    require_same_shape(attributed, drops, "attributed sums and drops")
    return doubles(((attributed.astype(np.float64) - drops) ** 2).mean(axis=1))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="the same, with the map scaled to suit best",
    undefined="the bank meets no relevance, or a measurement is NaN",
    chance="at most the mean squared drop",
    cost=_BANK,
    reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
    compared_with="captum 0.9 infidelity(normalize=True)",
    differs=(
        "the best scale may not be negative: captum gives a map and its negative the same score, and divides 0 by 0"
    ),
)
def scaled_infidelity(
    attributed: Float[np.ndarray, "n m"], drops: Float[np.ndarray, "n m"]
) -> Float64[np.ndarray, " n"]:
    """Return :func:`infidelity` of the map times the non-negative number that suits it best.

    The number is mean(attributed x drops) / mean(attributed^2) of each image, or 0 where that is negative: a
    map must not be forgiven its sign. So a positive rescaling of the map changes nothing. NaN where the bank
    meets no relevance at all, or a measurement is NaN. Yeh et al. 2019.

    Examples
    --------
    >>> scaled_infidelity(np.array([[10.0, 20.0], [-1.0, -2.0]]), np.array([[1.0, 2.0], [1.0, 2.0]]))
    array([0. , 2.5])
    """
    require_same_shape(attributed, drops, "attributed sums and drops")
    sums, falls = flat(attributed), flat(drops)
    largest = np.abs(sums).max(axis=1, keepdims=True)
    # In units of the largest sum, so that squares of tiny maps do not vanish.
    sums = ratio(sums, np.broadcast_to(largest, sums.shape))
    scale = ratio((sums * falls).mean(axis=1), (sums**2).mean(axis=1))
    return infidelity(np.maximum(scale, 0)[:, None] * sums, falls)


@metric(
    higher_is_better=True,
    range=(-math.inf, 1.0),
    meaning="mean relative fall of the probability while segments are set to the picture's mean, best first",
    undefined="the whole image's output is 0, or an output is NaN",
    chance=NULL_SCORE,
    cost="one forward a segment",
    reference="Rieger & Hansen 2020, IROF",
    compared_with="Quantus 0.6 IROF",
    differs=f"{_TRAPEZOID}; Quantus's area grows with the number of segments",
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
    cost=_TRAJECTORY,
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


def _mean_fall(whole: Float[np.ndarray, " n"], after: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return how far outputs fell below the whole image's, on average over the columns."""
    return doubles((doubles(whole)[:, None] - after).mean(axis=1))
