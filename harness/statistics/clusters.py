"""Is a mean above a margin, where people are the sample: whole-person sign flips, guarded against skew."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, log2

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr, stdtrit

from harness.statistics._inputs import ROUNDING, cluster_codes, finite
from harness.statistics.intervals import Interval
from harness.statistics.permutation import sign_flip_p, sign_flip_p_clustered

POWER = 0.8
_ENUMERATED_UP_TO = 13
_DRAWS = 19_999
# Beyond this nobody collects: the effect is as good as the margin.
_MOST_UNITS = 10**7
# Margins among which the nearest that is rejected is looked for: a tenth of a standard error apart as a rule.
_TRIED = 201


@dataclass(frozen=True, slots=True)
class Spread:
    """What the sums over people say of a mean beside a margin; enough to plan with.

    Attributes
    ----------
    units, n
        People (or images, where nobody is known) and images.
    shift
        Mean over the images minus the margin, in the units of the values.
    deviation
        Standard deviation over people of their summed excess, divided by the mean number of images of a person, so
        that ``deviation / sqrt(units)`` is the standard error of the mean.
    skewness
        Of those sums, bias-corrected (adjusted Fisher-Pearson); 0 for fewer than three people or where they are alike.
    """

    units: int
    n: int
    shift: float
    deviation: float
    skewness: float


def spread(
    values: Num[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None = None
) -> Spread | None:
    """Return shift, deviation and skewness of a sample; None for fewer than two people.

    Parameters
    ----------
    values
        One number an image, (n,), all finite.
    margin
        What the mean is compared with.
    clusters
        Who is on each image, (n,); None makes every image a person of its own.

    Raises
    ------
    ValueError
        For NaN or infinite values, or labels of another length.
    """
    values = finite(values, "values")
    sums = unit_sums(values, margin, clusters)
    if len(sums) < 2:
        return None
    deviations, skewness = _moments(sums[None])
    size = len(values) / len(sums)
    scale = max(float(np.abs(values).max()), abs(margin))
    shift = float(values.mean()) - margin
    # A mean that differs from the margin by rounding alone equals it.
    shift = 0.0 if abs(shift) <= ROUNDING * scale else shift
    return Spread(len(sums), len(values), shift, float(deviations[0]) / size, float(skewness[0]))


def unit_sums(
    values: Float[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None
) -> Float[np.ndarray, " k"]:
    """Return each person's summed excess over a margin, in the order of their sorted names.

    Examples
    --------
    >>> unit_sums(np.array([1.0, 2.0, 4.0]), 1.0, np.array(["ann", "ann", "bob"])).tolist()
    [1.0, 3.0]
    """
    excess = values - margin
    if clusters is None:
        return excess
    summed: np.ndarray = np.bincount(cluster_codes(clusters, len(values)), weights=excess)
    return summed


def mean_above_p(
    values: Num[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None = None
) -> float:
    """Give the one-sided p-value for a mean above a margin: the larger of a sign-flip and a skew-corrected p.

    Signs are flipped for whole people, so what two images of one person share counts once. A sign-flip p is exact
    where people's sums lie symmetrically about the margin, whatever their tails and however many images each has.
    Studentising it changes nothing: flips leave the sum of squares as it is, so Student's t rises with the sum
    alone. Where sums are skewed it errs: at level .001 it was measured to claim falsely 13 times as often (20 people,
    exponential). So a second p must agree: Student's t after Hall's cubic transformation, which takes the third
    moment out, with the skewness moved by one of its standard errors to the side that speaks for the null, since few
    people show too little of a tail. A claim needs both, hence the larger p, which is valid wherever either is.

    Parameters
    ----------
    values
        One number an image, (n,), all finite.
    margin
        The mean to be exceeded; for a mean below one, negate both.
    clusters
        Who is on each image, (n,); None makes every image a person of its own.

    Returns
    -------
    float
        In [2**-k, 1] for k people; NaN for n = 0.

    Raises
    ------
    ValueError
        For NaN or infinite values, or labels of another length.

    Notes
    -----
    No test of a mean sees what the sample does not hold: of an event that befalls every tenth person, 12 in 100 samples
    of 20 people hold none. What is measured of error rates is printed by ``benchmarks/error_rates.py``.

    References
    ----------
    Fisher, The Design of Experiments (1935); Hall, On the removal of skewness by transformation, JRSS B 54 (1992);
    Canay, Romano & Shaikh, Randomization tests under an approximate symmetry assumption, Econometrica 85 (2017).

    Examples
    --------
    >>> mean_above_p(np.array([1.0, 1.0, 1.0]), 0.0)
    0.125
    """
    values = finite(values, "values")
    if clusters is None:
        flipped = sign_flip_p(values, margin=margin)
    else:
        flipped = sign_flip_p_clustered(values, clusters, margin=margin)
    if len(values) == 0:
        return flipped
    sums = unit_sums(values, margin, clusters)
    return max(flipped, float(skew_guarded_p_rows(sums[None])[0]))


def mean_below_p(
    values: Num[np.ndarray, " n"], margin: float, clusters: Shaped[np.ndarray, " n"] | None = None
) -> float:
    """Give the one-sided p-value for a mean below a margin; see :func:`mean_above_p`.

    Examples
    --------
    >>> mean_below_p(np.array([0.0, 0.0, 0.0]), 0.5)
    0.125
    """
    return mean_above_p(-np.asarray(values, dtype=np.float64), -margin, clusters)


def people_interval(
    values: Num[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"] | None = None, *, confidence: float = 0.99
) -> Interval:
    """Give the mean with the two-sided interval that belongs to :func:`mean_above_p` and :func:`mean_below_p`.

    It holds the margins that Student's t after Hall's transformation, guarded against skew on either side, does not
    reject at ``(1 - confidence) / 2`` each: those around the mean, where people have unlike numbers of images and their
    sums' spread and skewness change with the margin. A bootstrap of few people covers less than it says (BCa at .99 was
    measured to cover .84 to .90 at 5 people with three images each, .92 to .98 at 10 and 20); this one .985 to .997 at
    5 to 40 people and more, whatever the skew, and .97 and more where one has six times as many images as another.

    Parameters
    ----------
    values
        One number an image, (n,), all finite.
    clusters
        Who is on each image, (n,); None makes every image a person of its own.
    confidence
        Nominal coverage, inside (0, 1).

    Returns
    -------
    Interval
        Zero wide where people cannot differ; bounds NaN for fewer than two people, and where so few have such unlike
        numbers of images that no margin is rejected on a side.

    Raises
    ------
    ValueError
        For NaN or infinite values, labels of another length, or a confidence outside (0, 1).

    References
    ----------
    Hall, On the removal of skewness by transformation, JRSS B 54 (1992).

    Examples
    --------
    >>> people_interval(np.array([2.0, 2.0, 2.0]))
    Interval(estimate=2.0, low=2.0, high=2.0, n=3, confidence=0.99)
    """
    values = finite(values, "values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1")
    n = len(values)
    estimate = float(values.mean()) if n else np.nan
    pulls = unit_sums(values, estimate, clusters) if n else values
    k = len(pulls)
    if k < 2:
        return Interval(estimate, np.nan, np.nan, n, confidence)
    if float(np.abs(pulls).max()) <= ROUNDING * k * float(np.abs(values).max()):
        # The mean of equal numbers can differ from them in the last digit; the first one cannot.
        estimate = float(values[0]) if np.ptp(values) == 0 else estimate
        return Interval(estimate, estimate, estimate, n, confidence)
    sizes = np.ones(k) if clusters is None else np.bincount(cluster_codes(clusters, n)).astype(np.float64)
    low, high = (_reach(sign * pulls, sizes, (1 - confidence) / 2) for sign in (1.0, -1.0))
    if np.isnan(low + high):
        return Interval(estimate, np.nan, np.nan, n, confidence)
    return Interval(estimate, estimate - low, estimate + high, n, confidence)


def _reach(pulls: Float[np.ndarray, " k"], sizes: Float[np.ndarray, " k"], level: float) -> float:
    """Return how far below the mean the nearest margin lies that the guarded test rejects at a level.

    Where everyone has as many images a margin moves all sums alike and Hall's transformation has an inverse. Else the
    margin is sought, up to where that inverse or 20 standard errors lie, whichever is farther, then a thousand times as
    far, where the sums are those of the margin alone. NaN where none is rejected, however far: few people of very
    unlike numbers of images bound no mean.
    """
    k = len(pulls)
    deviations, skewness = _moments(pulls[None])
    error = float(deviations[0]) / float(sizes.mean())
    straight = float(stdtrit(k - 1, 1 - level)) / np.sqrt(k)
    told = _bent(straight, float(skewness[0]) - _skewness_error(k), k) * error
    if np.ptp(sizes) == 0:
        return told

    def beyond(far: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
        """Return p beyond the level; below 0 is rejected."""
        return skew_guarded_p_rows(pulls + far[:, None] * sizes) - level

    near = max(told, 20 * error / np.sqrt(k))
    for tried in (np.linspace(0.0, near, _TRIED), np.geomspace(near, 1000 * near, _TRIED)):
        rejected = np.flatnonzero(beyond(tried) < 0)
        if len(rejected):
            bounds = tried[rejected[0] - 1], tried[rejected[0]]
            return float(brentq(lambda far: float(beyond(np.array([far]))[0]), *bounds))
    return np.nan


def _bent(straight: float, told: float, units: int) -> float:
    """Return the mean / deviation that Hall's transformation takes to `straight`: its inverse."""
    if abs(told) < 1e-6:
        return straight  # the cubic's limit; what is left out is below told * straight**2
    return float(3 / told * (np.cbrt(1 + told * (straight - told / (6 * units))) - 1))


def skew_guarded_p_rows(sums: Float[np.ndarray, "r k"]) -> Float[np.ndarray, " r"]:
    """Give for each row the p-value of a mean above 0 by Student's t after Hall's transformation, guarded.

    Parameters
    ----------
    sums
        One number a person, (r, k).

    Returns
    -------
    Float[np.ndarray, "r"]
        In [0, 1]. A row of equal numbers has p 0 where they are positive, else 1. Fewer than two numbers: 1; exactly
        two have no third moment, and none is taken out.
    """
    r, k = sums.shape
    if k < 2:
        return np.ones(r)
    means = sums.mean(1)
    deviations, skewness = _moments(sums)
    rounding = ROUNDING * np.abs(sums).max(1)
    alike = deviations <= rounding
    scaled = means / np.where(alike, 1.0, deviations)
    p = guarded_p(scaled, skewness, k)
    return np.where(alike, np.where(means > rounding, 0.0, 1.0), p)


def guarded_p(
    scaled: Float[np.ndarray, " r"], skewness: Float[np.ndarray, " r"], units: int
) -> Float[np.ndarray, " r"]:
    """Give the guarded p-value from mean / deviation and skewness of `units` numbers."""
    told = skewness - _skewness_error(units)
    # Hall's g: monotone, so it can be read as Student's t once the third moment is out.
    straight = scaled + told * scaled**2 / 3 + told**2 * scaled**3 / 27 + told / (6 * units)
    p: np.ndarray = stdtr(units - 1, -np.sqrt(units) * straight)
    return p


def sign_flip_p_rows(sums: Float[np.ndarray, "r k"], *, draws: int = _DRAWS, seed: int = 0) -> Float[np.ndarray, " r"]:
    """Give the sign-flip p-value of a mean above 0 for many samples of one size at once, for simulations.

    Parameters
    ----------
    sums
        One number a person, (r, k).
    draws
        Random sign patterns beyond 13 people, the same for every row; up to there all 2**k are counted.
    seed
        Of the draws.

    Returns
    -------
    Float[np.ndarray, "r"]
        Counted, or (1 + as extreme) / (1 + draws), which is valid too but never below 1 / (1 + draws).
    """
    r, k = sums.shape
    signs = _signs(k, draws, seed)
    added = int(k > _ENUMERATED_UP_TO)
    found = np.empty(r)
    for start in range(0, r, 256):
        held = sums[start : start + 256]
        # Single precision: sums that differ by its rounding over k terms count as equal, which only raises p.
        reached = held.astype(np.float32) @ signs
        least = held.sum(1) - k * 1.2e-7 * np.abs(held).sum(1)
        found[start : start + 256] = (np.count_nonzero(reached >= least[:, None], axis=1) + added) / (
            signs.shape[1] + added
        )
    return found


@lru_cache(maxsize=8)
def _signs(k: int, draws: int, seed: int) -> Float[np.ndarray, "k patterns"]:
    """Return all sign patterns of few units, random ones of many."""
    if k <= _ENUMERATED_UP_TO:
        bits = (np.arange(2**k)[None, :] >> np.arange(k)[:, None]) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (k, draws))
    signs = (2 * bits - 1).astype(np.float32)
    signs.flags.writeable = False
    return signs


def least_units(level: float) -> int:
    """Return the fewest people with whom the test can fall below a level at all, whatever they show.

    Examples
    --------
    >>> least_units(0.01), least_units(0.0005)
    (7, 11)
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; give a number between 0 and 1")
    return floor(log2(1 / level)) + 1


def people_to_settle(found: Spread, level: float, power: float = POWER) -> int | None:
    """Give how many people would settle a claim if effect, spread and images a person stay as they are.

    Settled means that the test in the direction of the effect falls below the level with the given power. For n people
    the studentised mean lies above its ``1 - power`` quantile, ``shift * sqrt(n) / deviation - z``, with that
    probability; the number is the smallest n whose guarded p is below the level there, and never fewer than the test
    can resolve.

    Parameters
    ----------
    found
        Of the sample so far.
    level
        At which the claim is tested: corrected for the number of claims, inside (0, .5).
    power
        Inside [.5, 1).

    Returns
    -------
    int or None
        In all, not in addition; None where the effect equals the margin, or more than ten million are needed.

    Raises
    ------
    ValueError
        For a level or power outside its range.

    Examples
    --------
    >>> people_to_settle(Spread(20, 20, 0.1, 0.2, 0.0), 0.01)
    48
    """
    if not 0 < level < 0.5:
        raise ValueError(f"level is {level}; give a number between 0 and .5")
    if not 0.5 <= power < 1:
        raise ValueError(f"power is {power}; give a number from .5 to below 1")
    least = least_units(level)
    if found.shift == 0:
        return None
    if found.deviation <= ROUNDING * abs(found.shift):
        return least
    reached = abs(found.shift) / found.deviation
    # A tail on the effect's own side would help the guard, but samples show too little of it to plan on.
    skewness = np.array([min(found.skewness if found.shift > 0 else -found.skewness, 0.0)])
    short = float(ndtri(power))

    def settles(n: int) -> bool:
        """Whether n people suffice."""
        # Under a shift, mean / deviation wanders more than under none: both its parts are estimated. By the delta
        # method its variance is 1 - skewness * r + (kurtosis - 1) * r**2 / 4. Of kurtosis a sample shows too little
        # too: that of a gamma distribution of this skewness, 3 + 1.5 * skewness**2, and 2 more for heavy tails.
        wander = 1 - float(skewness[0]) * reached + (1 + 0.375 * float(skewness[0]) ** 2) * reached**2
        scaled = np.array([reached - short * np.sqrt(wander / n)])
        return bool(scaled[0] > 0 and guarded_p(scaled, skewness, n)[0] < level)

    high = least
    while not settles(high):
        high *= 2
        if high > _MOST_UNITS:
            return None
    low = max(least - 1, high // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high


def images_of(people: int, found: Spread) -> int:
    """Return how many images so many people come with, at as many a person as so far."""
    return ceil(people * found.n / found.units)


def _moments(rows: Float[np.ndarray, "r k"]) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """Return standard deviation and bias-corrected skewness of each row; skewness 0 where it has none."""
    k = rows.shape[1]
    centred = rows - rows.mean(1, keepdims=True)
    second = (centred**2).mean(1)
    deviation = np.sqrt(second * k / (k - 1))
    if k < 3:
        return deviation, np.zeros(len(rows))
    known = np.sqrt(second) > ROUNDING * np.abs(rows).max(1)
    third = (centred**3).mean(1) / np.where(known, second, 1.0) ** 1.5
    return deviation, np.where(known, third, 0.0) * np.sqrt(k * (k - 1)) / (k - 2)


def _skewness_error(k: int) -> float:
    """Return the standard error of the bias-corrected skewness of k normal numbers; 0 where they have none."""
    return float(np.sqrt(6 * k * (k - 1) / ((k - 2) * (k + 1) * (k + 3)))) if k > 2 else 0.0
