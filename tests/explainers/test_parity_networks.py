"""Agreement with captum, lime, zennit, pytorch-grad-cam and saliency on networks of the project and on faces."""

import pytest

from benchmarks.explainers_parity.comparisons import COMPARISONS, INF
from benchmarks.explainers_parity.networks import case
from benchmarks.explainers_parity.setup import FACES

AGREE = [one for one in COMPARISONS if one.method < INF]
DIFFER = [one for one in COMPARISONS if one.method == INF]


def cases(comparison):
    """Return the networks and faces that are there."""
    if not comparison.available():
        pytest.skip(f"{comparison.package} is not installed")
    asked = [case(name, faces, comparison.precision) for name in comparison.on for faces in FACES]
    found = [one for one in asked if one is not None]
    if not found:
        pytest.skip("bring its network and faces with: harness fetch fer2013-minixception orl")
    return found


@pytest.mark.parametrize("comparison", AGREE, ids=lambda one: one.id)
def test_explainer_agrees_with_its_reference(comparison):
    for made in cases(comparison):
        assert comparison.difference(made) <= comparison.within(made), made.subject.name


@pytest.mark.parametrize("comparison", [one for one in AGREE if not one.method], ids=lambda one: one.id)
def test_no_comparison_allows_a_difference_of_a_thousandth(comparison):
    assert max(comparison.within(made) for made in cases(comparison)) < 1e-3


@pytest.mark.parametrize("comparison", DIFFER, ids=lambda one: one.id)
def test_difference_on_purpose_is_there_and_argued(comparison):
    assert comparison.note
    assert max(comparison.difference(made) for made in cases(comparison)) > 1e-3
