"""What somebody else claims of every explainer, by a check of their own (``--check file.py:function``)."""

from harness.suites.test_own import test_claim

__all__ = ["test_claim"]
