"""Files are written here as Keras lays them out, and computed again in numpy as Keras defines its layers."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS
from harness.models.keras_chain import NotAChainError, SamePad, read_chain
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

Entry = dict[str, Any]
Weights = dict[str, list[np.ndarray]]


def layer(kind: str, name: str, **config: Any) -> Entry:
    return {"class_name": kind, "config": {"name": name, **config}}


RNG = np.random.default_rng(0)
KERNEL, BIAS = RNG.normal(size=(3, 3, 1, 4)), RNG.normal(size=4)
DENSE, DENSE_BIAS = RNG.normal(size=(4 * 3 * 4, 5)) * 0.3, RNG.normal(size=5)
NORM = [RNG.normal(size=5), RNG.normal(size=5), RNG.normal(size=5), RNG.uniform(0.5, 2, 5)]
LAST, LAST_BIAS = RNG.normal(size=(5, 7)), RNG.normal(size=7)

SEED: list[Entry] = [
    layer("Conv2D", "conv", batch_input_shape=[None, 8, 6, 1], padding="same", strides=[1, 1], activation="linear"),
    layer("LeakyReLU", "leaky", alpha=0.1),
    layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid"),
    layer("Dropout", "drop", rate=0.3),
    layer("Flatten", "flat"),
    layer("Dense", "dense", activation="relu"),
    layer("BatchNormalization", "norm", axis=-1, epsilon=1e-3),
    layer("Dense", "last", activation="softmax"),
]
WEIGHTS: Weights = {
    "conv": [KERNEL, BIAS],
    "dense": [DENSE, DENSE_BIAS],
    "norm": NORM,
    "last": [LAST, LAST_BIAS],
}


def keras_logits(images: np.ndarray) -> np.ndarray:
    """Return the logits of (n, h, w, 1) images, channels last as in Keras."""
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
    x = np.einsum("nhwcij,ijco->nhwo", seen, KERNEL) + BIAS
    x = np.where(x > 0, x, 0.1 * x)
    x = x.reshape(len(x), 4, 2, 3, 2, 4).max((2, 4)).reshape(len(x), -1)
    x = np.maximum(x @ DENSE + DENSE_BIAS, 0)
    gamma, beta, mean, variance = NORM
    x = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    logits: np.ndarray = x @ LAST + LAST_BIAS
    return logits


def written_h5(folder: Path, entries: Any, weights: Weights, kind: str = "Sequential") -> Path:
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": entries})
        for name, arrays in weights.items():
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}_1/{number}:0".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                group[f"{name}_1/{number}:0"] = array
    return folder / "m.h5"


def written_keras(folder: Path, entries: list[Entry], weights: Weights, named: bool) -> Path:
    places = {"conv": "conv2d", "dense": "dense", "norm": "batch_normalization", "last": "dense_1"}
    inside = io.BytesIO()
    with h5py.File(inside, "w") as file:
        for name, arrays in weights.items():
            group = file.create_group(f"layers/{places[name]}/vars")
            if named:
                group.attrs["name"] = name
            for number, array in enumerate(arrays):
                group[str(number)] = array
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": entries}}))
        archive.writestr("model.weights.h5", inside.getvalue())
    return folder / "m.keras"


def error_of(path: Path) -> float:
    images = np.random.default_rng(1).normal(size=(3, 8, 6, 1))
    with torch.no_grad():
        ours = read_chain(path).double()(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    return float(np.abs(ours - keras_logits(images)).max())


# Logits of order 10 of three layers of at most 100 weights a unit; constants are read in single precision.
TOLERANCE = rounding("float32", 300, scale=10.0)


@pytest.mark.parametrize("entries", [SEED, {"layers": SEED}], ids=["list", "dictionary"])
def test_an_h5_file_computes_what_keras_does(entries: Any, tmp_path: Path) -> None:
    assert error_of(written_h5(tmp_path, entries, WEIGHTS)) < TOLERANCE


@pytest.mark.parametrize("named", [True, False])
def test_a_keras_file_computes_what_keras_does(named: bool, tmp_path: Path) -> None:
    assert error_of(written_keras(tmp_path, SEED, WEIGHTS, named)) < TOLERANCE


def test_dense_weights_in_keras_order_of_pixels_would_be_wrong(tmp_path: Path) -> None:
    order = np.arange(48).reshape(4, 3, 4).transpose(2, 0, 1).ravel()
    assert error_of(written_h5(tmp_path, SEED, WEIGHTS | {"dense": [DENSE[order], DENSE_BIAS]})) > 0.1


def test_layers_are_torchs_own_under_keras_names(tmp_path: Path) -> None:
    network = read_chain(written_h5(tmp_path, SEED, WEIGHTS))
    assert {name: type(module) for name, module in network.named_children()} == {
        "conv": nn.Conv2d,
        "leaky": nn.LeakyReLU,
        "pool": nn.MaxPool2d,
        "flat": nn.Flatten,
        "dense": nn.Linear,
        "dense_activation": nn.ReLU,
        "norm": nn.BatchNorm1d,
        "last": nn.Linear,
    }


def test_it_makes_a_subject(tmp_path: Path) -> None:
    network = read_chain(written_h5(tmp_path, SEED, WEIGHTS))
    subject = Subject(network, name="mine", classes=EXPRESSIONS, spec=InputSpec(8, 6, (0.0,), (1.0,)))
    assert subject.cam_layer == "leaky"


def chained(entries: list[Entry], kind: str) -> list[Entry]:
    """Return a functional network of the same layers, each reading the one before."""
    first = layer("InputLayer", "input", batch_shape=[None, 8, 6, 1]) | {"inbound_nodes": []}
    names = ["input"] + [entry["config"]["name"] for entry in entries]

    def history(name: str) -> list[Any]:
        return (
            [[[name, 0, 0, {}]]] if kind == "keras 2" else [{"args": [{"keras_history": [name, 0, 0]}], "kwargs": {}}]
        )

    return [first] + [
        entry | {"inbound_nodes": history(before)} for entry, before in zip(entries, names[:-1], strict=True)
    ]


@pytest.mark.parametrize("kind", ["keras 2", "keras 3"])
def test_a_functional_chain_is_a_chain(kind: str, tmp_path: Path) -> None:
    assert error_of(written_h5(tmp_path, {"layers": chained(SEED, kind)}, WEIGHTS, "Model")) < TOLERANCE


@pytest.mark.parametrize("kind", ["keras 2", "keras 3"])
def test_a_branch_is_no_chain(kind: str, tmp_path: Path) -> None:
    entries = chained(SEED, kind)
    entries[4]["inbound_nodes"] = entries[3]["inbound_nodes"]
    with pytest.raises(NotAChainError, match="'drop' reads leaky"):
        read_chain(written_h5(tmp_path, {"layers": entries}, WEIGHTS, "Model"))


NO_CHAIN = {
    "unknown layer": ([*SEED[:1], layer("LSTM", "memory"), *SEED[1:]], "'memory' is a LSTM"),
    "channels first": ([SEED[0] | {"config": SEED[0]["config"] | {"data_format": "channels_first"}}], "channels first"),
    "no input size": ([layer("Flatten", "flat"), *SEED[5:]], "does not say the size"),
    "sigmoid at the end": ([*SEED[:-1], layer("Dense", "last", activation="sigmoid")], "ends in sigmoid"),
}


@pytest.mark.parametrize("what", NO_CHAIN)
def test_what_is_not_known_is_said(what: str, tmp_path: Path) -> None:
    entries, said = NO_CHAIN[what]
    with pytest.raises(NotAChainError, match=said):
        read_chain(written_h5(tmp_path, entries, WEIGHTS))


@pytest.mark.parametrize(("side", "window", "stride", "pads"), [(5, 3, 2, 2), (6, 3, 2, 1), (6, 2, 1, 1), (6, 2, 2, 0)])
def test_uneven_padding_goes_right_and_below(side: int, window: int, stride: int, pads: int) -> None:
    padded = SamePad((window, window), (stride, stride), 7.0)(torch.zeros(1, 1, side, side))
    expected = torch.zeros(side + pads, side + pads)
    before = pads // 2
    rows = torch.arange(side + pads)
    outside = (rows < before) | (rows >= before + side)
    expected[outside[:, None] | outside[None, :]] = 7.0
    assert torch.equal(padded[0, 0], expected)


def test_weights_alone_are_refused_in_one_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv/conv/kernel:0"] = KERNEL
    with pytest.raises(
        UsageError, match=r"w\.h5 cannot be read .*save it with model\.save, not its weights alone"
    ) as e:
        read_chain(tmp_path / "w.h5")
    assert "\n" not in str(e.value)


def test_bytes_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"m\.h5 cannot be read as a Keras network"):
        read_chain(tmp_path / "m.h5")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as a Keras network"):
        read_chain(written_h5(tmp_path, SEED, WEIGHTS | {"dense": [DENSE[:5], DENSE_BIAS]}))
