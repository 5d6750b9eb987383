"""Whether maps order cells of the picture as the network's answers to all coalitions of them do."""

from harness.suites.test_what_counted import test_claim

__all__ = ["test_claim"]
