"""How far raters agree beyond chance, and how far two explanations name the same features."""

from enum import Enum

import numpy as np
from jaxtyping import Bool, Float, Int, Num


class Level(Enum):
    """What of the values counts: whether they are equal, their order, or their distance."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


def krippendorff_alpha(ratings: Num[np.ndarray, "raters units"], level: Level = Level.ORDINAL) -> float:
    """Return Krippendorff's alpha: one less the share of disagreement that chance would bring.

    Parameters
    ----------
    ratings
        One row a rater and one column a unit that is rated, (raters, units); NaN where a rater gave none.
    level
        What counts as disagreement.

    Returns
    -------
    float
        At most 1, for raters who always agree; 0 where they agree as chance would have it, below 0 where less. NaN
        where no unit has two ratings or all ratings are one value: then nothing could have disagreed.

    References
    ----------
    Krippendorff, Computing Krippendorff's alpha-reliability (2011); Hayes & Krippendorff, Answering the call for a
    standard reliability measure for coding data, Communication Methods and Measures 1 (2007).

    Examples
    --------
    >>> krippendorff_alpha(np.array([[1.0, 2, 3, 4], [1, 2, 3, 4]]))
    1.0
    """
    values, counts = _counts(np.asarray(ratings, dtype=np.float64))
    if len(values) < 2:
        return float("nan")
    of_value, of_unit = counts.sum(axis=0), counts.sum(axis=1)
    distance = _distance(values, of_value, level)
    # Within a unit of m ratings each pair counts 1 / (m - 1), so that each rating counts once.
    weight = 1 / (of_unit - 1)
    observed = float(np.einsum("u,ui,ij,uj->", weight, counts, distance, counts, optimize=True))
    expected = float(of_value @ distance @ of_value) / (of_value.sum() - 1)
    return float(1 - observed / expected)


def _counts(
    ratings: Float[np.ndarray, "raters units"],
) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, "paired values"]]:
    """Return the values that are rated, and how often each unit with two ratings or more has each."""
    known = ~np.isnan(ratings)
    paired: Bool[np.ndarray, " units"] = known.sum(axis=0) > 1
    known[:, ~paired] = False
    values, which = np.unique(ratings[known], return_inverse=True)
    counts = np.zeros((ratings.shape[1], len(values)))
    np.add.at(counts, (np.nonzero(known)[1], which), 1)
    return values, counts[paired]


def _distance(
    values: Float[np.ndarray, " values"], of_value: Float[np.ndarray, " values"], level: Level
) -> Float[np.ndarray, "values values"]:
    """Return the squared disagreement of each two values."""
    match level:
        case Level.NOMINAL:
            return 1 - np.eye(len(values))
        case Level.ORDINAL:
            # Ratings from one value up to another, those at both ends counted by half: distances of mean ranks.
            values = np.cumsum(of_value) - of_value / 2
        case Level.INTERVAL:
            pass
    squared: np.ndarray = (values[:, None] - values) ** 2
    return squared


# ---------------------------------------------------------------------- two explanations


def feature_agreement(
    first: Num[np.ndarray, "n d"], second: Num[np.ndarray, "n d"], top: int
) -> Float[np.ndarray, " n"]:
    """Return the share of the `top` features largest in magnitude that two explanations have in common.

    Parameters
    ----------
    first, second
        One row an explanation and one column a feature, (n, d), signed.
    top
        How many features, from 1 to d.

    Returns
    -------
    Float[np.ndarray, "n"]
        In [0, 1], higher for more in common; ``top / d`` on average for explanations that know nothing of each other.
        NaN where a tie leaves open which features are the largest, or their order, or a value is not finite.

    Raises
    ------
    ValueError
        For a `top` outside 1 to d.

    References
    ----------
    Krishna et al., The disagreement problem in explainable machine learning (2022).

    Examples
    --------
    >>> feature_agreement(np.array([[3.0, -2, 1, 0]]), np.array([[-1.0, 0.5, 2, 0]]), 2)
    array([0.5])
    """
    return _shared(first, second, top, ranks=False, signs=False)


def rank_agreement(first: Num[np.ndarray, "n d"], second: Num[np.ndarray, "n d"], top: int) -> Float[np.ndarray, " n"]:
    """Return the share of the `top` features that both have, at the same rank; ``1 / d`` on average by chance.

    See :func:`feature_agreement`.

    Examples
    --------
    >>> rank_agreement(np.array([[3.0, -2, 1, 0]]), np.array([[-4.0, 0.5, 2, 0]]), 2)
    array([0.5])
    """
    return _shared(first, second, top, ranks=True, signs=False)


def sign_agreement(first: Num[np.ndarray, "n d"], second: Num[np.ndarray, "n d"], top: int) -> Float[np.ndarray, " n"]:
    """Return the share of the `top` features that both have, with the same sign; see :func:`feature_agreement`.

    Examples
    --------
    >>> sign_agreement(np.array([[3.0, -2, 1, 0]]), np.array([[-4.0, -3, 2, 0]]), 2)
    array([0.5])
    """
    return _shared(first, second, top, ranks=False, signs=True)


def _shared(
    first: Num[np.ndarray, "n d"], second: Num[np.ndarray, "n d"], top: int, *, ranks: bool, signs: bool
) -> Float[np.ndarray, " n"]:
    """Return the share of the top features that two explanations have in common, at one rank and of one sign."""
    if not 0 < top <= first.shape[1]:
        raise ValueError(f"top is {top} of {first.shape[1]} features; give one of them at least, and all at most")
    (mine, sure), (theirs, as_sure) = (_places(np.asarray(each, dtype=np.float64), top) for each in (first, second))
    both = (mine < top) & (theirs < top)
    if ranks:
        both &= mine == theirs
    if signs:
        both &= np.sign(first) == np.sign(second)
    return np.where(sure & as_sure, both.sum(axis=1) / top, np.nan)


def _places(values: Float[np.ndarray, "n d"], top: int) -> tuple[Int[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
    """Return the place of each feature by magnitude, 0 for the largest, and whether no tie leaves the top ones open."""
    sizes = np.abs(values)
    order = np.argsort(-sizes, axis=1, kind="stable")
    sorted_ = np.take_along_axis(sizes, order, axis=1)[:, : top + 1]
    sure = np.isfinite(sizes).all(axis=1) & (np.diff(sorted_, axis=1) < 0).all(axis=1)
    return np.argsort(order, axis=1, kind="stable"), sure
