"""Whether a map weighs the parts of a face as the network does."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("parts")
def test_claim(claim: Claim) -> None:
    claim.settle()
