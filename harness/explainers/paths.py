"""Integrated gradients from other baselines and along other paths."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from harness.errors import UsageError
from harness.explainers._passes import gradients_at
from harness.explainers._randomness import generators, normal
from harness.explainers.base import COMPLETENESS, explainer
from harness.explainers.baselines import Baseline, baseline_pictures, blurred, plain, plain_baseline
from harness.explainers.gradient import path_integral
from harness.subject import Subject
from harness.subject.channels import channel_ranges, scaled_by_channel

ASIDE = 2.0**-30
"""How far from its path guided integrated gradients looks, as a share of each channel's range of values.

An even picture, from which the path starts, ties every maximum that a network takes of neighbours. Which of them gets
the gradient is then said by the last bit, in whatever precision, and with it which way the path goes on: the maps of
two layouts differed by .3 to 1.1 of their norm. So far from the tie, which is less than the last digit of a picture in
single precision, one neighbour is ahead by 2**22 units in the last place of double precision.
"""


def _black(subject: Subject, images: Tensor, **_: Any) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield a black picture an image."""
    yield plain(subject.spec, images, 0.0)


def _blurred(subject: Subject, images: Tensor, *, sigma: float, **_: Any) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield each image blurred by a share of its shorter side."""
    yield blurred(images, sigma * min(images.shape[-2:]))


def _noisy(
    subject: Subject, images: Tensor, *, baselines: int, seed: int, **_: Any
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield the images under strong noise, kept in range, `baselines` times."""
    sources, spec = generators(images, seed), subject.spec
    darkest, brightest = plain(spec, images, 0.0), plain(spec, images, 1.0)
    for _number in range(baselines):
        yield (images + scaled_by_channel(normal(images, sources), spec, 0.5)).clamp(darkest, brightest)


def _drawn(
    subject: Subject, images: Tensor, *, samples: int, background: Tensor | None, seed: int, **_: Any
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield the baselines of expected gradients."""
    return _stretches(subject, images, samples, background, seed)[1]


@explainer(
    name="integrated-gradients-black",
    family="gradient",
    reference="Sundararajan et al. 2017",
    cost="32 backward",
    axioms=(COMPLETENESS, "implementation-invariance", "linearity"),
    baselines=_black,
)
def integrated_gradients_black(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 32
) -> Float[Tensor, "n h w"]:
    """Return integrated gradients from a black picture: black pixels get nothing.

    Parameters
    ----------
    steps
        Points of the quadrature.
    """
    (black,) = _black(subject, images)
    return path_integral(subject, black, images, targets, steps)


@explainer(
    name="integrated-gradients-blur",
    family="gradient",
    reference="Sturmfels et al. 2020",
    cost="32 backward",
    axioms=(COMPLETENESS, "implementation-invariance", "linearity"),
    baselines=_blurred,
)
def integrated_gradients_blur(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 32,
    sigma: float = 0.1,
) -> Float[Tensor, "n h w"]:
    """Return integrated gradients from the blurred picture: even regions get nothing.

    Parameters
    ----------
    steps
        Points of the quadrature.
    sigma
        Standard deviation of the blur, as a share of the image's shorter side.
    """
    (start,) = _blurred(subject, images, sigma=sigma)
    return path_integral(subject, start, images, targets, steps)


@explainer(
    name="expected-gradients",
    family="gradient",
    reference="Erion et al. 2021; Lundberg and Lee 2017",
    cost="32 backward",
    axioms=("implementation-invariance", "linearity"),
    baselines=_drawn,
)
def expected_gradients(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = 32,
    background: Float[Tensor, "m c h w"] | None = None,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return gradient x difference at random points between random baselines and the image, averaged (GradientSHAP).

    Points are spaced evenly within strata, which halves the error of independent draws at no cost. In expectation the
    map adds up to the change of the logit from the mean over baselines; of 32 draws it is not claimed: on the bundled
    networks it misses it by 6 and by 61 % of the mean change.

    Parameters
    ----------
    samples
        Draws of a baseline and a point.
    background
        Pictures in input units to draw baselines from; by default plain pictures of a shade drawn evenly from the
        darkest to the brightest, which need no data.
    """
    along, drawn = _stretches(subject, images, samples, background, seed)
    starts = list(drawn)
    points = (torch.lerp(start, images, along[:, k, None, None, None]) for k, start in enumerate(starts))
    total = torch.zeros_like(images)
    for start, found in zip(starts, gradients_at(subject, points, targets), strict=True):
        total += (images - start) * found
    return (total / samples).sum(1)


@explainer(
    name="integrated-gradients-noise",
    family="gradient",
    reference="Sturmfels et al. 2020",
    cost="32 backward",
    axioms=("implementation-invariance", "linearity"),
    baselines=_noisy,
)
def integrated_gradients_noise(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 8,
    baselines: int = 4,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return integrated gradients averaged over baselines that are the image under strong noise, kept in range.

    With many points a path the map adds up to the change of the logit; of 8 that is not claimed.

    Parameters
    ----------
    steps
        Points of the quadrature for each baseline.
    baselines
        How many noisy copies; their noise has a standard deviation of half of each channel's range of values.
    """
    starts = _noisy(subject, images, baselines=baselines, seed=seed)
    return torch.stack([path_integral(subject, start, images, targets, steps) for start in starts]).mean(0)


@explainer(
    name="blur-ig",
    family="gradient",
    reference="Xu et al. 2020",
    cost="32 backward",
    axioms=("implementation-invariance", "linearity"),
    baselines=_blurred,
)
def blur_ig(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 32,
    sigma: float = 0.2,
) -> Float[Tensor, "n h w"]:
    """Return the gradient integrated along the path on which a strong blur clears.

    Each step of the blur is weighed by the gradient half-way through it, so that the map adds up to the change of the
    logit from the blurred to the sharp image, up to the error of the steps: on a network that bends often, 32 are too
    few for that to be claimed. Channels are summed.

    Parameters
    ----------
    steps
        Steps of the blur, even in its standard deviation.
    sigma
        Strongest blur, as a share of the image's shorter side.
    """
    widths = np.linspace(sigma * min(images.shape[-2:]), 0, steps + 1)
    scales = [blurred(images, width) for width in widths]
    middles = (blurred(images, (a + b) / 2) for a, b in itertools.pairwise(widths))
    total = torch.zeros_like(images)
    for (start, end), found in zip(itertools.pairwise(scales), gradients_at(subject, middles, targets), strict=True):
        total += (end - start) * found
    return total.sum(1)


@explainer(
    name="guided-ig",
    family="gradient",
    reference="Kapishnikov et al. 2021",
    cost="32 backward",
    axioms=("implementation-invariance",),
    baselines=plain_baseline,
)
def guided_ig(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    steps: int = 32,
    fraction: float = 0.1,
    leeway: float = 0.1,
    baseline: Baseline = 0.0,
    aside: float = ASIDE,
) -> Float[Tensor, "n h w"]:
    """Return the gradient integrated along a path that moves the pixels of smallest gradient first.

    Channels are summed. Each image goes through the network alone and in double precision, where the network has one:
    which pixels move next hangs on the last digits of the gradients, which others in the batch would change.

    Parameters
    ----------
    steps
        Gradients along the path.
    fraction
        Share of the pixels that move together.
    leeway
        How far a pixel may be ahead of or behind the straight path, as a share of it.
    baseline
        A value of every pixel in input units, or a word; see :func:`~harness.explainers.baselines.baseline_pictures`.
    aside
        How far from the path gradients are taken, as a share of each channel's range of values; 0 for the published
        method, whose map a network of maxima leaves open.
    """
    precise, end = _in_double(subject), images.double().cpu().numpy()
    starts = baseline_pictures(subject, images.double(), baseline).cpu().numpy()
    ranges = np.array(channel_ranges(subject.spec))[:, None, None]
    noise = np.random.default_rng(0).uniform(-aside, aside, end.shape[1:]) * ranges
    walkers = [_Walker(start, image, fraction, leeway) for start, image in zip(starts, end, strict=True)]
    for step in range(1, steps + 1):
        places = torch.from_numpy(np.stack([walker.place + noise for walker in walkers])).to(precise.dtype)
        alone = zip(torch.split(places, 1), torch.split(targets, 1), strict=True)
        gradients = [precise.gradients(place, target)[0].double().cpu().numpy() for place, target in alone]
        for walker, gradient in zip(walkers, gradients, strict=True):
            walker.move(gradient, step / steps)
    return torch.from_numpy(np.stack([walker.attribution for walker in walkers])).to(images).sum(1)


def _in_double(subject: Subject) -> Subject:
    """Return the subject in double precision, itself where its network runs in single precision alone."""
    try:
        return subject.in_double()
    except UsageError:
        return subject


class _Walker:
    """One image's way from the baseline, for guided integrated gradients.

    Attributes
    ----------
    place
        Where it stands.
    attribution
        Gradient times way, so far.
    """

    def __init__(
        self, start: Float64[np.ndarray, "c h w"], end: Float64[np.ndarray, "c h w"], fraction: float, leeway: float
    ) -> None:
        self.start, self.end, self.fraction, self.leeway = start, end, fraction, leeway
        self.place, self.attribution = start.copy(), np.zeros_like(start)
        self.length = np.abs(end - start).sum()

    def move(self, gradient: Float64[np.ndarray, "c h w"], progress: float) -> None:
        """Go on until `progress`, a share of the whole way, is done, pixels of small gradient first."""
        if self.length == 0:
            return
        before, left = self.place.copy(), self.length * (1 - progress)
        hindmost, foremost = (
            self.start + (self.end - self.start) * np.clip(progress + side, 0, 1)
            for side in (-self.leeway, self.leeway)
        )
        behind = np.abs(self.end - self.place) > np.abs(self.end - hindmost)
        self.place = np.where(behind, hindmost, self.place)
        size = np.abs(gradient)
        # 1e-9 of the way is below the precision of the images; a pixel there counts as arrived.
        while (excess := np.abs(self.end - self.place).sum() - left) > 1e-9 * self.length:
            movable = np.abs(foremost - self.place) > 1e-12
            if not movable.any():
                break
            # The share is of all pixels, those that cannot move ranking last, as in the published algorithm.
            ranked = np.where(movable, size, np.inf)
            chosen = movable & (ranked <= np.quantile(ranked, self.fraction, method="lower"))
            if not chosen.any():
                chosen = movable & (ranked == ranked.min())
            room = np.abs(foremost - self.place)[chosen].sum()
            self.place = np.where(chosen, self.place + min(1.0, excess / room) * (foremost - self.place), self.place)
        self.attribution += (self.place - before) * gradient


def _stretches(
    subject: Subject, images: Tensor, samples: int, background: Tensor | None, seed: int
) -> tuple[Float[Tensor, "n samples"], Iterator[Float[Tensor, "n c h w"]]]:
    """Return how far along each stretch a point lies, and the baselines from which the stretches start."""
    sources = generators(images, seed)
    strata = np.stack([source.permutation(samples) + source.random(samples) for source in sources])
    starts = (_baseline(subject, images, background, sources) for _ in range(samples))
    return torch.from_numpy(strata / samples).to(images), starts


def _baseline(
    subject: Subject, images: Tensor, background: Tensor | None, sources: list[np.random.Generator]
) -> Float[Tensor, "n c h w"]:
    """Draw one baseline an image."""
    if background is not None:
        return torch.stack([background[int(source.integers(len(background)))] for source in sources]).to(images)
    return torch.stack([plain(subject.spec, images[0], source.uniform(0, 1)) for source in sources])
