"""Each framework is compared with itself where it is installed; what is said where it is not is tested everywhere."""

import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from tiny import fan_ins
from torch import nn

from harness.errors import UsageError
from harness.models.outside import hugging_face_subject, keras_network, onnx_network, processed_spec, timm_subject
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

CLASSES = tuple("abcdefg")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---------------------------------------------------------------------- Keras


@pytest.fixture
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def seed_shaped(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((16, 12, 1)),
            layers.Conv2D(8, 3, padding="same"),
            layers.LeakyReLU(0.1),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, padding="same"),
            layers.LeakyReLU(0.1),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(16),
            layers.LeakyReLU(0.1),
            layers.Dropout(0.3),
            layers.Dense(7, activation="softmax"),
        ]
    )


def strided(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((15, 12, 1)),
            layers.Rescaling(2.0, -1.0),
            layers.ZeroPadding2D(((1, 2), (3, 0))),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            layers.PReLU(shared_axes=[1, 2]),
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
            layers.ELU(),
            layers.SeparableConv2D(5, (2, 3), padding="same"),
            layers.MaxPooling2D(3, strides=2, padding="same"),
            layers.Conv2D(6, 3, dilation_rate=2, padding="same"),
            layers.ReLU(max_value=6),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.BatchNormalization(scale=False),
            layers.PReLU(),
            layers.Dense(7),
            layers.Softmax(),
        ]
    )


def branching(keras: Any) -> Any:
    layers = keras.layers
    entry = layers.Input((15, 12, 1))
    way = layers.Conv2D(4, 3, padding="same")(entry)
    way = layers.Add()([way, layers.ReLU()(way)])
    way = layers.GlobalAveragePooling2D()(way)
    return keras.Model(entry, layers.Dense(7, activation="softmax")(way))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("make", [seed_shaped, strided, branching])
def test_a_keras_network_agrees_with_keras(make: Any, suffix: str, keras: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = make(keras)
    model.set_weights([rng.uniform(0.2, 1, weight.shape) * rng.choice([-1, 1]) for weight in model.get_weights()])
    for normalisation in (one for one in model.layers if "Normalization" in type(one).__name__):
        weights = normalisation.get_weights()
        normalisation.set_weights([*weights[:-1], np.abs(weights[-1])])
    model.save(tmp_path / f"m.{suffix}")
    images = rng.uniform(size=(4, *model.input_shape[1:])).astype(np.float32)
    with torch.no_grad():
        ours = keras_network(tmp_path / f"m.{suffix}")(torch.from_numpy(images).permute(0, 3, 1, 2)).softmax(1)
    theirs = keras.ops.convert_to_numpy(model(images, training=False))
    assert np.abs(ours.numpy() - theirs).max() < rounding(
        "float32", 500
    )  # probabilities, of networks of at most 500 operations in a chain


@pytest.mark.filterwarnings("ignore")
def test_a_branching_keras_network_makes_a_subject_with_gradients(keras: Any, tmp_path: Path) -> None:
    branching(keras).save(tmp_path / "m.keras")
    subject = Subject(keras_network(tmp_path / "m.keras"), name="m", classes=CLASSES, spec=InputSpec(15, 12))
    gradients = subject.gradients(torch.rand(2, 1, 15, 12), torch.tensor([0, 6]))
    assert gradients.abs().sum((1, 2, 3)).gt(0).all()


def written_keras(folder: Path, *layers: dict[str, Any]) -> Path:
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        file.create_group("model_weights")
    return folder / "m.h5"


INPUT = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 8, 8, 1]}}


@pytest.mark.parametrize(
    "brings_code",
    [
        {"class_name": "Lambda", "config": {"name": "f", "function": ["4wEAAAA=", None, None]}},
        {"class_name": "Mine", "module": "their_package.layers", "config": {"name": "f"}},
    ],
    ids=["lambda", "custom layer"],
)
def test_a_keras_file_that_could_run_code_is_refused(brings_code: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which could run code; rebuild that layer"):
        keras_network(written_keras(tmp_path, INPUT, brings_code))


def archive(folder: Path) -> bytes:
    """A .keras file of nothing."""
    with zipfile.ZipFile(folder / "z.zip", "w") as file:
        file.writestr("config.json", "{}")
    return (folder / "z.zip").read_bytes()


@pytest.mark.parametrize("name", ["both.h5", "both.hdf5", "both.keras"])
def test_a_keras_file_of_two_kinds_at_once_is_refused(name: str, tmp_path: Path) -> None:
    """Keras goes by the name and zipfile by the last bytes: one could be looked at and the other loaded."""
    (tmp_path / name).write_bytes(written_keras(tmp_path, INPUT).read_bytes() + archive(tmp_path))
    with pytest.raises(UsageError, match="is not what its name says"):
        keras_network(tmp_path / name)


def test_hdf5_that_is_called_keras_is_read_as_what_it_is(tmp_path: Path) -> None:
    """Keras 2 wrote such files; this one is read, and holds code."""
    code = {"class_name": "Lambda", "config": {"name": "f", "function": ["4wEAAAA=", None, None]}}
    path = written_keras(tmp_path, INPUT, code).rename(tmp_path / "m.keras")
    with pytest.raises(UsageError, match="holds 'Lambda'"):
        keras_network(path)


@pytest.mark.parametrize(("begins", "name"), [(b"", "m.h5"), (b"x", "m.keras")])
def test_a_keras_file_that_does_not_begin_as_it_is_called_is_refused(begins: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(begins + archive(tmp_path))
    with pytest.raises(UsageError, match="is not what its name says"):
        keras_network(tmp_path / name)


def test_a_keras_network_that_is_no_chain_says_that_it_needs_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    path = written_keras(tmp_path, INPUT, {"class_name": "LSTM", "config": {"name": "memory"}})
    said = r"more than a chain .*\(layer 'memory' is a LSTM\), which needs keras .*pip install '.*\[keras\]'"
    with pytest.raises(UsageError, match=said) as caught:
        keras_network(path)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- ONNX


def small() -> nn.Sequential:
    convolution, dense = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 7)
    return nn.Sequential(convolution, nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Flatten(), dense)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by_trace", [True, False], ids=["older exporter", "newer exporter"])
def test_an_onnx_network_agrees_with_torch(by_trace: bool, tmp_path: Path) -> None:
    for needed in ("onnx", "onnx2torch") if by_trace else ("onnx", "onnx2torch", "onnxscript"):
        pytest.importorskip(needed)
    network, images = small().eval(), torch.rand(2, 1, 8, 8)
    exported = nn.Sequential(network, nn.Softmax(1)).eval()
    kept = {"dynamic_axes": {"x": {0: "n"}}} if by_trace else {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}
    torch.onnx.export(exported, (images,), str(tmp_path / "m.onnx"), input_names=["x"], dynamo=not by_trace, **kept)  # type: ignore[arg-type]
    subject = Subject(onnx_network(tmp_path / "m.onnx"), name="m", classes=CLASSES, spec=InputSpec(8, 8))
    with torch.no_grad():
        assert (subject.logits(images) - network(images)).abs().max() < rounding("float32", fan_ins(network))


def test_a_damaged_onnx_file_is_one_line(tmp_path: Path) -> None:
    for needed in ("onnx", "onnx2torch"):
        pytest.importorskip(needed)
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"m\.onnx cannot be rebuilt in torch") as caught:
        onnx_network(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- timm, Hugging Face


@pytest.mark.filterwarnings("ignore")
def test_a_timm_network_agrees_with_timm(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_resnet", num_classes=7, in_chans=1).eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    subject = timm_subject("test_resnet", CLASSES, tmp_path / "w.pt", channels=1)
    images = torch.rand(2, 1, subject.spec.height, subject.spec.width)
    with torch.no_grad():
        assert torch.equal(subject.logits(images), network(images))


@pytest.mark.filterwarnings("ignore")
def test_a_hugging_face_classifier_brings_its_classes_and_units(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTConfig(**size, image_size=16, patch_size=8, id2label={0: "sad", 1: "happy"})
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    units = {"size": {"height": 16, "width": 16}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(units))
    subject = hugging_face_subject(tmp_path)
    images = torch.rand(2, 3, 16, 16)
    assert subject.classes == ("sad", "happy")
    assert subject.spec == InputSpec(16, 16, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    with torch.no_grad():
        assert torch.equal(subject.logits(images), network(images).logits)


UNIT = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
BYTES = InputSpec(8, 9, (0.4 / 255, 0.5 / 255, 0.6 / 255), (0.2 / 255, 0.3 / 255, 0.4 / 255))
PROCESSORS: dict[str, tuple[dict[str, Any], InputSpec]] = {
    "height and width": (
        {**UNIT, "size": {"height": 8, "width": 9}},
        InputSpec(8, 9, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)),
    ),
    "a crop of it": (
        {"do_center_crop": True, "size": {"shortest_edge": 12}, "crop_size": {"height": 8, "width": 9}},
        InputSpec(8, 9, (0.0,) * 3, (1.0,) * 3),
    ),
    "no crop after all": (
        {"do_center_crop": False, "size": {"shortest_edge": 12}, "crop_size": 8},
        InputSpec(12, 12, (0.0,) * 3, (1.0,) * 3),
    ),
    "one side": ({"size": 12, "do_normalize": False, **UNIT}, InputSpec(12, 12, (0.0,) * 3, (1.0,) * 3)),
    "bytes": ({**UNIT, "do_rescale": False, "size": {"height": 8, "width": 9}}, BYTES),
    "bytes by factor": ({**UNIT, "rescale_factor": 1.0, "size": {"height": 8, "width": 9}}, BYTES),
    "minus one to one": (
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3, "size": 8},
        InputSpec(8, 8, (0.5,) * 3, (0.5,) * 3),
    ),
}


@pytest.mark.parametrize("what", PROCESSORS)
def test_a_processors_settings_are_what_the_network_reads(what: str) -> None:
    settings, expected = PROCESSORS[what]
    spec = processed_spec(settings, 3, "'net'")
    assert (spec.height, spec.width) == (expected.height, expected.width)
    # Two roundings apart: units are divided by one product.
    np.testing.assert_allclose([spec.mean, spec.std], [expected.mean, expected.std], rtol=rounding("float64", 4))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 8, "do_flip_channel_order": True}, "by do_flip_channel_order, which no InputSpec says"),
        ({"size": 8, "include_top": True}, "by include_top"),
        ({}, "has the size None; give height and width"),
        ({"size": {"longest_edge": 8}}, "has the size .*longest_edge"),
        ({"size": 8, "do_normalize": True, "image_mean": [0.5] * 3}, "no image_std; add it"),
    ],
)
def test_what_no_spec_can_say_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"'net'.*{said}"):
        processed_spec(settings, 3, "'net'")


# ---------------------------------------------------------------------- where they are missing

MISSING: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "onnx": (onnx_network, "onnx", r"m\.bin is ONNX"),
    "onnx2torch": (onnx_network, "onnx", r"m\.bin is ONNX"),
    "timm": (lambda path: timm_subject("resnet18", CLASSES, path), "timm", "'resnet18' is timm's"),
    "transformers": (hugging_face_subject, "huggingface", "is an image classifier of transformers"),
}


@pytest.mark.parametrize("module", MISSING)
def test_a_missing_framework_is_one_line_that_says_what_to_install(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, extra, why = MISSING[module]
    (tmp_path / "m.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnx", sys)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{why}, which needs {module} .*pip install '.*\[{extra}\]'") as caught:
        call(tmp_path / "m.bin")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [keras_network, onnx_network])
def test_an_absent_file_is_one_line(load: Any) -> None:
    with pytest.raises(UsageError, match=r"there is no file absent\.bin"):
        load("absent.bin")
