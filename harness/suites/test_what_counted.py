"""Whether maps order cells of the picture as the network's answers to all coalitions of them do."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("cells")
def test_claim(claim: Claim) -> None:
    claim.settle()
