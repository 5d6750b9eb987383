"""Whether maps are tied to what the network gets right and what it confuses."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("confusion")
def test_claim(claim: Claim) -> None:
    claim.settle()
