"""Runs jobs in several processes at once, which share nothing but the folder in which pieces are kept.

Each process is a copy of this one (a fork), so that networks, closures and what a user defined at a prompt need not be
sent. What an explainer does to its process, dying included, is nothing to the others.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.engines.local import Job, Progress
from harness.engines.plan import BROKEN, ENDED, FAULT, AsTheyEnd, Numbered, Plan, outcome
from harness.errors import UsageError
from harness.process import end_with_parent

FREE = "free"
"""What a worker says of itself, beside what its jobs came to."""


def run_beside(
    jobs: Sequence[Job], progress: Progress, workers: int, spent: Callable[[], float] = lambda: 0.0
) -> tuple[dict[str, str], float]:
    """Run jobs in `workers` processes; free ones of an explainer once its others are done, those in order.

    Parameters
    ----------
    jobs
        What they find is kept by themselves; jobs of the explainer "" are anybody's.
    progress
        Is passed the jobs as they end.
    workers
        How many processes.
    spent
        Seconds that a process has spent on pieces, asked in each at its end.

    Returns
    -------
    tuple
        What each explainer at fault did, by name; and the seconds that all have spent together.

    Raises
    ------
    UsageError
        Where processes cannot be copied here, or one dies over what is no explainer's.
    HarnessError
        That a job raised which is no fault of an explainer.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise UsageError(f"--workers needs a system that can copy a process, which {sys.platform} cannot; leave it out")
    plan = Plan(jobs)
    crew = _Crew(plan, spent)
    try:
        crew.hire(min(workers, len(plan.groups)))
        for _ in progress(AsTheyEnd(jobs, crew.ended())):
            pass
        crew.let_go()
    finally:
        crew.dismiss()
    return plan.faults, crew.seconds


@dataclass
class _Worker:
    """A process, the line to it, and the group it is at: None while it waits for one."""

    process: Any
    line: Connection
    group: int | None = None


@dataclass
class _Crew:
    """The processes, and what they have said; `spent` as :func:`run_beside` has it, `seconds` as it returns them."""

    plan: Plan
    spent: Callable[[], float]
    seconds: float = 0.0
    _workers: list[_Worker] = field(default_factory=list)

    def hire(self, count: int) -> None:
        """Start processes."""
        context = multiprocessing.get_context("fork")
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, here, os.getpid(), self.plan.groups, self.spent), daemon=True
            )
            process.start()
            there.close()
            self._workers.append(_Worker(process, here))

    def ended(self) -> Iterator[int]:
        """Yield the number of each job once it has ended, or will not be begun since its explainer is at fault."""
        while not self.plan.is_over:
            self._set_to_work()
            for line in wait([worker.line for worker in self._workers]):
                yield from self._heard(next(worker for worker in self._workers if worker.line is line))

    def let_go(self) -> None:
        """End the processes, and take what each has spent."""
        for worker in self._workers:
            with suppress(EOFError, OSError):  # it may have died after its work was done
                worker.line.send(None)
                while not isinstance(said := worker.line.recv(), float):
                    pass
                self.seconds += said
            worker.process.join()

    def dismiss(self) -> None:
        """End every process that is left."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.line.close()
        self._workers.clear()

    def _set_to_work(self) -> None:
        """Give every worker that waits a group that can be begun."""
        for worker in self._workers:
            if worker.group is None and (group := self.plan.take()) is not None:
                worker.group = group
                with suppress(OSError):  # it may be dead, which is heard when its line is read
                    worker.line.send(group)

    def _heard(self, worker: _Worker) -> list[int]:
        """Take what a worker says; return the jobs that are over by it."""
        try:
            kind, said = worker.line.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if kind == BROKEN:
            raise said
        if kind == FREE or worker.group is None:
            worker.group = None
            return []
        number, found = said
        return self.plan.fault(number, found) if kind == FAULT else self.plan.ended(number)

    def _lost(self, worker: _Worker) -> list[int]:
        """Book the death of a worker on the explainer it was at, and hire another; return the jobs that are over."""
        worker.process.join()
        worker.line.close()
        self._workers.remove(worker)
        how = _how_it_ended(worker.process.exitcode)
        at = self.plan.next_of(worker.group) if worker.group is not None else None
        if at is None or not at[1].explainer:
            raise UsageError(f"a process {how}{f' at {at[1].title}' if at else ''}; give fewer --workers")
        self.hire(1)
        number, job = at
        return self.plan.fault(number, f"{job.explainer}: its process {how}")


def _how_it_ended(code: int | None) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> _how_it_ended(-11), _how_it_ended(3)
    ('was ended by SIGSEGV', 'ended by itself with status 3')
    """
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself with status {code}"


def _work(
    line: Connection, other: Connection, parent: int, groups: list[list[Numbered]], spent: Callable[[], float]
) -> None:
    """Do one group after the other, as they are sent, until none is."""
    other.close()
    end_with_parent(parent)
    before = spent()
    try:
        while (group := line.recv()) is not None:
            _do(groups[group], line)
            line.send((FREE, None))
        line.send(float(spent() - before))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):  # the run is stopped; so is this
        return


def _do(group: Sequence[Numbered], line: Connection) -> None:
    """Do the jobs of one group, and say how each ends; none after a fault."""
    for number, job in group:
        kind, said = outcome(job)
        line.send((kind, said if kind == BROKEN else (number, said)))
        if kind != ENDED:
            return
