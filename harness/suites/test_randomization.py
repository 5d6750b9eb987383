"""Whether a map depends on what the network has learned."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("randomization")
def test_claim(claim: Claim) -> None:
    claim.settle()
