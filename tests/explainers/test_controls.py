import numpy as np
import pytest
import torch
from double_cases import EQUAL, network, pictures, subject
from skimage.filters import sobel
from torch import nn

from harness.errors import UsageError
from harness.explainers import mean_face, registered
from harness.subject import InputSpec, Subject

EXPLAINERS = registered()
RGB = ((0.4, 0.5, 0.6), (0.2, 0.2, 0.2))
TARGETS = torch.tensor([0, 3, 4])


def test_edges_rank_pixels_as_scikit_images_sobel_does() -> None:
    of, images = subject(network()), pictures()
    expected = np.stack([sobel(grey) for grey in of.spec.to_grey(images)])
    found = EXPLAINERS["edges"](of, images, TARGETS)
    inner = (slice(None), slice(1, -1), slice(1, -1))  # borders are reflected otherwise
    ratio = found[inner] / expected[inner]
    assert np.allclose(ratio, ratio.mean(), rtol=1e-3)  # measured 2e-4


def test_an_edge_between_two_colours_of_one_brightness_is_an_edge() -> None:
    of = Subject(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)), name="n", classes="ab", spec=InputSpec(8, 8, *RGB))
    picture = np.zeros((1, 8, 8, 3), np.uint8)
    picture[:, :, :4, 0] = picture[:, :, 4:, 2] = 200
    found = np.asarray(EXPLAINERS["edges"](of, of.spec.prepare(picture), TARGETS[:1]))[0]
    assert (found[:, 3:5] > 0).all()
    assert not found[:, [0, 1, 2, 5, 6, 7]].any()


def test_random_has_no_mean_and_unit_spread() -> None:
    found = EXPLAINERS["random"](subject(network()), pictures(40), torch.zeros(40, dtype=torch.int64)).numpy()
    assert abs(found.mean()) < 4 / np.sqrt(found.size)
    assert abs(found.std() - 1) < 4 / np.sqrt(2 * found.size)


def test_intensity_is_the_grey_picture() -> None:
    of, images = subject(network()), pictures()
    assert np.array_equal(EXPLAINERS["intensity"](of, images, TARGETS), of.spec.to_grey(images))


def test_centre_falls_with_distance_from_the_middle() -> None:
    found = EXPLAINERS["centre"](subject(network()), pictures(1), TARGETS[:1])[0]
    assert found[8, 8] > found[8, 12] > found[8, 15] > found[15, 15]
    assert torch.equal(found, found.flip(0))


@pytest.mark.parametrize("name", ["constant", "centre"])
def test_control_that_is_the_same_for_every_image_is_no_fault(name: str) -> None:
    of, images = subject(network()), pictures()
    assert EXPLAINERS[name].maps(of, images, TARGETS, 0).shape == (3, 16, 16)


def test_mean_face_shows_where_the_target_differs_from_the_mean_of_classes() -> None:
    faces = pictures(6)
    control = mean_face(faces, torch.tensor([0, 0, 3, 3, 4, 4]))
    means = faces[:, 0].view(3, 2, 16, 16).mean(1)
    found = control.maps(subject(network()), pictures(3), TARGETS, 0)
    assert np.allclose(found, (means - means.mean(0)).abs().numpy(), atol=EQUAL)


def test_mean_face_of_other_faces_has_another_digest() -> None:
    labels = torch.tensor([0, 1])
    assert mean_face(pictures(2), labels).digest != mean_face(pictures(2, seed=1), labels).digest


def test_mean_face_of_a_class_without_faces_is_an_error() -> None:
    control = mean_face(pictures(2), torch.tensor([0, 1]))
    with pytest.raises(UsageError, match="no picture of d"):
        control(subject(network()), pictures(1), torch.tensor([3]))
