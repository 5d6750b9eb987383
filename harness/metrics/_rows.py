"""Row-wise arithmetic shared by the metrics."""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def flat(arrays: Shaped[np.ndarray, "n ..."]) -> Float64[np.ndarray, "n f"]:
    """Return one row of doubles an image."""
    return arrays.reshape(len(arrays), math.prod(arrays.shape[1:])).astype(np.float64)


def doubles(numbers: ArrayLike) -> Float64[np.ndarray, "..."]:
    """Return the numbers in double precision."""
    return np.asarray(numbers, dtype=np.float64)


def constant(rows: Float[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
    """Say which rows hold one value alone."""
    return np.asarray((rows == rows[:, :1]).all(axis=1), dtype=bool)


def _constant_but_for_rounding(rows: Float[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
    """Say which rows vary by no more than sums of equal numbers do; a correlation would be of that noise."""
    spread = rows.max(axis=1) - rows.min(axis=1)
    return np.asarray(spread <= 1e-12 * np.abs(rows).max(axis=1), dtype=bool)


def ranks(rows: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, "n f"]:
    """Rank each row, equal entries sharing their mean rank; a row that holds NaN is NaN throughout."""
    return doubles(rankdata(rows, axis=1))


def ratio(numerator: Float[np.ndarray, "..."], denominator: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Divide; NaN where the denominator is zero, or both are infinite."""
    quotient = np.full(np.shape(numerator), np.nan)
    with np.errstate(invalid="ignore"):
        np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) != 0)
    return quotient


def undefined_where(undefined: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the scores with NaN in the given places."""
    return np.where(undefined, np.nan, scores).astype(np.float64)


def pearson(rows: Float[np.ndarray, "n f"], others: Float[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
    """Correlate row with row; NaN where either is constant but for rounding, or holds a NaN."""
    scores = np.clip((_centred(rows) * _centred(others)).sum(axis=1), -1, 1)
    return undefined_where(_constant_but_for_rounding(rows) | _constant_but_for_rounding(others), scores)


def finite(rows: Float[np.ndarray, "n f"]) -> Float64[np.ndarray, "n f"]:
    """Make a row NaN throughout where any entry is not finite."""
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), doubles(rows), np.nan)


def shares(rows: Float[np.ndarray, "n f"]) -> Float64[np.ndarray, "n f"]:
    """Divide each row by its sum; NaN where that is zero."""
    return ratio(doubles(rows), np.broadcast_to(doubles(rows.sum(axis=1, keepdims=True)), rows.shape))


def top_k_membership(rows: Float[np.ndarray, "n f"], counts: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n f"]:
    """Return the chance that each entry is among its row's highest `counts`, ties being broken by lot."""
    last = np.take_along_axis(-np.sort(-rows, axis=1), np.maximum(counts - 1, 0)[:, None], axis=1)
    above, tied = rows > last, rows == last
    places = counts[:, None] - above.sum(axis=1, keepdims=True)
    return doubles(above + tied * ratio(doubles(places), doubles(tied.sum(axis=1, keepdims=True))))


def lengths(arrays: Float[np.ndarray, "*batch f"]) -> Float64[np.ndarray, "*batch"]:
    """Return the Euclidean length along the last axis."""
    return doubles(np.sqrt((doubles(arrays) ** 2).sum(axis=-1)))


def relative_distance(
    arrays: Float[np.ndarray, "n ..."], others: Float[np.ndarray, "n ..."]
) -> Float64[np.ndarray, " n"]:
    """Return how far each other is from its array, in lengths of the array; NaN where that is zero."""
    require_same_shape(arrays, others, "the two maps")
    rows = flat(arrays)
    return ratio(lengths(flat(others) - rows), lengths(rows))


def unit(rows: Float[np.ndarray, "n f"]) -> Float64[np.ndarray, "n f"]:
    """Scale each row to length 1, whatever its magnitude; NaN where it is zero."""
    # The largest entry goes first, so that the squares of tiny or huge rows neither vanish nor overflow.
    rows = ratio(rows, np.broadcast_to(np.abs(rows).max(axis=1, keepdims=True), rows.shape))
    return ratio(rows, np.broadcast_to(np.sqrt((rows**2).sum(axis=1, keepdims=True)), rows.shape))


def _centred(rows: Float[np.ndarray, "n f"]) -> Float64[np.ndarray, "n f"]:
    """Take each row's mean away and scale it to length 1."""
    return unit(rows - rows.mean(axis=1, keepdims=True))


def require_same_shape(first: Shaped[np.ndarray, "..."], second: Shaped[np.ndarray, "..."], what: str) -> None:
    """Raise unless the two arrays can be compared entry by entry."""
    if first.shape != second.shape:
        raise ValueError(f"{what} have shapes {first.shape} and {second.shape}; give two of one shape")
