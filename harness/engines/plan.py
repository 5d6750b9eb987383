"""What can be begun of a run's jobs, given what has ended: the same wherever they are done."""

import traceback
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

    Attributes
    ----------
    groups
        Jobs that one worker does in order: those of an explainer that are not free together, every other by itself.
    faults
        What each explainer at fault did.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        heads: dict[str, list[Numbered]] = {}
        self.groups: list[list[Numbered]] = []
        for number, job in enumerate(jobs):
            if not job.explainer or job.free:
                self.groups.append([(number, job)])
            elif job.explainer in heads:
                heads[job.explainer].append((number, job))
            else:
                self.groups.append(heads.setdefault(job.explainer, [(number, job)]))
        self.faults: dict[str, str] = {}
        self._unready = set(heads)
        self._left = {number for number, _ in enumerate(jobs)}
        self._waiting = list(range(len(self.groups)))

    @property
    def is_over(self) -> bool:
        """Whether every job has ended."""
        return not self._left

    def take(self) -> int | None:
        """Return the first group that can be begun, which is its taker's now; None where none can."""
        for group in self._waiting:
            job = self.groups[group][0][1]
            if not (job.free and job.explainer in self._unready):
                self._waiting.remove(group)
                return group
        return None

    def ended(self, group: int, number: int) -> list[int]:
        """Note the end of a job; return the jobs that are over by it."""
        last, job = self.groups[group][-1]
        if number == last and not job.free:
            self._unready.discard(job.explainer)
        return self._over([number])

    def fault(self, group: int, reason: str) -> list[int]:
        """Note what an explainer did; return the jobs that are over by it: what no worker has begun, and the group."""
        name = self.groups[group][0][1].explainer
        self.faults.setdefault(name, reason)
        dropped = [each for each in self._waiting if self.groups[each][0][1].explainer == name]
        self._waiting = [each for each in self._waiting if each not in dropped]
        return self._over([number for each in (group, *dropped) for number, _ in self.groups[each]])

    def again(self, group: int) -> list[int]:
        """Put a group back whose taker is lost, before all that waits; return what is over where it is not wanted."""
        if self.groups[group][0][1].explainer in self.faults:
            return self._over([number for number, _ in self.groups[group]])
        self._waiting.insert(0, group)
        return []

    def left(self, group: int) -> list[int]:
        """Return the jobs of a group that have not ended, in order."""
        return [number for number, _ in self.groups[group] if number in self._left]

    def _over(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the jobs that were not over yet."""
        new = [number for number in numbers if number in self._left]
        self._left -= set(new)
        return new


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
        over = set(self._over)
        order = [*self._over, *(number for number in range(len(self._jobs)) if number not in over)]
        return [self._jobs[number] for number in order[place]] if isinstance(place, slice) else self._jobs[order[place]]
