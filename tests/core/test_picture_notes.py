"""What is said of how network and pictures meet, where nothing is wrong enough to be refused."""

import numpy as np
import pytest
from tiny import CLASSES, SPEC, tiny_network
from torch import Tensor, nn

from harness.evaluation.notes import answer_notes, noted
from harness.evaluation.request import Request
from harness.explainers import registered
from harness.faces.faceset import FaceSet
from harness.profiles import PROFILES
from harness.subject import InputSpec, Subject

NAMES = ("ash", "beech", "cedar", "oak")


def told(images: np.ndarray, spec: InputSpec = SPEC) -> str:
    """What is said of some pictures."""
    subject = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=spec)
    request = Request(subject, FaceSet("f", images, CLASSES), (), (), PROFILES["quick"], seed=0)
    return "; ".join(noted(request))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, SPEC.height, SPEC.width)).astype(np.uint8)


def test_of_bright_pictures_without_copies_nothing_is_said(images: np.ndarray) -> None:
    assert told(images) == ""


def test_copies_are_counted(images: np.ndarray) -> None:
    assert "2 of 8 pictures are copies of others" in told(np.concatenate([images, images[:2]]))


def test_dark_pictures_are_said(images: np.ndarray) -> None:
    assert "no pixel is above 15 of 255" in told(images // 16)


@pytest.mark.parametrize(
    ("size", "said"), [((6, 6), "6x6 are enlarged to the 12x12"), ((12, 40), "40x12 are shrunk to the 12x12")]
)
def test_another_size_is_said(size: tuple[int, int], said: str) -> None:
    assert said in told(np.random.default_rng(0).integers(0, 256, (6, *size)).astype(np.uint8))


class Twice(nn.Module):
    """One activation after both convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.act, self.read = nn.ReLU(), nn.Linear(4, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.act(self.two(self.act(self.one(x)))).mean((2, 3)))


@pytest.mark.parametrize(
    ("layer", "said"),
    [("two", "read layer two"), ("act", "layer act runs 2 times a pass, so that no class activation")],
)
def test_the_layer_of_class_activation_maps_is_said(layer: str, said: str, images: np.ndarray) -> None:
    subject = Subject(Twice(), name="twice", classes=CLASSES, spec=SPEC, cam_layer=layer)
    faces, methods = FaceSet("f", images, CLASSES), (registered()["grad-cam"],)
    assert said in "; ".join(noted(Request(subject, faces, methods, (), PROFILES["quick"], seed=0)))


def answered(labels: list[int], turned: dict[int, int]) -> tuple[str, ...]:
    """What is said where the network answers some classes as others."""
    known = np.array(labels)
    faces = FaceSet("f", np.zeros((len(known), 2, 2), np.uint8), NAMES, known)
    return answer_notes(faces, np.array([turned.get(label, label) for label in labels]))


def test_labels_in_another_order_are_said() -> None:
    said = answered([0, 1, 2, 3] * 10, {1: 2, 2: 3, 3: 1})
    assert said[0].startswith(
        "10 of 40 pictures are answered right, but 40 where beech is called cedar, cedar is called oak, oak is called "
        "beech: the labels may be numbered in another order"
    )


@pytest.mark.parametrize(
    "turned", [{}, {0: 1}, {0: 1, 2: 1, 3: 1}], ids=["all right", "one class is taken for another", "all are one"]
)
def test_a_network_that_errs_is_not_taken_for_one_of_another_order(turned: dict[int, int]) -> None:
    assert answered([0, 1, 2, 3] * 10, turned) == ()


def test_of_few_pictures_nothing_is_said() -> None:
    assert answered([0, 1, 2, 3], {1: 2, 2: 1}) == ()
