"""Whether a map holds where the prediction does, and does not hang on a draw."""

from harness.suites.test_robustness import test_claim

__all__ = ["test_claim"]
