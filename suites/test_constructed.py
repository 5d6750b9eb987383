"""Whether maps are right on networks built around the subject, whose exact attributions are known."""

from harness.suites.test_constructed import test_claim

__all__ = ["test_claim"]
