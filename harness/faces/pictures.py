"""Pixels as every way in gives them: bytes 0 to 255, grey (h, w) or with channels last, right or refused."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, features

from harness.errors import UsageError

MOST_CHANNELS = 16
"""Channels that a picture may have; a longer last axis is no axis of channels."""

_GREY = frozenset({"1", "L", "LA", "La"})
_SEVERAL_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_CONVERTED = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})


def picture_pixels(picture: Image.Image, what: str) -> UInt8[np.ndarray, "h w *colour"]:
    """Return a Pillow picture's pixels: grey (h, w) of modes 1, L and LA, colour (h, w, 3) of every other.

    Palettes are looked up; CMYK, YCbCr and HSV become RGB.

    Raises
    ------
    UsageError
        Where it has more than 8 bits a channel, see-through pixels (what lies behind them nothing tells), or a mode
        that Pillow cannot make RGB of, such as LAB; `what` names the picture.
    """
    mode = picture.mode
    if mode.startswith(("I", "F")):
        raise UsageError(f"{what} has more than 8 bits a channel; save it with 8")
    if mode not in _GREY | _CONVERTED:
        raise UsageError(f"{what} is of mode {mode}, of which no RGB can be made here; save it as RGB")
    if mode in _SEVERAL_ALPHA or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if np.array(picture.getchannel("A")).min() < 255:
            raise UsageError(f"{what} has see-through pixels; put it on the background that your network learned with")
    return np.array(picture.convert("L" if mode in _GREY else "RGB"))


def pixels(images: np.ndarray, what: str) -> UInt8[np.ndarray, "n h w *colour"]:
    """Return images as bytes, (n, h, w) or (n, h, w, channels), where they are whole numbers 0 to 255.

    Channels may stand first, (n, channels, h, w), where the last axis cannot be theirs. One channel is grey.

    Raises
    ------
    UsageError
        Where they have another shape, fractions, or a value outside; `what` names them.
    """
    images = np.asarray(images)
    if images.ndim == 4:
        images = _channels_last(images, what)
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise UsageError(f"{what} have shape {images.shape}; give (n, h, w), or (n, h, w, 3) for colour")
    if not np.issubdtype(images.dtype, np.integer):
        raise UsageError(f"{what} are {images.dtype}; give whole numbers 0 to 255 (multiply by 255 what is 0 to 1)")
    if images.dtype != np.uint8:
        bad = np.argwhere((images < 0) | (images > 255))
        if len(bad):
            raise UsageError(f"{what}: image {bad[0][0]} has a pixel {images[tuple(bad[0])]}; give 0 to 255")
    return images.astype(np.uint8, copy=False)


def _channels_last(images: np.ndarray, what: str) -> np.ndarray:
    """Return pictures with their channels last; one channel as grey pictures."""
    first, last = images.shape[1], images.shape[3]
    if last not in (1, 3) and (first in (1, 3) or last > MOST_CHANNELS >= first):
        images, last = images.transpose(0, 2, 3, 1), first
    if last > MOST_CHANNELS:
        raise UsageError(f"{what} have shape {images.shape}; give (n, h, w), or (n, h, w, 3) for colour")
    return images[..., 0] if last == 1 else images


def lossless_size(picture: UInt8[np.ndarray, "h w *colour"]) -> int | None:
    """Return how many bytes a grey or colour picture takes as a WebP file without loss; None where Pillow writes none.

    The size hangs on the version of libwebp: compare sizes that one installation made.
    """
    if not features.check("webp"):
        return None
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="webp", lossless=True, quality=100)
    return file.tell()
