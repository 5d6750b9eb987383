"""Run folders: whole files or none, null for undefined, and one line for what is wrong with a folder."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import a_record, an_explainer

from harness.errors import UsageError
from harness.metrics.cards import ScoreFacts
from harness.store import (
    SCHEMA_VERSION,
    SCORES,
    VERDICTS,
    CheckRecord,
    Examples,
    RunFolder,
    frame,
    joined,
)
from harness.store.folder import OWN_DIGEST


def a_score(value: float = 0.5) -> dict[str, object]:
    return {
        "explainer": "e",
        "metric": "m",
        "output": "",
        "fill": "",
        "kind": "score",
        "variant": "map",
        "image": 3,
        "label": "",
        "predicted": "a",
        "target": "a",
        "value": value,
        "status": "ok" if value == value else "undefined",
        "reason": "",
    }


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def finished(folder: RunFolder) -> Path:
    """A small finished run."""
    scores = frame(SCORES, [a_score()])
    for name in ("scores", "curves", "matrices", "verdicts"):
        folder.write_table(name, scores)
    folder.write_record(a_record())
    return folder.path


def test_a_score_is_named_as_run_json_says_and_else_by_its_columns(folder: RunFolder) -> None:
    told, untold = a_score() | {"kind": "gain", "fill": "mean"}, a_score() | {"kind": "gain"}
    folder.write_table("scores", frame(SCORES, [a_score(), told, untold, told]))
    fact = ScoreFacts("m", "", "mean", "gain", "m", True, -1.0, 1.0, "how much better", "never", "")
    folder.write_record(a_record(metrics={"as it is called": fact}))
    held = RunFolder.existing(folder.path)
    assert held.named_scores["name"].tolist() == ["m", "as it is called", "m gain", "as it is called"]
    pd.testing.assert_frame_equal(held.named_scores.drop(columns="name"), held.scores)


# ---------------------------------------------------------------------- tables


def test_a_table_comes_back_as_it_was(folder: RunFolder) -> None:
    table = frame(SCORES, [a_score(), a_score(float("nan"))])
    folder.write_table("scores", table)
    pd.testing.assert_frame_equal(folder.scores, table)


def test_undefined_is_null_in_the_file(folder: RunFolder) -> None:
    folder.write_table("scores", frame(SCORES, [a_score(0.0), a_score(float("nan"))]))
    column = pyarrow.parquet.read_table(folder.path / "scores.parquet")["value"]
    assert column.to_pylist() == [0.0, None]


def test_an_empty_table_keeps_its_columns(folder: RunFolder) -> None:
    folder.write_table("verdicts", frame(VERDICTS))
    assert list(folder.verdicts.columns) == list(VERDICTS)


def test_a_column_that_is_absent_is_an_error() -> None:
    row = a_score()
    del row["status"]
    with pytest.raises(KeyError, match="status"):
        frame(SCORES, [row])


def test_a_column_too_many_is_left_out() -> None:
    assert list(frame(SCORES, [a_score() | {"more": 1}]).columns) == list(SCORES)


def test_joining_keeps_the_types_of_empty_tables_out() -> None:
    table = frame(SCORES, [a_score()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(joined(SCORES, [frame(SCORES), table, frame(SCORES)]), table)
    pd.testing.assert_frame_equal(joined(SCORES, []), frame(SCORES))


def test_examples_come_back_as_they_were(folder: RunFolder) -> None:
    names = np.array(["a", "b"])
    made = Examples(np.zeros((2, 3, 3)), np.arange(2), names, names, np.array(["e"]), np.ones((1, 2, 3, 3)))
    folder.write_examples(made)
    for name, value in vars(folder.examples).items():
        np.testing.assert_array_equal(value, getattr(made, name))


# ---------------------------------------------------------------------- whole or none


class Killed(BaseException):
    """The process ends here."""


def half(text: str) -> Callable[[Path], None]:
    """A writer that is killed after half of its text."""

    def write(file: Path) -> None:
        file.write_text(text[: len(text) // 2])
        raise Killed

    return write


def test_a_reader_sees_the_old_file_when_the_writer_is_killed(folder: RunFolder) -> None:
    folder.write_text("note.txt", "the old text")
    with pytest.raises(Killed):
        folder._whole("note.txt", half("the new text"))
    assert (folder.path / "note.txt").read_text() == "the old text"


def test_a_killed_writer_leaves_no_file(folder: RunFolder) -> None:
    with pytest.raises(Killed):
        folder._whole("note.txt", half("the new text"))
    assert list(folder.path.iterdir()) == []


def test_files_are_readable_by_others(folder: RunFolder) -> None:
    folder.write_text("note.txt", "")
    assert (folder.path / "note.txt").stat().st_mode & 0o777 == 0o644


# ---------------------------------------------------------------------- the cache


def pieces(value: float = 1.0) -> dict[str, object]:
    return {"maps": np.full((2, 3), value), "rows": frame(SCORES, [a_score(value)])}


def test_what_is_remembered_comes_back_as_it_was_made(folder: RunFolder) -> None:
    for found in (folder.remembered("key", pieces), folder.remembered("key", pieces)):
        assert set(found) == {"maps", "rows"}
        np.testing.assert_array_equal(found["maps"], pieces()["maps"])
        pd.testing.assert_frame_equal(found["rows"], pieces()["rows"])


def test_a_piece_is_made_once(folder: RunFolder) -> None:
    made: list[int] = []
    for _ in range(3):
        folder.remembered("key", lambda: made.append(1) or pieces())
    assert made == [1]


def test_another_key_is_another_piece(folder: RunFolder) -> None:
    folder.remembered("one", pieces)
    assert folder.remembered("two", lambda: pieces(2.0))["maps"][0, 0] == 2


def test_a_piece_whose_making_fails_is_made_again(folder: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError):
        folder.remembered("key", lambda: 1 / 0)
    assert folder.remembered("key", pieces)["maps"][0, 0] == 1


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_piece_that_was_half_written_is_made_again(
    stop: int, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = RunFolder._whole

    def killed(self: RunFolder, name: str, write: Callable[[Path], object], calls: list[str] = []) -> str:  # noqa: B006
        calls.append(name)
        if len(calls) == stop:
            raise Killed
        return written(self, name, write)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "_whole", killed)
        with pytest.raises(Killed):
            folder.remembered("key", pieces)
    found = folder.remembered("key", lambda: pieces(2.0))
    assert found["maps"][0, 0] == found["rows"]["value"][0] == 2


def test_half_a_file_left_by_a_killed_process_is_not_read(folder: RunFolder) -> None:
    folder.remembered("key", pieces)
    for suffix in (".npz", ".parquet"):
        (folder.path / "cache" / "key" / f".writing-abc{suffix}").write_bytes(b"PK half")
    assert set(folder.remembered("key", pieces)) == {"maps", "rows"}


# ---------------------------------------------------------------------- run.json


def test_run_json_is_strict_json_with_the_schema_version(folder: RunFolder) -> None:
    folder.write_record(a_record())

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads((folder.path / "run.json").read_text(), parse_constant=refuse)
    del read[OWN_DIGEST]
    assert read == json.loads(json.dumps(a_record().told()))
    assert next(iter(read)) == "schema_version"
    assert (read["schema_version"], read["seconds"], read["files"]) == (SCHEMA_VERSION, 1.5, {})


def test_a_record_comes_back_as_it_was(folder: RunFolder) -> None:
    check = CheckRecord("c", "f", "it is", "", 0.0, "", "", "", "m", False, True, 3, "images", "", ("cells",), "")
    explainer = an_explainer("e", settings={"steps": "8"})
    fact = ScoreFacts("m", "", "", "score", "m", None, None, 1.0, "what it is", "never", "")
    record = a_record(checks=(check,), explainers=(explainer,), metrics={"m": fact})
    folder.write_record(record)
    assert RunFolder.existing(folder.path).record == record


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a field is missing": (lambda told: told.pop("seed"), "seed is missing"),
    "a field is unknown": (lambda told: told.update(sead=0), "sead is unknown to this version"),
    "a field of a part is missing": (lambda told: told["subject"].pop("digest"), r"subject\.digest is missing"),
    "a field of a row is unknown": (lambda told: told["rungs"][0].update(top=1), r"rungs\[0\]\.top is unknown"),
    "a part is none": (lambda told: told.update(faces=3), "faces is no object"),
    "a number is a word": (lambda told: told.update(seed="0"), "seed is '0', not of type int"),
    "a number is a truth": (lambda told: told.update(seed=True), "seed is True, not of type int"),
    "a truth is a number": (lambda told: told["faces"].update(labelled=1), r"faces\.labelled is 1, not of type bool"),
    "a list is a word": (lambda told: told.update(notes="none"), "notes is 'none', not of type tuple"),
    "a row is a word": (lambda told: told["cascade"].append("fc1"), r"cascade\[2\] is 'fc1', not of type tuple"),
}


@pytest.mark.parametrize("change", RECORDS)
def test_a_record_of_another_form_is_one_clear_line(change: str, finished: Path) -> None:
    alter, said = RECORDS[change]
    told = json.loads((finished / "run.json").read_text())
    alter(told)
    del told[OWN_DIGEST]  # as of a run that another version wrote
    (finished / "run.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match=rf"run\.json: {said}.*; run it again into the same folder$") as caught:
        RunFolder.existing(finished)
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_bit_in_run_json_is_told(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    folder.write_record(a_record(explainers=(an_explainer("mine"),)))
    said, file = folder.record, folder.path / "run.json"
    held = bytearray(file.read_bytes())
    held[data.draw(st.integers(0, len(held) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(held)
    try:
        found = RunFolder.existing(folder.path).record
    except UsageError:
        return
    assert found == said  # it was in a space


def test_a_finished_run_is_read(finished: Path) -> None:
    run = RunFolder.existing(finished)
    assert (run.name, run.record.command, len(run.scores)) == ("run", "harness run", 1)


def test_a_run_in_progress_is_not_a_finished_one(finished: Path) -> None:
    RunFolder(finished).unfinished()
    with pytest.raises(UsageError, match="holds no finished run"):
        RunFolder.existing(finished)


def put(name: str, content: bytes | None) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / name).unlink() if content is None else (run / name).write_bytes(content)

    return change


DAMAGED = {
    "no run": (lambda run: run.rename(run.parent / "moved"), r"run holds no finished run .*harness run --out"),
    "half a run.json": (put("run.json", b'{"schema_version": 1,'), r"run\.json is damaged .*run it again"),
    "no text in run.json": (put("run.json", b"\xff\xfe\x00"), r"run\.json is damaged .*run it again"),
    "no object in run.json": (put("run.json", b"[1]"), r"run\.json is damaged \(it holds no object\)"),
    "an older schema": (put("run.json", b'{"schema_version": 0}'), "has schema version 0, this is 3; run it again"),
    "the schema before this one": (
        put("run.json", b'{"schema_version": 2}'),
        "has schema version 2, this is 3; run it",
    ),
    "no schema": (put("run.json", b"{}"), "has schema version None, this is 3"),
    "no scores": (put("scores.parquet", None), r"scores\.parquet is missing; run it again"),
    "damaged scores": (put("scores.parquet", b"PAR1 and then nothing"), r"scores\.parquet is not .* \(damaged"),
    "empty scores": (put("scores.parquet", b""), r"scores\.parquet is not .* \(damaged, .*; run it again"),
    "no examples": (lambda run: None, r"examples\.npz is missing; run it again"),
    "damaged examples": (put("examples.npz", b"PK"), r"examples\.npz is damaged \(.*; run it again"),
}


def read_all(path: Path) -> None:
    run = RunFolder.existing(path)
    assert len(run.scores) == 1
    assert run.examples


@pytest.mark.parametrize("damage", DAMAGED)
def test_each_damage_is_one_clear_line(damage: str, finished: Path) -> None:
    change, said = DAMAGED[damage]
    change(finished)
    with pytest.raises(UsageError, match=said) as caught:
        read_all(finished)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ladder", "persons", "images", "blank", "effects", "examinations"])
def test_a_table_that_not_every_run_has_is_missed_where_it_was_written(name: str, finished: Path) -> None:
    assert len(getattr(RunFolder.existing(finished), name)) == 0
    folder = RunFolder(finished)
    record = folder.record
    folder.write_table(name, getattr(folder, name))
    folder.write_record(record)
    (finished / f"{name}.parquet").unlink()
    with pytest.raises(UsageError, match=rf"{name}\.parquet is missing; run it again"):
        getattr(RunFolder.existing(finished), name)


@pytest.mark.parametrize("ask", [lambda run: run.write_text("note.txt", ""), lambda run: run.unfinished()])
def test_a_folder_that_cannot_be_written_is_one_clear_line(ask: Callable[[RunFolder], None], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file.*; choose another --out") as caught:
        ask(RunFolder(tmp_path / "file" / "run"))
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_clear_line(folder: RunFolder) -> None:
    def full(_file: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"cannot write to .* \(No space left on device\)"):
        folder._whole("note.txt", full)
