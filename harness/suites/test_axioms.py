"""Whether an explainer keeps the axioms that it is built on."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("axioms")
def test_claim(claim: Claim) -> None:
    claim.settle()
