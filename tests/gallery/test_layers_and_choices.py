"""Which layers and images are shown, and what filters give."""

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    CLASSES,
    SPEC,
    patch_subject,
)
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.gallery import (
    activation_after,
    activation_layers,
    convolution_layers,
    filter_outputs,
    random_right,
    speaking_regions,
    surest_right,
)
from harness.gallery.choosing import NONE
from harness.subject import Subject


class Mixed(nn.Module):
    """Three convolutions: behind the first a function activates, behind the second a module, behind the third none."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(i, 3, 3, padding=1) for i in (1, 3, 3))
        self.norm, self.act = nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        hidden = functional.relu(self.conv1(images))
        return self.conv3(self.act(self.norm(self.conv2(hidden)))).mean((2, 3))


@pytest.fixture
def mixed() -> Subject:
    return Subject(Mixed(), name="mixed", classes=CLASSES, spec=SPEC)


def test_the_first_activation_modules_to_run_are_shown(subject: Subject) -> None:
    assert activation_layers(subject).names == ("1", "4")
    assert activation_layers(subject).note == ""


def test_where_a_function_activates_the_layer_before_is_shown_and_said(mixed: Subject) -> None:
    found = activation_layers(mixed)
    assert found.names == ("conv1", "act")
    assert found.note == "conv1 is shown before its activation, which no module makes"


def test_fewer_layers_than_asked_are_said(subject: Subject) -> None:
    assert "layers of filters over places: 2, asked for: 3" in activation_layers(subject, 3).note


def test_a_network_without_filters_shows_its_units_and_says_so() -> None:
    found = activation_layers(patch_subject())
    assert found.names == ("read",)
    assert "no layer has filters over places" in found.note
    assert convolution_layers(patch_subject()).note == "the network has no convolution, or none of the whole picture"


class Shared(nn.Module):
    """A body that runs on the left half and on the right one."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.read = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.read(torch.cat([self.body(half).mean((2, 3)) for half in images.split(6, dim=3)], 1))


class Pieces(nn.Module):
    """A body that is given four crops of each picture as if they were pictures, after a convolution of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.crops, self.read = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 3), nn.Linear(12, 3)

    def forward(self, images: Tensor) -> Tensor:
        whole = self.stem(images).unfold(2, 6, 6).unfold(3, 6, 6).permute(0, 2, 3, 1, 4, 5)
        return self.read(self.crops(whole.reshape(-1, 2, 6, 6)).mean((2, 3)).view(len(images), -1))


def test_layers_that_all_run_several_times_are_shown_as_they_first_do() -> None:
    shared = Subject(Shared(), name="shared", classes=CLASSES, spec=SPEC)
    assert activation_layers(shared).names == ("body.1",)
    assert "body.1 is shown as on the first of several runs a pass" in activation_layers(shared).note
    assert convolution_layers(shared).names == ("body.0",)
    assert "body.0 is shown as on the first of several runs a pass" in convolution_layers(shared).note
    image = torch.linspace(-1, 1, 144).view(1, 1, 12, 12)
    with torch.no_grad():
        left = shared.layer("body.0")(image[..., :6])[0]
    np.testing.assert_allclose(filter_outputs(shared, image, ["body.0"])["body.0"], left, atol=AGAIN)


def test_a_layer_that_is_given_pieces_of_a_picture_is_passed_over() -> None:
    pieces = Subject(Pieces(), name="pieces", classes=CLASSES, spec=SPEC)
    assert activation_layers(pieces).names == convolution_layers(pieces).names == ("stem",)


def test_convolutions_are_counted_in_running_order(mixed: Subject) -> None:
    assert convolution_layers(mixed, (1, 3)).names == ("conv1", "conv3")
    fewer = convolution_layers(mixed)
    assert fewer.names == ("conv2", "conv3")
    assert fewer.note == "of 3 convolutions conv2 and conv3 are shown; asked for were the second and fourth"


def test_outputs_are_the_layers_own_before_its_activation(mixed: Subject) -> None:
    image = torch.linspace(-1, 1, 144).view(1, 1, 12, 12)
    found = filter_outputs(mixed, image, ["conv1", "act"])
    with torch.no_grad():
        np.testing.assert_allclose(found["conv1"], mixed.layer("conv1")(image)[0], atol=AGAIN)
    assert found["conv1"].min() < 0 <= found["act"].min()


def test_the_activation_behind_a_layer(mixed: Subject) -> None:
    assert activation_after(mixed, "conv2") == "act"
    with pytest.raises(UsageError, match="no activation module follows conv1 in subject 'mixed'; leave out --after"):
        activation_after(mixed, "conv1")


def test_a_layer_without_places_has_no_outputs_to_show(subject: Subject) -> None:
    with pytest.raises(UsageError, match="layer 6 of subject 'tiny' has no filters over places"):
        filter_outputs(subject, torch.zeros(1, 1, 12, 12), ["6"])


# ---------------------------------------------------------------------- images

LABELS = np.array([0, 0, 1, 1, 2, 2, 0])
PROBABILITIES = np.array(
    [[0.6, 0.2, 0.2], [0.9, 0.1, 0.0], [0.99, 0.01, 0.0], [0.1, 0.8, 0.1], [0.7, 0.3, 0.0], [0.5, 0.3, 0.2],
     [0.7, 0.2, 0.1]]
)  # fmt: skip


def test_chosen_images_are_classified_right() -> None:
    predicted = PROBABILITIES.argmax(1)
    for seed in range(20):
        chosen = random_right(LABELS, predicted, 3, seed)
        assert chosen[0] in (0, 1, 6)
        assert chosen.tolist()[1:] == [3, NONE]


def test_the_seed_chooses() -> None:
    predicted = PROBABILITIES.argmax(1)
    assert {int(random_right(LABELS, predicted, 3, seed)[0]) for seed in range(20)} == {0, 1, 6}


def test_the_surest_image_is_sought_among_the_right_ones() -> None:
    assert surest_right(LABELS, PROBABILITIES).tolist() == [1, 3, NONE]  # image 2 is surer, and wrong


def test_without_labels_the_predicted_class_counts() -> None:
    assert surest_right(None, PROBABILITIES).tolist() == [2, 3, NONE]


def test_regions_that_speak_have_positive_weight_and_are_the_largest() -> None:
    segments = np.arange(8).repeat(2).reshape(4, 4)
    weights = np.array([0.1, 0.2, -0.9, 0.3, 0.4, 0.5, 0.6, -0.1])
    assert set(segments[speaking_regions(weights[segments], segments)]) == {1, 3, 4, 5, 6}
    assert not speaking_regions(-np.abs(weights)[segments], segments).any()
