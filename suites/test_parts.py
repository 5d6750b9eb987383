"""Whether a map weighs the parts of a face as the network does."""

from harness.suites.test_parts import test_claim

__all__ = ["test_claim"]
