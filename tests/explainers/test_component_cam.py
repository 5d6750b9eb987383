"""Components of channels and where they stand out, against scikit-learn's and pytorch-grad-cam's."""

import numpy as np
import pytest
import torch
from double_cases import EQUAL, SINGLE, network, pictures, subject
from explainer_cases import error, reference
from sklearn.decomposition import KernelPCA
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers.cam import enlarged
from harness.explainers.component_cam import eigen_grad_cam, fem, kpca_cam, seg_eigen_cam
from harness.subject import Subject

TARGETS = torch.tensor([0, 3, 4])
LAYER = "5"


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network(), LAYER)


def theirs(name: str, of: Subject, images: Tensor) -> Tensor:
    """Return pytorch-grad-cam's map, enlarged as ours are."""
    maps, gradients = (part.numpy() for part in of.layer_gradients(images, TARGETS, LAYER))
    cam = getattr(reference("pytorch_grad_cam"), name)(of.network, [of.layer(LAYER)])
    return enlarged(torch.from_numpy(cam.get_cam_image(images, None, None, maps, gradients, False)), images)


@pytest.mark.parametrize("kernel", ["sigmoid", "rbf"])
def test_kpca_cam_is_the_first_kernel_component_but_for_its_sign(of: Subject, kernel: str) -> None:
    images = pictures()
    made = []
    for channels in of.activations(images, [LAYER])[LAYER].flatten(2).transpose(1, 2).numpy():
        component = KernelPCA(n_components=1, kernel=kernel, eigen_solver="dense")
        made.append(component.fit_transform(channels - channels.mean(0)).reshape(8, 8))
    found = kpca_cam(of, images, TARGETS, kernel=kernel)
    assert error(found.abs(), enlarged(torch.from_numpy(np.stack(made)), images).abs()) < 100 * EQUAL


def test_eigen_grad_cam_equals_pytorch_grad_cams_but_for_its_sign(of: Subject) -> None:
    images = pictures()
    found = eigen_grad_cam(of, images, TARGETS)
    # The package hands its projections out in single precision.
    assert error(found.abs(), theirs("EigenGradCAM", of, images).abs()) < SINGLE
    _, gradients = of.layer_gradients(images, TARGETS, LAYER)
    spoken = enlarged((of.activations(images, [LAYER])[LAYER] * gradients).mean(1), images)
    for ours, level in zip(found, spoken, strict=True):
        assert torch.corrcoef(torch.stack([ours.flatten(), level.flatten()]))[0, 1] > 0


def test_seg_eigen_cam_equals_pytorch_grad_cams(of: Subject) -> None:
    images = pictures()
    # The package hands its projections out in single precision.
    assert error(seg_eigen_cam(of, images, TARGETS), theirs("SegEigenCAM", of, images)) < SINGLE


def test_fem_is_the_sum_of_channel_means_where_each_stands_out(of: Subject) -> None:
    images = pictures()
    found = fem(of, images, TARGETS, deviations=1.5)
    channels = of.activations(images, [LAYER])[LAYER].double().numpy()
    expected = np.zeros((len(channels), *channels.shape[2:]))
    for picture, levels in enumerate(channels):
        for level in levels:
            expected[picture] += level.mean() * (level >= level.mean() + 1.5 * level.std())
    assert expected.any()
    assert error(found, enlarged(torch.from_numpy(expected), images)) < EQUAL


def test_places_that_are_all_alike_have_no_component() -> None:
    even = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 5))
    nn.init.zeros_(even[0].weight)
    assert not kpca_cam(subject(even, "1"), pictures(), TARGETS, kernel="rbf").any()


def test_an_unknown_kernel_is_refused(of: Subject) -> None:
    with pytest.raises(UsageError, match="did you mean 'sigmoid'"):
        kpca_cam(of, pictures(), TARGETS, kernel="sigmod")
