"""Runs jobs in several processes at once, which share nothing but the folder in which pieces are kept.

Each process is a copy of this one (a fork), so that networks, closures and what a user defined at a prompt need not be
sent. What an explainer does to its process, dying included, is nothing to the others. Kept apart, none does its jobs in
a process that was at another's.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.containment import how_it_ended
from harness.engines.local import Job, Progress
from harness.engines.plan import BROKEN, ENDED, FAULT, AsTheyEnd, Numbered, Plan, outcome
from harness.errors import UsageError
from harness.process import end_with_parent

FREE = "free"
"""What a worker says of itself, beside what its jobs came to."""


LOOK = 1.0
"""Seconds between two looks whether the workers are there: what one of them started may hold its line open."""

LAST_WORD = 60.0
"""Seconds within which a worker that has nothing left to do has to say what it spent."""


def run_beside(
    jobs: Sequence[Job],
    progress: Progress,
    workers: int,
    spent: Callable[[], float] = lambda: 0.0,
    *,
    apart: bool = False,
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
    apart
        Whether each explainer has processes of its own.

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
        asked = "--isolate" if apart else "--workers"
        raise UsageError(f"{asked} needs a system that can copy a process, which {sys.platform} cannot; leave it out")
    plan = Plan(jobs)
    crew = _Crew(plan, spent, apart)
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
    """A process, the line to it, the group it is at, None while it waits for one, and whose groups it has done."""

    process: Any
    line: Connection
    group: int | None = None
    whose: str | None = None


@dataclass
class _Crew:
    """The processes, and what they have said.

    `spent` and `apart` are as :func:`run_beside` has them, `seconds` as it returns them.
    """

    plan: Plan
    spent: Callable[[], float]
    apart: bool
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
            ready = wait([worker.line for worker in self._workers], LOOK)
            for worker in [each for each in self._workers if each.line in ready]:
                yield from self._heard(worker)
            for worker in [each for each in self._workers if not (each.process.is_alive() or each.line.poll())]:
                yield from self._lost(worker)

    def let_go(self) -> None:
        """End the processes, and take what each has spent."""
        for worker in self._workers:
            self._take_leave(worker)

    def dismiss(self) -> None:
        """End every process that is left."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def _take_leave(self, worker: _Worker) -> None:
        """Take what a process has spent, and end it: threads that somebody left running there would keep it."""
        with suppress(EOFError, OSError):  # it may have died after its work was done
            worker.line.send(None)
            while worker.line.poll(LAST_WORD):
                if isinstance(said := worker.line.recv(), float):
                    self.seconds += said
                    break
        _end(worker)

    def _set_to_work(self) -> None:
        """Give every worker that waits a group that can be begun."""
        for worker in [each for each in self._workers if each.group is None]:
            if (group := self.plan.take()) is not None:
                self._give(worker, group)

    def _give(self, worker: _Worker, group: int) -> None:
        """Give a worker a group, or another in its stead: they are apart and it was at another's, or it died."""
        whose = self.plan.groups[group][0][1].explainer
        if not worker.process.is_alive() or (self.apart and worker.whose not in (None, whose)):
            self._take_leave(worker)
            self._workers.remove(worker)
            self.hire(1)
            worker = self._workers[-1]
        worker.group, worker.whose = group, whose
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
        number, found, told = said
        if told:
            dict(self.plan.groups[worker.group])[number].hears(told)
        return self.plan.fault(number, found) if kind == FAULT else self.plan.ended(number)

    def _lost(self, worker: _Worker) -> list[int]:
        """Book the death of a worker on the explainer it was at, and hire another; return the jobs that are over."""
        _end(worker)
        self._workers.remove(worker)
        how = how_it_ended(worker.process.exitcode)
        at = self.plan.next_of(worker.group) if worker.group is not None else None
        if worker.group is None and worker.whose is not None:  # after its work was done: by what that left behind
            self.hire(1)
            return []
        if at is None or not at[1].explainer:
            raise UsageError(f"a process {how}{f' at {at[1].title}' if at else ''}; give fewer --workers")
        self.hire(1)
        number, job = at
        return self.plan.fault(number, f"{job.explainer}: its process {how}")


def _end(worker: _Worker) -> None:
    """End a process, where it has not ended."""
    worker.process.kill()
    worker.process.join()
    worker.line.close()


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
        sys.stdout.flush()
        line.send(float(spent() - before))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):  # the run is stopped; so is this
        return


def _do(group: Sequence[Numbered], line: Connection) -> None:
    """Do the jobs of one group, and say how each ends; none after a fault."""
    for number, job in group:
        kind, said = outcome(job)
        line.send((kind, said if kind == BROKEN else (number, said, job.tells())))
        if kind != ENDED:
            return
