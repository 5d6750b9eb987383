"""Whether removing what a map calls relevant changes the network's answer as the map says.

Three kinds of measurement come in, none of which is made here.

A **trajectory** ``values`` (n, steps) is the output for the explained class (a probability or a logit, in
that unit) as pixels are removed in the map's order, step 0 being the whole image unless said otherwise. A
**bank** is a set of m random removals: ``attributed`` (n, m) is the relevance that the map gives to what each
removal takes away, ``drops`` (n, m) the output of the whole image minus the output without it. **Effects**
(n, f) are the consequences of removing each feature alone. An undefined measurement is NaN and makes its
image's score NaN.
"""

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


def pixel_flipping(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean output while equal shares of pixels are removed, most relevant first; lower is better.

    Bach et al. 2015. Trapezoid over equal steps, the whole image being step 0. In the unit and range of
    `values`; NaN where a value is, or with a single step.

    Examples
    --------
    >>> pixel_flipping(np.array([[1.0, 0.0, 0.0]]))
    array([0.25])
    """
    return area_under_curve(np.linspace(0.0, 1.0, values.shape[1]), values)


def selectivity(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean output while patches are removed, highest summed relevance first; lower is better.

    Montavon et al. 2018. As :func:`pixel_flipping`, one step a patch.

    Examples
    --------
    >>> selectivity(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return pixel_flipping(values)


def aopc(values: Float[np.ndarray, "n steps"]) -> Float64[np.ndarray, " n"]:
    """Return the mean fall of the output over the steps of a removal, most relevant first; higher is better.

    Samek et al. 2017, area over the perturbation curve: step 0 counts as a fall of 0, so that L removals are
    divided by L + 1. In the unit of `values`, 0 where nothing is removed; NaN where a value is.

    Examples
    --------
    >>> aopc(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return _mean_fall(values[:, 0], values)


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
