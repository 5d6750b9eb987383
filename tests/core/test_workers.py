"""Jobs side by side: the same run whoever does them, nothing made twice, and a death that costs its own explainer."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import scipy.ndimage
import torch
from tiny import CLASSES, SMALL, SPEC, bright_patch_faces, no_progress, tiny_network
from torch import Tensor

from harness.checks import CHECKS
from harness.engines import Job, run_beside
from harness.errors import ExplainerFault, UsageError
from harness.evaluation import Request, evaluate
from harness.explainers import registered
from harness.explainers.base import Explainer, wrapped
from harness.store import RunFolder
from harness.subject import Subject

pytestmark = pytest.mark.usefixtures("unchecked")
TABLES = ("scores", "curves", "matrices", "verdicts", "ladder", "persons", "blank", "examinations")


def seen(jobs: Sequence[Job]) -> Iterable[Job]:
    return jobs


def written(folder: Path, title: str, *, then: object = None) -> Job:
    def perform() -> None:
        (folder / title.replace(" ", "-")).write_text(str(os.getpid()))
        if callable(then):
            then()

    return Job(title, title.split()[0], perform, free=title.endswith("free"))


def fault() -> None:
    raise ExplainerFault("b does wrong")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_job_is_done_once_and_reported(tmp_path: Path) -> None:
    jobs = [written(tmp_path, f"{name} {what}") for name in "abc" for what in ("maps", "one free", "two free")]
    told: list[str] = []

    def progress(each: Sequence[Job]) -> Iterable[Job]:
        for number, job in enumerate(each):
            assert each[number] is job, "what has ended stands where it ended"
            told.append(job.title)
            yield job

    assert run_beside(jobs, progress, 2)[0] == {}
    assert sorted(told) == sorted(job.title for job in jobs)
    assert {file.name for file in tmp_path.iterdir()} == {job.title.replace(" ", "-") for job in jobs}
    assert str(os.getpid()) not in {file.read_text() for file in tmp_path.iterdir()}


def test_what_is_free_waits_for_what_is_not(tmp_path: Path) -> None:
    def slowly() -> None:
        time.sleep(0.2)
        (tmp_path / "made").touch()

    def needs() -> None:
        assert (tmp_path / "made").is_file()

    jobs = [written(tmp_path, "a maps", then=slowly), *(written(tmp_path, f"a {n} free", then=needs) for n in "123")]
    assert run_beside(jobs, seen, 3)[0] == {}


def test_a_fault_ends_what_is_left_of_its_explainer_alone(tmp_path: Path) -> None:
    jobs = [written(tmp_path, f"{name} {what}") for name in "ac" for what in ("maps", "one free")]
    jobs[2:2] = [written(tmp_path, "b maps", then=fault), written(tmp_path, "b one free")]
    assert run_beside(jobs, seen, 2)[0] == {"b": "b does wrong"}
    assert {file.name for file in tmp_path.iterdir()} == {
        "a-maps", "a-one-free", "b-maps", "c-maps", "c-one-free",
    }  # fmt: skip


def test_a_death_is_booked_on_its_explainer_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = [written(tmp_path, f"{name} maps", then=dies if name == "b" else None) for name in "abcdef"]
    assert run_beside(jobs, seen, 2)[0] == {"b": "b: its process was ended by SIGKILL"}
    assert len([*tmp_path.iterdir()]) == 6


def test_who_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    def long() -> None:
        (tmp_path / "worker").write_text(str(os.getpid()))
        time.sleep(60)

    parent = multiprocessing.get_context("fork").Process(target=run_beside, args=([Job("a", "a", long)], seen, 2))
    parent.start()
    while not (tmp_path / "worker").is_file() or not (tmp_path / "worker").read_text():
        time.sleep(0.01)
    worker = int((tmp_path / "worker").read_text())
    parent.kill()
    parent.join()
    for _ in range(1000):
        status = Path(f"/proc/{worker}/stat")
        if not status.is_file() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("it goes on")


def test_what_is_nobodys_fault_ends_the_run(tmp_path: Path) -> None:
    def unwritable() -> None:
        raise UsageError("cannot write")

    def wrong() -> None:
        raise KeyError("lost")

    with pytest.raises(UsageError, match="cannot write"):
        run_beside([written(tmp_path, "a maps", then=unwritable)], seen, 2)
    with pytest.raises(RuntimeError, match=r"test_workers\.py(.|\n)*KeyError: 'lost'"):
        run_beside([written(tmp_path, "a maps", then=wrong)], seen, 2)
    with pytest.raises(UsageError, match="was ended by SIGKILL at the games"):
        run_beside([Job("the games", "", dies)], seen, 2)


def request(*explainers: Explainer) -> Request:
    checks = tuple(CHECKS[name] for name in ("deletion-spectrum", "cells-edges", "randomization-residual"))
    subject = Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC)
    return Request(subject, bright_patch_faces(), explainers, checks, SMALL, feed="contiguous:64")


def tables(run: RunFolder) -> dict[str, pd.DataFrame]:
    return {name: getattr(run, name) for name in TABLES}


def test_a_run_is_the_same_however_many_do_it(tmp_path: Path) -> None:
    explainers = [registered()[name] for name in ("gradient", "occlusion", "grad-cam", "lime")]
    alone, beside = (
        evaluate(request(*explainers), RunFolder(tmp_path / str(workers)), no_progress, workers=workers)
        for workers in (1, 3)
    )
    for name, table in tables(alone).items():
        pd.testing.assert_frame_equal(table, tables(beside)[name], check_exact=True)
    assert alone.record.shared_cost.forward == beside.record.shared_cost.forward
    assert not (tmp_path / "3" / "cache" / "turns").exists()


def test_an_explainer_that_kills_its_process_costs_itself(tmp_path: Path) -> None:
    here = os.getpid()

    def deadly(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is called in the process that all depend on")

    sound = registered()["gradient"]
    both = evaluate(request(wrapped(deadly), sound), RunFolder(tmp_path / "both"), no_progress, workers=2)
    only = evaluate(request(sound), RunFolder(tmp_path / "only"), no_progress, workers=1)
    assert {each.name: each.reason for each in both.record.explainers if each.status != "ok"} == {
        "deadly": "deadly: its process was ended by SIGKILL"
    }
    scores = [run.scores.query("explainer == 'gradient'").reset_index(drop=True) for run in (both, only)]
    pd.testing.assert_frame_equal(*scores, check_exact=True)


# ---------------------------------------------------------------------- apart


def test_explainers_that_are_apart_share_no_process(tmp_path: Path) -> None:
    jobs = [written(tmp_path, f"{name} {what}") for what in ("maps", "one free", "two free") for name in "abc"]
    for workers in (1, 2):
        assert run_beside(jobs, seen, workers, apart=True)[0] == {}
        done = [(file.name[0], file.read_text()) for file in tmp_path.iterdir()]
        assert len(done) == len(jobs)
        assert len({process for _, process in done}) == len(set(done)) >= 3
        assert str(os.getpid()) not in {process for _, process in done}


def test_a_process_that_dies_after_its_work_costs_nobody(tmp_path: Path) -> None:
    def leaves_death_behind() -> None:
        threading.Timer(0.1, dies).start()

    def slowly() -> None:
        time.sleep(0.5)

    jobs = [written(tmp_path, "a maps", then=leaves_death_behind), written(tmp_path, "b maps", then=slowly)]
    assert run_beside(jobs, seen, 2, apart=True)[0] == {}
    assert len([*tmp_path.iterdir()]) == 2


def test_what_a_dead_process_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    def leaves_a_child() -> None:
        if not os.fork():
            time.sleep(20)
            os._exit(0)
        dies()

    start = time.monotonic()
    jobs = [written(tmp_path, f"{name} maps", then=leaves_a_child if name == "b" else None) for name in "abc"]
    assert run_beside(jobs, seen, 1)[0] == {"b": "b: its process was ended by SIGKILL"}
    assert time.monotonic() - start < 15


def test_a_thread_that_is_left_running_does_not_keep_its_worker(tmp_path: Path) -> None:
    def leaves_a_thread() -> None:
        threading.Thread(target=time.sleep, args=(600,)).start()

    assert run_beside([written(tmp_path, "a maps", then=leaves_a_thread)], seen, 2)[0] == {}


def patches(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Change a library that nobody looks after, keep memory, and leave a thread."""
    scipy.ndimage.zoom = scipy.ndimage.gaussian_filter = lambda *_arguments, **_more: 1 / 0
    KEPT.append(images)
    threading.Thread(target=time.sleep, args=(600,)).start()
    return subject.gradients(images, targets)[:, 0]


KEPT: list[Tensor] = []


def test_an_isolated_run_is_the_same_and_leaves_this_process_alone(tmp_path: Path) -> None:
    before, explainers = scipy.ndimage.zoom, [registered()[name] for name in ("gradient", "occlusion", "grad-cam")]
    threads = {*threading.enumerate()}
    alone = evaluate(
        request(*explainers, wrapped(patches)), RunFolder(tmp_path / "isolated"), no_progress, isolate=True
    )
    assert (KEPT, scipy.ndimage.zoom) == ([], before)
    assert {*threading.enumerate()} <= threads
    both = evaluate(request(*explainers), RunFolder(tmp_path / "beside"), no_progress, workers=1)
    for name, table in tables(both).items():
        held = tables(alone)[name]
        mine = held[held["explainer"] != "patches"].reset_index(drop=True) if "explainer" in held else held
        pd.testing.assert_frame_equal(table, mine, check_exact=True)
    assert alone.record.shared_cost.forward == both.record.shared_cost.forward


def test_an_isolated_explainer_that_dies_costs_itself(tmp_path: Path) -> None:
    def deadly(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGSEGV)
        return images[:, 0]

    sound = registered()["gradient"]
    both = evaluate(request(wrapped(deadly), sound), RunFolder(tmp_path / "both"), no_progress, isolate=True)
    assert {each.name: each.reason for each in both.record.explainers if each.status != "ok"} == {
        "deadly": "deadly: its process was ended by SIGSEGV"
    }


def test_isolation_is_for_processes_of_this_machine(tmp_path: Path) -> None:
    asked = request(registered()["gradient"])
    with pytest.raises(UsageError, match="--engine ray for workers on others; leave one out"):
        evaluate(asked, RunFolder(tmp_path), no_progress, isolate=True, engine="ray")


def test_threads_are_given_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        evaluate(request(registered()["gradient"]), RunFolder(tmp_path), no_progress, workers=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    with pytest.raises(UsageError, match="is no number of processes"):
        evaluate(replace(request(registered()["gradient"])), RunFolder(tmp_path), no_progress, workers=-1)
