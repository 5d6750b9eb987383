"""Faults of the contract are ones, whether the method that is spoiled reads gradients or asks for answers."""

import numpy as np
import pytest
import torch
from torch import nn

from harness.oracles.contract_faults import normalised_by_batch
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

SIDE, CLASSES = 12, ("left", "middle", "right")


@pytest.mark.parametrize("base", ["occlusion", "gradient"])
def test_maps_of_a_network_that_normalises_by_batch_hang_on_the_batch(base: str) -> None:
    torch.manual_seed(0)
    body = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
    network = nn.Sequential(*body, nn.Flatten(), nn.Linear(100, len(CLASSES))).eval()
    subject = Subject(network, name="normalises", classes=CLASSES, spec=InputSpec(SIDE, SIDE))
    images = torch.rand(6, 1, SIDE, SIDE) * torch.arange(1, 7)[:, None, None, None]
    targets = subject.logits(images).argmax(1)
    together = normalised_by_batch(subject, images, targets, base=base)[:2]
    apart = normalised_by_batch(subject, images[:2], targets[:2], base=base)
    last_bits = rounding("float32", 9 + 100, conditioning=100.0) * float(np.abs(apart).max())
    assert float(np.abs(together - apart).max()) > 10 * last_bits
