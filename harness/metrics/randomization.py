"""Whether a map depends on what the network has learnt, and on the class explained.

``randomized`` (n, stages, h, w) holds the maps of the same images on networks with more and more random
layers, the last stage being random throughout. A map that stays as it was explains the image, not the
network. How much likeness is to be expected without dependence is a matter of null maps, not of these
functions.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from harness.metrics._rows import constant, doubles, flat, ratio, undefined_where
from harness.metrics.cards import metric
from harness.metrics.complexity import histogram_entropy
from harness.metrics.faithfulness import area_under_curve
from harness.metrics.similarity import Similarity

_NULL_LIKENESS = "the transplant null's likeness"
_LIKENESS = "the likeness is undefined, as of a constant map"
_FULL = "similarity of the map to the map of a fully randomised network"
_STAGES = "similarity of the map to the maps of networks randomised from the output downwards"
_SIMILARITIES = {
    "": "rank correlation",
    "-ssim": "structural similarity (SSIM)",
    "-hog": "likeness of oriented gradients (HOG)",
}
_FULL_VARIANTS = {
    f"randomization-full{name}{suffix}": f"{title} of the map and the map of a fully randomised network{told}"
    for name, title in _SIMILARITIES.items()
    for suffix, told in (("", ""), ("-absolute", ", signs dropped"))
}
_CONSTANT_OF_TWO = "constant map of the target or of the other class"
_RIVAL = "the class that it is most confused with"
_SANITY = "Adebayo et al. 2018, Sanity checks for saliency maps"

Complexity = Callable[[Shaped[np.ndarray, "n h w"]], Shaped[np.ndarray, " n"]]


def mprt_curve(
    maps: Float[np.ndarray, "n h w"], randomized: Float[np.ndarray, "n stages h w"], similarity: Similarity
) -> Float64[np.ndarray, "n stages"]:
    """Return how alike each map and its successors on a network more and more random are.

    Model parameter randomisation test, Adebayo et al. 2018. In the range of `similarity`; lower is better.
    NaN at a stage where the likeness is undefined, as for a constant map.

    Parameters
    ----------
    similarity
        From :mod:`harness.metrics.similarity`.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> maps = np.array([[[0.0, 1.0, 2.0]]])
    >>> mprt_curve(maps, np.stack([maps, -maps], axis=1), pearson_similarity)
    array([[ 1., -1.]])
    """
    stages = [similarity(maps, randomized[:, stage]) for stage in range(randomized.shape[1])]
    return doubles(np.stack(stages, axis=1))


@metric(
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning=f"{_STAGES}, mean over the stages",
    undefined="the likeness is undefined at a stage, as of a constant map",
    chance=_NULL_LIKENESS,
    cost="one explanation a stage",
    reference=_SANITY,
    compared_with="Quantus 0.6 MPRT",
    differs="the unrandomised network is no stage; Quantus averages its likeness of 1 in",
)
def mprt_average(curve: Float[np.ndarray, "n stages"]) -> Float64[np.ndarray, " n"]:
    """Return the mean likeness over the stages; NaN where it is undefined at any. Lower is better.

    The unrandomised network is no stage.

    Examples
    --------
    >>> mprt_average(np.array([[1.0, 0.5, 0.0]]))
    array([0.5])
    """
    return doubles(curve.mean(axis=1))


@metric(
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning=f"{_STAGES}, at the last stage",
    variants=_FULL_VARIANTS,
    undefined=_LIKENESS,
    chance=_NULL_LIKENESS,
    cost="one explanation",
    reference=_SANITY,
    compared_with="Quantus 0.6 MPRT",
)
def mprt_last(curve: Float[np.ndarray, "n stages"]) -> Float64[np.ndarray, " n"]:
    """Return the likeness once every layer is random; lower is better.

    Examples
    --------
    >>> mprt_last(np.array([[1.0, 0.5, 0.0]]))
    array([0.])
    """
    return doubles(curve[:, -1])


@metric(
    higher_is_better=True,
    range=(-1.0, math.inf),
    meaning="relative rise of the map's entropy with every layer random",
    undefined="a complexity is undefined, as of a constant map, or the original's is 0",
    chance="0",
    cost="one explanation",
    reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
    compared_with="Quantus 0.6 EfficientMPRT",
)
def efficient_mprt(
    maps: Float[np.ndarray, "n h w"],
    randomized: Float[np.ndarray, "n h w"],
    complexity: Complexity = histogram_entropy,
) -> Float64[np.ndarray, " n"]:
    """Return the relative rise of the map's complexity once every layer is random; higher is better.

    Hedstroem et al. 2024. 0 where it stays. NaN where a complexity is undefined or the original's is 0.

    Parameters
    ----------
    randomized
        Maps on the network with every layer random.
    complexity
        One number a map.

    Examples
    --------
    >>> maps = np.array([[[0.0, 0.0, 1.0, 1.0]]])
    >>> efficient_mprt(maps, np.array([[[0.0, 1.0, 2.0, 3.0]]])).round(6)
    array([1.])
    """
    before, after = doubles(complexity(maps)), doubles(complexity(randomized))
    return ratio(after - before, before)


SAME_SHARE = 1e-5
"""A map whose distance from its class's mean is below this share of its length is that mean: sums of some hundred maps
in single precision differ by about as much."""


MEMBERS = 3
"""Images of a class from which on each adds something of its own to their mean."""


@metric(
    name="randomization-residual",
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="likeness, whatever the sign, of map and randomised self beyond their class's mean maps",
    undefined="a constant map, one of which what is left is constant, or fewer than three images of the class",
    chance="that of two unrelated maps as smooth",
    cost="one explanation",
    reference=f"after {_SANITY}",
    compared_with="maps of known parts",
)
def residual_likeness(
    maps: Float[np.ndarray, "n h w"],
    randomized: Float[np.ndarray, "n h w"],
    classes: Int[np.ndarray, " n"],
    similarity: Similarity,
) -> Float64[np.ndarray, " n"]:
    """Return how alike, whatever the sign, a map and its randomised self are beyond what their class has in common.

    The magnitude of the likeness of what is left of each map once the mean map of its class is taken away. A map that
    shows the network has little left; one that ignores the network, or merely scales one picture by an answer, is its
    randomised self. After Adebayo et al. 2018, who compare whole maps: there a map that is the same for every image is
    no more like itself than another image's is, and passes. Where nothing is left of a map, because every image of the
    class has the same, whole maps are compared. Of a map that is alone in its class nothing is known beyond it, and
    what is left of two is one picture with two signs, which counts once.

    Parameters
    ----------
    randomized
        Maps on the network with every layer random.
    classes
        The class that each map explains.
    similarity
        In [-1, 1].

    Returns
    -------
    In [0, 1], lower is better; NaN for a constant map, where the similarity is undefined, for a map alone in its class,
    and for the second of two.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> still = np.array([[[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    >>> residual_likeness(still, still, np.array([0, 0, 0]), pearson_similarity)
    array([1., 1., 1.])
    """
    own, other = (_beyond_class(each, classes) for each in (maps, randomized))
    nothing_left = _is_its_class(maps, own) | _is_its_class(randomized, other)
    found = np.where(nothing_left, doubles(similarity(maps, randomized)), doubles(similarity(own, other)))
    # Less its class's mean even a map that says nothing has a shape, which is not its own.
    return undefined_where(repeated(classes) | constant(flat(maps)), np.abs(found))


def repeated(classes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return which maps have nothing of their own beyond their class: one that is alone, and the second of two.

    Examples
    --------
    >>> repeated(np.array([0, 1, 1, 2, 2, 2]))
    array([ True, False,  True, False, False, False])
    """
    found = np.zeros(len(classes), bool)
    for each in np.unique(classes):
        members = np.flatnonzero(classes == each)
        found[members[-1:]] = len(members) < MEMBERS
    return found


def _is_its_class(maps: Float[np.ndarray, "n h w"], beyond: Float64[np.ndarray, "n h w"]) -> Bool[np.ndarray, " n"]:
    """Return which maps add nothing to the mean map of their class."""
    left, whole = (np.linalg.norm(flat(each), axis=1) for each in (beyond, maps))
    return np.asarray(left <= SAME_SHARE * whole, dtype=bool)


def _beyond_class(maps: Float[np.ndarray, "n h w"], classes: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n h w"]:
    """Return what each map adds to the mean map of its class."""
    beyond = maps.astype(np.float64)
    for each in np.unique(classes):
        beyond[classes == each] -= beyond[classes == each].mean(axis=0)
    return beyond


def smooth_maps(noisy: Float[np.ndarray, "n s h w"]) -> Float64[np.ndarray, "n h w"]:
    """Return the mean of each image's maps over noisy copies, what SmoothMPRT compares instead of single maps.

    Hedstroem et al. 2024. NaN where a copy's map is.

    Examples
    --------
    >>> smooth_maps(np.array([[[[1.0]], [[3.0]]]]))
    array([[[2.]]])
    """
    return doubles(noisy.mean(axis=1, dtype=np.float64))


@metric(
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning=f"{_FULL}, both averaged over noisy copies of the image",
    undefined=_LIKENESS,
    chance=_NULL_LIKENESS,
    cost="one explanation a stage and noisy copy",
    reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
    compared_with="Quantus 0.6 SmoothMPRT",
)
def smooth_mprt(
    noisy: Float[np.ndarray, "n s h w"], randomized: Float[np.ndarray, "n r h w"], similarity: Similarity
) -> Float64[np.ndarray, " n"]:
    """Return how alike the mean maps over noisy copies are before and after every layer is random; lower is better.

    Hedstroem et al. 2024. In the range of `similarity`, NaN where that is undefined.

    Parameters
    ----------
    noisy, randomized
        Maps of each image's noisy copies on the trained network and on the random one.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> smooth_mprt(np.array([[[[0.0, 1.0]], [[0.0, 3.0]]]]), np.array([[[[1.0, 0.0]]]]), pearson_similarity)
    array([-1.])
    """
    return doubles(similarity(smooth_maps(noisy), smooth_maps(randomized)))


@metric(
    name="randomization-labels",
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning="similarity of the map to the map of the same architecture trained on permuted labels",
    undefined=_LIKENESS,
    chance=_NULL_LIKENESS,
    cost="one explanation",
    reference=_SANITY,
    compared_with="likenesses known by hand",
)
def label_randomization(
    maps: Float[np.ndarray, "n h w"], twins: Float[np.ndarray, "n h w"], similarity: Similarity
) -> Float64[np.ndarray, " n"]:
    """Return how alike the maps are to those of a network that learned permuted labels; lower is better.

    Data randomisation test, Adebayo et al. 2018. In the range of `similarity`, NaN where that is undefined.

    Parameters
    ----------
    twins
        Maps of the same images and targets on the same architecture, trained on permuted labels.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> label_randomization(np.array([[[0.0, 1.0]]]), np.array([[[1.0, 0.0]]]), pearson_similarity)
    array([-1.])
    """
    return doubles(similarity(maps, twins))


@metric(
    higher_is_better=False,
    range=(-1.0, 1.0),
    meaning="structural similarity (SSIM) of the target's map and a random other class's",
    variants={"random-logit-rival": f"rank correlation of the target's map and that of {_RIVAL}"},
    undefined=_CONSTANT_OF_TWO,
    chance="1 for an explainer that ignores the class",
    cost="one explanation",
    reference="Sixt et al. 2020, When explanations lie",
    compared_with="Quantus 0.6 RandomLogit",
    differs=(
        "SSIM is taken over the image; Quantus takes it over the flattened map, whose neighbours are not neighbours. "
        "The rival's map is compared by ranks, because SSIM is blind to sign"
    ),
)
def random_logit(
    maps: Float[np.ndarray, "n h w"], other_class: Float[np.ndarray, "n h w"], similarity: Similarity
) -> Float64[np.ndarray, " n"]:
    """Return how alike the maps of an image for its own and for another class are; lower is better.

    Sixt et al. 2020. In the range of `similarity`, NaN where that is undefined.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> random_logit(np.array([[[0.0, 1.0]]]), np.array([[[1.0, 0.0]]]), pearson_similarity)
    array([-1.])
    """
    return doubles(similarity(maps, other_class))


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning=f"how far the deletion curve by the target's map runs under that by the map of {_RIVAL}",
    undefined=f"{_CONSTANT_OF_TWO}, or an output along the trajectory is NaN",
    chance="0",
    cost="two forwards a step",
    reference="after Sixt et al. 2020, When explanations lie",
    compared_with="the exact area between piecewise linear curves",
)
def target_specificity(
    fractions: Float[np.ndarray, " steps"],
    by_own: Float[np.ndarray, "n steps"],
    by_other: Float[np.ndarray, "n steps"],
) -> Float64[np.ndarray, " n"]:
    """Return by how much removal in the order of the class's own map hurts that class more than another's map.

    The difference of two deletion areas, in the output's unit; higher is better, 0 for a map that is the same
    for both classes. NaN where an output is.

    Parameters
    ----------
    fractions
        The share of pixels removed.
    by_own, by_other
        Output for the explained class while pixels go in the order of its own map, and of the other class's
        map.

    Examples
    --------
    >>> ends = np.array([0.0, 1.0])
    >>> target_specificity(ends, np.array([[1.0, 0.0]]), np.array([[1.0, 0.5]]))
    array([0.25])
    """
    return doubles(area_under_curve(fractions, by_other) - area_under_curve(fractions, by_own))
