"""Who does the jobs of a run: this process, copies of it side by side, or workers of Ray."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from harness.arithmetic import arithmetic
from harness.engines import ENGINES, LOCAL, RAY, Cluster, Job, Progress, cluster, run_beside, run_here
from harness.errors import UsageError
from harness.evaluation.recognition import Tell, silent
from harness.evaluation.request import Request
from harness.evaluation.runner import EXPLAINING_CODE, JUDGING_CODE, SHARED, Runner, package_digest
from harness.explainers import Explainer
from harness.identity.sources import Kind, kind_of_module
from harness.process import solving_in_one_thread
from harness.store import RunFolder
from harness.subject import Subject


@dataclass(frozen=True)
class Hands:
    """Who there is beside this process.

    Attributes
    ----------
    workers
        How many copies of this process work side by side; below 2 there is no need of any.
    cluster
        On which workers are instead; None for copies of this process.
    isolate
        Whether copies of this process serve one explainer each.
    """

    workers: int
    cluster: Cluster | None = None
    isolate: bool = False

    @property
    def are_others(self) -> bool:
        """Whether jobs are done elsewhere than in this process."""
        return self.cluster is not None or self.workers > 1 or self.isolate

    def run(
        self,
        jobs: Sequence[Job],
        progress: Progress,
        folder: RunFolder,
        request: Request,
        runner: Runner | None = None,
        tell: Tell = silent,
    ) -> tuple[dict[str, str], float]:
        """Run `jobs` of a request elsewhere, whose pieces come into the folder.

        Returns
        -------
        tuple
            What each explainer at fault did, by name, and the seconds that pieces of the runner took.
        """
        spent = float if runner is None else runner.seconds_made
        if self.cluster is None:
            return self._beside(jobs, progress, request, spent)
        from harness.engines.crew import run_on_ray  # it loads Ray, which not everybody has

        for explainer in request.explainers:
            _ = explainer.digest  # it is what it is here, wherever it is called
        begin = partial(unfit, request.subject, terms(request.subject))
        return run_on_ray(
            jobs, progress, self.cluster, folder, begin=begin, spent=spent, parts=_parts(request), tell=tell
        )

    def _beside(
        self, jobs: Sequence[Job], progress: Progress, request: Request, spent: Callable[[], float]
    ) -> tuple[dict[str, str], float]:
        """Run jobs in copies of this process.

        Where explainers are kept apart, those of this package come first: what serves all is then made by them, and not
        in a process that somebody else's code has touched.
        """
        workers = max(self.workers, 1)
        if not self.isolate:
            return run_beside(jobs, progress, workers, spent)
        ours = {each.name for each in request.explainers if _is_ours(each)} | {SHARED}
        faults, seconds = dict[str, str](), 0.0
        for part in ([job for job in jobs if (job.explainer in ours) is first] for first in (True, False)):
            found, took = run_beside(part, progress, workers, spent, apart=True) if part else ({}, 0.0)
            faults, seconds = faults | found, seconds + took
        return faults, seconds


def _is_ours(explainer: Explainer) -> bool:
    """Whether an explainer is this package's."""
    return kind_of_module(explainer.origin.partition(":")[0]) is Kind.HOUSE


@dataclass(frozen=True)
class Team:
    """Does jobs, and leaves this process as if it had done all of them.

    Attributes
    ----------
    hands
        Who does them.
    folder
        Where all keep their pieces.
    progress
        Wraps the jobs.
    runner
        Whose jobs they are.
    tell
        Is told who takes no part.
    """

    hands: Hands
    folder: RunFolder
    progress: Progress
    runner: Runner
    tell: Tell = silent

    def run(self, jobs: Sequence[Job], request: Request) -> dict[str, str]:
        """Run `jobs` of a request; return what each explainer at fault did, in the order of the jobs."""
        if not self.hands.are_others:
            found = run_here(jobs, self.progress)
        else:
            faults, seconds = self.hands.run(jobs, self.progress, self.folder, request, self.runner, self.tell)
            self.runner.made_beside += seconds
            # What the others know is in the pieces: this process takes it from there.
            found = faults | run_here([job for job in jobs if job.explainer not in faults], _unseen)
        return {job.explainer: found[job.explainer] for job in jobs if job.explainer in found}


def _unseen(jobs: Sequence[Job]) -> Sequence[Job]:
    """Pass jobs through; they have been shown."""
    return jobs


@contextmanager
def hands_for(
    subject: Subject, workers: int, engine: str = LOCAL, address: str = "", isolate: bool = False
) -> Iterator[Hands]:
    """Yield who works beside this process, which computes with one thread meanwhile: their number changes no bit.

    Parameters
    ----------
    subject
        What they are asked about.
    workers
        How many; 0 leaves all to this process and torch's threads, or takes as many as a cluster has room for.
    engine
        One of :data:`harness.engines.ENGINES`.
    address
        Of a cluster of Ray, as :func:`harness.engines.cluster` takes it.
    isolate
        Whether each explainer has processes of its own.

    Raises
    ------
    UsageError
        Where there cannot be such, as where the subject is on a device that copies of a process cannot share.
    """
    _check(subject, workers, engine, address, isolate)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if workers or isolate or engine == RAY else threads)
    subject.limit.apart = isolate
    try:
        with solving_in_one_thread():
            if engine == LOCAL:
                yield Hands(workers, isolate=isolate)
            else:
                with cluster(address, workers, on_gpu=subject.device.type == "cuda") as reached:
                    yield Hands(reached.workers, reached)
    finally:
        torch.set_num_threads(threads)
        subject.limit.apart = False


def _check(subject: Subject, workers: int, engine: str, address: str, isolate: bool) -> None:
    """Refuse who cannot be had."""
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}; give one of {', '.join(ENGINES)}")
    if workers < 0:
        raise UsageError(f"--workers {workers} is no number of processes; give 1 or more, or leave it out")
    if address and engine != RAY:
        raise UsageError(f"--address {address} is that of a Ray cluster; give --engine ray with it, or leave it out")
    if isolate and engine == RAY:
        raise UsageError(
            "--isolate is for processes of this machine, --engine ray for workers on others; leave one out"
        )
    if isolate and subject.device.type != "cpu":
        raise UsageError(f"--isolate is for the CPU, and the network is on {subject.device}; give --device cpu with it")
    if workers > 1 and engine == LOCAL and subject.device.type != "cpu":
        raise UsageError(
            f"--workers is for the CPU, and the network is on {subject.device}; leave it out, or give --engine ray"
        )


def terms(subject: Subject) -> Mapping[str, str]:
    """Return what has to be the same on all machines of a run, by what it is called."""
    return {**arithmetic(subject), "this package": package_digest(EXPLAINING_CODE + JUDGING_CODE)}


def unfit(subject: Subject, asked: Mapping[str, str]) -> str:
    """Set a worker up, and return why its numbers would be others than those of the run, "" where they are the same."""
    torch.set_num_threads(1)
    here = terms(subject)
    other = [f"{what} {here[what]}, not {held}" for what, held in asked.items() if here[what] != held]
    return f"it computes otherwise than this process ({'; '.join(other)})" if other else ""


def _parts(request: Request) -> Mapping[str, object]:
    """Return what of a request may be of a kind that cannot be sent, by what a user calls it."""
    twin = request.random_labels
    return {
        f"the network {request.subject.name!r}": request.subject,
        **({f"the network {twin.name!r}": twin} if twin is not None else {}),
        **{f"explainer {explainer.name!r}": explainer for explainer in request.explainers},
        **{f"metric {card.name!r}": card for card in request.metrics},
    }
