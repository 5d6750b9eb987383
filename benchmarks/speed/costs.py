"""How processes are timed, and what a stored run says that it cost."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "HARNESS_STORE": "off", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Spent:
    """What a process took.

    Attributes
    ----------
    cpu
        Seconds of a processor.
    memory
        Largest resident memory, MiB.
    said
        What it printed.
    """

    cpu: float
    memory: float
    said: str


def spent(words: Sequence[str], **environment: str) -> Spent:
    """Run Python with `words` in a process of its own, and return what it took; whatever ends otherwise is raised."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, *words], stdout=out, stderr=err, env=os.environ | ONE_THREAD | environment, cwd=ROOT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {err.read()[-2000:]}")
        return Spent(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())


def judged(
    out: Path, explainers: Sequence[str], *words: str, environment: Mapping[str, str] | None = None
) -> tuple[Spent, dict[str, Any]]:
    """Run `harness run` on rendered faces, page and all; return what it took, and its ``run.json``."""
    named = [word for name in explainers for word in ("--explainer", name)]
    took = spent(
        ["-m", "harness", "run", "--feed", "channels-last:64", *named, *words, "--out", str(out)],
        **(environment or {}),
    )
    return took, json.loads((out / "run.json").read_text(encoding="utf-8"))
