"""Class activation maps that read what is common to a layer's channels, or where they stand out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.errors import UsageError, closest
from harness.explainers.base import explainer
from harness.explainers.cam import SHARED, as_pictures, enlarged, layer_and_gradients
from harness.subject import Subject

KERNELS = ("sigmoid", "rbf")


@explainer(name="kpca-cam", family="cam", reference="Karmani et al. 2024", cost="1 forward", target_free=True)
def kpca_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, kernel: str = "sigmoid"
) -> Float[Tensor, "n h w"]:
    """Return each place's coordinate on the first kernel principal component of the channels, signed.

    Places are compared by their channels, each channel less its mean over places: tanh(x y / k + 1) with k channels
    (sigmoid), or exp(-|x - y|^2 / k) (rbf). Targets do not matter. A component has no sign of its own; it is given the
    one that makes it agree with the channels' mean. Zero everywhere where all places are alike.

    Parameters
    ----------
    kernel
        ``sigmoid`` or ``rbf``.

    Raises
    ------
    UsageError
        For another kernel.
    """
    if kernel not in KERNELS:
        raise UsageError(f"there is no kernel {kernel!r}{closest(kernel, KERNELS)}; give {' or '.join(KERNELS)}")
    maps = as_pictures(subject, subject.activations(images, [subject.cam_layer])[subject.cam_layer])
    places = _centred(maps)
    products = places @ places.mT
    squares = products.diagonal(dim1=1, dim2=2)
    distances = squares[:, :, None] + squares[:, None] - 2 * products
    alike = torch.tanh(products / maps.shape[1] + 1) if kernel == "sigmoid" else torch.exp(-distances / maps.shape[1])
    row = alike.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(alike - row - row.mT + row.mean(2, keepdim=True))
    along = vectors[..., -1] * values[:, -1:].clamp(min=0).sqrt()
    return _agreeing(along, places, maps, images)


@explainer(name="eigen-grad-cam", family="cam", reference="Gildenblat 2021 (pytorch-grad-cam)", cost=SHARED)
def eigen_grad_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return each place's coordinate on the first principal component of channel x gradient, signed.

    A component has no sign of its own; it is given the one that makes it agree with the mean of channel x gradient.
    """
    maps, gradients = layer_and_gradients(subject, images, targets)
    spoken = maps * gradients
    places = _centred(spoken)
    component = torch.linalg.svd(places, full_matrices=False).Vh[:, :1]
    return _agreeing((places * component).sum(2), places, spoken, images)


@explainer(name="seg-eigen-cam", family="cam", reference="Chung and Ying 2025", cost=SHARED)
def seg_eigen_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return each place's coordinate on the first principal component of channel x size of its gradient, signed.

    A component has no sign of its own; it is given the one in which its largest value lies above zero.
    """
    maps, gradients = layer_and_gradients(subject, images, targets)
    places = _centred(maps * gradients.abs())
    along = (places * torch.linalg.svd(places, full_matrices=False).Vh[:, :1]).sum(2)
    down = along.amin(1, keepdim=True).abs() > along.amax(1, keepdim=True).abs()
    signed = torch.where(down, -along, along).view(len(maps), *maps.shape[2:])
    return enlarged(signed.to(images.dtype), images)


@explainer(name="fem", family="cam", reference="Ahmed Asif Fuad et al. 2020", cost="1 forward", target_free=True)
def fem(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, deviations: float = 2.0
) -> Float[Tensor, "n h w"]:
    """Return the places at which channels stand out, each channel weighted by its mean; targets do not matter.

    pytorch-grad-cam's class of that name weights the channels themselves by the share of places that stand out.

    Parameters
    ----------
    deviations
        Standard deviations above its mean over places beyond which a channel stands out.
    """
    # In double precision, so that no place stands out, or fails to, by the rounding of a mean.
    maps = as_pictures(subject, subject.activations(images, [subject.cam_layer])[subject.cam_layer]).double()
    mean, spread = maps.mean((2, 3), keepdim=True), maps.std((2, 3), unbiased=False, keepdim=True)
    standing_out = (maps >= mean + deviations * spread).to(maps)
    return enlarged((mean * standing_out).sum(1).to(images.dtype), images)


def _centred(maps: Float[Tensor, "n k y x"]) -> Float[Tensor, "n places k"]:
    """Return each place's channels less their means over places, in double precision."""
    places = maps.flatten(2).transpose(1, 2).double()
    return places - places.mean(1, keepdim=True)


def _agreeing(
    along: Float[Tensor, "n places"],
    places: Float[Tensor, "n places k"],
    maps: Float[Tensor, "n k y x"],
    images: Float[Tensor, "n c h w"],
) -> Float[Tensor, "n h w"]:
    """Return coordinates enlarged, with the sign that makes them agree with the channels' mean."""
    agrees = (along * places.mean(2)).sum(1, keepdim=True) >= 0
    signed = torch.where(agrees, along, -along).view(len(maps), *maps.shape[2:])
    return enlarged(signed.to(images.dtype), images)
