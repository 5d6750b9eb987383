"""Whether the pixels that a map points at matter to the network."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("faithfulness")
def test_claim(claim: Claim) -> None:
    claim.settle()
