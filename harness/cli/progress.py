"""How far a run is: a bar on a terminal, a line a minute where there is none."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from tqdm import tqdm

from harness.engines.local import Job

MINUTE = 60.0
"""Seconds between two lines."""

_NOTHING_DONE = 0.01
"""Seconds below which a job has done nothing: its piece was there, or its explainer is at fault and it was left out."""


def shown_progress(jobs: Sequence[Job], passes: Callable[[], int] = int) -> Iterator[Job]:
    """Pass jobs through and say on standard error what is being done and about how long is left.

    Parameters
    ----------
    jobs
        What is to be done.
    passes
        Asked how many images the network has been passed in this process; what other processes pass is not known here.
    """
    if sys.stderr.isatty():
        yield from _under_a_bar(jobs, passes)
    else:
        yield from line_by_line(jobs, partial(print, file=sys.stderr, flush=True), MINUTE, passes)


def silent_progress(jobs: Sequence[Job]) -> Sequence[Job]:
    """Pass jobs through and say nothing."""
    return jobs


def _under_a_bar(jobs: Sequence[Job], passes: Callable[[], int]) -> Iterator[Job]:
    """Pass jobs through under a bar."""
    rate = Rate(passes)
    with tqdm(jobs, unit="job", dynamic_ncols=True) as bar:
        for job in bar:
            bar.set_description_str(job.title, refresh=False)
            bar.set_postfix_str(rate.told())
            yield job


def line_by_line(
    jobs: Sequence[Job], say: Callable[[str], None], seconds: float, passes: Callable[[], int] = int
) -> Iterator[Job]:
    """Pass jobs through and say a line every so many seconds, however long one job takes."""
    pace, over = Pace(jobs, rate=Rate(passes)), threading.Event()

    def speak() -> None:
        while not over.wait(seconds):
            say(pace.line())

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        for number, job in enumerate(jobs):
            pace.begun(number)
            yield job
            pace.ended()
    finally:
        over.set()
        speaker.join()


@dataclass
class Rate:
    """How many images the network is passed a second since this began; `passes` says how many there were so far."""

    passes: Callable[[], int] = int
    began: float = field(default_factory=time.monotonic)
    before: int = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.passes()

    def told(self) -> str:
        """Say it; nothing where none was passed here."""
        made = self.passes() - self.before
        return f"{made / max(time.monotonic() - self.began, 1e-3):,.0f} passes a second" if made > 0 else ""


@dataclass
class Pace:
    """How long jobs took, and what that says of those that are left.

    Jobs of one kind take alike: the maps of a block of images, or one measurement, whoever made the maps. A kind that
    has not been seen takes the mean of all. Jobs that did nothing say nothing of the others.
    """

    jobs: Sequence[Job]
    started: float = field(default_factory=time.monotonic)
    current: int = 0
    since: float = field(default_factory=time.monotonic)
    taken: dict[str, list[float]] = field(default_factory=dict)
    rate: Rate = field(default_factory=Rate)

    def begun(self, number: int) -> None:
        """Note that a job begins, or that one of several side by side is about to be noted as ended."""
        self.current = number

    def ended(self) -> None:
        """Note that it has ended: it took as long as nothing else has ended."""
        now = time.monotonic()
        self.taken.setdefault(_kind(self.jobs[self.current]), []).append(now - self.since)
        self.current, self.since = self.current + 1, now

    def left(self) -> float:
        """Return about how many seconds are left; NaN before the first job has ended."""
        taken = [(kind, list(seconds)) for kind, seconds in list(self.taken.items())]
        done = [(kind, [second for second in seconds if second >= _NOTHING_DONE]) for kind, seconds in taken]
        telling = [(kind, seconds) for kind, seconds in done if seconds] or taken
        if not telling:
            return float("nan")
        means = {kind: float(np.mean(seconds)) for kind, seconds in telling}
        usual = float(np.mean([second for _, seconds in telling for second in seconds]))
        so_far = time.monotonic() - self.since
        kinds = [_kind(job) for job in self.jobs[self.current :]]
        if kinds and kinds[0] not in means:
            usual = max(usual, so_far)  # of what has not ended yet that much is known
        ahead = [means.get(kind, usual) for kind in kinds]
        # A job that takes longer than its kind did takes nothing off those after it.
        now = max(0.0, ahead[0] - so_far) if ahead else 0.0
        return now + sum(ahead[1:])

    def line(self) -> str:
        """Say how far it is."""
        left, so_far = self.left(), _minutes(time.monotonic() - self.started)
        told = f", {rate}" if (rate := self.rate.told()) else ""
        told += f", about {_minutes(left)} left" if np.isfinite(left) else ""
        title = self.jobs[min(self.current, len(self.jobs) - 1)].title
        return f"harness: {self.current} of {len(self.jobs)} jobs in {so_far}{told}; now {title}"


def _kind(job: Job) -> str:
    """Return what a job does, without for whom and the how manieth."""
    return job.title.removeprefix(job.explainer).rstrip("0123456789")


def _minutes(seconds: float) -> str:
    """Return a time in minutes, or in seconds where it is less than two.

    Examples
    --------
    >>> _minutes(75), _minutes(600)
    ('75 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
