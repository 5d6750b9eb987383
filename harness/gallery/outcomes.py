"""Two checks of images found by ascent: they beat every face, and they are the trained network's own."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from harness.gallery.maximisation import Maximised
from harness.statistics import people_interval

MARGIN = 0.1
"""By how much a filter's image may be more like that of random weights than like other filters' images, stated before
looking: a tenth of the way from unlike to the same picture."""

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes
    ----------
    claim
        What is claimed.
    verdict
        "pass", "fail", "inconclusive" or "not applicable".
    effect, low, high
        The number that it rests on, with its 99 % bootstrap interval where it has one.
    n
        Units that it was found on.
    reason
        Which units broke it, or why it cannot be judged.
    margin
        On whose lower side the effect is claimed to lie; NaN where there is none.
    """

    claim: str
    verdict: str
    effect: float
    low: float
    high: float
    n: int
    reason: str = ""
    margin: float = np.nan


def exceeds_faces(
    found: Maximised, faces: Float[np.ndarray, "n units"], dead: Bool[np.ndarray, " m"] | None = None
) -> Outcome:
    """Check that every unit's best image activates it more than any face does.

    Parameters
    ----------
    found
        The images.
    faces
        The layer's units for faces.
    dead
        Units to leave out; by default those that :meth:`Maximised.dead` gives.

    Returns
    -------
    Outcome
        The effect is the share of units of which it is true; one unit less than all is a fail.
    """
    claim = "the image found for a unit activates it more than any image shown to it"
    alive = ~(found.dead(faces) if dead is None else dead)
    if not alive.any():
        return Outcome(claim, "not applicable", np.nan, np.nan, np.nan, 0, "every unit is dead")
    beaten = found.reached.max(0) > faces[:, found.units].max(0)
    short = found.units[alive & ~beaten]
    reason = f"not reached: {', '.join(map(str, short))}" if len(short) else ""
    verdict = "fail" if len(short) else "pass"
    return Outcome(claim, verdict, float(beaten[alive].mean()), np.nan, np.nan, int(alive.sum()), reason)


def differs_from_random(found: Maximised, random: Maximised, alive: Bool[np.ndarray, " m"]) -> Outcome:
    """Check that a network of random weights does not give the same pictures.

    For each unit: how like its image is to the image that the same start gives with random weights, less how like it is
    to the images of the layer's other units.

    Parameters
    ----------
    found, random
        Images of the same units from the same starts, of the trained network and of one with random weights.
    alive
        Units that have an image in both.

    Returns
    -------
    Outcome
        Pass where the interval of the mean difference lies below :data:`MARGIN`, fail where it lies above.
    """
    claim = "a unit's image is no more like that of random weights than like other units' images"
    if alive.sum() < 3:
        return Outcome(claim, "not applicable", np.nan, np.nan, np.nan, int(alive.sum()), "three live units are needed")
    mine, other = found.pictures[0][alive], random.pictures[0][alive]
    across = np.stack([picture_similarity(mine, np.roll(mine, shift, 0)) for shift in range(1, len(mine))])
    more = picture_similarity(mine, other) - across.mean(0)
    more = more[np.isfinite(more)]
    if len(more) < 3:
        return Outcome(claim, "not applicable", np.nan, np.nan, np.nan, len(more), "too many images are even grey")
    held = people_interval(more, confidence=CONFIDENCE)
    verdict = "pass" if held.high < MARGIN else "fail" if held.low > MARGIN else "inconclusive"
    return Outcome(claim, verdict, held.estimate, held.low, held.high, held.n, margin=MARGIN)


def agreement_of_draws(found: Maximised, alive: Bool[np.ndarray, " m"]) -> float:
    """Return the mean similarity of a unit's images from different starts; NaN where there is one start."""
    draws = [pictures[alive] for pictures in found.pictures]
    pairs = [picture_similarity(a, b) for place, a in enumerate(draws) for b in draws[:place]]
    good = np.concatenate(pairs) if pairs else np.zeros(0)
    good = good[np.isfinite(good)]
    return float(good.mean()) if len(good) else np.nan


def picture_similarity(a: Shaped[np.ndarray, "n c h w"], b: Shaped[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
    """Return how alike pictures of 0 to 1 are, wherever on the picture their patterns lie.

    The cosine of their amplitude spectra about mid-grey, the mean keeping its sign: 1 for the same texture, -1 for
    white against black, NaN where a picture is even grey.

    Examples
    --------
    >>> stripes = np.tile([0.0, 0.0, 1.0, 1.0], (1, 1, 4, 1))
    >>> picture_similarity(stripes, np.roll(stripes, 1, -1)).round(6).tolist()
    [1.0]
    >>> picture_similarity(stripes, np.ones((1, 1, 4, 4))).tolist()
    [0.0]
    """
    left, right = _amplitudes(a), _amplitudes(b)
    size = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    dots = (left * right).sum(1)
    found: np.ndarray = np.divide(dots, size, out=np.full(len(dots), np.nan), where=size > 1e-9)
    return found


def _amplitudes(pictures: Shaped[np.ndarray, "n c h w"]) -> Float[np.ndarray, "n m"]:
    """Return each picture's amplitudes about mid-grey."""
    waves = np.fft.fft2(pictures.astype(np.float64) - 0.5)
    held = np.abs(waves)
    held[..., 0, 0] = waves[..., 0, 0].real
    return held.reshape(len(held), -1)
