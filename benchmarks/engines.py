"""What Ray costs beside processes of one machine, and where a run stops growing: two tables, each of one call.

    python -m benchmarks.engines

The first does the same jobs in two processes of this machine and on two workers of Ray, and divides the times from the
first end to the last; jobs sleep, so that what is left is the engine's. The second measures what one processor does in
a second of explaining, measuring, dealing jobs and keeping pieces, and from that works out runs of up to 10 million
images on up to 1,000 workers: event by event, as :class:`harness.engines.plan.Plan` orders jobs.
"""

import heapq
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness.engines import Job, cluster, run_beside
from harness.engines.plan import Plan
from harness.evaluation import Runner
from harness.evaluation.runner import BLOCK
from harness.evaluation_set import evaluation_set
from harness.explainers import registered
from harness.faces.faceset import FaceSet
from harness.measurements import Removal
from harness.models.minixception import MINIXCEPTION_SPEC, MiniXception
from harness.perturbation import BlurFill
from harness.store import RunFolder, Shelf
from harness.store.pieces import packed
from harness.subject import Feed, Subject

WORKERS = 2
JOBS = {"empty": (0.0, 0, 200), "small": (0.02, 4 << 10, 100), "large": (1.0, 4 << 20, 12)}
"""Seconds that a job sleeps, bytes of the piece that it makes, and how many there are."""
EXPLAINERS = ("gradient", "occlusion")
IMAGES = (10_000, 100_000, 10_000_000)
NODES = (1, 10, 100, 1_000)
HOUR, GIB = 3600.0, 2.0**30


# ---------------------------------------------------------------------- overhead


def work(folder: RunFolder, key: str, seconds: float, size: int) -> None:
    """Do a job: sleep, and keep a piece that cannot be compressed."""

    def make() -> dict[str, np.ndarray]:
        time.sleep(seconds)
        return {"bytes": np.frombuffer(_noise(size), np.uint8)}

    if size:
        folder.remembered(key, make)
    else:
        time.sleep(seconds)


def _noise(size: int) -> bytes:
    """Return bytes that cannot be compressed."""
    return np.random.default_rng(0).bytes(size)


def paced(
    run: Callable[[Sequence[Job], Callable[..., Iterable[Job]]], object], jobs: Sequence[Job]
) -> tuple[float, float]:
    """Return the seconds until the first job has ended, and from there until the last has."""
    began, ends = time.perf_counter(), list[float]()

    def progress(each: Sequence[Job]) -> Iterable[Job]:
        for job in each:
            ends.append(time.perf_counter())
            yield job

    run(jobs, progress)
    return ends[0] - began, ends[-1] - ends[0]


def overhead() -> list[dict[str, Any]]:
    """Return a row for each kind of jobs."""
    from harness.engines.crew import run_on_ray

    rows = []
    with tempfile.TemporaryDirectory() as made, cluster("", WORKERS) as reached:
        for kind, (seconds, size, count) in JOBS.items():
            here, there = (RunFolder(Path(made) / kind / engine) for engine in ("local", "ray"))
            local, ray = (
                [Job(f"{n}", f"{n}", partial(work, folder, f"{n}", seconds, size), free=True) for n in range(count)]
                for folder in (here, there)
            )
            _, alone = paced(lambda jobs, progress: run_beside(jobs, progress, WORKERS), local)
            there.path.mkdir(parents=True, exist_ok=True)
            start, beside = paced(partial(_on_ray, run_on_ray, reached, there.path), ray)
            rows.append(
                {
                    "jobs": kind, "seconds each": seconds, "KiB each": size >> 10, "count": count,
                    "local, s": alone, "Ray, s": beside, "Ray / local": beside / alone,
                    "Ray's workers begin after, s": start,
                }
            )  # fmt: skip
    return rows


def _on_ray(run: Any, reached: Any, folder: Path, jobs: Sequence[Job], progress: Any) -> object:
    """Run jobs on workers of Ray."""
    return run(jobs, progress, reached, folder)


# ---------------------------------------------------------------------- sizes


@dataclass(frozen=True)
class Rates:
    """What one processor does.

    Attributes
    ----------
    maps, measurement
        Seconds an image, of each explainer's maps and of one measurement of them.
    deal, keep
        Seconds a job of the driver, and a piece of the shelf.
    image
        Bytes of an image in every worker.
    """

    maps: tuple[float, ...]
    measurement: float
    deal: float
    keep: float
    image: float


def rates(deal: float) -> Rates:
    """Return the rates of this machine with one thread; what dealing a job takes was measured on Ray."""
    subject = Subject(MiniXception(), name="random", classes=tuple("abcdefg"), spec=MINIXCEPTION_SPEC)
    subject.fed(Feed.read("channels-last:64"))
    pictures = np.random.default_rng(0).integers(0, 256, (BLOCK, 64, 64), dtype=np.uint8)
    faces = FaceSet("noise", pictures, subject.classes, np.arange(BLOCK) % 7)
    probabilities = subject.probabilities(subject.prepare(pictures)).double().numpy()
    case = evaluation_set(subject, faces, probabilities, None, 0)
    removal = Removal(BlurFill(), 10, 1)
    with tempfile.TemporaryDirectory() as made:
        folder = RunFolder(Path(made) / "run")
        runner = Runner(case, [removal], folder)
        taken = []
        for name in EXPLAINERS:
            taken.append(_seconds(partial(runner.maps, registered()[name])))
        pieces = [packed(file.parent) for file in folder.path.rglob("complete")]
        shelf = Shelf(Path(made) / "kept")
        keep = [
            _seconds(partial(shelf.kept, f"cache/{n}-{each}", files, 0))
            for n, files in enumerate(pieces) if files for each in range(20)
        ]  # fmt: skip
        measured = _seconds(partial(runner.measured, registered()["gradient"]))
        image = len(pickle.dumps(case)) / BLOCK - len(pickle.dumps(subject)) / BLOCK
    some = tuple(seconds / len(case.targets) for seconds in taken)
    return Rates(some, measured / len(case.targets), deal, float(np.mean(keep)), image)


def _seconds(do: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def planned(jobs: int) -> float:
    """Return the seconds a job that the plan itself takes, of so many."""
    made = [Job("maps", f"{n % 10}", str, free=True) for n in range(jobs)]

    def deal() -> None:
        plan = Plan(made)
        while (group := plan.take()) is not None:
            plan.ended(plan.groups[group][0][0])

    return _seconds(deal) / jobs


def simulated(rate: Rates, images: int, nodes: int) -> float:
    """Return the seconds of a run: blocks of maps of each explainer, beside each other, then one measurement of each.

    Driver and shelf serve one after the other; a worker waits until what it made is kept.
    """
    blocks = [-(-images // BLOCK)] * len(rate.maps)
    unkept, undealt = list(blocks), [True] * len(blocks)
    events, idle = list[tuple[float, bool, int, bool]](), nodes
    now, driver, shelf = 0.0, 0.0, 0.0
    while True:
        ready = (n for n, left in enumerate(blocks) if left or (undealt[n] and not unkept[n]))
        while idle and (n := next(ready, -1)) >= 0:
            driver, is_block = max(driver, now) + rate.deal, blocks[n] > 0
            took = BLOCK * rate.maps[n] if is_block else images * rate.measurement
            blocks[n], undealt[n], idle = blocks[n] - is_block, is_block, idle - 1
            heapq.heappush(events, (driver + took, False, n, is_block))
            ready = (n for n, left in enumerate(blocks) if left or (undealt[n] and not unkept[n]))
        if not events:
            return now
        now, is_kept, n, is_block = heapq.heappop(events)
        if not is_kept:
            shelf = max(shelf, now) + rate.keep
            heapq.heappush(events, (shelf, True, n, is_block))
        else:
            idle, unkept[n] = idle + 1, unkept[n] - is_block


def bounds(rate: Rates, images: int, nodes: int) -> dict[str, float]:
    """Return below how many seconds a run cannot come, by what holds it up."""
    jobs = len(rate.maps) * (images / BLOCK + 1)
    every = images * (sum(rate.maps) + len(rate.maps) * rate.measurement)
    return {
        "workers": every / nodes,
        "one measurement of one explainer": images * rate.measurement,
        "the driver's dealing": jobs * rate.deal,
        "the shelf's writing": jobs * rate.keep,
    }


def sizes(rate: Rates) -> list[dict[str, Any]]:
    """Return a row for each number of images and workers."""
    rows = []
    for images in IMAGES:
        alone = sum(
            bounds(rate, images, 1)[what] for what in ("workers", "the driver's dealing", "the shelf's writing")
        )
        for nodes in NODES:
            took, held = simulated(rate, images, nodes) if nodes > 1 else alone, bounds(rate, images, nodes)
            rows.append(
                {
                    "images": images, "workers": nodes, "hours": took / HOUR, "times as fast": alone / took,
                    "held up by": max(held, key=lambda what: held[what]),
                    "hours if one worker made all maps of an explainer": max(
                        took, images * (max(rate.maps) + rate.measurement)) / HOUR,
                    "GiB of images in each worker": images * rate.image / GIB,
                }
            )  # fmt: skip
    return rows


def main(_: Sequence[str] = ()) -> int:
    """Print both tables."""
    torch.set_num_threads(1)
    found = overhead()
    print(pd.DataFrame(found).round(2).to_markdown(index=False))
    empty = next(row for row in found if row["jobs"] == "empty")
    rate = rates(empty["Ray, s"] / empty["count"])
    told = ", ".join(f"{1e3 * each:.2g} ({name})" for name, each in zip(EXPLAINERS, rate.maps, strict=True))
    print(f"\nmilliseconds an image: {told}, {1e3 * rate.measurement:.2g} (deletion of one explainer)")
    print(f"milliseconds a job: {1e3 * rate.deal:.2g} to deal on Ray, {1e3 * planned(100_000):.2g} of them the plan's")
    print(f"milliseconds a piece of {BLOCK} maps: {1e3 * rate.keep:.2g} to keep\n")
    print(pd.DataFrame(sizes(rate)).round(2).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
