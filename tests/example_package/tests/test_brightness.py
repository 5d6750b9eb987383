"""Judges the package's explainer on a network that sees one bright patch a class."""

import numpy as np
import torch

import harness

SIDE = 12
PATCHES = ((2, 2), (5, 8), (8, 3))


class Patches(torch.nn.Module):
    """A network whose logit of a class is the mean of that class's patch."""

    def __init__(self):
        super().__init__()
        self.read = torch.nn.Linear(SIDE * SIDE, len(PATCHES), bias=False)
        weights = torch.zeros(len(PATCHES), SIDE, SIDE)
        for weight, (top, left) in zip(weights, PATCHES, strict=True):
            weight[top : top + 2, left : left + 2] = 5 / 4
        self.read.weight.data = weights.flatten(1)

    def forward(self, images):
        return self.read(images.flatten(1))


def pictures():
    """Dim noise, (18, 12, 12), 0 to 1, in each picture the patch of one class lit."""
    made = np.random.default_rng(0).uniform(0.3, 0.5, (18, SIDE, SIDE))
    for number, picture in enumerate(made):
        top, left = PATCHES[number % 3]
        picture[top : top + 2, left : left + 2] += 0.4
    return made


@harness.parametrize_with_checks(
    ["brightness", "gradient"],
    subject=Patches(),
    images=pictures(),
    checks=["randomization-full"],
    expected_failed_checks={"brightness": {"randomization-full": "it never asks the network"}},
    xfail_strict=True,
    feed="contiguous:64",
)
def test_explainer(explainer, check):
    check(explainer)
