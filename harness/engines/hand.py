"""What runs in a worker of Ray: it does jobs as they are named, and its pieces go to the shelf as they are made."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import ray

from harness.engines.local import Job
from harness.engines.parcel import Parcel, opened
from harness.engines.plan import outcome
from harness.errors import UsageError
from harness.importing import reason
from harness.process import set_up
from harness.store import AwayFolder, Lender
from harness.store.pieces import Files
from harness.store.shelf import MAKE, WAIT

FIRST_WAIT, LONGEST_WAIT = 0.02, 2.0
"""Seconds between two questions after a piece that another worker makes."""


class Line(Lender):
    """The line of one worker to the shelf, an actor."""

    def __init__(self, shelf: Any, worker: int) -> None:
        self._shelf, self._worker = shelf, worker

    def asked(self, name: str) -> Files | None:
        """Return the files of a piece once somebody has made it; None where this worker is to make it."""
        wait = FIRST_WAIT
        while (said := ray.get(self._shelf.asked.remote(name, self._worker))) == WAIT:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        return None if said == MAKE else said

    def kept(self, name: str, files: Files) -> None:
        """Hand in a piece, and wait until it is kept: what has ended is never lost."""
        refused = ray.get(self._shelf.kept.remote(name, files, self._worker))
        if refused:
            raise UsageError(refused)

    def dropped(self, name: str) -> None:
        """Let others make what this worker was to make."""
        ray.get(self._shelf.dropped.remote(name, self._worker))


class Hand:
    """One worker, which knows the jobs of the run and no more.

    Parameters
    ----------
    shelf
        The actor before the run's folder.
    worker
        Its number.
    """

    def __init__(self, shelf: Any, worker: int) -> None:
        set_up()
        self._scratch = Path(tempfile.mkdtemp(prefix="harness-worker-"))
        self._folder = AwayFolder(self._scratch, Line(shelf, worker))
        self._parcel = Parcel((), str, float)
        self._before = 0.0

    def begin(self, data: bytes) -> str:
        """Take the parcel; return why this worker cannot take part, "" where it can."""
        try:
            self._parcel = opened(data, self._folder)
        except Exception as error:  # whatever cannot be made here of what was sent
            return f"what was sent cannot be opened there ({reason(error)}); install there what is installed here"
        self._before = self._parcel.spent()
        return self._parcel.begin()

    def do(self, number: int) -> tuple[str, Any]:
        """Do a job, and return what it came to."""
        job: Job = self._parcel.jobs[number]
        return outcome(job)

    def leave(self) -> float:
        """Clear up, and return the seconds spent on pieces."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self._parcel.spent() - self._before
