"""How far a map is from keeping an axiom that its method claims. 0 is kept, except where said otherwise.

An axiom holds or it does not; the residuals say by how much it fails, relative to the map or to the output,
so that a positive rescaling of both changes nothing.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64

from harness.metrics._rows import doubles, flat, ratio, relative_distance, require_same_shape, undefined_where
from harness.metrics.cards import metric

_EACH_FEATURE = "one forward a feature, shared by all maps of the image"


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning=(
        "how far the map's sum is from the logit's fall to the explainer's baseline, as a share of the mean absolute "
        "fall over all images"
    ),
    undefined="no image's output drops",
    chance="0 is claimed",
    cost="one forward of the baseline",
    reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
    compared_with="Quantus 0.6 Completeness",
    differs=(
        "a distance; Quantus asks for equality of rounded numbers, on maps divided by their largest value by default. "
        "Falls are averaged, because single ones come near zero"
    ),
)
def completeness(maps: Float[np.ndarray, "n h w"], drops: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return how far the map's sum is from the output's drop to the baseline, as a share of the mean absolute drop.

    Sundararajan et al. 2017 (also conservation, summation to delta). The mean over images is the sum of absolute
    residuals over that of absolute drops. One image's own drop can come near zero, where any residual is many times it.
    The sum of the map's absolute values never does, but is 10 to 500 times the drop on the bundled networks, so that
    beside it a map that adds up to nothing would seem complete. A drop that is no number counts in no mean. NaN where
    no output drops at all.

    Parameters
    ----------
    drops
        Output of the image minus output of the baseline.

    Examples
    --------
    >>> completeness(np.array([[[1.0, 2.0]], [[1.0, 2.0]]]), np.array([3.0, 2.0]))
    array([0. , 0.4])
    """
    known = np.abs(doubles(drops))[np.isfinite(drops)]
    scale = np.array([known.mean() if len(known) else np.nan])
    return ratio(np.abs(flat(maps).sum(axis=1) - drops), np.broadcast_to(scale, drops.shape))


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="share of patches with an effect that the map calls irrelevant",
    undefined="no feature has an effect, or a number is NaN",
    chance="0 is claimed",
    cost=_EACH_FEATURE,
    reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
    compared_with="Quantus 0.6 NonSensitivity",
    differs="a share; Quantus counts the features in breach of this or of non-sensitivity together",
)
def sensitivity(
    relevances: Float[np.ndarray, "n f"],
    effects: Float[np.ndarray, "n f"],
    relevance_floor: float = 0.0,
    effect_floor: float = 0.0,
) -> Float64[np.ndarray, " n"]:
    """Return the share of features with an effect that the map calls irrelevant, in [0, 1].

    Sundararajan et al. 2017, sensitivity (a), over single features. NaN where no feature has an effect, or
    where a number is missing.

    Parameters
    ----------
    relevances
        Signed.
    effects
        What removing each feature alone does to the output.
    relevance_floor
        A feature is irrelevant up to this share of the map's largest magnitude.
    effect_floor
        A feature has no effect up to this magnitude, in the output's unit.

    Examples
    --------
    >>> sensitivity(np.array([[1.0, 0.0, 0.0]]), np.array([[2.0, 1.0, 0.0]]))
    array([0.5])
    """
    relevant, effective, missing = _marked(relevances, effects, relevance_floor, effect_floor)
    missed = effective & ~relevant
    return undefined_where(missing, ratio(doubles(missed.sum(axis=1)), doubles(effective.sum(axis=1))))


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="share of patches without effect that the map calls relevant",
    undefined="every feature has an effect, or a number is NaN",
    chance="0 is claimed",
    cost=_EACH_FEATURE,
    reference="Nguyen & Rodriguez Martinez 2020, On quantitative aspects of model interpretability",
    compared_with="Quantus 0.6 NonSensitivity",
    differs="a share; Quantus counts the features in breach of this or of sensitivity together",
)
def non_sensitivity(
    relevances: Float[np.ndarray, "n f"],
    effects: Float[np.ndarray, "n f"],
    relevance_floor: float = 0.0,
    effect_floor: float = 0.0,
) -> Float64[np.ndarray, " n"]:
    """Return the share of features without effect that the map calls relevant, in [0, 1].

    Sundararajan et al. 2017, sensitivity (b) or dummy; Nguyen & Rodriguez Martinez 2020. NaN where every
    feature has an effect, or where a number is missing. The parameters are those of :func:`sensitivity`.

    Examples
    --------
    >>> non_sensitivity(np.array([[1.0, 0.1, 0.0]]), np.array([[2.0, 0.0, 0.0]]))
    array([0.5])
    """
    relevant, effective, missing = _marked(relevances, effects, relevance_floor, effect_floor)
    invented = relevant & ~effective
    return undefined_where(missing, ratio(doubles(invented.sum(axis=1)), doubles((~effective).sum(axis=1))))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far the map is from that on a network of equal answers",
    undefined="the map is zero",
    chance="0 is claimed",
    cost="one explanation on the twin network",
    reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
    compared_with="pairs of networks with equal outputs",
)
def implementation_invariance(
    maps: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return how far apart the maps of two networks of equal outputs are, in lengths of the first.

    Sundararajan et al. 2017. NaN for a map that is zero throughout.

    Examples
    --------
    >>> implementation_invariance(np.array([[[3.0, 4.0]]]), np.array([[[3.0, 4.0]]]))
    array([0.])
    """
    return relative_distance(maps, others)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far the map on a sum of networks is from the sum of their maps",
    undefined="the map of the sum is zero",
    chance="0 is claimed",
    cost="three explanations",
    reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
    compared_with="networks with known contributions",
)
def linearity(
    combined: Float[np.ndarray, "n h w"],
    parts: tuple[Float[np.ndarray, "n h w"], Float[np.ndarray, "n h w"]],
    weights: tuple[float, float],
) -> Float64[np.ndarray, " n"]:
    """Return how far the map of a weighted sum of two networks is from the weighted sum of their maps.

    In lengths of the former. Sundararajan et al. 2017. NaN where the map of the sum is zero throughout.

    Parameters
    ----------
    combined
        Maps on the network weights[0] * first + weights[1] * second.
    parts
        Maps on the first and on the second network.

    Examples
    --------
    >>> ones = np.ones((1, 1, 2))
    >>> linearity(5 * ones, (ones, ones), (2.0, 3.0))
    array([0.])
    """
    first, second = (doubles(part) for part in parts)
    return relative_distance(combined, doubles(weights[0] * first + weights[1] * second))


def _marked(
    relevances: Float[np.ndarray, "n f"],
    effects: Float[np.ndarray, "n f"],
    relevance_floor: float,
    effect_floor: float,
) -> tuple[Bool[np.ndarray, "n f"], Bool[np.ndarray, "n f"], Bool[np.ndarray, " n"]]:
    """Say which features the map calls relevant, which have an effect, and which rows lack a number."""
    require_same_shape(relevances, effects, "relevances and effects")
    magnitudes, changes = np.abs(flat(relevances)), np.abs(flat(effects))
    relevant = magnitudes > relevance_floor * magnitudes.max(axis=1, keepdims=True)
    missing = np.isnan(magnitudes).any(axis=1) | np.isnan(changes).any(axis=1)
    return relevant, changes > effect_floor, np.asarray(missing, dtype=bool)
