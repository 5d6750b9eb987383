"""Runs jobs one after another in this process."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ExplainerFault


@dataclass(frozen=True)
class Job:
    """One piece of a run, kept under its key once done.

    Attributes
    ----------
    title
        What a progress bar says.
    explainer
        Whose work it is; once an explainer is at fault its later jobs are not run.
    perform
        Does it and stores what it found.
    free
        Whether it may be done beside the explainer's other free jobs, once those that are not free are done.
    stage
        Of a free job: it is begun once the explainer's free jobs of all earlier stages are done.
    tells, hears
        Where it is done in a copy of this process: the one returns there what this process does not see otherwise,
        the other takes it here, so that it need not be asked once more.
    """

    title: str
    explainer: str
    perform: Callable[[], object]
    free: bool = False
    stage: int = 0
    tells: Callable[[], Any] = tuple
    hears: Callable[[Any], object] = tuple


Progress = Callable[[Sequence[Job]], Iterable[Job]]
"""Passes jobs through and shows how far they are."""


def run_here(jobs: Sequence[Job], progress: Progress) -> dict[str, str]:
    """Run `jobs` in order; return what each explainer at fault did, and go on with the others."""
    faults: dict[str, str] = {}
    for job in progress(jobs):
        if job.explainer not in faults:
            try:
                job.perform()
            except ExplainerFault as fault:
                faults[job.explainer] = str(fault)
    return faults
