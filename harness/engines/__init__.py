"""Where jobs run."""

from harness.engines.local import Job, run_here
from harness.engines.workers import run_beside

__all__ = ["Job", "run_beside", "run_here"]
