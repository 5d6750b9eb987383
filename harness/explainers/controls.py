"""Stand-ins that cannot be faithful: what a map earns without looking into the network."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from harness.digest import digest
from harness.errors import UsageError
from harness.explainers._randomness import generators, normal
from harness.explainers.base import Explainer, Facts, explainer
from harness.names import MEAN_FACE
from harness.subject import Subject


@explainer(name="random", family="control", cost="none", target_free=True)
def random(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, seed: int = 0
) -> Float[Tensor, "n h w"]:
    """Return standard normal noise, a pixel at a time, from the seed and the image."""
    return normal(images[:, 0], generators(images, seed))


@explainer(name="edges", family="control", reference="Adebayo et al. 2018", cost="none", target_free=True)
def edges(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[np.ndarray, "n h w"]:
    """Return the Sobel magnitude of the picture, never negative; of a colour picture the largest over its channels.

    An edge between two colours of one brightness is an edge.
    """
    pictures = subject.spec.to_unit(images).cpu().numpy()
    return np.stack([np.max([_slope(channel) for channel in picture], axis=0) for picture in pictures])


def _slope(channel: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Return the Sobel magnitude of one channel of one picture: the filter smooths along every axis."""
    slope: np.ndarray = np.hypot(ndimage.sobel(channel, axis=0), ndimage.sobel(channel, axis=1))
    return slope


@explainer(name="constant", family="control", cost="none", target_free=True)
def constant(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return one everywhere; what needs an order among pixels is undefined for it."""
    return torch.ones_like(images[:, 0])


@explainer(name="intensity", family="control", cost="none", target_free=True)
def intensity(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[np.ndarray, "n h w"]:
    """Return the grey picture itself, 0 to 1."""
    return subject.spec.to_grey(images)


@explainer(name="centre", family="control", reference="Judd et al. 2009", cost="none", target_free=True)
def centre(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, spread: float = 0.25
) -> Float[Tensor, "n h w"]:
    """Return a Gaussian about the middle of the picture, at most 1.

    Parameters
    ----------
    spread
        Standard deviation as a share of each side.
    """
    rows, columns = (
        (torch.arange(side, device=images.device) + 0.5 - side / 2) / (spread * side) for side in images.shape[-2:]
    )
    bump = torch.exp(-(rows[:, None] ** 2 + columns**2) / 2).to(images.dtype)
    return bump.expand(len(images), -1, -1).clone()


def mean_face(images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"], *, name: str = MEAN_FACE) -> Explainer:
    """Return the control that shows how far the target's mean face lies from the mean of all classes' mean faces.

    It is made from a set of faces, or of any other pictures, and is not registered. Its maps are never negative, the
    same for every image of a target, and know the data but not the network.

    Parameters
    ----------
    images
        In the input units of the subject that it will stand beside.
    labels
        Their classes.
    name
        What it is called.

    Raises
    ------
    UsageError
        By the explainer, where a target has no picture among `images`.
    """
    faces = images.mean(1)
    means = {int(label): faces[labels == label].mean(0) for label in torch.unique(labels)}
    overall = torch.stack(list(means.values())).mean(0)
    portraits = {label: (mean - overall).abs() for label, mean in means.items()}

    def portrait(subject: Subject, images: Tensor, targets: Tensor, *, pictures: str) -> Tensor:
        missing = sorted({subject.classes[t] for t in targets.tolist() if t not in portraits})
        if missing:
            raise UsageError(f"no picture of {', '.join(missing)} to average; give mean_face some")
        return torch.stack([portraits[t] for t in targets.tolist()]).to(images)

    # The pictures' digest is a setting, so that maps made from others are not taken for these.
    settings = {"pictures": digest(images, labels)}
    return Explainer(name, portrait, settings, Facts("control", cost="none"), f"{__name__}:mean_face")
