"""Whether explainers keep what every explainer owes, before anything is made of their maps."""

from harness.suites.test_contract import test_clause

__all__ = ["test_clause"]
