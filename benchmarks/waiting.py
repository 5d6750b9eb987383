"""What waiting threads cost, alone and beside other work: seconds and CPU seconds of the same passes.

    python benchmarks/waiting.py

Each row is a process of its own that feeds the bundled network the same images; beside it run as many busy processes as
the machine has cores. Ratios are of one call; the reason for :func:`harness.waiting.wait_passively`.
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
    "one thread": {"OMP_NUM_THREADS": "1"},
}
SWITCHES = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
PASSES = """
import time, torch
from harness.models.loading import load_subject
subject = load_subject("faces-cnn", torch.device("cpu"))
images = torch.zeros(32, 1, 48, 48)
subject.logits(images)
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(60):
    subject.logits(images)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
BUSY = "import time\nend = time.time() + 300\nwhile time.time() < end: pass"


def measured(setting: dict[str, str]) -> tuple[float, float]:
    """Return the seconds and CPU seconds of the passes under a setting."""
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    command = [sys.executable, "-c", PASSES]
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
        found = {name: measured(setting) for name, setting in SETTINGS.items()}
    beside = f"{processes} busy processes" if processes else "alone"
    return [{"beside": beside, "setting": name, "seconds": w, "CPU seconds": c} for name, (w, c) in found.items()]


def main(_: Sequence[str] = ()) -> int:
    """Print the table."""
    table = pd.DataFrame([*rows(0), *rows(os.cpu_count() or 1)])
    print(table.round(1).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
