"""Who does the jobs of a run: this process, or copies of it side by side."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from harness.engines import Job, run_beside, run_here
from harness.engines.local import Progress
from harness.errors import UsageError
from harness.evaluation.runner import Runner
from harness.store import RunFolder
from harness.subject import Subject


@dataclass(frozen=True)
class Team:
    """Does jobs, and leaves this process as if it had done all of them.

    Attributes
    ----------
    workers
        How many copies of this process work side by side; below 2 there is no need of any.
    folder
        Where all keep their pieces.
    progress
        Wraps the jobs.
    runner
        Whose jobs they are.
    """

    workers: int
    folder: RunFolder
    progress: Progress
    runner: Runner

    def run(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Run `jobs`; return what each explainer at fault did, in the order of the jobs."""
        if self.workers < 2:
            found = run_here(jobs, self.progress)
        else:
            with self.folder.together():
                faults, seconds = run_beside(jobs, self.progress, self.workers, self.runner.seconds_made)
            self.runner.made_beside += seconds
            # What the copies know is in the pieces: this process takes it from there.
            found = faults | run_here([job for job in jobs if job.explainer not in faults], _unseen)
        return {job.explainer: found[job.explainer] for job in jobs if job.explainer in found}


def _unseen(jobs: Sequence[Job]) -> Sequence[Job]:
    """Pass jobs through; they have been shown."""
    return jobs


@contextmanager
def threads_for(workers: int, subject: Subject) -> Iterator[None]:
    """Compute with one thread meanwhile where there are workers, so that their number changes no bit.

    Raises
    ------
    UsageError
        Where the subject is on a device that copies of a process cannot share.
    """
    if workers < 0:
        raise UsageError(f"--workers {workers} is no number of processes; give 1 or more, or leave it out")
    if workers > 1 and subject.device.type != "cpu":
        raise UsageError(f"--workers is for the CPU, and the network is on {subject.device}; leave it out")
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if workers else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
