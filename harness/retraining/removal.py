"""ROAR and KAR: what a new network learns from pictures without, or with nothing but, what an explainer ranks first.

Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.digest import image_keys
from harness.perturbation import removal_order, removed_steps
from harness.retraining.learning import Learner

Degrade = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From images (n, c, h, w), which of their pixels are ranked first (n, 1, h, w) and the fill (1, c, 1, 1) to images."""


@dataclass(frozen=True)
class Explained:
    """Labelled images with the maps of several explainers.

    Attributes
    ----------
    images
        In the network's input units.
    labels
        The true classes.
    maps
        Signed maps by explainer, each of the class that the explained network predicts: maps of the true class would
        tell a new network the answer by where pixels are gone.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int[np.ndarray, " n"]
    maps: Mapping[str, Float[np.ndarray, "n h w"]]


@dataclass(frozen=True)
class Trial:
    """One training anew.

    Attributes
    ----------
    ranking
        Whose maps say what goes.
    share
        Share of the pixels that are ranked first, from 0 to 1.
    seed
        Of the training.
    """

    ranking: str
    share: float
    seed: int


Right = Bool[np.ndarray, " n"]
"""Which of the images kept from training are classified right."""


def without(images: Tensor, first: Tensor, fill: Tensor) -> Tensor:
    """Return images whose pixels ranked first are filled: those of ROAR."""
    return torch.where(first, fill, images)


def kept_alone(images: Tensor, first: Tensor, fill: Tensor) -> Tensor:
    """Return images of which nothing but the pixels ranked first is left: those of KAR."""
    return torch.where(first, images, fill)


def mask_alone(images: Tensor, first: Tensor, fill: Tensor) -> Tensor:
    """Return 1 where a pixel is ranked first and -1 elsewhere: what the shape of a removal tells by itself.

    Rong et al. 2022 show that much of what is learnt after a removal is this.
    """
    return torch.where(first, 1.0, -1.0).expand_as(images).to(images.dtype)


def right_after(trial: Trial, degrade: Degrade, train: Explained, test: Explained, learner: Learner) -> Right:
    """Train anew on degraded images and tell which degraded images of the test are classified right.

    Pixels are filled by the mean of each channel over the training images, as in the paper; ties of a map are drawn.

    Parameters
    ----------
    trial, degrade
        What is done to the images of both sets.
    train, test
        What is learnt from, and what is asked.
    learner
        Makes a network of images, labels and a seed.
    """
    fill = train.images.mean(dim=(0, 2, 3), keepdim=True)

    def degraded(held: Explained) -> Tensor:
        return degrade(held.images, _first(held, trial), fill)

    answers = learner(degraded(train), torch.from_numpy(train.labels), trial.seed)(degraded(test))
    right: np.ndarray = answers.argmax(1).cpu().numpy() == test.labels
    return right


def _first(held: Explained, trial: Trial) -> Bool[Tensor, "n 1 h w"]:
    """Return the pixels that a trial's ranking puts first."""
    order = removal_order(held.maps[trial.ranking], seed=0, keys=image_keys(held.images))
    gone = removed_steps(order, [trial.share], (held.images.shape[2], held.images.shape[3]))
    return torch.from_numpy(gone).to(held.images.device)


def roar(
    train: Explained,
    test: Explained,
    learner: Learner,
    *,
    shares: Sequence[float] = (0.3, 0.7),
    seeds: Sequence[int] = (0, 1, 2),
    degrade: Degrade = without,
) -> dict[Trial, Right]:
    """Return which test images are right after each ranking's removal, share and seed.

    Accuracy that falls faster than after a random removal speaks for a ranking. With :func:`kept_alone` it is KAR,
    where accuracy that stays higher does.

    Parameters
    ----------
    train, test
        Images of people who are not on both sides, with the maps of the same explainers.
    learner
        Makes a network of images, labels and a seed, from nothing.
    shares
        Shares of the pixels that are ranked first.
    seeds
        Of as many trainings.
    degrade
        What becomes of the pixels ranked first.
    """
    trials = [Trial(ranking, share, seed) for ranking in train.maps for share in shares for seed in seeds]
    return {trial: right_after(trial, degrade, train, test, learner) for trial in trials}
