"""Whether maps are tied to what the network gets right and what it confuses."""

from harness.suites.test_confusion import test_claim

__all__ = ["test_claim"]
