"""Where jobs run."""

from harness.engines.local import Job, run_here

__all__ = ["Job", "run_here"]
