"""What waiting threads and memory that is given back cost, alone and beside other work: seconds of the same work.

    python benchmarks/process.py

Each row is a process of its own that asks a mini-XCEPTION of random weights about the same images, or solves for the
same removed pixels; beside it run as many busy processes as the machine has cores. Ratios are of one call; the reason
for :mod:`harness.process`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

SETTINGS = {
    "threads spin": {},
    "threads sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "threads sleep, memory is kept": {"OMP_WAIT_POLICY": "PASSIVE", "KEEP_MEMORY": "1"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "one thread, memory is kept": {"OMP_NUM_THREADS": "1", "KEEP_MEMORY": "1"},
}
SOLVERS = {"systems, a thread a core": {}, "systems, one thread": {"OPENBLAS_NUM_THREADS": "1"}}
SWITCHES = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OPENBLAS_NUM_THREADS")
PASSES = """
import os, time, torch
from harness.models.minixception import MINIXCEPTION_SPEC, MiniXception
from harness.process import keep_memory
from harness.subject import Feed, Subject
if "KEEP_MEMORY" in os.environ:
    keep_memory()
subject = Subject(MiniXception(), name="random", classes=list("abcdefg"), spec=MINIXCEPTION_SPEC)
subject.fed(Feed.read("channels-last:64"))
images = torch.zeros(64, 1, 64, 64)
classes = torch.zeros(64, dtype=torch.long)
subject.gradients(images, classes)
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(10):
    subject.logits(images)
    subject.gradients(images, classes)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
SYSTEMS = """
import time
import numpy as np
from scipy.linalg import solveh_banded
# The band of a picture of 64 x 64 that is nearly all gone, where pixels have eight neighbours, as imputation solves it.
band = np.zeros((66, 4032))
band[0], band[1], band[65] = 4.0, -1.0, -1.0
right = np.random.default_rng(0).normal(size=4032)
solveh_banded(band, right, lower=True)
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(200):
    solveh_banded(band, right, lower=True)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
BUSY = "import time\nend = time.time() + 300\nwhile time.time() < end: pass"


def measured(work: str, setting: dict[str, str]) -> tuple[float, float]:
    """Return the seconds and CPU seconds of some work under a setting."""
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    command = [sys.executable, "-c", work]
    said = subprocess.run(command, env=kept | setting, capture_output=True, text=True, check=True)
    wall, cpu = map(float, said.stdout.split())
    return wall, cpu


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def rows(processes: int) -> list[dict[str, str | float]]:
    """Return a row for every setting, beside so many busy processes."""
    with busy(processes):
        found = {name: measured(PASSES, setting) for name, setting in SETTINGS.items()}
        found |= {name: measured(SYSTEMS, setting) for name, setting in SOLVERS.items()}
    beside = f"{processes} busy processes" if processes else "alone"
    return [{"beside": beside, "setting": name, "seconds": w, "CPU seconds": c} for name, (w, c) in found.items()]


def main(_: Sequence[str] = ()) -> int:
    """Print the table."""
    table = pd.DataFrame([*rows(0), *rows(os.cpu_count() or 1)])
    print(table.round(1).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
