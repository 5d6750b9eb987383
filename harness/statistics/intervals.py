"""Bootstrap interval of a mean."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Num, Shaped, UInt8
from scipy.special import ndtr, ndtri

from harness.statistics._inputs import ROUNDING, cluster_codes, finite

# A .995 quantile read from 9,999 resamples is off by about 2% of the half-width; from 999 by 6%.
# The resamples of one (n, seed) are drawn once and kept, so the larger number costs about 1 ms at n = 150.
RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval, in the units of the values.

    `low` and `high` are NaN where fewer than two units vary freely, `estimate` too where `n` is 0.
    """

    estimate: float
    low: float
    high: float
    n: int
    confidence: float


def mean_interval(
    values: Num[np.ndarray, " n"],
    *,
    confidence: float = 0.99,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Give the mean with its two-sided BCa bootstrap interval.

    Parameters
    ----------
    values
        One number a unit, (n,), all finite.
    confidence
        Nominal coverage, inside (0, 1).
    clusters
        One label a value; whole clusters are then resampled, and the mean stays that of the values.
    seed
        Seed of the resamples; one seed gives one set of resamples for every input of the same size.
    resamples
        How many resamples, at least 1.

    Returns
    -------
    Interval
        Zero wide where the units cannot differ (all values, or all cluster means, equal); bounds NaN where
        there are fewer than two values or two clusters. Few values cover less than they say: nominal .99 was
        measured on normal data to cover .957 at n = 10, .978 at 20 and .987 at 50; on skewed (log-normal)
        data .911, .952 and .971; for 8, 15 and 30 clusters .938, .969 and .977.

    Raises
    ------
    ValueError
        For NaN or infinite values, labels of another length, or a confidence outside (0, 1).

    References
    ----------
    Efron, Better bootstrap confidence intervals, JASA 82 (1987); for clusters, Field & Welsh, Bootstrapping
    clustered data, JRSS B 69 (2007).

    Examples
    --------
    >>> mean_interval(np.array([2.0, 2.0, 2.0]))
    Interval(estimate=2.0, low=2.0, high=2.0, n=3, confidence=0.99)
    """
    values = finite(values, "values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1")
    n = len(values)
    sums, sizes = _units(values, clusters)
    if len(sums) < 2:
        return Interval(float(values.mean()) if n else np.nan, np.nan, np.nan, n, confidence)
    estimate = float(values.mean())
    pulls = sums - estimate * sizes
    scale = float(np.abs(pulls).max())
    if scale <= ROUNDING * float(np.abs(values).max()):
        # The mean of equal numbers can differ from them in the last digit; the first one cannot.
        estimate = float(values[0]) if np.ptp(values) == 0 else estimate
        return Interval(estimate, estimate, estimate, n, confidence)
    shifts = _resampled_shifts(pulls / scale, sizes, seed, resamples)
    low, high = np.quantile(shifts, _bca_levels(shifts, pulls / scale, sizes, confidence)) * scale + estimate
    return Interval(estimate, float(low), float(high), n, confidence)


def _units(
    values: Float[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"] | None
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Sum and size of each unit that is resampled whole."""
    if clusters is None:
        return values, np.ones_like(values)
    codes = cluster_codes(clusters, len(values))
    return np.bincount(codes, weights=values), np.bincount(codes).astype(np.float64)


@lru_cache(maxsize=16)
def _counts(units: int, resamples: int, seed: int) -> UInt8[np.ndarray, "resamples units"]:
    """How often each unit enters each resample."""
    drawn = np.random.default_rng(seed).integers(0, units, (resamples, units), dtype=np.int64)
    flat = (drawn + units * np.arange(resamples)[:, None]).ravel()
    # A unit drawn more than 255 times has probability below 1e-500: a byte holds every count.
    counts = np.bincount(flat, minlength=resamples * units).astype(np.uint8).reshape(resamples, units)
    counts.flags.writeable = False
    return counts


def _resampled_shifts(
    pulls: Float[np.ndarray, " k"], sizes: Float[np.ndarray, " k"], seed: int, resamples: int
) -> Float[np.ndarray, " resamples"]:
    """Resampled mean minus the mean, from units scaled to a largest pull of 1."""
    # Single precision halves the time; its rounding, 1e-7 of the spread, is far below the resampling error.
    counts = _counts(len(pulls), resamples, seed).astype(np.float32)
    drawn = counts @ np.stack([pulls, sizes], axis=1).astype(np.float32)
    shifts: Float[np.ndarray, " resamples"] = drawn[:, 0].astype(np.float64) / drawn[:, 1]
    return shifts


def _bca_levels(
    shifts: Float[np.ndarray, " resamples"],
    pulls: Float[np.ndarray, " k"],
    sizes: Float[np.ndarray, " k"],
    confidence: float,
) -> Float[np.ndarray, " 2"]:
    """Quantiles of the resamples that bound the interval, corrected for bias and acceleration."""
    # Wider than single precision rounds, far narrower than resamples lie apart.
    tie = 1e-5 / float(sizes.sum())
    below = np.count_nonzero(shifts < -tie)
    share = (below + 0.5 * np.count_nonzero(np.abs(shifts) <= tie)) / len(shifts)
    # All resamples on one side bound the bias only from one side: half a resample is as far as they can say.
    bias = ndtri(np.clip(share, 0.5 / len(shifts), 1 - 0.5 / len(shifts)))
    jackknife = pulls / (sizes.sum() - sizes)
    jackknife = jackknife - jackknife.mean()
    acceleration = (jackknife**3).sum() / (6 * (jackknife**2).sum() ** 1.5)
    z = bias + ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    stretch = 1 - acceleration * z
    # Where the stretch is not positive the correction has no solution: the extreme resample bounds.
    corrected = np.where(stretch > 0, bias + z / np.where(stretch > 0, stretch, 1), np.sign(z) * np.inf)
    levels: Float[np.ndarray, " 2"] = ndtr(corrected)
    return levels
