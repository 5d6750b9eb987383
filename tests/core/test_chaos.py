"""A short form of ``make chaos``: what is spoilt is refused in one line, what is killed goes on."""

import importlib.util
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import SMALL, bright_patch_faces, no_progress, patch_subject

from benchmarks.chaos import attacks, fuzz, inputs, nodes
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


@pytest.mark.parametrize("kind", [attacks._files, attacks._names, attacks._waits], ids=lambda kind: kind.__name__)
def test_an_attack_is_refused_or_does_no_harm(
    kind: Callable[[Path], attacks.Attacks],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stands(*_anything: object, **_more: object) -> None:
        raise UsageError("it was let in")

    def command(arguments: list[str], _folder: Path, *, paged: bool = True) -> Ended:
        ended = answered(arguments, capsys)
        may_be = paged  # what a strange name does to a page is for the long form to see
        return Ended(0, "", "harness: it was let in") if "it was let in" in ended.err and not may_be else ended

    world = write_world(tmp_path / "world")
    monkeypatch.chdir(world)
    monkeypatch.setattr(runs, "evaluate", stands)
    monkeypatch.setattr(attacks, "command", command)
    tried = [(what, attack(), (world / attacks.MARKER).exists()) for what, attack in kind(world)]
    assert len(tried) >= 5
    assert [each for each in tried if each[1:] != ("", False)] == []


# ---------------------------------------------------------------------- the fuzzer's targets, at random


@pytest.fixture(scope="module")
def readers(world: Path) -> Callable[[str], tuple[fuzz.Reader, Mapping[str, bytes]]]:
    @cache
    def made(target: str) -> tuple[fuzz.Reader, Mapping[str, bytes]]:
        folder = world / f"fuzz-{target}"
        folder.mkdir()
        return fuzz.reader(target, folder)

    return made


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_what_the_fuzzer_begins_with_is_read(target: str, readers: Callable[[str], tuple[fuzz.Reader, object]]) -> None:
    read, seeds = readers(target)
    assert [fuzz.fault(read, data) for data in seeds.values()] == [""] * len(seeds)
    if target != "weights":  # which are those of no network of ours
        for data in seeds.values():
            assert read(data) is not None or target == "record"


def spoilt_bytes(data: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a stretch replaced by others."""
    place = st.integers(0, len(data))
    return st.builds(
        lambda at, length, put: data[:at] + put + data[at + length :], place, st.integers(0, 9), st.binary(max_size=9)
    )


@pytest.mark.parametrize("target", fuzz.TARGETS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_any_bytes_are_read_or_refused_in_one_line(
    target: str, drawn: st.DataObject, readers: Callable[[str], tuple[fuzz.Reader, Mapping[str, bytes]]]
) -> None:
    read, seeds = readers(target)
    data = drawn.draw(st.sampled_from(sorted(seeds)).flatmap(lambda name: spoilt_bytes(seeds[name])))
    assert fuzz.fault(read, data) == ""


def test_a_fault_of_a_reader_is_told() -> None:
    def stumbles(_data: bytes) -> None:
        raise KeyError("lost")

    def speaks(_data: bytes) -> None:
        raise UsageError("one\ntwo")

    assert fuzz.fault(stumbles, b"").startswith("KeyError at test_chaos.py:")
    assert fuzz.fault(len, b"") == ""
    assert fuzz.fault(speaks, b"").startswith("other than one line: ")


def test_a_part_that_lacks_something_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    (fuzzed,) = fuzz.fuzzed(tmp_path, 1, 0)
    for count in (fuzzed, nodes.nodes(tmp_path, 1, 0)):
        assert " not run: " in str(count)
        assert "pip install 'explanation-harness[" in str(count)
        assert "survived" not in str(count)


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
