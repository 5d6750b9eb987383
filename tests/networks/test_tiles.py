"""On tiles the truth is exact: Shapley values by brute force, and what completeness claims, equal the stated parts."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from tiny import CLASSES, EXACT, SIDE, SPEC, tiny_network
from torch import nn

from harness.errors import UsageError
from harness.networks.tiles import cut, mosaics, tile_logits, tiled
from harness.subject import InputSpec, Subject

WEIGHTS = torch.tensor([0.5, 0.0, 1.0, -1.0], dtype=torch.float64)


def in_double() -> Subject:
    """A network whose answers are exact to 1e-12."""
    return Subject(tiny_network().double(), name="tiny", classes=CLASSES, spec=SPEC)


def drawn(n: int = 3, seed: int = 0) -> torch.Tensor:
    """Mosaics of noise."""
    images = torch.rand(7, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return mosaics(images, torch.randint(7, (n, 4), generator=torch.Generator().manual_seed(seed)))


def shapley(subject: Subject, picture: torch.Tensor, baseline: torch.Tensor, side: int) -> np.ndarray:
    """Each tile's Shapley value for every class, from the answers to all coalitions."""
    tiles, size = side**2, picture.shape[-1] // side

    def answer(shown: tuple[int, ...]) -> np.ndarray:
        made = baseline.clone()
        for t in shown:
            place = (
                ...,
                slice(t // side * size, (t // side + 1) * size),
                slice(t % side * size, (t % side + 1) * size),
            )
            made[place] = picture[place]
        return subject.logits(made[None])[0].numpy()

    values = []
    for tile in range(tiles):
        others = [t for t in range(tiles) if t != tile]
        total = 0.0
        for count in range(tiles):
            weight = factorial(count) * factorial(tiles - count - 1) / factorial(tiles)
            for shown in combinations(others, count):
                total = total + weight * (answer((*shown, tile)) - answer(shown))
        values.append(total)
    return np.array(values)


def test_the_stated_parts_are_shapley_values_for_every_class_and_baseline() -> None:
    subject = in_double()
    made, pictures = tiled(subject, WEIGHTS), drawn()
    for number, baseline in enumerate((torch.zeros_like(pictures[0]), drawn(seed=1)[0])):
        parts = tile_logits(subject, pictures, 2) - tile_logits(subject, baseline[None], 2)
        stated = WEIGHTS.numpy()[:, None] * parts[number].numpy()
        # Sixteen answers of some ten thousand terms in double precision: 1e-12 of logits of size 1 is ample.
        np.testing.assert_allclose(shapley(made, pictures[number], baseline, 2), stated, atol=EXACT)


def test_the_answer_is_the_weighted_sum_over_tiles() -> None:
    subject, pictures = in_double(), drawn()
    expected = (WEIGHTS[:, None] * tile_logits(subject, pictures, 2)).sum(1)
    torch.testing.assert_close(tiled(subject, WEIGHTS).logits(pictures), expected, rtol=0, atol=EXACT)


def test_a_dead_tile_has_exactly_no_gradient() -> None:
    pictures = drawn().float()
    subject = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC)
    slopes = cut(tiled(subject, WEIGHTS.float()).gradients(pictures, torch.tensor([0, 1, 2])), 2)
    assert not slopes[:, 1].any()
    assert slopes[:, [0, 2, 3]].abs().amax((2, 3, 4)).min() > 0


def test_mosaics_hold_the_chosen_images_in_reading_order() -> None:
    images = torch.rand(5, 3, 4, 6)
    chosen = torch.tensor([[4, 0, 2, 1], [3, 3, 1, 0]])
    assert torch.equal(cut(mosaics(images, chosen), 2), images[chosen])


def test_the_map_layer_is_the_subjects() -> None:
    subject = in_double()
    assert tiled(subject, WEIGHTS).cam_layer == f"network.{subject.cam_layer}"


def test_a_layer_that_meets_every_tile_gives_no_one_picture() -> None:
    made = tiled(Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), WEIGHTS.float())
    with pytest.raises(UsageError, match=r"'network.4' of 'tiny \(tiles\)' gives 12 outputs for 3 images"):
        made.layer_gradients(drawn().float(), torch.tensor([0, 1, 2]), made.cam_layer)


def test_passes_are_counted_by_the_subject() -> None:
    subject = in_double()
    tiled(subject, WEIGHTS).logits(drawn())
    assert subject.passes.forward == 3


class OneAtATime(nn.Module):
    """A network that refuses more than one picture: it cannot be tiled."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1:
            raise ValueError("one picture at a time")
        return images.flatten(1)[:, :3]


def test_a_network_that_cannot_be_tiled_is_told_in_one_line() -> None:
    subject = Subject(OneAtATime(), name="shy", classes=CLASSES, spec=SPEC)
    with pytest.raises(UsageError, match="one picture at a time") as raised:
        tiled(subject, WEIGHTS.float())
    assert "\n" not in str(raised.value)


class ByHand(nn.Module):
    """Weights set by hand (after AttributionLab, Zhang et al. 2023): counts how many pixels show each of two shades."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Conv2d(1, 6, 1)
        # A tent of height 1 and half width .5 round s: 2 relu(x - s + .5) - 4 relu(x - s) + 2 relu(x - s - .5).
        self.read.weight.data = torch.ones(6, 1, 1, 1)
        self.read.bias.data = torch.tensor([0.0, -0.5, -1.0, 1.0, 0.5, 0.0])
        self.count = nn.Linear(6, 2, bias=False)
        self.count.weight.data = torch.tensor([[2.0, -4.0, 2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0, -4.0, 2.0]])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.count(self.read(images).relu().sum((2, 3)))


def test_a_network_of_weights_set_by_hand_counts_on_each_tile_what_was_put_there() -> None:
    subject = Subject(ByHand(), name="by hand", classes="ab", spec=InputSpec(4, 4))
    images = torch.full((3, 1, 4, 4), -1.0)
    images[0, 0, 0, :3] = 0.5  # three pixels of shade a, seen at their tents' tips
    images[1, 0, 1, :2] = -0.5  # two pixels of shade b
    pictures = mosaics(images, torch.tensor([[0, 1, 2, 0]]))
    parts = tile_logits(subject, pictures, 2) - tile_logits(subject, torch.full_like(pictures, -1.0), 2)
    assert torch.equal(parts[0], torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]))
    assert torch.equal(tiled(subject, WEIGHTS.float()).logits(pictures)[0], torch.tensor([-1.5, 0.0]))
