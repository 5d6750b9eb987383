"""The pictures from which explainers explain: plain shades, the image's own mean colour, the image blurred."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from harness.errors import UsageError, closest
from harness.subject import InputSpec, Subject

SHADES = {"black": 0.0, "grey": 0.5, "white": 1.0}
"""Plain baselines, as pixels of 0 to 1."""
OF_THE_IMAGE = ("mean", "blur")
"""Baselines that every image has of its own: its mean colour, and itself blurred by :data:`BLUR`."""
BLUR = 0.1
"""Standard deviation of a blurred baseline, as a share of the image's shorter side."""

Baseline = float | int | str
"""A value of every pixel in input units, or one of the words of :data:`SHADES` and :data:`OF_THE_IMAGE`."""


def baseline_pictures(
    subject: Subject, images: Float[Tensor, "n c h w"], baseline: Baseline
) -> Float[Tensor, "n c h w"]:
    """Return the picture from which each image is explained.

    Parameters
    ----------
    baseline
        A number is one value of every pixel, in input units: 0 is the mean that the subject's
        :class:`~harness.subject.InputSpec` states, which is mid-grey only where that is .5. ``black``, ``grey`` and
        ``white`` are plain pictures, ``mean`` is each image's own mean colour, ``blur`` the image blurred.

    Raises
    ------
    UsageError
        For another word.
    """
    if not isinstance(baseline, str):
        return torch.full_like(images, baseline)
    if baseline in SHADES:
        return plain(subject.spec, images, SHADES[baseline])
    if baseline == "mean":
        return images.mean((-2, -1), keepdim=True).expand_as(images).contiguous()
    if baseline == "blur":
        return blurred(images, BLUR * min(images.shape[-2:]))
    words = [*SHADES, *OF_THE_IMAGE]
    raise UsageError(
        f"there is no baseline {baseline!r}{closest(baseline, words)}; give {', '.join(words)} or a number of input "
        "units"
    )


def plain(spec: InputSpec, images: Float[Tensor, "*n c h w"], pixel: float) -> Float[Tensor, "*n c h w"]:
    """Return plain pictures of one shade, 0 black to 1 white, as the network reads them: by channel."""
    return (
        torch.tensor(spec.shade(pixel), dtype=images.dtype, device=images.device)[:, None, None]
        .expand_as(images)
        .contiguous()
    )


def plain_baseline(
    subject: Subject, images: Float[Tensor, "n c h w"], *, baseline: Baseline, **_: Any
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield one picture an image, of the explainer's setting `baseline`."""
    yield baseline_pictures(subject, images, baseline)


def blurred(images: Float[Tensor, "n c h w"], pixels: float) -> Float[Tensor, "n c h w"]:
    """Return the images under a Gaussian blur of that many pixels, edges reflected."""
    array = gaussian_filter(images.cpu().numpy(), (0, 0, pixels, pixels), mode="reflect")
    return torch.from_numpy(array).to(images.device)


def in_pixels(spec: InputSpec, baseline: Baseline) -> str:
    """Return a baseline in words, a number as the pixel of 0 to 255 that it is in each channel.

    Examples
    --------
    >>> in_pixels(InputSpec(8, 8, (0.5,), (0.5,)), 0.0), in_pixels(InputSpec(8, 8), "blur")
    ('pixel 127.5', 'blur')
    """
    if isinstance(baseline, str):
        return baseline
    pixels = [f"{255 * (baseline * std + mean):.4g}" for mean, std in zip(spec.mean, spec.std, strict=True)]
    return "pixel " + ", ".join(dict.fromkeys(pixels))
