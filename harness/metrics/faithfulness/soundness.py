"""Whether what is attributed is predictive (soundness), and whether what is predictive is attributed (completeness).

Li et al. 2024 measure both over a set of pictures, by accuracy; here each picture has its own score, by the form that
their code has for single pictures. Attribution is positive relevance.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from harness.metrics._rows import doubles, ratio, undefined_where
from harness.metrics.cards import NULL_SCORE, metric

_LI = "Li et al. 2024, A dual-perspective approach to evaluating feature attribution methods"
_SET = "a score a picture; the paper's curve over thresholds is of a set's accuracy, and is averaged here"


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of the shown attribution that came with a rise of the probability, mean over steps",
    undefined="the map has no positive relevance",
    chance=NULL_SCORE,
    cost="one forward a step",
    reference=_LI,
    compared_with="the published procedure written out by hand",
    differs=_SET,
)
def attribution_soundness(
    attributed: Float[np.ndarray, "n steps"],
    probabilities: Float[np.ndarray, "n steps"],
    rise: float = 0.01,
    start: float = 0.04,
) -> Float64[np.ndarray, " n"]:
    """Return which share of what is shown, most relevant first, was not shown in vain, in [0, 1]; higher is better.

    Li et al. 2024. What a step shows is attributed in vain where the probability rises by no more than `rise` from the
    step before, unless it is still as low as `start`; of what is shown so far, the share is taken that is not, before
    the step itself is judged. NaN for a map that attributes nothing.

    Parameters
    ----------
    attributed
        Attribution shown after each step, the first showing something and the last all but little.
    probabilities
        Of the explained class, after each step.

    Examples
    --------
    >>> attribution_soundness(np.array([[6.0, 8.0, 10.0]]), np.array([[0.5, 0.5, 0.9]])).round(4)
    array([0.9333])
    """
    shown, said = doubles(attributed), doubles(probabilities)
    added = np.diff(shown, axis=1, prepend=0.0)
    in_vain = (np.diff(said, axis=1, prepend=0.0) <= rise) & (said > start)
    before = np.cumsum(np.where(in_vain, added, 0.0), axis=1) - np.where(in_vain, added, 0.0)
    return undefined_where(np.isnan(said).any(axis=1), ratio(shown - before, shown).mean(axis=1))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of thresholds at which the picture without what is attributed more is no longer recognised",
    undefined="the map has no positive relevance",
    chance=NULL_SCORE,
    cost="one forward a threshold",
    reference=_LI,
    compared_with="the published procedure written out by hand",
    differs=_SET,
)
def attribution_completeness(
    whole: Bool[np.ndarray, " n"], without: Bool[np.ndarray, "n thresholds"]
) -> Float64[np.ndarray, " n"]:
    """Return how much recognition is lost without what is attributed more than a threshold; higher is better.

    Li et al. 2024, the fall of accuracy, mean over thresholds that are shares of the map's largest value. In [0, 1] for
    pictures that are recognised, as those are that the explained class is predicted for.

    Parameters
    ----------
    whole, without
        Whether the picture, and what is left of it at each threshold, is recognised.

    Examples
    --------
    >>> attribution_completeness(np.array([True]), np.array([[True, False, False, False]]))
    array([0.75])
    """
    return doubles(doubles(whole) - doubles(without).mean(axis=1))
