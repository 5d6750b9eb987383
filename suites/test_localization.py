"""Whether a map points at what is known to matter."""

from harness.suites.test_localization import test_claim

__all__ = ["test_claim"]
