"""Whether maps say what misled the network where it was wrong."""

from harness.suites.test_mistakes import test_claim

__all__ = ["test_claim"]
