"""Pictures and inputs that no explainer was tuned to: one segment, noise, four channels, two classes, no square."""

import numpy as np
import pytest
import torch
from explainer_cases import Vision
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers._segments import SEGMENTS, segments_of
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

KINDS = ("even", "noise", "textured")


def subject(channels: int, height: int, width: int, classes: int, family: str = "") -> Subject:
    torch.manual_seed(0)
    convolutional = nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )
    network = Vision(classes=classes, channels=channels, patch=2) if family == "attention" else convolutional
    spec = InputSpec(height, width, (0.5,) * channels, (0.5,) * channels)
    return Subject(network, name="odd", classes=[f"kind {k}" for k in range(classes)], spec=spec)


def picture(kind: str, channels: int, height: int, width: int) -> Tensor:
    source = torch.Generator().manual_seed(0)
    if kind == "even":
        return torch.full((1, channels, height, width), 0.3)
    drawn = torch.randn(1, channels, height, width, generator=source).clamp(-1, 1)
    return drawn if kind == "noise" else nn.functional.avg_pool2d(drawn, 5, 1, 2) * 2


@pytest.mark.parametrize("name", registered())
@pytest.mark.parametrize("size", [(1, 24, 24, 2), (3, 20, 14, 2), (4, 8, 8, 5)], ids=str)
def test_every_explainer_gives_a_map_of_the_pictures_size(name: str, size: tuple[int, int, int, int]) -> None:
    channels, height, width, classes = size
    made = subject(*size, registered()[name].facts.family)
    for kind in KINDS:
        found = registered()[name].maps(made, picture(kind, channels, height, width), torch.tensor([classes - 1]), 0)
        assert found.shape == (1, height, width)
        assert np.isfinite(found).all()


def test_of_one_segment_kernel_shap_gives_the_whole_difference_to_all() -> None:
    made, image = subject(1, 48, 48, 3), picture("noise", 1, 48, 48)
    assert segments_of(image[0], SEGMENTS).max() == 0  # noise falls into pieces too small to be kept
    found = registered()["kernel-shap"].maps(made, image, torch.tensor([1]), 0)
    logits = made.logits(torch.cat([image, torch.full_like(image, float(image.mean()))]))[:, 1]
    close = rounding("float32", 9 + 54 + 24 * 24 + 8)
    np.testing.assert_allclose(found, np.full((1, 48, 48), float(logits[0] - logits[1])), atol=close)
