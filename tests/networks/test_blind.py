"""Where a blinded network cannot look nothing has any influence, to the last bit; elsewhere it is the subject."""

import numpy as np
import pytest
import torch
from tiny import CLASSES, SIDE, SPEC, tiny_network

from harness.explainers import registered
from harness.networks.blind import blinded, half_plane
from harness.subject import Subject

KEEP = half_plane(SIDE, SIDE, 0.7)
TARGETS = torch.tensor([0, 1, 2, 0])


@pytest.fixture
def subject() -> Subject:
    return Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_gradient_outside_is_exactly_zero_and_inside_is_not(subject: Subject, images: torch.Tensor) -> None:
    slopes = blinded(subject, KEEP, torch.zeros(1)).gradients(images, TARGETS)
    assert not slopes[:, :, ~KEEP].any()
    assert slopes[:, :, KEEP].abs().amax((1, 2)).min() > 0


def test_what_lies_outside_changes_no_answer(subject: Subject, images: torch.Tensor) -> None:
    made = blinded(subject, KEEP, torch.full((1,), 0.3))
    other = torch.where(KEEP, images, -images)
    assert torch.equal(made.logits(images), made.logits(other))


def test_it_answers_as_the_subject_does_on_the_filled_picture(subject: Subject, images: torch.Tensor) -> None:
    seen = torch.where(KEEP, images, torch.tensor(0.3))
    made = blinded(subject, KEEP, torch.full((1,), 0.3))
    assert torch.equal(made.logits(images), subject.logits(seen))


def test_each_channel_has_its_own_fill() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16, 2))
    spec = type(SPEC)(4, 4, (0.5,) * 3, (0.5,) * 3)
    subject = Subject(network, name="colour", classes="ab", spec=spec)
    fill = torch.tensor([0.1, 0.2, 0.3])
    everywhere = blinded(subject, torch.zeros(4, 4, dtype=torch.bool), fill)
    plain = fill[None, :, None, None].expand(2, 3, 4, 4)
    assert torch.equal(everywhere.logits(torch.rand(2, 3, 4, 4)), subject.logits(plain))


@pytest.mark.parametrize("angle", np.linspace(0, 6, 7))
def test_half_of_the_picture_is_seen_whatever_the_direction(angle: float) -> None:
    # What the line itself crosses is left out: at most one pixel a row or column.
    assert abs(half_plane(48, 48, angle).double().mean() - 0.5) <= 0.5 / 48


def test_opposite_directions_share_no_pixel() -> None:
    assert not (half_plane(9, 7, 0.4) & half_plane(9, 7, 0.4 + np.pi)).any()


@pytest.mark.parametrize("name", ["gradient", "integrated-gradients", "deeplift", "lrp-epsilon", "guided-backprop"])
def test_maps_of_what_flows_back_have_exactly_nothing_there(subject: Subject, images: torch.Tensor, name: str) -> None:
    maps = registered()[name].maps(blinded(subject, KEEP, torch.zeros(1)), images, TARGETS, 0)
    assert not maps[:, ~KEEP.numpy()].any()


def test_the_map_layer_stays_where_explainers_look(subject: Subject, images: torch.Tensor) -> None:
    made = blinded(subject, KEEP, torch.zeros(1))
    assert made.cam_layer == f"network.{subject.cam_layer}"
    assert registered()["grad-cam"].maps(made, images, TARGETS, 0).any()
