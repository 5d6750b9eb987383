"""Whether explainers keep what every explainer owes, before anything is made of their maps."""

import pytest

from harness.pytest_plugin import Owed


@pytest.mark.family("contract")
def test_clause(owed: Owed) -> None:
    owed.settle()
