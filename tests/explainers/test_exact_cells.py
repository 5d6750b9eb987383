"""The exact game as an explainer: right on networks whose cells are known, on another grid and fill than judge it."""

import numpy as np
import pytest
import torch
from tiny import CLASSES, SIDE, SPEC, tiny_network
from torch import Tensor, nn

from harness.errors import ExplainerFault
from harness.explainers import registered
from harness.explainers.cells import FILL, SHIFT
from harness.profiles import PROFILES
from harness.subject import InputSpec, Subject
from harness.truth import Grid, filled_pictures, games_of

EXACT = registered()["exact-cells"]


class Linear(nn.Module):
    """Each class weighs every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(size=(3, SIDE * SIDE))).float())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T


def pictures(n: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (n, 1, SIDE, SIDE))).float()


def test_on_a_linear_network_every_part_gets_what_its_pixels_add() -> None:
    network, images = Linear(), pictures()
    targets = torch.tensor([0, 1, 2])
    maps = EXACT.maps(Subject(network, name="linear", classes=CLASSES, spec=SPEC), images, targets, 0)
    weights = network.weights.detach().double().numpy()
    weights -= weights.mean(axis=0)
    pixels = ((images - filled_pictures(images, FILL)).double().flatten(1).numpy() * weights[targets]).reshape(
        maps.shape
    )
    parts = Grid(3, 3, SHIFT).part_labels(SIDE, SIDE)
    found, expected = (
        np.stack([each[:, parts == p].sum(axis=1) for p in range(36)], axis=1) for each in (maps, pixels)
    )
    # Logits are single precision sums of 144 products, and the map is stored in single precision.
    room = 144 * 2**-24 * np.abs(weights).sum(axis=1).max() * 4
    np.testing.assert_allclose(found, expected, rtol=0, atol=room)


def test_the_map_adds_up_to_what_the_picture_is_worth_beyond_its_fill() -> None:
    subject, images = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), pictures()
    targets = torch.tensor([2, 0, 1])
    maps = EXACT.maps(subject, images, targets, 0)
    logits = [subject.logits(each).double() for each in (images, filled_pictures(images, FILL))]
    worth = [each - each.mean(1, keepdim=True) for each in logits]
    expected = (worth[0] - worth[1]).gather(1, targets[:, None])[:, 0].numpy()
    # A sum of 144 numbers stored in single precision.
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), expected, rtol=0, atol=144 * 2**-23 * np.abs(maps).max())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_it_is_made_on_no_grid_that_judges(profile) -> None:
    judging = games_of(profile.cells_per_side, profile.cell_grids, (("other", FILL),))
    assert SHIFT not in {grid.shift for grid in judging.grids}


@pytest.mark.usefixtures("unchecked")
def test_a_picture_too_small_is_refused_in_one_line() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    subject = Subject(network, name="small", classes=CLASSES, spec=InputSpec(5, 5))
    with pytest.raises(ExplainerFault, match="too small for 3 x 3 cells"):
        EXACT.maps(subject, torch.zeros(1, 1, 5, 5), torch.tensor([0]), 0)


def test_another_class_of_the_same_pictures_asks_nothing_more() -> None:
    subject, images = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), pictures(2)
    first = EXACT.maps(subject, images, torch.tensor([0, 1]), 0)
    before = subject.passes.forward
    other = EXACT.maps(subject, images, torch.tensor([1, 2]), 0)
    assert subject.passes.forward == before
    assert not (first == other).all(axis=(1, 2)).any()
