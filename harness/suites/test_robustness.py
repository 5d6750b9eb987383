"""Whether a map holds where the prediction does, and does not hang on a draw."""

import pytest

from harness.pytest_plugin import Claim


@pytest.mark.family("robustness")
def test_claim(claim: Claim) -> None:
    claim.settle()
