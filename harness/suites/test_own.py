"""What somebody else claims of every explainer, by a check of their own (``--check file.py:function``)."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("user")
def test_claim(claim: Claim) -> None:
    claim.settle()
