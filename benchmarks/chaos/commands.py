"""One command in a process of its own, and what it leaves."""

import contextlib
import hashlib
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.cli import main, runs
from harness.report import page

assert page  # it brings matplotlib, which is slow to import, into the process that is forked
os.environ["HARNESS_STORE"] = "off"  # what one run kept must not stand in for what another has lost


PATIENCE = 600.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said, less bars of progress and what every run tells."""
        said = [line for part in self.err.split("\n") for line in part.split("\r")[-1:] if line.strip()]
        return [line for line in said if "job/s" not in line and "?job" not in line]


def command(arguments: Sequence[str], folder: Path, die_at: float | None = None, *, paged: bool = True) -> Ended:
    """Run the command line in a fork of this process; kill it once it has used `die_at` seconds of a processor.

    Where it is not `paged`, a run ends without figures and page, which take most of its time.
    """
    out, err = folder / ".out", folder / ".err"
    child = os.fork()
    if not child:
        _become(arguments, folder, out, err, paged=paged)
    start = time.monotonic()
    while True:
        ended, state = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if (die_at is not None and _used(child) >= die_at) or time.monotonic() - start > PATIENCE:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    said = (file.read_text(encoding="utf-8", errors="replace") for file in (out, err))
    return Ended(os.waitstatus_to_exitcode(state), *said)


def _become(arguments: Sequence[str], folder: Path, out: Path, err: Path, *, paged: bool) -> None:
    """Be the command, in the child."""
    status = 70
    try:
        os.chdir(folder)
        torch.set_num_threads(1)
        if not paged:
            vars(runs)["write_report"] = lambda _run: []
        with out.open("w", encoding="utf-8") as told, err.open("w", encoding="utf-8") as complained:
            sys.stdout, sys.stderr = told, complained
            try:
                status = main(list(arguments))
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 1
            except BaseException:
                import traceback

                traceback.print_exc()
                status = 1
    finally:
        os._exit(status)


def _used(process: int) -> float:
    """Return the seconds of a processor that a process has used."""
    with contextlib.suppress(OSError, IndexError):
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


TIMES = re.compile(
    rb"\d+(\.\d+)? (s|seconds?|min|minutes?|h|hours?)\b|[^\s<>]{0,300}/(run|fresh)\b"
    rb"|<td>[\d,]+\.\d</td><td>[\d,]+\.\d</td><td>[\d,]+\.\d times</td>"  # the table of costs
)
"""What differs between two runs that are alike: how long they took, and where they lie."""


def results(run: Path) -> dict[str, str]:
    """Return digests of all that a run leaves for its reader; the page less its times."""
    files = [file for file in run.rglob("*") if file.is_file() and "cache" not in file.relative_to(run).parts]
    held = {file: file.read_bytes() for file in files if file.name not in ("run.json", "feed.json")}
    return {
        str(file.relative_to(run)): hashlib.sha256(TIMES.sub(b"", data) if file.suffix == ".html" else data).hexdigest()
        for file, data in held.items()
    }


def different(one: dict[str, str], other: dict[str, str]) -> str:
    """Return which files differ, "" where none does."""
    return ", ".join(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))
