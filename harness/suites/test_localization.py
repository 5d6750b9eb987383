"""Whether a map points at what is known to matter."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("localization")
def test_claim(claim: Claim) -> None:
    claim.settle()
