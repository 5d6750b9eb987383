"""Class activation maps whose weights are averaged: their formulas, and Grad-CAM++ and Score-CAM without averaging."""

import numpy as np
import pytest
import torch
from double_cases import EQUAL, network, pictures, subject
from explainer_cases import error
from torch import Tensor
from torch.nn import functional

from harness.explainers import registered
from harness.explainers._randomness import generators, normal
from harness.explainers.cam import enlarged
from harness.explainers.smooth_cam import is_cam, smoothgrad_cam_plus_plus, ss_cam
from harness.subject import Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
LAYER = 5
NOISY = 100 * EQUAL
"""Means over noise cancel once more."""


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network(), str(LAYER))


def channels(of: Subject, images: Tensor) -> Tensor:
    return of.activations(images, [str(LAYER)])[str(LAYER)]


def masks(maps: Tensor, images: Tensor) -> Tensor:
    """Return each channel in the picture's size, from 0 to 1, and 0 where it is even."""
    large = functional.interpolate(maps, tuple(images.shape[2:]), mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    return torch.nan_to_num((large - low) / (high - low))


def by_scores(of: Subject, images: Tensor, seen_through: list[Tensor]) -> Tensor:
    """Return channels weighted by the softmax of mean logits of the pictures seen through several sets of masks."""
    maps, weighted = channels(of, images), []
    for number, target in enumerate(TARGETS.tolist()):
        logits = [
            [of.network((m * images[number])[None])[0, target].detach() for m in each[number]] for each in seen_through
        ]
        weights = np.exp(np.mean(logits, axis=0) - np.max(np.mean(logits, axis=0)))
        weighted.append(sum(w * m for w, m in zip(weights / weights.sum(), maps[number], strict=True)))
    return enlarged(torch.stack(weighted).relu(), images)


def test_smoothgrad_cam_plus_plus_is_its_formula(of: Subject) -> None:
    images, samples = pictures(), 3
    found = smoothgrad_cam_plus_plus(of, images, TARGETS, samples=samples, spread=0.2, seed=7)
    sources, gradients = generators(images, 7), []
    for _ in range(samples):
        maps = of.network[: LAYER + 1](images + 0.4 * normal(images, sources)).detach().requires_grad_()
        chosen = of.network[LAYER + 1 :](maps).gather(1, TARGETS[:, None]).sum()
        gradients.append(torch.autograd.grad(chosen, maps)[0].numpy())
    maps = channels(of, images).numpy()
    first, second, third = (np.mean([g**power for g in gradients], axis=0) for power in (1, 2, 3))
    shares = second / (2 * second + maps.sum((2, 3), keepdims=True) * third)
    weights = (shares * np.clip(first, 0, None)).sum((2, 3), keepdims=True)
    wanted = np.clip((weights * maps).sum(1), 0, None)
    assert error(found, enlarged(torch.from_numpy(wanted), images)) < NOISY


def test_without_noise_it_is_grad_cam_plus_plus(of: Subject) -> None:
    images = pictures()
    found = smoothgrad_cam_plus_plus(of, images, TARGETS, samples=2, spread=0.0)
    assert error(found, EXPLAINERS["grad-cam-plus-plus"](of, images, TARGETS)) < NOISY


def test_ss_cam_is_its_formula_and_without_noise_score_cam(of: Subject) -> None:
    images, samples = pictures(), 3
    found = ss_cam(of, images, TARGETS, samples=samples, spread=0.5, seed=7)
    shown, sources = masks(channels(of, images), images), generators(images, 7)
    noisy = [
        torch.cat([m[None] + 0.5 * normal(m[None], [s]) for m, s in zip(shown, sources, strict=True)])
        for _ in range(samples)
    ]
    assert error(found, by_scores(of, images, noisy)) < NOISY
    assert (
        error(ss_cam(of, images, TARGETS, samples=2, spread=0.0), EXPLAINERS["score-cam"](of, images, TARGETS)) < EQUAL
    )


def test_is_cam_is_its_formula_and_of_one_step_score_cam(of: Subject) -> None:
    images = pictures()
    shown = masks(channels(of, images), images)
    assert error(is_cam(of, images, TARGETS, steps=3), by_scores(of, images, [shown / 3, 2 * shown / 3, shown])) < NOISY
    assert error(is_cam(of, images, TARGETS, steps=1), EXPLAINERS["score-cam"](of, images, TARGETS)) < EQUAL
