"""Runs jobs on workers of Ray, which share nothing: what they make comes back into the run's folder as it is made.

An actor on this machine, the shelf, writes the folder and lends workers what others made. A worker that is lost, alone
or with its node, costs what it was at since its last piece: its jobs go to others.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.engines.cluster import Cluster
from harness.engines.hand import Hand
from harness.engines.local import Job, Progress
from harness.engines.parcel import Parcel, packed
from harness.engines.plan import BROKEN, FAULT, AsTheyEnd, Plan
from harness.errors import UsageError
from harness.store import RunFolder, Shelf

DEATHS = 3
"""Deaths of workers at the jobs of one explainer after which they are booked on it: one may be its node's."""
LAST_WORD = 60.0
"""Seconds within which a worker that has nothing left to do has to say what it spent."""
Tell = Callable[[str], None]


def run_on_ray(
    jobs: Sequence[Job],
    progress: Progress,
    cluster: Cluster,
    folder: RunFolder,
    *,
    begin: Callable[[], str] = str,
    spent: Callable[[], float] = float,
    parts: Mapping[str, object] | None = None,
    tell: Tell = lambda _line: None,
) -> tuple[dict[str, str], float]:
    """Run jobs on workers of Ray; free ones of an explainer once its others are done, those in order.

    Parameters
    ----------
    jobs, progress
        As for :func:`harness.engines.workers.run_beside`.
    cluster
        That this process is connected to.
    folder
        Of the run: a folder of this machine, which no worker needs to see.
    begin, spent
        Of the parcel that workers are sent.
    parts
        What the jobs hold that may be of a kind that cannot be sent, by name.
    tell
        Called with a line on a worker that cannot take part.

    Returns
    -------
    tuple
        What each explainer at fault did, by name; and the seconds that all workers that lived to the end have spent.

    Raises
    ------
    UsageError
        Where something cannot be sent, no worker can take part, or workers die over what is no explainer's.
    HarnessError
        That a job raised which is no fault of an explainer.
    """
    if not jobs:
        return {}, 0.0
    plan = Plan(jobs)
    crew = _Crew(plan, cluster, packed(Parcel(jobs, begin, spent), parts or {}), folder, tell)
    try:
        crew.hire(min(cluster.workers, len(plan.groups)))
        for _ in progress(AsTheyEnd(jobs, crew.ended())):
            pass
        crew.let_go()
    finally:
        crew.dismiss()
    return plan.faults, crew.seconds


@dataclass(eq=False)
class _Worker:
    """A worker, whether it has begun, and the group and job it is at: None while it waits for one."""

    actor: Any
    number: int
    has_begun: bool = False
    group: int | None = None
    job: int | None = None


@dataclass
class _Crew:
    """The workers and what they were asked; `seconds` as :func:`run_on_ray` returns them."""

    plan: Plan
    cluster: Cluster
    parcel: bytes
    folder: RunFolder
    tell: Tell
    seconds: float = 0.0
    _asked: dict[Any, _Worker] = field(default_factory=dict)
    _workers: list[_Worker] = field(default_factory=list)
    _deaths: Counter[int] = field(default_factory=Counter)
    _unbegun: int = 0
    _hired: int = 0

    def __post_init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        shelf = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Shelf)
        options = shelf.options(scheduling_strategy=here)
        self._shelf: Any = options.remote(self.folder.path, self.folder.shared)
        self._sent = ray.put(self.parcel)  # once; each node fetches it once
        self._hand = ray.remote(num_cpus=1, num_gpus=self.cluster.gpus, scheduling_strategy="SPREAD")(Hand)

    def hire(self, count: int) -> None:
        """Ask for workers; one for which there is no room begins when there is."""
        for _ in range(count):
            self._hired += 1
            worker = _Worker(self._hand.remote(self._shelf, self._hired), self._hired)
            self._workers.append(worker)
            self._asked[worker.actor.begin.remote(self._sent)] = worker

    def ended(self) -> Iterator[int]:
        """Yield the number of each job once it has ended, or will not be begun since its explainer is at fault."""
        while not self.plan.is_over:
            self._set_to_work()
            done, _ = ray.wait([*self._asked], num_returns=1)
            for asked in done:
                yield from self._heard(self._asked.pop(asked), asked)

    def let_go(self) -> None:
        """Take what each worker has spent."""
        idle = [worker.actor.leave.remote() for worker in self._workers if worker.has_begun]
        done, _ = ray.wait(idle, num_returns=len(idle), timeout=LAST_WORD) if idle else ([], [])
        for said in done:
            with suppress(RayError):  # it may have died after its work was done
                self.seconds += ray.get(said)

    def dismiss(self) -> None:
        """End every worker that is left, and the shelf."""
        for actor in (*(worker.actor for worker in self._workers), self._shelf):
            with suppress(RayError):
                ray.kill(actor)
        self._workers.clear()
        self._asked.clear()

    def _set_to_work(self) -> None:
        """Give every worker that waits the next job of its group, or a group that can be begun."""
        busy = {id(worker) for worker in self._asked.values()}
        for worker in self._workers:
            if id(worker) in busy:
                continue
            if worker.group is None or self.plan.next_of(worker.group) is None:
                worker.group = self.plan.take()
            if worker.group is not None and (next_one := self.plan.next_of(worker.group)) is not None:
                worker.job, _ = next_one
                self._asked[worker.actor.do.remote(worker.job)] = worker

    def _heard(self, worker: _Worker, asked: Any) -> list[int]:
        """Take what a worker says; return the jobs that are over by it."""
        try:
            said = ray.get(asked)
        except RayActorError as error:
            return self._lost(worker, error)
        if worker.group is None or worker.job is None:
            return self._begun(worker, said)
        kind, found = said
        if kind == BROKEN:
            raise found
        over = self.plan.fault(worker.job, found) if kind == FAULT else self.plan.ended(worker.job)
        if self.plan.next_of(worker.group) is None:
            worker.group = worker.job = None
        return over

    def _begun(self, worker: _Worker, refused: str) -> list[int]:
        """Let a worker begin, or do without it."""
        worker.has_begun = not refused
        self._unbegun = 0
        if refused:
            self._drop(worker)
            self.tell(f"a worker of Ray is left out: {refused}")
            if not self._workers:
                raise UsageError(f"no worker of Ray can take part: {refused}")
        return []

    def _lost(self, worker: _Worker, error: RayActorError) -> list[int]:
        """Give the jobs of a worker that died to others, or book its death; return the jobs that are over."""
        self._drop(worker)
        if not worker.has_begun:
            self._unbegun += 1
            if self._unbegun >= DEATHS and not any(each.has_begun for each in self._workers):
                raise UsageError(
                    f"workers of Ray die before they begin ({_last_line(error)}); see the logs of its nodes"
                )
        self.hire(1)
        if worker.group is None or worker.job is None:
            return []
        self._deaths[worker.group] += 1
        if self._deaths[worker.group] < DEATHS:
            self.plan.again(worker.group)
            return []
        job = dict(self.plan.groups[worker.group])[worker.job]
        if not job.explainer:
            raise UsageError(f"{DEATHS} workers of Ray died at {job.title}; give them more memory, or fewer --workers")
        said = f"{job.explainer}: its process died on {DEATHS} workers of Ray"
        return self.plan.fault(worker.job, said)

    def _drop(self, worker: _Worker) -> None:
        """Do without a worker."""
        self._workers.remove(worker)
        self._shelf.left.remote(worker.number)
        with suppress(RayError):
            ray.kill(worker.actor)


def _last_line(error: Exception) -> str:
    """Return the end of what Ray says, where the cause stands."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
