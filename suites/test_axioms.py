"""Whether an explainer keeps the axioms that it is built on."""

from harness.suites.test_axioms import test_claim

__all__ = ["test_claim"]
