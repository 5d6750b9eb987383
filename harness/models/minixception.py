"""mini-XCEPTION: a small published network trained on FER2013.

Arriaga, Valdenegro-Toro & Plöger, "Real-time Convolutional Neural Networks for Emotion and Gender Classification",
ESANN 2019 (arXiv:1710.07557). The weights are outside: ``harness fetch fer2013-minixception``.
"""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.subject import InputSpec

MINIXCEPTION_SPEC = InputSpec(64, 64, (0.5,), (0.5,))
"""Grey 64x64, pixel / 127.5 - 1."""

MINIXCEPTION_CAM_LAYER = "blocks.3"
"""The last block: its output is 128 maps of 4x4."""


class SameMaxPool(nn.Module):
    """3x3 maximum of every second pixel, padded as TensorFlow's "same": the odd pixel goes right and below."""

    def __init__(self) -> None:
        super().__init__()
        self.maximum = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Return the maxima, (ceil(h / 2), ceil(w / 2)) of them."""
        pads = []
        for side in (x.shape[3], x.shape[2]):
            missing = max(2 * (-(-side // 2) - 1) + 3 - side, 0)
            pads += [missing // 2, missing - missing // 2]
        # finite, so that a difference of two padded inputs is 0 and not NaN
        pooled: Tensor = self.maximum(functional.pad(x, pads, value=torch.finfo(x.dtype).min))
        return pooled


class Block(nn.Module):
    """Two separable convolutions and a maximum, beside a 1x1 shortcut; halves the side."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.separable1 = _separable(channels, width)
        self.norm1 = _norm(width)
        self.act1 = nn.ReLU()
        self.separable2 = _separable(width, width)
        self.norm2 = _norm(width)
        self.pool = SameMaxPool()
        self.shortcut = nn.Conv2d(channels, width, 1, stride=2, bias=False)
        self.shortcut_norm = _norm(width)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Return the sum of both ways."""
        way = self.act1(self.norm1(self.separable1(x)))
        way = self.pool(self.norm2(self.separable2(way)))
        total: Tensor = way + self.shortcut_norm(self.shortcut(x))
        return total


class MiniXception(nn.Module):
    """The network: (n, 1, 64, 64) in -1 to 1 -> (n, classes) logits; 56,951 parameters for 7 classes."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.norm1 = _norm(8)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.norm2 = _norm(8)
        self.act2 = nn.ReLU()
        self.blocks = nn.Sequential(Block(8, 16), Block(16, 32), Block(32, 64), Block(64, 128))
        self.head = nn.Conv2d(128, classes, 3, padding=1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()

    def forward(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n k"]:
        """Return the logits."""
        x = self.act1(self.norm1(self.conv1(x)))
        x = self.act2(self.norm2(self.conv2(x)))
        logits: Tensor = self.flatten(self.average(self.head(self.blocks(x))))
        return logits


def load_minixception(path: Path) -> MiniXception:
    """Return the network with the weights of the published Keras file.

    Parameters
    ----------
    path
        ``emotion_model.hdf5``, read with h5py alone: no code in it runs.

    Raises
    ------
    UsageError
        Where the file is missing, is not HDF5, or lacks a layer or has one of another shape.
    """
    network = MiniXception()
    try:
        with h5py.File(path, "r") as file:
            weights = {name: _read(file, layer, part, order) for name, layer, part, order in _origins()}
        network.load_state_dict(network.state_dict() | weights)
    except UsageError:
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())
        raise UsageError(
            f"{path} is not mini-XCEPTION's weights ({what}); bring them with: harness fetch fer2013-minixception"
        ) from error
    return network.eval()


def _norm(width: int) -> nn.BatchNorm2d:
    """Batch normalisation with Keras's epsilon."""
    return nn.BatchNorm2d(width, eps=1e-3)


def _separable(channels: int, width: int) -> nn.Sequential:
    """Return a 3x3 convolution of each channel alone, then a 1x1 convolution across them."""
    return nn.Sequential(
        OrderedDict(
            depthwise=nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            pointwise=nn.Conv2d(channels, width, 1, bias=False),
        )
    )


def _read(file: h5py.File, layer: str, part: str, order: tuple[int, ...]) -> Tensor:
    """Return one array of the Keras file in torch's order of axes."""
    name = f"model_weights/{layer}/{layer}_1/{part}:0"
    if name not in file:
        raise KeyError(f"no {name}")
    array = np.asarray(file[name])
    return torch.from_numpy(array.transpose(order).copy())


def _origins() -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Yield (torch name, Keras layer, Keras array, order of axes) for every weight.

    Keras numbered its layers as they were made: in each block the shortcut came first.
    """
    yield from _convolution_origins("conv1", 1)
    yield from _convolution_origins("conv2", 2)
    yield from _norm_origins("norm1", 1)
    yield from _norm_origins("norm2", 2)
    for block in range(4):
        at = f"blocks.{block}"
        yield from _convolution_origins(f"{at}.shortcut", block + 3)
        for place, norm in enumerate(("shortcut_norm", "norm1", "norm2")):
            yield from _norm_origins(f"{at}.{norm}", 3 * block + 3 + place)
        for place in (1, 2):
            layer = f"separable_conv2d_{2 * block + place}"
            yield f"{at}.separable{place}.depthwise.weight", layer, "depthwise_kernel", (2, 3, 0, 1)
            yield f"{at}.separable{place}.pointwise.weight", layer, "pointwise_kernel", (3, 2, 0, 1)
    yield from _convolution_origins("head", 7)
    yield "head.bias", "conv2d_7", "bias", (0,)


def _convolution_origins(name: str, number: int) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Yield the origin of a convolution's kernel."""
    yield f"{name}.weight", f"conv2d_{number}", "kernel", (3, 2, 0, 1)


def _norm_origins(name: str, number: int) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Yield the origins of a batch normalisation's four vectors."""
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for ours, theirs in parts.items():
        yield f"{name}.{ours}", f"batch_normalization_{number}", theirs, (0,)
