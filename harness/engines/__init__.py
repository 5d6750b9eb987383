"""Where jobs run."""

from harness.engines.cluster import ENGINES, LOCAL, RAY, Cluster, cluster
from harness.engines.local import Job, Progress, run_here
from harness.engines.workers import run_beside

__all__ = ["ENGINES", "LOCAL", "RAY", "Cluster", "Job", "Progress", "cluster", "run_beside", "run_here"]
