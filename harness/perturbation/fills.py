"""What stands where pixels were removed.

A fill is used in two steps, because what is costly depends on the image alone: `fill.prepare(images)`
computes it once, and the `Replacement` that it returns makes the images of any number of steps. Calling the
fill does both.

`removed` is a NumPy bool array (n, h, w), True where a pixel is gone in all its channels, as
`harness.perturbation.removed_steps` makes it. Images are float32 tensors (n, c, h, w) in the network's input
units. Pixels that are not removed come back bit for bit, on the images' device; no gradient flows through.
A replacement keeps the images given, not a copy of them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter
from torch import Tensor

from harness.digest import digest, image_keys
from harness.perturbation._seeds import Stream, generator
from harness.process import solving_in_one_thread


@runtime_checkable
class Replacement(Protocol):
    """Images prepared for one fill: call it with what is removed and a seed."""

    def __call__(self, removed: Bool[np.ndarray, "n h w"], seed: int) -> Float[Tensor, "n c h w"]:
        """Return the images with removed pixels filled.

        Raises
        ------
        ValueError
            If `removed` is not of the prepared images' shape.
        """
        ...


@runtime_checkable
class Fill(Protocol):
    """Replaces removed pixels; a new fill defines `prepare` and inherits the call."""

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Compute once what depends on the images alone."""
        ...

    def __call__(
        self, images: Float[Tensor, "n c h w"], removed: Bool[np.ndarray, "n h w"], generator_seed: int
    ) -> Float[Tensor, "n c h w"]:
        """Return the images with removed pixels filled; prepare them instead where there are many steps."""
        return self.prepare(images)(removed, generator_seed)


@dataclass(frozen=True)
class MeanFill(Fill):
    """Fill with the image's own mean, a channel at a time.

    It keeps the image's brightness and nothing else; its edge against the image is sharp, so that scattered
    removal looks like noise to a network.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    >>> MeanFill()(image, np.array([[[True, False], [False, False]]]), 0)
    tensor([[[[2., 1.],
              [2., 5.]]]])
    """

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Compute the means."""
        means = images.detach().double().mean(dim=(2, 3), keepdim=True)
        return _Paste(images.detach(), means.to(images.dtype))


@dataclass(frozen=True)
class ConstantFill(Fill):
    """Fill with one value, in input units, for every image and channel.

    Parameters
    ----------
    value
        The lowest input value paints removed pixels black.
    """

    value: float

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Compute nothing."""
        return _Paste(images.detach(), torch.full_like(images[:1, :1, :1, :1], self.value).detach())


@dataclass(frozen=True)
class BlurFill(Fill):
    """Fill with the image blurred by a Gaussian, edges reflected.

    Parameters
    ----------
    sigma
        Standard deviation as a share of the image's shorter side, so that one setting means the same at 48
        and at 224 pixels. A tenth by default: an eye or a mouth measures one to two tenths of a cropped face,
        so its contrast goes while light, skin and the head's outline stay. At a few hundredths features stay
        legible; towards a third the picture is its own mean. It removes edges before anything else, so
        inserting into it credits whatever finds edges.

    Raises
    ------
    ValueError
        If `sigma` is not positive.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"a blur of sigma {self.sigma}; give a positive share of the image's side")

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Blur each channel of each image."""
        pixels = self.sigma * min(images.shape[2:])
        sharp = images.detach().cpu().numpy()
        blurred = gaussian_filter(sharp, sigma=(0, 0, pixels, pixels), mode="reflect")
        return _Paste(images.detach(), torch.from_numpy(blurred).to(images.device))


@dataclass(frozen=True)
class NegativeFill(Fill):
    """Fill with the picture's negative: pixel flipping (Bach et al. 2015).

    Parameters
    ----------
    low, high
        Range of the input, by channel; a pixel at one end goes to the other, one in the middle stays.

    Examples
    --------
    >>> NegativeFill((0.0,), (1.0,))(torch.tensor([[[[0.0, 0.25]]]]), np.array([[[True, True]]]), 0)
    tensor([[[[1.0000, 0.7500]]]])
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Turn every pixel."""
        ends = torch.tensor([self.low, self.high], dtype=images.dtype, device=images.device)
        return _Paste(images.detach(), ends.sum(0)[:, None, None] - images.detach())


@dataclass(frozen=True)
class UniformFill(Fill):
    """Fill with values drawn evenly from the input's range, a pixel and channel at a time (Samek et al. 2017).

    A pixel's value depends on the seed and the image, not on what else is removed, so that the steps of one trajectory
    and all maps of an image share it.

    Parameters
    ----------
    low, high
        Range of the input, by channel.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Name the images."""
        return _Drawn(images.detach(), image_keys(images), self.low, self.high)


@dataclass(frozen=True, eq=False, repr=False)
class PictureFill(Fill):
    """Fill with one picture for every image, such as the mean face of a set.

    It keeps what all pictures of an aligned set have in common, so that what is removed leaves a likely picture behind.

    Parameters
    ----------
    picture
        In input units, of the images' size.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    >>> PictureFill(torch.full((1, 2, 2), 7.0))(image, np.array([[[True, False], [False, False]]]), 0)
    tensor([[[[7., 1.],
              [2., 5.]]]])
    """

    picture: Float[Tensor, "c h w"]

    def __repr__(self) -> str:
        """Name the picture by its content, so that settings that hold one can be named by their text."""
        return f"PictureFill({digest(self.picture)})"

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Compute nothing.

        Raises
        ------
        ValueError
            Where the picture is of another size than the images.
        """
        if images.shape[1:] != self.picture.shape:
            raise ValueError(f"a picture of {tuple(self.picture.shape)} fills no image of {tuple(images.shape[1:])}")
        return _Paste(images.detach(), self.picture.to(images)[None])


@dataclass(frozen=True)
class NoisyLinearFill(Fill):
    """Fill with the weighted mean of each pixel's eight neighbours plus noise (Rong et al. 2022, ROAD).

    Every removed pixel equals the mean of its neighbours, direct ones weighing 1/6 and diagonal ones 1/12;
    neighbours that are removed too are unknowns of the same linear system, solved exactly, one an image. At
    the image's border the weights of the neighbours that exist are scaled to sum to one. The shape of what
    was removed leaks less than with a constant. Where everything is removed no neighbour is known, any
    constant would solve the system, and the image's own mean is taken.

    The noise of a pixel depends on the seed and the image, not on what else is removed, so that neighbouring
    steps of one trajectory share it.

    Parameters
    ----------
    noise
        Standard deviation in input units, one for all channels or one for each; zero adds none. The default suits
        inputs whose range is about one; give .01 of each channel's range otherwise, which differ where mean and std
        do. Values may leave [low, high] by the noise, never by interpolation.

    Raises
    ------
    ValueError
        If `noise` is negative or not finite.
    """

    noise: float | tuple[float, ...] = 0.01

    def __post_init__(self) -> None:
        if not all(0 <= each < np.inf for each in np.atleast_1d(self.noise)):
            raise ValueError(f"noise of {self.noise}; give a standard deviation of zero or more")

    def prepare(self, images: Float[Tensor, "n c h w"]) -> Replacement:
        """Set up the neighbours' weights."""
        noise = np.atleast_1d(self.noise)
        if len(noise) not in (1, images.shape[1]):
            raise ValueError(f"noise of {len(noise)} channels, the images have {images.shape[1]}")
        return _Imputation(images.detach(), image_keys(images), noise[:, None, None])


@dataclass(frozen=True, eq=False)
class _Paste:
    """Takes removed pixels from a picture that broadcasts against the images."""

    images: Tensor
    picture: Tensor

    def __call__(self, removed: Bool[np.ndarray, "n h w"], seed: int) -> Float[Tensor, "n c h w"]:
        """Paste the picture where pixels are removed; the seed is not used."""
        return torch.where(_on_device(removed, self.images), self.picture, self.images)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Takes removed pixels from noise."""

    images: Tensor
    keys: Int[np.ndarray, " n"]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __call__(self, removed: Bool[np.ndarray, "n h w"], seed: int) -> Float[Tensor, "n c h w"]:
        """Draw every image's noise and paste it where pixels are removed."""
        shape = tuple(self.images.shape[1:])
        low, high = (np.array(ends)[:, None, None] for ends in (self.low, self.high))
        drawn = [generator(seed, Stream.NOISE, key).uniform(low, high, shape) for key in self.keys]
        gone = _on_device(removed, self.images)
        return torch.where(gone, torch.from_numpy(np.array(drawn)).to(self.images), self.images)


@dataclass(frozen=True, eq=False)
class _Imputation:
    """Solves for removed pixels from those that are left."""

    images: Tensor
    keys: Int[np.ndarray, " n"]
    noise: Float[np.ndarray, "c 1 1"]

    def __call__(self, removed: Bool[np.ndarray, "n h w"], seed: int) -> Float[Tensor, "n c h w"]:
        """Solve one system an image and add the noise that the seed gives."""
        gone = _on_device(removed, self.images)
        known = self.images.cpu().numpy().astype(np.float64)
        filled = np.zeros_like(known)
        with solving_in_one_thread():
            for image, key, where, out in zip(known, self.keys, removed, filled, strict=True):
                if where.any():
                    noise = generator(seed, Stream.NOISE, key).normal(scale=self.noise, size=image.shape)
                    out[:, where] = _interpolated(image, where) + noise[:, where]
        return torch.where(gone, torch.from_numpy(filled).to(self.images), self.images)


def _on_device(removed: Bool[np.ndarray, "n h w"], images: Tensor) -> Bool[Tensor, "n 1 h w"]:
    """Return `removed` beside the images, or say that it does not fit them."""
    if removed.shape != (len(images), *images.shape[2:]):
        raise ValueError(f"removed is {removed.shape}, the images are {tuple(images.shape)}; one (h, w) an image")
    return torch.tensor(removed, device=images.device)[:, None]


def _interpolated(image: Float64[np.ndarray, "c h w"], removed: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Return the removed pixels' values, (c, removed)."""
    if removed.all():
        return np.repeat(image.mean(axis=(1, 2))[:, None], removed.size, axis=1)
    unknown = removed.ravel()
    flat = image.reshape(len(image), -1)
    rows = _neighbour_laplacian(*removed.shape)[unknown]
    right = -(rows @ np.where(unknown, 0.0, flat).T)
    # In raster order the matrix is a band about one image row wide: at 64 x 64 its Cholesky factor takes a
    # third of the time of a general sparse factor.
    return solveh_banded(_lower_band(rows[:, unknown]), right, lower=True, check_finite=False).T


@lru_cache(maxsize=8)
def _neighbour_laplacian(h: int, w: int) -> Any:
    """Return the sparse matrix whose null vectors equal their neighbours' weighted mean at each pixel."""
    down, across = (sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(k, k)) for k in (h, w))
    direct = sp.kron(down, sp.eye_array(w)) + sp.kron(sp.eye_array(h), across)
    weights = sp.csr_array(direct / 6 + sp.kron(down, across) / 12)
    # Unscaled sums on the diagonal keep it symmetric; a row's scale does not change its solution.
    return sp.csr_array(sp.diags_array(weights.sum(axis=1)) - weights)


def _lower_band(matrix: Any) -> Float64[np.ndarray, "diagonals k"]:
    """Return a symmetric sparse matrix's diagonal and lower diagonals, one a row."""
    entries = matrix.tocoo()
    below = entries.row - entries.col
    lower = below >= 0
    band = np.zeros((int(below.max()) + 1, matrix.shape[0]))
    band[below[lower], entries.col[lower]] = entries.data[lower]
    return band
