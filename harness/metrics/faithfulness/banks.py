"""What a map gives to random removals, or to single features, beside what they do."""

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
from harness.metrics.faithfulness.curves import TRAJECTORY

_BANK = "one forward a mask, shared by all maps of the image"
_EACH_FEATURE = "one forward a feature, shared by all maps of the image"
_CONSTANT_BANK = "attributed sums or drops are constant over the bank"
_HIDDEN = "what hiding it does to the target's logit"


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
    cost=TRAJECTORY,
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
