"""Keras networks that are a chain of common layers, rebuilt in torch without Keras.

The file's layers are read as text and its weights as arrays: nothing in it runs, and Keras need not be installed.
Layers become torch's own, so that every explainer meets the convolutions and activations it knows. A final softmax is
left out: subjects return logits.
"""

import io
import json
import re
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError


class NotAChainError(Exception):
    """The network is more than a chain of known layers; the message says where."""


@dataclass(frozen=True)
class Layer:
    """One layer of a Keras file: its class, its settings and its weights in Keras's order."""

    kind: str
    config: Mapping[str, Any]
    weights: tuple[np.ndarray, ...]

    @property
    def name(self) -> str:
        """Its name as a torch module may have it."""
        return re.sub(r"\W", "_", str(self.config.get("name", self.kind)))


class SamePad(nn.Module):
    """Padding before a window, as Keras's "same": where it cannot be even, right and below get more."""

    def __init__(self, window: Sequence[int], stride: Sequence[int], value: float = 0.0) -> None:
        super().__init__()
        self.window, self.stride, self.value = tuple(window), tuple(stride), value

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Return the padded input."""
        pads: list[int] = []
        for side, window, stride in zip(x.shape[:1:-1], self.window[::-1], self.stride[::-1], strict=True):
            missing = max((-(-side // stride) - 1) * stride + window - side, 0)
            pads += [missing // 2, missing - missing // 2]
        return functional.pad(x, pads, value=self.value)

    def extra_repr(self) -> str:
        """Return its settings, so that they are part of a subject's digest."""
        return f"window={self.window}, stride={self.stride}, value={self.value}"


class Affine(nn.Module):
    """Keras's ``Rescaling``: x * scale + offset."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: Tensor) -> Tensor:
        """Return the rescaled input."""
        return x * self.scale + self.offset

    def extra_repr(self) -> str:
        """Return its settings, so that they are part of a subject's digest."""
        return f"scale={self.scale}, offset={self.offset}"


def read_chain(path: Path) -> nn.Sequential:
    """Return the network in a ``.h5``, ``.hdf5`` or ``.keras`` file: (n, c, h, w) -> (n, k) logits.

    Modules are named after the file's layers; an activation given inside a layer is called ``LAYER_activation``.

    Raises
    ------
    NotAChainError
        Where the network branches, or has a layer that is not known here.
    UsageError
        Where the file is no Keras network, or holds its weights alone.
    """
    try:
        config, weights_of = _read_keras(path) if zipfile.is_zipfile(path) else _read_h5(path)
        layers = [Layer(kind, settings, weights) for kind, settings, weights in _layers(config, weights_of)]
        return _rebuilt(layers)
    except (UsageError, NotAChainError):
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path} cannot be read as a Keras network ({what}); save it with model.save, not its weights alone"
        ) from error


# ---------------------------------------------------------------------- the file

_WeightsOf = Callable[[str, str], tuple[np.ndarray, ...]]


def _read_h5(path: Path) -> tuple[Any, _WeightsOf]:
    """Return the network's settings, and a function of (kind, name) that gives a layer's weights."""
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("it has no model_config")
        config = json.loads(file.attrs["model_config"])
        weights = {
            name: tuple(np.asarray(group[key]) for key in group.attrs.get("weight_names", ()))
            for name, group in file["model_weights"].items()
        }
    return config, lambda _kind, name: weights.get(name, ())


def _read_keras(path: Path) -> tuple[Any, _WeightsOf]:
    """Return the same of the newer format.

    Its weights are filed under the layer's class and a running number, and say the layer's name in newer files alone.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        inside = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(inside, "r") as file:
        groups = {key: group["vars"] for key, group in file["layers"].items() if "vars" in group}
        weights = {key: _in_number_order(group) for key, group in groups.items()}
        keys = {group.attrs["name"]: key for key, group in groups.items() if "name" in group.attrs}
    met: Counter[str] = Counter()

    def weights_of(kind: str, name: str) -> tuple[np.ndarray, ...]:
        key, number = _snake_case(kind), met[kind]
        met[kind] += 1
        return weights.get(keys.get(name, f"{key}_{number}" if number else key), ())

    return config, weights_of


def _in_number_order(group: h5py.Group) -> tuple[np.ndarray, ...]:
    """Return the arrays called 0, 1, 2 ..."""
    return tuple(np.asarray(group[key]) for key in sorted(group, key=int))


def _snake_case(kind: str) -> str:
    """Return ``leaky_re_lu`` for ``LeakyReLU``."""
    parted = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()


def _layers(config: Any, weights_of: _WeightsOf) -> Iterator[tuple[str, Mapping[str, Any], tuple[np.ndarray, ...]]]:
    """Yield the kind, settings and weights of each layer of a chain."""
    inside = config["config"]
    entries = inside if isinstance(inside, list) else inside["layers"]
    names = [str(entry["config"].get("name", entry.get("name", ""))) for entry in entries]
    for number, (entry, name) in enumerate(zip(entries, names, strict=True)):
        if entry.get("inbound_nodes"):
            sources = set(_mentioned(entry["inbound_nodes"], frozenset(names)))
            if number == 0 or sources != {names[number - 1]}:
                raise NotAChainError(f"layer {name!r} reads {', '.join(sorted(sources))}")
        yield entry["class_name"], {"name": name, **entry["config"]}, weights_of(entry["class_name"], name)


def _mentioned(node: Any, names: frozenset[str]) -> Iterator[str]:
    """Yield the layers that a layer's inbound nodes mention: every list that starts with a name and two numbers."""
    if isinstance(node, list) and len(node) > 2 and node[0] in names and all(isinstance(k, int) for k in node[1:3]):
        yield node[0]
    elif isinstance(node, list | dict):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _mentioned(part, names)


# ---------------------------------------------------------------------- the network


@dataclass
class _Built:
    """The network so far, what comes out of it for a blank picture, and the order in which Keras holds that."""

    modules: "OrderedDict[str, nn.Module]"
    blank: Tensor
    keras_order: np.ndarray | None = None

    def add(self, name: str, module: nn.Module) -> None:
        """Append a module."""
        self.modules[name] = module.eval()
        with torch.no_grad():
            self.blank = module(self.blank)

    @property
    def width(self) -> int:
        """Channels or features that come out."""
        return self.blank.shape[1]

    def ours(self, values: np.ndarray) -> np.ndarray:
        """Return values that Keras holds one a feature (first axis) in our order of features."""
        return values if self.keras_order is None else values[self.keras_order]


def _rebuilt(layers: Sequence[Layer]) -> nn.Sequential:
    """Return the chain in torch."""
    *most, last = [layer for layer in layers if layer.kind not in _ABSENT]
    built = _Built(OrderedDict(), torch.zeros(_input_shape(layers)))
    for layer in most:
        _append(built, layer)
    _append(built, _without_softmax(last))
    return nn.Sequential(built.modules)


def _append(built: _Built, layer: Layer) -> None:
    """Append a layer, and the activation inside it."""
    if layer.kind not in _TRANSLATORS:
        raise NotAChainError(f"layer {layer.name!r} is a {layer.kind}")
    if layer.config.get("data_format") == "channels_first":
        raise NotAChainError(f"layer {layer.name!r} has its channels first")
    _TRANSLATORS[layer.kind](built, layer)
    if layer.kind != "Activation" and layer.config.get("activation") is not None:
        _add_activation(built, f"{layer.name}_activation", layer.config["activation"])


def _without_softmax(layer: Layer) -> Layer:
    """Return the last layer without its softmax; another squashing function would leave no logits."""
    if layer.kind == "Softmax":
        return Layer("Activation", {**layer.config, "activation": "linear"}, ())
    activation = layer.config.get("activation", "linear")
    if activation not in ("softmax", "linear"):
        raise NotAChainError(f"the last layer {layer.name!r} ends in {activation}, not softmax")
    return Layer(layer.kind, {**layer.config, "activation": "linear"}, layer.weights)


def _input_shape(layers: Sequence[Layer]) -> tuple[int, int, int, int]:
    """Return the shape of one picture, channels first."""
    for layer in layers:
        shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        if shape is not None and len(shape) == 4 and None not in shape[1:]:
            return (1, shape[3], shape[1], shape[2])
    raise NotAChainError("it does not say the size of its input")


_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def _add_activation(built: _Built, name: str, activation: Any) -> None:
    """Append an activation by its Keras name."""
    if activation == "linear":
        return
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise NotAChainError(f"{name} is {str(activation)[:40]}")
    built.add(name, _ACTIVATIONS[activation]())


def _activation(built: _Built, layer: Layer) -> None:
    """Append an activation that is a layer of its own."""
    _add_activation(built, layer.name, layer.config["activation"])


def _relu(built: _Built, layer: Layer) -> None:
    """Append a ReLU, leaky or cut at 6 where it says so."""
    slope, most = layer.config.get("negative_slope") or 0.0, layer.config.get("max_value")
    if layer.config.get("threshold") or most not in (None, 6) or (slope and most):
        raise NotAChainError(f"layer {layer.name!r} is a ReLU with a threshold or a highest value")
    built.add(layer.name, nn.ReLU6() if most else nn.LeakyReLU(slope) if slope else nn.ReLU())


def _leaky_relu(built: _Built, layer: Layer) -> None:
    """Append a leaky ReLU; its slope has had two names."""
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    built.add(layer.name, nn.LeakyReLU(float(slope)))


def _elu(built: _Built, layer: Layer) -> None:
    """Append an ELU."""
    built.add(layer.name, nn.ELU(float(layer.config.get("alpha", 1.0))))


def _prelu(built: _Built, layer: Layer) -> None:
    """Append a PReLU with one slope a channel."""
    slopes = built.ours(layer.weights[0]) if built.blank.ndim == 2 else layer.weights[0].ravel()
    if slopes.size != built.width:
        raise NotAChainError(f"layer {layer.name!r} has slopes that differ over the picture")
    module = nn.PReLU(built.width)
    _put(module, weight=slopes)
    built.add(layer.name, module)


def _convolution(built: _Built, layer: Layer) -> None:
    """Append a convolution."""
    kernel = layer.weights[0].transpose(3, 2, 0, 1)
    _add_convolution(built, layer, layer.name, kernel, layer.weights[1:], int(layer.config.get("groups", 1)))


def _depthwise(built: _Built, layer: Layer) -> None:
    """Append a convolution of each channel alone."""
    _add_convolution(built, layer, layer.name, _depthwise_kernel(layer.weights[0]), layer.weights[1:], built.width)


def _separable(built: _Built, layer: Layer) -> None:
    """Append a convolution of each channel alone, then one across them."""
    depth, point, *bias = layer.weights
    _add_convolution(built, layer, f"{layer.name}_depthwise", _depthwise_kernel(depth), (), built.width)
    pointwise = Layer(layer.kind, {"strides": (1, 1)}, ())
    _add_convolution(built, pointwise, f"{layer.name}_pointwise", point.transpose(3, 2, 0, 1), bias, 1)


def _depthwise_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return (height, width, channels, multiples) as torch's (channels * multiples, 1, height, width)."""
    height, width = kernel.shape[:2]
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)


def _add_convolution(
    built: _Built, layer: Layer, name: str, kernel: np.ndarray, bias: Sequence[np.ndarray], groups: int
) -> None:
    """Append a convolution, with its padding before it where that is not the same on all sides."""
    stride, dilation = _pair(layer.config.get("strides", 1)), _pair(layer.config.get("dilation_rate", 1))
    same = layer.config.get("padding", "valid") == "same"
    window = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    even = stride == (1, 1) and all(side % 2 for side in window)
    if same and not even:
        built.add(f"{name}_padding", SamePad(window, stride))
    module = nn.Conv2d(
        kernel.shape[1] * groups,
        kernel.shape[0],
        kernel.shape[2:],
        stride,
        (window[0] // 2, window[1] // 2) if same and even else 0,
        dilation,
        groups,
        bool(bias),
    )
    _put(module, weight=kernel, **({"bias": bias[0]} if bias else {}))
    built.add(name, module)


def _norm(built: _Built, layer: Layer) -> None:
    """Append a batch normalisation."""
    axis = layer.config.get("axis", -1)
    if (axis[0] if isinstance(axis, list) else axis) not in (-1, built.blank.ndim - 1):
        raise NotAChainError(f"layer {layer.name!r} normalises over axis {axis}")
    kind = nn.BatchNorm2d if built.blank.ndim == 4 else nn.BatchNorm1d
    module = kind(built.width, eps=float(layer.config.get("epsilon", 1e-3)))
    keys = [key for key, there in (("weight", "scale"), ("bias", "center")) if layer.config.get(there, True)]
    keys += ["running_mean", "running_var"]
    _put(module, **{key: built.ours(values) for key, values in zip(keys, layer.weights, strict=True)})
    built.add(layer.name, module)


def _pool(built: _Built, layer: Layer) -> None:
    """Append a maximum or average of windows."""
    window = _pair(layer.config["pool_size"])
    stride = _pair(layer.config.get("strides") or window)
    highest = layer.kind == "MaxPooling2D"
    if layer.config.get("padding", "valid") == "same":
        lowest = torch.finfo(torch.float32).min
        padding = SamePad(window, stride, lowest)  # finite, so that differences of padded inputs are 0
        if padding(built.blank).shape != built.blank.shape:
            if not highest:
                raise NotAChainError(f"layer {layer.name!r} averages over padding")
            built.add(f"{layer.name}_padding", padding)
    built.add(layer.name, nn.MaxPool2d(window, stride) if highest else nn.AvgPool2d(window, stride))


def _global_pool(built: _Built, layer: Layer) -> None:
    """Append a maximum or average of whole maps."""
    highest = layer.kind == "GlobalMaxPooling2D"
    built.add(layer.name, nn.AdaptiveMaxPool2d(1) if highest else nn.AdaptiveAvgPool2d(1))
    if not layer.config.get("keepdims"):
        built.add(f"{layer.name}_flatten", nn.Flatten())


def _flatten(built: _Built, layer: Layer) -> None:
    """Append a flattening, and note in which order Keras has the features."""
    if built.blank.ndim == 4:
        _, channels, height, width = built.blank.shape
        built.keras_order = np.arange(height * width * channels).reshape(height, width, channels)
        built.keras_order = built.keras_order.transpose(2, 0, 1).ravel()
    built.add(layer.name, nn.Flatten())


def _dense(built: _Built, layer: Layer) -> None:
    """Append a dense layer."""
    if built.blank.ndim != 2:
        raise NotAChainError(f"layer {layer.name!r} is dense at every pixel")
    kernel, *bias = layer.weights
    module = nn.Linear(kernel.shape[0], kernel.shape[1], bool(bias))
    _put(module, weight=built.ours(kernel).T, **({"bias": bias[0]} if bias else {}))
    built.add(layer.name, module)
    built.keras_order = None


def _zero_padding(built: _Built, layer: Layer) -> None:
    """Append zeros around the picture."""
    (top, bottom), (left, right) = (_pair(pads) for pads in _pair(layer.config["padding"]))
    built.add(layer.name, nn.ZeroPad2d((left, right, top, bottom)))


def _rescaling(built: _Built, layer: Layer) -> None:
    """Append a rescaling."""
    built.add(layer.name, Affine(float(layer.config["scale"]), float(layer.config.get("offset", 0.0))))


def _pair(value: Any) -> tuple[Any, Any]:
    """Return two of a single value, or a pair as it is."""
    return (value[0], value[1]) if isinstance(value, list | tuple) else (value, value)


@torch.no_grad()
def _put(module: nn.Module, **values: np.ndarray) -> None:
    """Fill a module's weights and buffers."""
    for name, value in values.items():
        own: Tensor = getattr(module, name)
        if tuple(value.shape) != tuple(own.shape):
            raise ValueError(f"{type(module).__name__} {name} of shape {value.shape} where {tuple(own.shape)} belongs")
        own.copy_(torch.from_numpy(np.array(value, dtype=np.float32)))


_ABSENT = frozenset(
    {
        "InputLayer",
        "Dropout",
        "SpatialDropout2D",
        "GaussianDropout",
        "AlphaDropout",
        "GaussianNoise",
        "ActivityRegularization",
    }
)
"""Layers that do nothing once training is over."""

_TRANSLATORS: Mapping[str, Callable[[_Built, Layer], None]] = {
    "Activation": _activation,
    "AveragePooling2D": _pool,
    "BatchNormalization": _norm,
    "Conv2D": _convolution,
    "Convolution2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "ELU": _elu,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_pool,
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": _pool,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "SeparableConv2D": _separable,
    "ZeroPadding2D": _zero_padding,
}
