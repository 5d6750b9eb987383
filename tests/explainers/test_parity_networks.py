"""Agreement with captum, lime, zennit, pytorch-grad-cam and saliency on networks of the project and on faces."""

import pytest

from benchmarks import explainers_parity as parity

AGREE = [one for one in parity.COMPARISONS if one.method < parity.INF]
DIFFER = [one for one in parity.COMPARISONS if one.method == parity.INF]


def cases(comparison):
    """Return the networks and faces that are there."""
    if not comparison.available():
        pytest.skip(f"{comparison.package} is not installed")
    asked = [parity.case(name, faces, comparison.precision) for name in comparison.on for faces in parity.FACES]
    found = [case for case in asked if case is not None]
    if not found:
        pytest.skip("bring its network and faces with: harness fetch fer2013-minixception orl")
    return found


@pytest.mark.parametrize("comparison", AGREE, ids=lambda one: one.id)
def test_explainer_agrees_with_its_reference(comparison):
    for case in cases(comparison):
        assert comparison.difference(case) <= comparison.within(case), case.subject.name


@pytest.mark.parametrize("comparison", [one for one in AGREE if not one.method], ids=lambda one: one.id)
def test_no_comparison_allows_a_difference_of_a_thousandth(comparison):
    assert max(comparison.within(case) for case in cases(comparison)) < 1e-3


@pytest.mark.parametrize("comparison", DIFFER, ids=lambda one: one.id)
def test_difference_on_purpose_is_there_and_argued(comparison):
    assert comparison.note
    assert max(comparison.difference(case) for case in cases(comparison)) > 1e-3
