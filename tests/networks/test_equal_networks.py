"""Networks of equal answers: the answers are equal, the weights are not."""

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    CLASSES,
    SIDE,
    SPEC,
)
from torch import Tensor, nn

from harness.explainers.gradient import gradient
from harness.networks.equal import SAME, channel_pairs, largest_difference, taking_back, twin, weighted_sum
from harness.networks.random import randomized
from harness.subject import Subject

LINEAR = 6 * (SIDE // 2) ** 2


def subject_of(*layers: nn.Module) -> Subject:
    return Subject(nn.Sequential(*layers), name="made", classes=CLASSES, spec=SPEC)


@pytest.fixture
def normalised() -> Subject:
    """A batch normalisation that holds statistics, and a convolution a channel alone."""
    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.tensor([0.1, -0.2, 0.3, 0.0]), torch.tensor([1.0, 2.0, 0.5, 1.5])
    return subject_of(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        norm,
        nn.LeakyReLU(0.1),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(LINEAR, 3),
    )


# ---------------------------------------------------------------------- the twin


def test_pairs_are_layers_whose_channels_the_next_reads(subject: Subject, normalised: Subject) -> None:
    assert channel_pairs(subject) == (("0", "3"), ("3", "6"))
    # A convolution of each channel alone cannot take another order; it hands its own channels on.
    assert channel_pairs(normalised) == (("3", "5"), ("5", "8"))


def test_nothing_passes_through_a_function_that_is_not_even() -> None:
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(4 * SIDE**2, 3)
    assert channel_pairs(subject_of(*layers)) == ()


def test_a_twin_answers_alike_with_other_weights(subject: Subject, normalised: Subject, images: Tensor) -> None:
    for one in (subject, normalised):
        other = twin(one, channel_pairs(one), 0)
        assert largest_difference(one, other, images) < SAME
        for pair in channel_pairs(one):
            for name in pair:
                assert not torch.equal(one.layer(name).weight, other.layer(name).weight)


def test_the_subject_stays_as_it_was(subject: Subject) -> None:
    before = subject.state_digest()
    twin(subject, channel_pairs(subject), 0)
    taking_back(subject, 0.5)
    assert subject.state_digest() == before


def test_a_pair_that_is_none_is_seen_by_its_answers(images: Tensor) -> None:
    class Hidden(nn.Module):
        """A sigmoid that no module shows."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)
            self.read = nn.Linear(4 * SIDE**2, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.read(torch.sigmoid(self.conv(images)).flatten(1))

    subject = Subject(Hidden(), name="hidden", classes=CLASSES, spec=SPEC)
    pairs = channel_pairs(subject)
    assert pairs == (("conv", "read"),)
    assert largest_difference(subject, twin(subject, pairs, 0), images) > 100 * SAME


# ---------------------------------------------------------------------- a shift taken back


@pytest.mark.parametrize("shift", [0.2, -1.0])
def test_a_shift_is_taken_back_up_to_the_border(shift: float, subject: Subject, images: Tensor) -> None:
    other = taking_back(subject, shift)
    assert other is not None
    assert largest_difference(subject, other, images, images + shift) < SAME
    assert largest_difference(subject, other, images) > 100 * SAME


def test_a_bias_alone_does_not_take_it_back_where_the_border_is_padded(subject: Subject, images: Tensor) -> None:
    network = subject.network
    changed = subject.with_network(network, "border forgotten")
    with torch.no_grad():
        layer = changed.layer("0")
        layer.bias -= 0.2 * layer.weight.flatten(1).sum(1)
    assert largest_difference(subject, changed, images, images + 0.2) > 100 * SAME


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(2 * (SIDE - 2) ** 2, 3)),
        (nn.Conv2d(1, 2, 3, padding="same"), nn.Flatten(), nn.Linear(2 * SIDE**2, 3)),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(2 * SIDE**2, 3)),
        (nn.Flatten(), nn.Linear(SIDE**2, 3)),
    ],
    ids=["no bias", "padded same", "reflected", "dense"],
)
def test_first_layers_of_every_kind_take_a_shift_back(layers: tuple[nn.Module, ...], images: Tensor) -> None:
    subject = subject_of(*layers)
    other = taking_back(subject, 0.2)
    assert other is not None
    assert largest_difference(subject, other, images, images + 0.2) < SAME


def test_a_normalisation_takes_nothing_back() -> None:
    assert taking_back(subject_of(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(SIDE**2, 3)), 0.2) is None


# ---------------------------------------------------------------------- sums


def test_a_weighted_sum_has_the_sum_of_the_logits_and_layers_of_its_own(subject: Subject, images: Tensor) -> None:
    drawn = randomized(subject, ["0", "3", "6"], seed=0, images=images)
    added = weighted_sum(subject, drawn, (0.75, -0.5))
    wanted = 0.75 * subject.logits(images) - 0.5 * drawn.logits(images)
    # The same products and one sum.
    torch.testing.assert_close(added.logits(images), wanted, rtol=0, atol=AGAIN)
    assert added.cam_layer == f"first.{subject.cam_layer}"
    assert np.isfinite(gradient.maps(added, images, torch.zeros(len(images), dtype=torch.long), 0)).all()
