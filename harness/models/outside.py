"""Networks of other frameworks, each by one function to call from a user's own ``file.py:factory``.

Frameworks are not installed with this package: each function says what to install where its own is missing.
"""

import importlib
import json
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
from jaxtyping import Float
from torch import Tensor, nn

from harness.errors import UsageError
from harness.importing import reason
from harness.models.keras_chain import NotAChainError, read_chain
from harness.models.weights import put_weights
from harness.subject import InputSpec, Subject

_LAST_OPSET = 18
HDF5_BEGINS, ZIP_BEGINS = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def keras_network(path: Path | str) -> nn.Module:
    """Return the network in a Keras file (``.h5``, ``.hdf5`` or ``.keras``): (n, c, h, w) -> (n, k) logits.

    A chain of common layers is rebuilt in torch and needs nothing installed; any other network runs in Keras 3 on its
    torch backend, where gradients work and layers are Keras's own (no class activation maps, no backpropagation rules).

    Raises
    ------
    UsageError
        Where the file is no network, could run code, or needs Keras and it is missing.

    Examples
    --------
    ::

        def mine():
            spec = InputSpec(48, 48, mean=(0.0,), std=(1.0,))  # pixels of 0 to 1
            return Subject(keras_network("model.h5"), name="mine", classes=EXPRESSIONS, spec=spec)
    """
    path = _existing(path)
    _require_one_kind(path)
    try:
        return read_chain(path)
    except NotAChainError as error:
        refuse_code(path)
        return _KerasNetwork(_load_keras(path, f"{path} is more than a chain of common layers ({error})"))


def onnx_network(path: Path | str) -> nn.Module:
    """Return the network in an ONNX file, rebuilt in torch by onnx2torch: (n, c, h, w) -> (n, k) logits.

    A final softmax is left out.

    Raises
    ------
    UsageError
        Where onnx2torch is missing, or the file is no ONNX or uses an operation that it does not know.
    """
    path = _existing(path)
    onnx = _extra("onnx", "onnx", f"{path} is ONNX")
    onnx2torch = _extra("onnx2torch", "onnx", f"{path} is ONNX")
    try:
        model = _plainer(onnx.load(str(path)))
        last = model.graph.node[-1]
        if last.op_type == "Softmax":
            model.graph.output[0].name = last.input[0]
            model.graph.node.remove(last)
        network: nn.Module = onnx2torch.convert(model)
    except Exception as error:
        raise UsageError(f"{path} cannot be rebuilt in torch ({reason(error)}); try another opset") from error
    return network.eval()


def timm_subject(architecture: str, classes: Sequence[str], weights: Path | str, channels: int = 3) -> Subject:
    """Return a timm network with a user's own weights, reading the input that timm states for it.

    Parameters
    ----------
    architecture
        As ``timm.create_model`` knows it.
    classes
        Names of the classes that it was trained on.
    weights
        Its state dict, ``.safetensors`` or ``.pt`` of weights alone.
    channels
        1 for a network of grey pictures; their mean and standard deviation are then the average of the three.

    Raises
    ------
    UsageError
        Where timm is missing, does not know the architecture, or the weights are of another network.
    """
    timm = _extra("timm", "timm", f"{architecture!r} is timm's")
    try:
        network = timm.create_model(architecture, pretrained=False, num_classes=len(classes), in_chans=channels)
    except Exception as error:
        raise UsageError(f"timm cannot make {architecture!r} ({reason(error)}); see timm.list_models()") from error
    put_weights(network, Path(weights))
    config = timm.data.resolve_model_data_config(network)
    spec = _spec(config["input_size"][1:], config["mean"], config["std"], channels)
    return Subject(network, name=architecture, classes=classes, spec=spec)


def hugging_face_subject(where: Path | str) -> Subject:
    """Return an image classifier in Hugging Face's layout, with its own classes and preprocessing.

    Parameters
    ----------
    where
        A folder with ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``, or a name on the hub.
        Pickled weights are not read and remote code is not run.

    Raises
    ------
    UsageError
        Where transformers is missing, or there is no such classifier.
    """
    transformers = _extra("transformers", "huggingface", f"{str(where)!r} is an image classifier of transformers")
    try:
        network = transformers.AutoModelForImageClassification.from_pretrained(
            str(where), use_safetensors=True, trust_remote_code=False
        )
        settings, _ = transformers.ImageProcessingMixin.get_image_processor_dict(str(where))
    except Exception as error:
        raise UsageError(
            f"{str(where)!r} cannot be loaded as an image classifier ({reason(error)}); give a folder saved with "
            "save_pretrained, its weights as safetensors"
        ) from error
    spec = processed_spec(settings, getattr(network.config, "num_channels", 3), repr(str(where)))
    return Subject(_Logits(network), name=Path(where).name, classes=apart(network.config.id2label), spec=spec)


OTHERWISE = ("do_flip_channel_order", "do_color_quantize", "do_grayscale", "rescale_offset", "include_top")
"""Switches of Hugging Face's processors that do more to a pixel than to scale and to shift each channel."""


def processed_spec(settings: Mapping[str, Any], channels: int, whose: str) -> InputSpec:
    """Return what a network reads by the settings of its Hugging Face processor.

    Parameters
    ----------
    settings
        Of ``preprocessor_config.json``: ``size``, or ``crop_size`` where it crops; pixels 0 to 255 times
        ``rescale_factor`` (1 / 255), less ``image_mean``, by ``image_std``.
    channels
        That the network reads.
    whose
        The network, for a message.

    Raises
    ------
    UsageError
        Where a setting does what an :class:`InputSpec` cannot say, or one is missing; the message names it.
    """
    other = [key for key in OTHERWISE if settings.get(key)]
    if other:
        raise UsageError(
            f"{whose} is to be given pictures by {other[0]}, which no InputSpec says; write a factory whose network "
            "does that itself"
        )
    crops = bool(settings.get("do_center_crop")) and "crop_size" in settings
    height, width = _sides(settings.get("crop_size" if crops else "size"), whose)
    factor = float(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale", True) else 1.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if settings.get("do_normalize", "image_mean" in settings):
        lacking = [key for key in ("image_mean", "image_std") if key not in settings]
        if lacking:
            raise UsageError(f"{whose} normalises its pictures, but its processor has no {lacking[0]}; add it there")
        mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    whole = 255 * factor  # what a white pixel is before it is normalised; the spec's is 1
    return _spec((height, width), [m / whole for m in mean], [s / whole for s in std], channels)


def _sides(size: Any, whose: str) -> tuple[int, int]:
    """Return rows and columns, which processors state in three ways."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return (int(size["shortest_edge"]),) * 2
    raise UsageError(f"{whose}: its processor has the size {size!r:.60}; give height and width there")


def apart(names: Mapping[int, str]) -> tuple[str, ...]:
    """Return names by number; those that several classes have get their number, as the two cranes of ImageNet.

    Examples
    --------
    >>> apart({0: "crane", 1: "hen", 2: "crane"})
    ('crane (0)', 'hen', 'crane (2)')
    """
    often = Counter(str(name) for name in names.values())
    held = ((number, str(names[number])) for number in sorted(names))
    return tuple(f"{name} ({number})" if often[name] > 1 else name for number, name in held)


def _plainer(model: Any) -> Any:
    """Return the model in the words of the last opset that onnx2torch knows."""
    if model.opset_import[0].version > _LAST_OPSET:
        model = importlib.import_module("onnx.version_converter").convert_version(model, _LAST_OPSET)
    for node in model.graph.node:
        if node.op_type == "Reshape":  # it only says what a side of 0 means, and no picture has one
            kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
    return model


class _Logits(nn.Module):
    """A network that returns its logits inside an object."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits."""
        logits: Tensor = self.network(images).logits
        return logits


class _KerasNetwork(nn.Module):
    """A Keras network on the torch backend, fed with channels last."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits."""
        logits: Tensor = self.network(images.permute(0, 2, 3, 1).contiguous(), training=False)
        return logits


def _require_one_kind(path: Path) -> None:
    """Raise where a Keras file does not begin as it is read: what is looked at would not be what is loaded.

    Keras goes by the name, zipfile by the last bytes, HDF5 by the first or by those behind a block that is the user's.
    """
    with path.open("rb") as file:
        begins = file.read(len(HDF5_BEGINS))
    ends_as_zip = zipfile.is_zipfile(path)
    is_hdf5 = begins == HDF5_BEGINS and not ends_as_zip  # under any name: Keras 2 called them .keras too
    is_archive = begins.startswith(ZIP_BEGINS) and ends_as_zip and path.suffix == ".keras"
    if not (is_hdf5 or is_archive):
        raise UsageError(
            f"{path} is not what its name says: a network that Keras saved is HDF5 alone, or a zip archive alone that "
            "is called .keras; save it again with model.save"
        )


def refuse_code(path: Path) -> None:
    """Raise where a Keras file names anything but Keras's own layers: a Lambda or a custom class brings code.

    Raises
    ------
    UsageError
        Naming what it found.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    else:
        with h5py.File(path, "r") as file:
            config = json.loads(file.attrs["model_config"])
    for node in _dictionaries(config):
        module, kind = str(node.get("module") or "keras"), str(node.get("class_name", ""))
        if "Lambda" in kind or kind == "function" or module.split(".")[0] not in ("keras", "builtins"):
            raise UsageError(f"{path} holds {kind or module!r}, which could run code; rebuild that layer without it")


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary in a tree."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _dictionaries(part)


def _load_keras(path: Path, why: str) -> Any:
    """Return a Keras model on the torch backend, without its final softmax."""
    with _torch_backend():
        keras = _extra("keras", "keras", why)
    if keras.backend.backend() != "torch":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()} here; set the environment variable KERAS_BACKEND=torch"
        )
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        last = model.layers[-1]
        if type(last).__name__ == "Softmax" or getattr(last, "activation", None) is keras.activations.softmax:
            model = _cut(keras, model, last)
    except Exception as error:
        raise UsageError(f"Keras cannot load {path} ({reason(error)}); save it again with Keras 3") from error
    return model


def _cut(keras: Any, model: Any, last: Any) -> Any:
    """Return the model without its last softmax."""
    if type(last).__name__ in ("Softmax", "Activation"):
        return keras.Model(model.inputs, last.input)
    last.activation = keras.activations.linear
    return model


@contextmanager
def _torch_backend() -> Iterator[None]:
    """Let Keras choose torch if it is imported now, and leave the environment as it was."""
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        yield
    finally:
        if before is None:
            del os.environ["KERAS_BACKEND"]
        else:
            os.environ["KERAS_BACKEND"] = before


def _extra(module: str, extra: str, why: str) -> Any:
    """Import an optional library, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{why}, which needs {module} ({reason(error)}); install it with: "
            f"{Path(sys.executable).name} -m pip install 'explanation-harness[{extra}]'"
        ) from error


def _existing(path: Path | str) -> Path:
    """Return a path that exists."""
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}; give its path as seen from {Path.cwd()}")
    return Path(path)


def _spec(size: Sequence[int], mean: Sequence[float], std: Sequence[float], channels: int) -> InputSpec:
    """Return what a network reads, grey as the average of colours."""
    if channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return InputSpec(int(size[0]), int(size[1]), tuple(mean), tuple(std))
