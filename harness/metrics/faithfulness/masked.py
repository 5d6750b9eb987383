"""The picture multiplied by its own map: what the network says of what the map keeps.

Made for class activation maps, which have no sign and lie between 0 and 1: here every map is brought to that first
(:func:`keep_masks`). ``whole`` (n,) is the probability of the explained class for the picture, ``kept`` (n,) that for
the picture times its mask.
"""

import numpy as np
from jaxtyping import Float, Float64

from harness.metrics._rows import doubles, finite, flat, pearson, ratio, undefined_where
from harness.metrics.cards import NULL_SCORE, metric

_MASKED = "one forward"
_FLAT = "the map's positive relevance is the same everywhere"
_GRADCAM = "Chattopadhay et al. 2018, Grad-CAM++"
_ADCC = "Poppi et al. 2021, Revisiting the evaluation of class activation mapping for explainability"
_BLACK = "a run multiplies pixels: what is not kept is black; pytorch-grad-cam multiplies what the network reads"
_AGAIN = "one explanation of the masked picture"


def keep_masks(maps: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, "n h w"]:
    """Return how much of each pixel a map keeps: its positive relevance, stretched from 0 to 1.

    NaN throughout where the positive relevance is the same everywhere, or a value is not finite.

    Examples
    --------
    >>> keep_masks(np.array([[[-1.0, 1.0, 2.0]]]))
    array([[[0. , 0.5, 1. ]]])
    """
    rows = np.maximum(finite(flat(maps)), 0)
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    return ratio(rows - low, np.broadcast_to(high - low, rows.shape)).reshape(maps.shape)


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="share of the probability that is lost when the picture is multiplied by its map",
    undefined=f"{_FLAT}, or the whole picture's probability is 0",
    chance=NULL_SCORE,
    cost=_MASKED,
    reference=_GRADCAM,
    compared_with="pytorch-grad-cam 1.5 DropInConfidence",
    differs=(
        "a share of the whole picture's probability, as in the paper, which gives it in percent; pytorch-grad-cam does "
        f"not divide by it. Also, {_BLACK}"
    ),
)
def average_drop(whole: Float[np.ndarray, " n"], kept: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return what share of the probability is lost on the masked picture, 0 where it rises; lower is better.

    Chattopadhay et al. 2018, whose average drop is the mean over pictures. NaN where the whole picture's is 0.

    Examples
    --------
    >>> average_drop(np.array([0.8, 0.5]), np.array([0.2, 0.9]))
    array([0.75, 0.  ])
    """
    return ratio(np.maximum(doubles(whole) - kept, 0), doubles(whole))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="whether the probability rises when the picture is multiplied by its map",
    undefined=_FLAT,
    chance=NULL_SCORE,
    cost=_MASKED,
    reference=_GRADCAM,
    compared_with="pytorch-grad-cam 1.5 IncreaseInConfidence",
    differs=_BLACK,
)
def average_increase(whole: Float[np.ndarray, " n"], kept: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return 1 where the masked picture is more surely of the class than the whole, else 0; higher is better.

    Chattopadhay et al. 2018, whose increase in confidence is the mean over pictures.

    Examples
    --------
    >>> average_increase(np.array([0.8, 0.5]), np.array([0.2, 0.9]))
    array([0., 1.])
    """
    return undefined_where(np.isnan(whole) | np.isnan(kept), doubles(kept > whole))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of what the probability lacks that is gained when the picture is multiplied by its map",
    undefined=f"{_FLAT}, or the whole picture's probability is 1",
    chance=NULL_SCORE,
    cost=_MASKED,
    reference="Zhang et al. 2024, Opti-CAM",
    compared_with="probabilities known by hand",
)
def average_gain(whole: Float[np.ndarray, " n"], kept: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return what share of the way to 1 the probability goes on the masked picture, 0 where it falls; higher is better.

    Zhang et al. 2024, the counterpart of the average drop. NaN where the whole picture's is 1.

    Examples
    --------
    >>> average_gain(np.array([0.8, 0.5]), np.array([0.2, 0.9]))
    array([0. , 0.8])
    """
    return ratio(np.maximum(doubles(kept) - whole, 0), 1 - doubles(whole))


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="mean of the map's positive relevance, stretched from 0 to 1",
    undefined=_FLAT,
    chance=NULL_SCORE,
    reference=_ADCC,
    compared_with="pytorch-grad-cam 1.5 Complexity",
)
def adcc_complexity(masks: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the mean magnitude of each mask, its L1 norm over the pixels; lower is better.

    Poppi et al. 2021. It asks no network, so that a map with its values in other places scores the same.

    Parameters
    ----------
    masks
        From :func:`keep_masks`.

    Examples
    --------
    >>> adcc_complexity(np.array([[[0.0, 0.5, 1.0, 0.0]]]))
    array([0.375])
    """
    return doubles(np.abs(flat(masks)).mean(axis=1))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="correlation of the map with that of the picture multiplied by it, from 0 to 1",
    undefined=f"{_FLAT}, or that of the masked picture's map is",
    chance="0.5 for two maps that have nothing in common",
    cost=_AGAIN,
    reference=_ADCC,
    compared_with="pytorch-grad-cam 1.5 Coherency",
    differs=_BLACK,
)
def coherency(masks: Float[np.ndarray, "n h w"], masks_again: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the correlation of each mask with the mask of the picture that it was multiplied with; higher is better.

    Poppi et al. 2021: Pearson's, moved from [-1, 1] to [0, 1]. NaN where either is constant.

    Parameters
    ----------
    masks, masks_again
        From :func:`keep_masks`, of the map and of the map of the masked picture.

    Examples
    --------
    >>> coherency(np.array([[[0.0, 0.5, 1.0]]]), np.array([[[1.0, 0.5, 0.0]]])).round(4)
    array([0.])
    """
    return (pearson(flat(masks), flat(masks_again)) + 1) / 2


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="harmonic mean of coherency, 1 less complexity and 1 less average drop",
    undefined="one of the three is",
    chance="that of two unrelated maps",
    cost=f"one forward, {_AGAIN}",
    reference=_ADCC,
    compared_with="harmonic means known by hand",
)
def adcc(
    coherencies: Float[np.ndarray, " n"], complexities: Float[np.ndarray, " n"], drops: Float[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Return the harmonic mean of what is coherent, what is left out and what is kept, in [0, 1]; higher is better.

    Poppi et al. 2021, ADCC. 0 where one of the three is 0, which is the limit of the mean. NaN where one is.

    Parameters
    ----------
    coherencies, complexities, drops
        From :func:`coherency`, :func:`adcc_complexity` and :func:`average_drop`.

    Examples
    --------
    >>> adcc(np.array([1.0, 0.5]), np.array([0.0, 0.5]), np.array([0.0, 1.0]))
    array([1., 0.])
    """
    parts = np.stack([doubles(coherencies), 1 - doubles(complexities), 1 - doubles(drops)])
    with np.errstate(divide="ignore"):
        return doubles(3 / (1 / parts).sum(axis=0))
