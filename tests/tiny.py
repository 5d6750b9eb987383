"""A small world that tests share: networks whose truth is known, faces that fit them, explainers made on the spot."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from harness.case import Case, chosen_case
from harness.engines import Job
from harness.explainers.base import Explainer, Facts, wrapped
from harness.faces.faceset import FaceSet
from harness.profiles import Profile
from harness.subject import InputSpec, Subject

SIDE = 12
CLASSES = ("left", "middle", "right")
SPEC = InputSpec(SIDE, SIDE)
SMALL = Profile(
    "small",
    per_class=6,
    steps=6,
    spectrum_draws=1,
    cascade_stages=2,
    cascade_per_class=2,
    random_networks=1,
    costly_per_class=2,
    smooth_per_class=2,
    noisy_copies=2,
)
"""Sizes at which an explainer is judged in tenths of a second."""


def tiny_network(seed: int = 0) -> nn.Sequential:
    """A network of two convolutions and a dense layer, 3 classes, drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * (SIDE // 2) ** 2, 3),
        )


class PatchNetwork(nn.Module):
    """A network that sees one patch a class and nothing else: the logit is the patch's mean, steepened."""

    def __init__(self, patches: Sequence[tuple[slice, slice]], steepness: float = 5.0) -> None:
        super().__init__()
        masks = torch.zeros(len(patches), SIDE, SIDE)
        for mask, patch in zip(masks, patches, strict=True):
            mask[patch] = steepness / mask[patch].numel()
        self.read = nn.Linear(SIDE * SIDE, len(patches), bias=False)
        self.read.weight.data = masks.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images.flatten(1))


PATCHES = ((slice(2, 4), slice(2, 4)), (slice(5, 7), slice(8, 10)), (slice(8, 10), slice(3, 5)))
"""Pixels that class 0, 1 and 2 of a patch network depend on: so few that a blur takes most of their light."""


def patch_subject() -> Subject:
    """The subject of a patch network."""
    return Subject(PatchNetwork(PATCHES), name="patches", classes=CLASSES, spec=SPEC)


def bright_patch_faces(n: int = 18, seed: int = 0) -> FaceSet:
    """Grey noise with the patch of the label lit, image i being of class i % 3."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(90, 130, (n, SIDE, SIDE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[PATCHES[label]] = rng.integers(200, 250, (2, 2), dtype=np.uint8)
    return FaceSet("bright-patches", images, CLASSES, labels, ids=100 + np.arange(n))


def oracle_of(case: Case) -> np.ndarray:
    """The true map of each image of a patch network: its target's patch."""
    maps = np.zeros((len(case.targets), SIDE, SIDE), np.float32)
    for found, target in zip(maps, case.targets, strict=True):
        found[PATCHES[target]] = 1
    # Pixels differ a little, as in any real map, so that order within the patch is the map's own.
    return maps + 0.01 * np.random.default_rng(1).random(maps.shape, dtype=np.float32)


def make_case(subject: Subject, faces: FaceSet, per_class: int | None = None, seed: int = 0) -> Case:
    """The case of some faces."""
    probabilities = subject.probabilities(subject.prepare(faces.images)).double().numpy()
    return chosen_case(subject, faces, probabilities, per_class, seed)


def no_progress(jobs: Sequence[Job]) -> Sequence[Job]:
    """Jobs without a bar."""
    return jobs


def named(name: str, function: Callable[..., object], **facts: object) -> Explainer:
    """A function as an explainer that is not registered."""
    return replace(wrapped(function, name=name), facts=replace(Facts(), **facts))
