"""Whether maps say what misled the network where it was wrong."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("mistakes")
def test_claim(claim: Claim) -> None:
    claim.settle()
