"""Pieces that runs share: nothing made twice, nothing stale, nothing that can break a run."""

import multiprocessing
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny import CLASSES, SMALL, SPEC, bright_patch_faces, no_progress, tiny_network

from harness.checks import CHECKS
from harness.cli import main
from harness.errors import UsageError
from harness.evaluation import Request, evaluate
from harness.explainers import registered
from harness.store import RunFolder, SharedPieces, shared, shared_pieces
from harness.store.pieces import FINISHED, read_piece
from harness.subject import Subject

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SharedPieces:
    """Pieces that the runs of this test share."""
    monkeypatch.setenv("HARNESS_STORE", str(tmp_path / "store"))
    return SharedPieces(tmp_path / "store" / shared.ROOM)


def asked(*names: str, scale: float = 1.0) -> Request:
    network = tiny_network()
    network[-1].weight.data *= scale  # type: ignore[operator]
    subject = Subject(network, name="tiny", classes=CLASSES, spec=SPEC)
    explainers = tuple(registered()[name] for name in names)
    checks = (CHECKS["deletion-spectrum"], CHECKS["insertion-spectrum"])
    return Request(subject, bright_patch_faces(), explainers, checks, SMALL, everything=False)


def digests(run: RunFolder) -> dict[str, str]:
    """The digests of the tables of a run, seconds apart."""
    return {name: held for name, held in run.record.files.items() if name.endswith((".parquet", "examples.npz"))}


def pieces_of(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.rglob(FINISHED))


def test_what_one_run_has_made_another_takes(store: SharedPieces, tmp_path: Path) -> None:
    first = evaluate(asked("gradient"), RunFolder.sharing(tmp_path / "a"), no_progress)
    again, told = asked("gradient"), list[str]()
    second = evaluate(again, RunFolder.sharing(tmp_path / "b"), no_progress, tell=told.append)
    assert digests(first) == digests(second)
    assert first.record.passes == second.record.passes, "what was found costs what it cost"
    alone = asked("gradient")
    evaluate(alone, RunFolder(tmp_path / "c"), no_progress)
    assert again.subject.passes.forward < 0.1 * alone.subject.passes.forward
    assert again.subject.passes.backward < 0.1 * alone.subject.passes.backward


def test_one_explainer_more_costs_that_explainer(store: SharedPieces, tmp_path: Path) -> None:
    evaluate(asked("gradient"), RunFolder.sharing(tmp_path / "a"), no_progress)
    more = asked("gradient", "occlusion")
    run = evaluate(more, RunFolder.sharing(tmp_path / "b"), no_progress)
    assert more.subject.passes.backward == 0, "who was there before is not asked again, nor put to the contract"
    only = asked("occlusion")
    evaluate(only, RunFolder(tmp_path / "c"), no_progress)
    assert more.subject.passes.forward < only.subject.passes.forward, "nor is what serves all of them"
    assert digests(run) == digests(evaluate(asked("gradient", "occlusion"), RunFolder(tmp_path / "d"), no_progress))


def test_another_network_of_that_name_takes_nothing_of_it(store: SharedPieces, tmp_path: Path) -> None:
    evaluate(asked("gradient"), RunFolder.sharing(tmp_path / "a"), no_progress)
    shared_run = evaluate(asked("gradient", scale=2.0), RunFolder.sharing(tmp_path / "b"), no_progress)
    alone = evaluate(asked("gradient", scale=2.0), RunFolder(tmp_path / "c"), no_progress)
    assert digests(shared_run) == digests(alone)


def test_another_seed_takes_nothing_of_it(store: SharedPieces, tmp_path: Path) -> None:
    evaluate(asked("smoothgrad"), RunFolder.sharing(tmp_path / "a"), no_progress)
    shared_run = evaluate(replace(asked("smoothgrad"), seed=1), RunFolder.sharing(tmp_path / "b"), no_progress)
    alone = evaluate(replace(asked("smoothgrad"), seed=1), RunFolder(tmp_path / "c"), no_progress)
    assert digests(shared_run) == digests(alone)


def test_other_code_takes_nothing(store: SharedPieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.sharing(tmp_path / "a")
    folder.remembered("key", lambda: {"value": np.array(1)})
    monkeypatch.setattr(shared, "_surroundings", lambda: "another")
    assert RunFolder.sharing(tmp_path / "b").remembered("key", lambda: {"value": np.array(2)})["value"] == 2


@pytest.mark.parametrize("how", ["flipped", "emptied", "removed"])
def test_a_damaged_piece_is_made_again_and_replaced(store: SharedPieces, tmp_path: Path, how: str) -> None:
    RunFolder.sharing(tmp_path / "a").remembered("key", lambda: {"value": np.array(1)})
    (piece,) = pieces_of(store.path)
    file = piece / "value.npz"
    held = bytearray(file.read_bytes())
    held[-1] ^= 1
    if how == "removed":
        file.unlink()
    else:
        file.write_bytes(bytes(held) if how == "flipped" else b"")
    assert RunFolder.sharing(tmp_path / "b").remembered("key", lambda: {"value": np.array(2)})["value"] == 2
    assert read_piece(piece) == {"value": np.array(2)}
    assert RunFolder.sharing(tmp_path / "c").remembered("key", lambda: {"value": np.array(3)})["value"] == 2


def test_a_piece_that_no_longer_holds_is_made_again_and_replaced(store: SharedPieces, tmp_path: Path) -> None:
    RunFolder.sharing(tmp_path / "a").remembered("key", lambda: {"value": np.array(1)})
    other = RunFolder.sharing(tmp_path / "b")
    assert other.remembered("key", lambda: {"value": np.array(2)}, lambda held: held["value"] == 2)["value"] == 2
    assert RunFolder.sharing(tmp_path / "c").remembered("key", lambda: {"value": np.array(3)})["value"] == 2


def test_a_store_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "a", shared=SharedPieces(tmp_path / "file" / "below"))
    assert folder.remembered("key", lambda: {"value": np.array(1)})["value"] == 1
    folder.shared.tidy()  # type: ignore[union-attr]


def test_a_folder_keeps_what_the_store_forgets(store: SharedPieces, tmp_path: Path) -> None:
    RunFolder.sharing(tmp_path / "a").remembered("key", lambda: {"value": np.array(1)})
    RunFolder.sharing(tmp_path / "b").remembered("key", lambda: {"value": np.array(2)})
    store.trim(0)
    assert store.size() == 0
    assert RunFolder(tmp_path / "b").remembered("key", lambda: {"value": np.array(3)})["value"] == 1


def test_what_was_used_least_recently_goes_first(store: SharedPieces, tmp_path: Path) -> None:
    folder = RunFolder.sharing(tmp_path / "a")
    for key in ("old", "older", "new"):
        folder.remembered(key, lambda: {"value": np.zeros(1000)})
    for piece in pieces_of(store.path):
        age = {"old": 100, "older": 200, "new": 0}[piece.name]
        for file in piece.iterdir():
            os.utime(file, (time.time() - age,) * 2)
    RunFolder.sharing(tmp_path / "b").remembered("older", dict)  # taking it is using it
    store.trim(store.size() - 1)
    assert {piece.name for piece in pieces_of(store.path)} == {"older", "new"}


def test_what_a_killed_process_left_goes_too(store: SharedPieces) -> None:
    left = store.path / "any" / "any" / ".giving-abc"
    left.mkdir(parents=True)
    store.trim(0)
    assert not left.exists()


def test_what_else_lies_in_the_folder_that_is_named_stays(store: SharedPieces, tmp_path: Path) -> None:
    theirs = tmp_path / "store" / "a" / "b" / "c" / "theirs.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    RunFolder.sharing(tmp_path / "run").remembered("key", lambda: {"value": np.array(1)})
    assert main(["clean", "--store"]) == 0
    assert theirs.read_text() == "theirs"
    assert not pieces_of(tmp_path / "store")


def test_tidying_looks_once_an_hour(store: SharedPieces, tmp_path: Path) -> None:
    small = replace(store, limit=0)
    RunFolder.sharing(tmp_path / "a").remembered("key", lambda: {"value": np.array(1)})
    small.tidy()
    assert not pieces_of(store.path)
    RunFolder.sharing(tmp_path / "b").remembered("key", lambda: {"value": np.array(1)})
    small.tidy()
    assert pieces_of(store.path)
    os.utime(store.path / "tidied", (time.time() - 2 * shared.HOUR,) * 2)
    small.tidy()
    assert not pieces_of(store.path)


def _gives(place: Path, store: Path, number: int) -> None:
    folder = RunFolder(place / str(number), shared=SharedPieces(store))
    for key in range(20):
        folder.remembered(f"key{key}", partial(dict, value=np.full(100, key)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be copied here")
def test_processes_that_give_at_once_leave_whole_pieces(store: SharedPieces, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    crew = [fork.Process(target=_gives, args=(tmp_path, store.path, number)) for number in range(4)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    assert [process.exitcode for process in crew] == [0] * 4
    held = {piece.name: read_piece(piece) for piece in pieces_of(store.path)}
    assert len(held) == 20
    assert all(piece is not None and (piece["value"] == int(name[3:])).all() for name, piece in held.items())


def test_where_it_is(tmp_path: Path) -> None:
    assert shared_pieces({"HARNESS_STORE": "off"}) is None
    found = shared_pieces({"HARNESS_STORE": str(tmp_path / "new")})
    assert found == SharedPieces(tmp_path / "new" / shared.ROOM)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder; name another, or off"):
        shared_pieces({"HARNESS_STORE": str(tmp_path / "file")})


def test_clean_gives_the_room_back(store: SharedPieces, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = evaluate(asked("gradient"), RunFolder.sharing(tmp_path / "a"), no_progress)
    before = digests(run)
    assert main(["clean", str(tmp_path / "a"), "--store"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert all("MiB taken away" in line and " 0.0 MiB" not in line for line in said)
    assert not pieces_of(tmp_path)
    assert digests(RunFolder.existing(tmp_path / "a")) == before
    assert main(["clean"]) == 2
    assert "nothing to clean was named" in capsys.readouterr().err
