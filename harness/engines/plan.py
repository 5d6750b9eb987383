"""What can be begun of a run's jobs, given what has ended: the same wherever they are done."""

import heapq
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, overload

from harness.engines.local import Job
from harness.errors import ExplainerFault, HarnessError

ENDED, FAULT, BROKEN = "ended", "fault", "broken"
"""What doing a job comes to: an end, an explainer's fault, or an error that ends the run."""

Numbered = tuple[int, Job]
"""A job and its place in the plan."""


class Plan:
    """What can be begun, given what has ended.

    Of one explainer, jobs that are not free come first, in order; free ones after them, stage by stage, those of one
    stage beside each other.

    Attributes
    ----------
    groups
        Jobs that one worker does in order: those of an explainer that are not free together, every other by itself.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        heads: dict[str, int] = {}
        self.groups: list[list[Numbered]] = []
        self._jobs = jobs
        self._left = set(range(len(jobs)))
        self._at: dict[int, int] = {}
        self._faults: dict[str, tuple[int, str]] = {}
        self._stages: dict[str, Counter[int]] = {}
        self._waiting: dict[str, dict[int, list[int]]] = {}
        self._ready: list[int] = []
        for number, job in enumerate(jobs):
            is_head = bool(job.explainer) and not job.free
            if is_head and job.explainer in heads:
                self.groups[heads[job.explainer]].append((number, job))
            else:
                group = len(self.groups)
                if is_head:
                    heads[job.explainer] = group
                self._waiting.setdefault(job.explainer, {}).setdefault(_stage(job), []).append(group)
                self.groups.append([(number, job)])
            self._stages.setdefault(job.explainer, Counter())[_stage(job)] += 1
        for name in self._stages:
            self._open(name)

    @property
    def faults(self) -> dict[str, str]:
        """What each explainer at fault did, in the first of its jobs that told of one."""
        return {name: reason for name, (_, reason) in self._faults.items()}

    @property
    def is_over(self) -> bool:
        """Whether every job has ended."""
        return not self._left

    def take(self) -> int | None:
        """Return the first group that can be begun, which is its taker's now; None where none can."""
        while self._ready:
            group = heapq.heappop(self._ready)
            if self.next_of(group) is not None:
                return group
        return None

    def next_of(self, group: int) -> Numbered | None:
        """Return the first job of a group that is not over, None where all are."""
        jobs, at = self.groups[group], self._at.get(group, 0)
        while at < len(jobs) and jobs[at][0] not in self._left:
            at += 1
        self._at[group] = at
        return jobs[at] if at < len(jobs) else None

    def ended(self, number: int) -> list[int]:
        """Note the end of a job; return the jobs that are over by it."""
        return self._over([number])

    def fault(self, number: int, reason: str) -> list[int]:
        """Note what an explainer did in a job; return the jobs that are over by it: this one and its later ones.

        Earlier ones are still done: what the first of them tells counts, as where one process does all in order.
        """
        name = self._jobs[number].explainer
        self._faults[name] = min(self._faults.get(name, (number, reason)), (number, reason))
        return self._over([each for each in range(number, len(self._jobs)) if self._jobs[each].explainer == name])

    def again(self, group: int) -> None:
        """Put a group back whose taker is lost."""
        heapq.heappush(self._ready, group)

    def _open(self, name: str) -> None:
        """Let begin what waits for no earlier stage of an explainer any more; what is nobody's waits for nothing."""
        for stage in sorted(self._stages[name]):
            for group in self._waiting[name].pop(stage, ()):
                heapq.heappush(self._ready, group)
            if name and self._stages[name][stage]:
                return

    def _over(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the jobs that were not over yet, and let begin what waited for them."""
        new = [number for number in numbers if number in self._left]
        self._left -= set(new)
        for number in new:
            self._stages[self._jobs[number].explainer][_stage(self._jobs[number])] -= 1
        for name in {self._jobs[number].explainer for number in new}:
            self._open(name)
        return new


def _stage(job: Job) -> int:
    """Return the stage of a job: before all others where it is not free."""
    return job.stage if job.free else -1


def outcome(job: Job) -> tuple[str, Any]:
    """Do a job; return what it came to, and with a fault its reason, with what ends the run the error."""
    try:
        job.perform()
    except ExplainerFault as fault:
        return FAULT, str(fault)
    except HarnessError as error:
        return BROKEN, error
    except Exception as error:  # as it would end a run in one process, with what it says
        return BROKEN, _told_again(error)
    return ENDED, None


def _told_again(error: Exception) -> Exception:
    """Return an error that can be sent: it says where it was raised, since its traceback stays behind."""
    return RuntimeError("".join(traceback.format_exception(error)))


class AsTheyEnd(Sequence[Job]):
    """Jobs in the order in which they end, as far as that is known; iterating waits for the next."""

    def __init__(self, jobs: Sequence[Job], ended: Iterator[int]) -> None:
        self._jobs, self._over, self._ended = jobs, list[int](), ended

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        for number in self._ended:
            self._over.append(number)
            yield self._jobs[number]

    @overload
    def __getitem__(self, place: int) -> Job: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Job]: ...

    def __getitem__(self, place: int | slice) -> Job | Sequence[Job]:
        if isinstance(place, int) and 0 <= place < len(self._over):  # what a progress bar asks after every job
            return self._jobs[self._over[place]]
        over = set(self._over)
        order = [*self._over, *(number for number in range(len(self._jobs)) if number not in over)]
        return [self._jobs[number] for number in order[place]] if isinstance(place, slice) else self._jobs[order[place]]
