import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from explainer_cases import network, pictures, subject
from torch import nn

from harness.checks.contract import broken_clauses
from harness.explainers import registered
from harness.subject import Subject

TARGETS = torch.tensor([0, 3])
SHIPPED = sorted(name for name, made in registered().items() if made.origin.startswith("harness.explainers"))
FEW = {"samples": 12, "steps": 3, "masks": 12, "pairs": 1, "segments": 9, "baselines": 2}
"""No clause depends on how many draws or steps there are."""

TYPE_CHECKS = "changed the global generator of Python"
"""What checking of annotations does, which draws the items of a list that it looks at."""


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network(), "5")


@pytest.mark.parametrize("name", SHIPPED)
def test_explainer_keeps_every_clause(name: str, of: Subject) -> None:
    if name == "cam":
        layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
        of = subject(nn.Sequential(*layers), "1")
    made = registered()[name]
    small = replace(made, settings={key: FEW.get(key, value) for key, value in made.settings.items()})
    found = broken_clauses(small, of, pictures(2), TARGETS, 0)
    assert {clause: what for clause, what in found.items() if what != TYPE_CHECKS} == {}


def test_no_explainer_moves_a_global_generator_where_annotations_are_not_checked() -> None:
    script = """
from dataclasses import replace
import sys, torch
sys.path.insert(0, sys.argv[1])
from explainer_cases import network, pictures, subject
from harness.checks.contract import leaves_generators
from harness.explainers import registered
few = {"samples": 12, "steps": 3, "masks": 12, "pairs": 1, "segments": 9, "baselines": 2}
of, moved = subject(network(), "5"), []
for name, made in registered().items():
    small = replace(made, settings={key: few.get(key, value) for key, value in made.settings.items()})
    if name != "cam" and leaves_generators(small, of, pictures(2), torch.tensor([0, 3]), 0):
        moved.append(name)
print(moved)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, __file__.rpartition("/")[0]], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
