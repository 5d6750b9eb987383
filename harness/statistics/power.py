"""How much data a claim would need."""

from math import ceil, log2

import numpy as np
from jaxtyping import Num
from scipy.special import ndtri

from harness.statistics._inputs import ROUNDING, finite


def images_to_settle(differences: Num[np.ndarray, " n"], margin: float, alpha: float) -> int | None:
    """Give roughly how many images would settle a claim if effect and spread stay as they are.

    Settled means that the one-sided sign-flip test against the margin, in the direction of the effect, gives
    p = alpha. By its normal approximation that is z**2 * mean(d**2) / mean(d)**2 images, d = differences -
    margin, and never fewer than the test can resolve, log2(1 / alpha). An effect that stays only on average
    reaches it in half of all repetitions; twice the number is a safer plan.

    Parameters
    ----------
    differences
        One paired difference an image, (n,), all finite.
    margin
        The mean to be exceeded or stayed below.
    alpha
        Level of the test, inside (0, .5); for an interval of confidence c to exclude the margin, (1 - c) / 2.

    Returns
    -------
    int or None
        The number in all, not in addition; below n where the data settle it already. None where the effect
        equals the margin, which no number settles, or n < 2, which says nothing of the spread.

    Raises
    ------
    ValueError
        For NaN or infinite differences, or alpha outside (0, .5).

    Examples
    --------
    >>> images_to_settle(np.array([0.3, -0.1, 0.2, 0.0]), 0.0, 0.01)
    19
    """
    differences = finite(differences, "differences")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}; give a number between 0 and .5")
    if len(differences) < 2:
        return None
    excess = differences - margin
    effect = float(excess.mean())
    scale = max(float(np.abs(differences).max()), abs(margin))
    if abs(effect) <= ROUNDING * scale:
        return None
    by_spread = float(ndtri(alpha)) ** 2 * float((excess**2).mean()) / effect**2
    return max(ceil(by_spread), ceil(log2(1 / alpha)))
