"""Whether a map depends on what the network has learned."""

from harness.suites.test_randomization import test_claim

__all__ = ["test_claim"]
