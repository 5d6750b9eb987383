"""A short form of ``make chaos``: what is spoilt is refused in one line, what is killed goes on."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import SMALL, bright_patch_faces, no_progress, patch_subject

from benchmarks.chaos import inputs
from benchmarks.chaos.commands import Ended, different, results
from benchmarks.chaos.world import Count, write_world
from harness.checks import CHECKS
from harness.cli import main, runs
from harness.errors import UsageError
from harness.evaluation import Request, evaluate
from harness.explainers.gradient import gradient
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("unchecked")
TRIES = 8
"""Spoilt inputs of each kind."""


def request() -> Request:
    checks, profile = (CHECKS["deletion-spectrum"],), replace(SMALL, controls=())
    return Request(patch_subject(), bright_patch_faces(9), (gradient,), checks, profile, feed="contiguous:64")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_world(tmp_path_factory.mktemp("world"))
    evaluate(request(), RunFolder(folder / "finished"), no_progress)
    return folder


def answered(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Ended:
    """How a command ends in this process."""
    capsys.readouterr()
    status = main(arguments)
    return Ended(status, *capsys.readouterr())


@pytest.mark.parametrize(
    "kind",
    [
        inputs._tables, inputs._arrays, inputs._folders, inputs._weights, inputs._subjects, inputs._explainers,
        inputs._options, inputs._names, inputs._runs,
    ],
    ids=lambda kind: kind.__name__.strip("_"),
)  # fmt: skip
def test_spoilt_input_is_one_line(
    kind: object, world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stands(*_anything: object, **_more: object) -> None:
        raise UsageError("nothing is wrong with it")  # and it would be evaluated

    monkeypatch.chdir(world)
    monkeypatch.setattr(runs, "evaluate", stands)
    draw = random.Random(kind.__name__)
    for _ in range(TRIES):
        what, arguments = kind(world, draw)
        assert (what, inputs.judged(answered(arguments, capsys))) == (what, "")


def test_a_loss_is_counted() -> None:
    count = Count("part")
    count.add("one", inputs.judged(Ended(2, "", "harness: what, where and how to mend it\n")))
    count.add("two", inputs.judged(Ended(1, "", "Traceback (most recent call last):\n")))
    count.add("three", inputs.judged(Ended(2, "", "harness: one\nharness: two\n")))
    count.add("four", inputs.judged(Ended(-11, "", "")))
    assert str(count).split() == ["part", "4", "tried", "1", "survived", "3", "lost"]


def _evaluates(folder: Path) -> None:
    evaluate(request(), RunFolder(folder), no_progress)


def test_a_run_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = evaluate(request(), RunFolder(tmp_path / "whole"), no_progress)
    killed = tmp_path / "killed"
    child = multiprocessing.get_context("spawn").Process(target=_evaluates, args=(killed,))
    child.start()
    while child.is_alive() and len([*killed.glob("cache/*/*/complete")]) < 3:
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (killed / "run.json").exists()
    again = evaluate(request(), RunFolder(killed), no_progress)
    assert different(results(again.path), results(whole.path)) == ""
