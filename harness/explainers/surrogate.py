"""Explainers that fit a simple model to the network's answers when segments of the image are hidden.

SLIC finds the segments, about 35 on a face of 48 x 48: quickshift, the lime package's default, is tuned to photographs
ten times as wide and finds a handful, which cannot tell an eye from a brow; and SLIC draws nothing, so that the seed of
the samples is the only one. A hidden segment takes the image's own mean colour: a segment's own mean, the package's
default, would hide nothing of an even segment.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from harness.errors import UsageError
from harness.explainers._passes import at_a_time, remembered
from harness.explainers._randomness import generators, seeds
from harness.explainers._segments import SEGMENTS, painted, segments_of
from harness.explainers.base import explainer
from harness.explainers.perturbation import kept_segments_logits
from harness.statistics.correlation import spearman
from harness.subject import Subject

SAMPLES = 300
KERNEL_WIDTH = 0.25
"""The lime package's for images."""


@explainer(name="lime", family="surrogate", reference="Ribeiro et al. 2016", cost="300 forward, the package's own pace")
def lime(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    segments: int = SEGMENTS,
    seed: int = 0,
) -> Float[np.ndarray, "n h w"]:
    """Return each segment's weight in a ridge regression of the target probability, by the lime package.

    Distance, kernel and ridge are the package's defaults; the seed governs every draw.

    Parameters
    ----------
    samples
        Perturbed images, the first being the image itself.
    segments
        How many segments SLIC is asked for.
    """
    found = [
        _lime_of_one(subject, image, int(target), (samples, segments), own)
        for image, target, own in zip(images, targets, seeds(images, seed), strict=True)
    ]
    return np.stack(found)


@explainer(
    name="lime-fast", family="surrogate", reference="Ribeiro et al. 2016", cost="300 forward, shared by all classes"
)
def lime_fast(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    segments: int = SEGMENTS,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return what `lime` returns, in one step for all classes: the same segments, samples, kernel and ridge.

    One set of perturbed images serves every class of an image, and its pictures are made all at once.

    Parameters
    ----------
    samples
        Perturbed images, the first being the image itself.
    segments
        How many segments SLIC is asked for.
    """
    found = []
    for image, target, own in zip(images, targets.tolist(), seeds(images, seed), strict=True):
        weights, labels = lime_weights(subject, image, samples, segments, own)
        found.append(painted(weights[:, target].to(images.dtype), labels))
    return torch.stack(found)


@explainer(
    name="kernel-shap", family="surrogate", reference="Lundberg and Lee 2017; Covert and Lee 2021", cost="302 forward"
)
def kernel_shap(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    *,
    samples: int = SAMPLES,
    segments: int = SEGMENTS,
    seed: int = 0,
) -> Float[Tensor, "n h w"]:
    """Return the Shapley value of each pixel's segment for the target logit, by regression on random coalitions.

    The values of an image's segments add up exactly to its logit less that of its mean colour. Coalitions come in
    pairs, each with what it leaves out; where all of them fit into `samples` they are enumerated, and the values
    exact.

    Parameters
    ----------
    samples
        Coalitions.
    segments
        How many segments SLIC is asked for.
    """
    found = []
    for image, target, source in zip(images, targets.tolist(), generators(images, seed), strict=True):
        labels = segments_of(image, segments)
        kept, weights = _coalitions(int(labels.max()) + 1, samples, source)
        ends = np.repeat([[False], [True]], kept.shape[1], axis=1)  # of one segment there are no coalitions between
        answers = kept_segments_logits(subject, image, labels, np.concatenate([ends, kept]))[:, target]
        values = _shapley_regression(kept, weights, answers.double().cpu().numpy())
        found.append(painted(torch.from_numpy(values).to(images), labels))
    return torch.stack(found)


def lime_weights(
    subject: Subject, image: Float[Tensor, "c h w"], samples: int, segments: int, seed: int
) -> tuple[Float[Tensor, "segments k"], Int[np.ndarray, "h w"]]:
    """Return LIME's weight of every segment for every class, and each pixel's segment.

    Parameters
    ----------
    seed
        As given to the package as ``random_state``: the samples are the same.
    """
    weights, labels = remembered(
        subject, lambda: _lime_weights(subject, image, samples, segments, seed), "lime", image, samples, segments, seed
    )
    return weights, labels


def lime_agreement(
    subject: Subject,
    image: Float[Tensor, "c h w"],
    target: int,
    seeds: Sequence[int],
    *,
    samples: int = SAMPLES,
    segments: int = SEGMENTS,
) -> float:
    """Return how much LIME's segment weights agree between seeds: the mean rank correlation over pairs of them.

    1 where the seed does not matter; undefined (NaN) where the weights of a seed are all the same, or for one seed.

    Examples
    --------
    >>> from harness.models.loading import load_subject
    >>> subject = load_subject("faces-cnn")
    >>> 0 < lime_agreement(subject, torch.rand(1, 48, 48), 3, range(3), samples=60) < 1
    True
    """
    drawn = [lime_weights(subject, image, samples, segments, seed)[0][:, target].numpy() for seed in seeds]
    pairs = [spearman(one, other) for one, other in itertools.combinations(drawn, 2)]
    return float(np.mean(pairs)) if pairs else math.nan


def _lime_weights(subject: Subject, image: Tensor, samples: int, segments: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Perturb, ask and regress."""
    labels = segments_of(image, segments)
    kept = np.random.RandomState(seed).randint(0, 2, (samples, labels.max() + 1)).astype(bool)
    kept[0] = True
    answers = kept_segments_logits(subject, image, labels, kept).softmax(1)
    # The package's cosine distance to the whole image, of which each row keeps some segments.
    closeness = np.exp(-((1 - np.sqrt(kept.mean(1))) ** 2) / (2 * KERNEL_WIDTH**2))
    return torch.from_numpy(_ridge(kept, answers.double().cpu().numpy(), closeness)), labels


def _ridge(
    kept: Bool[np.ndarray, "m segments"], answers: Float64[np.ndarray, "m k"], weights: Float64[np.ndarray, " m"]
) -> Float64[np.ndarray, "segments k"]:
    """Return the coefficients of a weighted ridge regression of penalty 1 with a free intercept."""
    inputs = kept - np.average(kept, axis=0, weights=weights)
    outputs = answers - np.average(answers, axis=0, weights=weights)
    left = (inputs * weights[:, None]).T @ inputs + np.eye(inputs.shape[1])
    return np.linalg.solve(left, (inputs * weights[:, None]).T @ outputs)


def _coalitions(
    players: int, samples: int, source: np.random.Generator
) -> tuple[Bool[np.ndarray, "m players"], Float64[np.ndarray, " m"]]:
    """Return coalitions, neither empty nor full, with weights: all of them, or pairs drawn by the Shapley kernel."""
    if players < 2:
        return np.zeros((0, players), bool), np.zeros(0)
    sizes = np.arange(1, players)
    if 2**players - 2 <= samples:
        every = np.array(list(itertools.product([False, True], repeat=players)))[1:-1]
        kernel = np.array([1 / (math.comb(players, int(s)) * s * (players - s)) for s in every.sum(1)])
        return every, kernel
    chance = 1 / (sizes * (players - sizes))
    drawn = source.choice(sizes, samples // 2, p=chance / chance.sum())
    ranks = source.random((samples // 2, players)).argsort(1).argsort(1)
    half = ranks < drawn[:, None]
    return np.concatenate([half, ~half]), np.ones(2 * len(half))


def _shapley_regression(
    kept: Bool[np.ndarray, "m players"], weights: Float64[np.ndarray, " m"], answers: Float64[np.ndarray, " all"]
) -> Float64[np.ndarray, " players"]:
    """Return the values that best fit the coalitions' answers and add up to the whole; answers begin with its ends."""
    players, (empty, full) = kept.shape[1], answers[:2]
    # The last player is what the others leave of the whole, which builds the constraint in.
    inputs = kept[:, :-1].astype(float) - kept[:, -1:]
    outputs = answers[2:] - empty - kept[:, -1] * (full - empty)
    scale = np.sqrt(weights)[:, None]
    if players < 2:
        return np.array([full - empty])
    others, _, rank, _ = np.linalg.lstsq(inputs * scale, outputs * scale[:, 0], rcond=None)
    if rank < players - 1:
        raise UsageError(
            f"{len(kept)} coalitions tell the values of {rank + 1} of {players} segments apart; give some "
            f"{4 * players} samples, or fewer segments"
        )
    return np.append(others, full - empty - others.sum())


def _lime_of_one(
    subject: Subject, image: Float[Tensor, "c h w"], target: int, counts: tuple[int, int], seed: int
) -> Float[np.ndarray, "h w"]:
    """Ask the package for one image and paint its weights on the segments."""
    from lime.lime_image import LimeImageExplainer  # takes a second to import

    samples, segments = counts
    labels = segments_of(image, segments)
    coloured = image.expand(3, -1, -1) if len(image) == 1 else image  # the package reads no grey pictures
    picture = coloured.permute(1, 2, 0).cpu().double().numpy()
    maker = LimeImageExplainer(
        kernel_width=KERNEL_WIDTH, feature_selection="none", random_state=np.random.RandomState(seed)
    )
    with _no_progress_bar():
        made = maker.explain_instance(
            picture,
            _answers(subject, image.dtype),
            labels=(target,),
            top_labels=None,
            hide_color=picture.mean((0, 1)),
            num_samples=samples,
            batch_size=min(samples, at_a_time(torch.from_numpy(picture))),
            segmentation_fn=lambda _picture: labels,
            random_seed=seed,
        )
    weights = dict(made.local_exp[target])
    found: np.ndarray = np.array([weights[k] for k in range(labels.max() + 1)])[labels]
    return found


def _answers(subject: Subject, kind: torch.dtype) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network as the package wants it: (m, h, w, 3) pictures -> (m, k) probabilities."""

    def probabilities(pictures: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures).to(kind).permute(0, 3, 1, 2)
        images = images.mean(1, keepdim=True) if subject.spec.channels == 1 else images
        return subject.probabilities(images.to(subject.device)).cpu().numpy()

    return probabilities


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Drop the bar that the package draws and offers no way to turn off."""
    from lime import lime_image

    bar = lime_image.tqdm
    lime_image.tqdm = iter
    try:
        yield
    finally:
        lime_image.tqdm = bar
