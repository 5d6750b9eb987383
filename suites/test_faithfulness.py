"""Whether the pixels that a map points at matter to the network."""

from harness.suites.test_faithfulness import test_claim

__all__ = ["test_claim"]
