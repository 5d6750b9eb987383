"""Whether maps are right on networks built around the subject, whose exact attributions are known."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("constructed")
def test_claim(claim: Claim) -> None:
    claim.settle()
