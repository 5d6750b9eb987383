"""What a network reads: size, colour and units of its pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError

MOST_CHANNELS = 16
"""Channels that a network may read."""


@dataclass(frozen=True)
class InputSpec:
    """What the network reads: its picture size, colour and units.

    A pixel p of 0 to 255 becomes (p / 255 - mean) / std, the channel's mean and std being stated once here.

    Attributes
    ----------
    height, width
        Side of the input in pixels.
    mean, std
        One number a channel, of pixels 0 to 1; their length says how many channels the network reads (1 grey, 3
        colour, up to 16).

    Raises
    ------
    UsageError
        Where sides are no whole numbers above 0, means and stds are not as many, a mean lies outside 0 to 1, or a std
        outside 0 to 1: those of pixels 0 to 255 are larger, and fed by them a network would see next to nothing.
    """

    height: int
    width: int
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        for what in ("mean", "std"):
            value = getattr(self, what)
            try:
                numbers = tuple(map(float, value))
            except (TypeError, ValueError):
                raise UsageError(
                    f"InputSpec's {what} is {value!r}; give one number a channel, such as (0.5,)"
                ) from None
            object.__setattr__(self, what, numbers)
        if len(self.mean) != len(self.std) or not 1 <= len(self.mean) <= MOST_CHANNELS:
            raise UsageError(
                f"an input has 1 to {MOST_CHANNELS} channels; give InputSpec as many means as stds, one each"
            )
        if any(not isinstance(side, int) or side < 1 for side in (self.height, self.width)):
            raise UsageError(f"InputSpec's sides are {self.height!r} and {self.width!r}; give whole numbers above 0")
        if not all(0 <= m <= 1 for m in self.mean) or not all(0 < s <= 1 for s in self.std):
            raise UsageError(
                f"InputSpec's mean {self.mean} and std {self.std} are not of pixels 0 to 1, which lie within 0 to 1, "
                "stds above 0; divide by 255 what is of pixels 0 to 255 (127.5 becomes 0.5)"
            )

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour, or as many as were stated."""
        return len(self.mean)

    def shade(self, pixel: float) -> tuple[float, ...]:
        """Return what a pixel of 0 to 1 is in input units, channel by channel."""
        return tuple((pixel - m) / s for m, s in zip(self.mean, self.std, strict=True))

    @property
    def low(self) -> float:
        """Lowest value a pixel can take in input units, in any channel; one channel's own is in :meth:`shade`."""
        return min(self.shade(0.0))

    @property
    def high(self) -> float:
        """Highest value a pixel can take in input units, in any channel; one channel's own is in :meth:`shade`."""
        return max(self.shade(1.0))

    def prepare(self, pictures: UInt8[np.ndarray, "n h w *colour"]) -> Float[Tensor, "n c height width"]:
        """Resize pictures (bilinear) and express them in input units.

        Grey pictures are repeated for a colour network; colour pictures become luma (ITU-R 601) for a grey one.

        Raises
        ------
        UsageError
            Where pictures have another number of channels than the network reads, and are neither.
        """
        images = torch.from_numpy(np.ascontiguousarray(pictures)).float()
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        if images.shape[1] == 3 and self.channels == 1:
            images = (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        if images.shape[1] != self.channels and (images.shape[1], self.channels) != (1, 3):
            raise UsageError(
                f"the pictures have {images.shape[1]} channels, but the network reads {self.channels} (means in its "
                "InputSpec); give as many"
            )
        images = self._resized(images.expand(-1, self.channels, -1, -1))
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))
        return ((images / 255 - mean) / std).contiguous()

    def resized(self, maps: Shaped[np.ndarray, "n h w"]) -> Float[np.ndarray, "n height width"]:
        """Return what is known of each pixel of a picture, where the network reads it: resized as pictures are.

        So it lies where the picture that it tells of lies, and is zero where nothing of it reaches the network.
        """
        known = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
        return self._resized(known[:, None])[:, 0].numpy()

    def _resized(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c height width"]:
        """Return images at the size that the network reads."""
        if images.shape[-2:] == (self.height, self.width):
            return images
        return functional.interpolate(images, (self.height, self.width), mode="bilinear", align_corners=False)

    def to_unit(self, images: Float[Tensor, "n c height width"]) -> Float[Tensor, "n c height width"]:
        """Return prepared images with every channel in 0 to 1, as pictures have it."""
        mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (self.mean, self.std))
        return (images * std + mean).clamp(0, 1)

    def to_grey(self, images: Float[Tensor, "n c height width"]) -> Float[np.ndarray, "n height width"]:
        """Return prepared images as grey pictures in 0 to 1, for showing and for edges."""
        mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (self.mean, self.std))
        return (images * std + mean).mean(1).clamp(0, 1).cpu().numpy()
