"""Nothing damaged is read, nothing of another run is shown, and two commands do not share a folder."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import a_record, bright_patch_faces, named, patch_subject

from harness.errors import ExplainerFault, UsageError
from harness.store import RunFolder
from harness.store.pieces import FINISHED

TABLE = pd.DataFrame({"value": [0.5, 1.5, np.nan], "name": ["a", "b", "c"]})
ARRAY = np.arange(6.0).reshape(2, 3)


class Made:
    """Makes a piece and counts how often it was asked to."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, object]:
        self.times += 1
        return {"rows": TABLE, "maps": ARRAY}


def holds(folder: RunFolder, make: Made, times: int) -> None:
    """The piece is whole, and was made so often."""
    held = folder.remembered("key", make)
    pd.testing.assert_frame_equal(held["rows"], TABLE)
    np.testing.assert_array_equal(held["maps"], ARRAY)
    assert make.times == times


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_piece_is_made_once(folder: RunFolder) -> None:
    make = Made()
    holds(folder, make, 1)
    holds(RunFolder(folder.path), make, 1)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _flipped(file: Path) -> None:
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)


def _foreign(file: Path) -> None:
    file.write_bytes(b"\x00not what was written")


DAMAGES = (_cut, _emptied, _flipped, _foreign, Path.unlink)


@pytest.mark.parametrize("name", ["rows.parquet", "maps.npz", FINISHED])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_what_is_damaged_is_made_again(folder: RunFolder, name: str, damage: Callable[[Path], object]) -> None:
    make = Made()
    holds(folder, make, 1)
    damage(folder.path / "cache" / "key" / name)
    holds(folder, make, 2)
    holds(folder, make, 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_bit_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder, make = RunFolder(tmp_path_factory.mktemp("bits")), Made()
    holds(folder, make, 1)
    file = folder.path / "cache" / "key" / data.draw(st.sampled_from(["rows.parquet", "maps.npz"]))
    held = bytearray(file.read_bytes())
    held[data.draw(st.integers(0, len(held) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(held)
    holds(folder, make, 2)


def test_a_piece_of_an_older_version_is_made_again(folder: RunFolder) -> None:
    make = Made()
    holds(folder, make, 1)
    (folder.path / "cache" / "key" / FINISHED).write_text("")  # as it was before digests were kept
    holds(folder, make, 2)


def test_a_piece_does_not_lead_out_of_its_folder(folder: RunFolder) -> None:
    make = Made()
    holds(folder, make, 1)
    (folder.path / "secret.npz").write_bytes(b"")
    (folder.path / "cache" / "key" / FINISHED).write_text('{"../../secret.npz": "x"}')
    holds(folder, make, 2)


# ---------------------------------------------------------------------- what belongs to a run


def test_a_table_of_another_run_is_refused(folder: RunFolder) -> None:
    folder.write_table("scores", TABLE)
    folder.write_table("curves", TABLE)
    folder.write_record(a_record())
    assert len(RunFolder.existing(folder.path).scores) == len(TABLE)
    RunFolder(folder.path).write_table("scores", TABLE.head(1))
    with pytest.raises(UsageError, match=r"scores.parquet is not the file that run.json speaks of"):
        _ = RunFolder.existing(folder.path).scores
    assert len(RunFolder.existing(folder.path).curves) == len(TABLE)


def test_what_outlives_a_run_may_change_after_it(folder: RunFolder) -> None:
    RunFolder(folder.path).first_json("feed.json", {"feed": "one"})
    assert folder.first_json("feed.json", {"feed": "other"}) == {"feed": "one"}
    folder.write_record(a_record())
    folder.write_json("feed.json", {"feed": "another, which --feed named"})
    assert RunFolder(folder.path).read_json("feed.json") == {"feed": "another, which --feed named"}


# ---------------------------------------------------------------------- one command at a time


def _hold(path: Path, ready: "multiprocessing.synchronize.Event", until: float) -> None:
    with RunFolder(path).alone():
        ready.set()
        time.sleep(until)
        (path / "left").touch()


def test_a_second_command_is_refused_in_one_line_until_the_first_has_ended(folder: RunFolder) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(folder.path, ready, 2.0))
    other.start()
    assert ready.wait(120)
    with pytest.raises(UsageError, match=r"another command is at work in .*; wait until it has ended"), folder.alone():
        pass
    other.join()
    with folder.alone():
        assert (folder.path / "left").exists()


def _die(path: Path) -> None:
    with RunFolder(path).alone():
        os._exit(1)


def test_the_lock_goes_with_the_process(folder: RunFolder) -> None:
    dying = multiprocessing.get_context("spawn").Process(target=_die, args=(folder.path,))
    dying.start()
    dying.join()
    with folder.alone():
        pass


# ---------------------------------------------------------------------- an explainer that wants to end it all


def _leaves(subject: object, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    raise SystemExit(0)


def test_an_explainer_that_exits_is_named() -> None:
    subject, faces = patch_subject(), bright_patch_faces(2)
    with pytest.raises(ExplainerFault, match="leaves raised SystemExit"):
        named("leaves", _leaves).maps(subject, subject.prepare(faces.images), torch.tensor([0, 1]), 0)
