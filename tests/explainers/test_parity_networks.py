"""Agreement with captum, lime, zennit, pytorch-grad-cam and saliency on networks of the project and on faces."""

import importlib.util
import sys
from pathlib import Path

import pytest


def load_benchmark():
    """Return the comparisons, which live with the benchmark that prints them."""
    place = Path(__file__).parents[2] / "benchmarks" / "explainers_parity.py"
    found = importlib.util.spec_from_file_location("explainers_parity", place)
    module = importlib.util.module_from_spec(found)
    sys.modules["explainers_parity"] = module
    found.loader.exec_module(module)
    return module


parity = load_benchmark()
AGREE = [one for one in parity.COMPARISONS if one.measured < parity.INF]
DIFFER = [one for one in parity.COMPARISONS if one.measured == parity.INF]


def largest(comparison):
    """Return the largest difference over networks and faces that are there."""
    if not comparison.available():
        pytest.skip(f"{comparison.package} is not installed")
    asked = [parity.case(name, faces, comparison.precision) for name in comparison.on for faces in parity.FACES]
    cases = [case for case in asked if case is not None]
    if not cases:
        pytest.skip("bring its network and faces with: harness fetch fer2013-minixception orl")
    return max(comparison.difference(case) for case in cases)


@pytest.mark.parametrize("comparison", AGREE, ids=lambda one: one.id)
def test_explainer_agrees_with_its_reference(comparison):
    # Measured on one processor; others round otherwise. A difference of nothing at all is allowed a few roundings.
    assert largest(comparison) <= max(3 * comparison.measured, 1e-12)


@pytest.mark.parametrize("comparison", DIFFER, ids=lambda one: one.id)
def test_difference_on_purpose_is_there_and_argued(comparison):
    assert comparison.note
    assert largest(comparison) > 1e-3
