from dataclasses import replace

import pytest
import torch
from explainer_cases import Vision, network, pictures, subject
from torch import nn

from harness.checks.contract import examined
from harness.explainers import registered
from harness.subject import Subject

TARGETS = torch.tensor([0, 3])
SHIPPED = sorted(name for name, made in registered().items() if made.origin.startswith("harness.explainers"))
FEW = {"samples": 32, "steps": 3, "masks": 12, "pairs": 1, "segments": 9, "baselines": 2, "designs": 4, "grid": 4}
"""No clause depends on how many draws or steps there are."""


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network(), "5")


@pytest.mark.parametrize("name", SHIPPED)
def test_explainer_keeps_every_clause(name: str, of: Subject) -> None:
    if name == "cam":
        layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
        of = subject(nn.Sequential(*layers), "1")
    made = registered()[name]
    if made.facts.family == "attention":
        of = subject(Vision(classes=5), "blocks.1.mix")
    small = replace(made, settings={key: FEW.get(key, value) for key, value in made.settings.items()})
    assert examined(small, of, pictures(2), TARGETS, 0).reason == ""
