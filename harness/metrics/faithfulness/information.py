"""What the network says as a blurred picture is told more and more of the whole, over how much it has been told.

How much a picture tells is the size of its file in a compression without loss. ``sizes`` (n, steps) are those of the
fully blurred picture, of the steps between, and of the whole; ``answers`` (n, steps) is what the network says of each.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from harness.metrics._rows import doubles
from harness.metrics.cards import NULL_SCORE, metric

_COST = "one forward a step"
_XRAI = "Kapishnikov et al. 2019, XRAI"
_BLUR_TELLS = "the fully blurred picture's file is no smaller than the whole's, or it is answered as well"
_POINTS = 1000
"""Places along the curve that its area is taken from."""


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="area under the probability over the information of a blurred picture told more and more",
    undefined=f"{_BLUR_TELLS}, or the whole picture's probability is below 0.8",
    chance=NULL_SCORE,
    cost=_COST,
    reference=_XRAI,
    compared_with="saliency 0.2 compute_pic_metric",
)
def softmax_information_curve(
    sizes: Int[np.ndarray, "n steps"], probabilities: Float[np.ndarray, "n steps"], least: float = 0.8
) -> Float64[np.ndarray, " n"]:
    """Return SIC, the area under each picture's softmax information curve, in [0, 1]; higher is better.

    Kapishnikov et al. 2019. The mean over pictures is the area under the mean of their curves; the paper's median of
    curves is no mean of anything of one picture.

    NaN where the whole picture's probability is below `least`, or where the fully blurred picture tells as much or is
    answered as well.

    Parameters
    ----------
    probabilities
        Of the explained class; the first of the fully blurred picture, the last of the whole.

    Examples
    --------
    >>> softmax_information_curve(np.array([[10, 20, 30]]), np.array([[0.0, 1.0, 1.0]])).round(4)
    array([0.75])
    """
    return _areas(sizes, doubles(probabilities), least)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="area under being recognised over the information of a blurred picture told more and more",
    undefined=_BLUR_TELLS,
    chance=NULL_SCORE,
    cost=_COST,
    reference=_XRAI,
    compared_with="saliency 0.2 compute_pic_metric",
)
def accuracy_information_curve(
    sizes: Int[np.ndarray, "n steps"], recognised: Bool[np.ndarray, "n steps"]
) -> Float64[np.ndarray, " n"]:
    """Return AIC, the area under each picture's accuracy information curve, in [0, 1]; higher is better.

    Kapishnikov et al. 2019. Otherwise as :func:`softmax_information_curve`; a fully blurred picture that is recognised
    has no curve.

    Parameters
    ----------
    recognised
        Whether the network takes it for the explained class.

    Examples
    --------
    >>> accuracy_information_curve(np.array([[10, 20, 30]]), np.array([[False, False, True]])).round(4)
    array([0.25])
    """
    return _areas(sizes, doubles(recognised), 0.0)


def _areas(
    sizes: Int[np.ndarray, "n steps"], answers: Float64[np.ndarray, "n steps"], least: float
) -> Float64[np.ndarray, " n"]:
    """Return the area under each picture's curve, both its axes from the fully blurred picture to the whole."""
    found = np.full(len(sizes), np.nan)
    for place, (size, answer) in enumerate(zip(doubles(sizes), answers, strict=True)):
        if answer[-1] >= least and size[0] < size[-1] and answer[0] < answer[-1]:
            found[place] = _area(_between(size), np.maximum.accumulate(_between(answer)[1:-1]))
    return found


def _between(values: Float64[np.ndarray, " steps"]) -> Float64[np.ndarray, " steps"]:
    """Return where each value lies between the first and the last, from 0 to 1."""
    return doubles(np.clip((values - values[0]) / (values[-1] - values[0]), 0, 1))


def _area(told: Float64[np.ndarray, " steps"], reached: Float64[np.ndarray, " inner"]) -> float:
    """Return the area under the best answer so far; the curve begins in (0, 0) and ends in (1, 1)."""
    across, height = np.append(told[1:-1], [0.0, 1.0]), np.append(reached, [0.0, 1.0])
    order = np.argsort(across, kind="stable")
    places = np.linspace(0.0, 1.0, _POINTS, endpoint=False)
    curve = np.append(np.interp(places, across[order], height[order]), 1.0)
    return float(np.trapezoid(curve, np.append(places, 1.0)))
