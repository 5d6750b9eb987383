"""Pieces between machines: who needs one waits for who makes it, and nothing is kept that is not what was made."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import UsageError
from harness.store import AwayFolder, Lender, RunFolder, Shelf
from harness.store.pieces import Files, packed
from harness.store.shelf import MAKE, WAIT


class Direct(Lender):
    """A line to a shelf of this process, on which bytes may suffer."""

    def __init__(self, shelf: Shelf, worker: int, *, spoils: bool = False) -> None:
        self.shelf, self.worker, self.spoils = shelf, worker, spoils
        self.brought: list[str] = []

    def asked(self, name: str) -> Files | None:
        said = self.shelf.asked(name, self.worker)
        assert said != WAIT, "nobody would ever make it"
        if not isinstance(said, dict):
            return None
        self.brought.append(name)
        return spoilt(said) if self.spoils else said

    def kept(self, name: str, files: Files) -> None:
        if refused := self.shelf.kept(name, spoilt(files) if self.spoils else files, self.worker):
            raise UsageError(refused)

    def dropped(self, name: str) -> None:
        self.shelf.dropped(name, self.worker)


def spoilt(files: Files) -> Files:
    """The files with one bit changed."""
    name = next(iter(files))
    return {**files, name: bytes([files[name][0] ^ 1]) + files[name][1:]}


def made(value: int) -> dict[str, np.ndarray]:
    return {"value": np.full(3, value)}


def never() -> dict[str, np.ndarray]:
    raise AssertionError("it is there already")


def test_what_one_worker_made_another_is_given_and_the_run_keeps(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "run")
    lines = [Direct(shelf, number) for number in (1, 2)]
    one, other = (AwayFolder(tmp_path / str(line.worker), line).of("a").of("b") for line in lines)
    one.remembered("key", lambda: made(7))
    assert other.remembered("key", never)["value"].tolist() == [7, 7, 7]
    assert [line.brought for line in lines] == [[], ["cache/a-b/key"]]
    run = RunFolder(tmp_path / "run", "a-b")
    assert run.remembered("key", never)["value"].tolist() == [7, 7, 7]
    assert len({(tmp_path / where / "cache/a-b/key/complete").read_text() for where in ("1", "2", "run")}) == 1


def test_who_needs_a_piece_waits_for_who_makes_it_until_that_one_is_lost(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert [shelf.asked("cache/key", worker) for worker in (1, 2, 1)] == [MAKE, WAIT, MAKE]
    shelf.dropped("cache/key", 2)
    assert shelf.asked("cache/key", 2) == WAIT, "it was not worker 2 that made it"
    shelf.left(1)
    assert [shelf.asked("cache/key", worker) for worker in (2, 3)] == [MAKE, WAIT]


def test_what_could_not_be_made_others_may_make(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "run")
    one, other = (AwayFolder(tmp_path / str(number), Direct(shelf, number)) for number in (1, 2))
    with pytest.raises(AssertionError):
        one.remembered("key", never)
    assert other.remembered("key", lambda: made(1))["value"].tolist() == [1, 1, 1]


def test_a_bit_that_changed_on_the_way_is_kept_nowhere(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "run")
    with pytest.raises(UsageError, match="did not arrive as it was made"):
        AwayFolder(tmp_path / "1", Direct(shelf, 1, spoils=True)).remembered("key", lambda: made(1))
    assert packed(tmp_path / "run/cache/key") is None
    AwayFolder(tmp_path / "2", Direct(shelf, 1)).remembered("key", lambda: made(1))
    with pytest.raises(UsageError, match="did not arrive as it was made"):
        AwayFolder(tmp_path / "3", Direct(shelf, 3, spoils=True)).remembered("key", never)
    assert packed(tmp_path / "3/cache/key") is None


@pytest.mark.parametrize("name", ["elsewhere/key", "/cache/key", "cache/../../key", "run.json"])
def test_a_piece_lies_in_the_cache_or_nowhere(tmp_path: Path, name: str) -> None:
    AwayFolder(tmp_path / "1", Direct(Shelf(tmp_path / "run"), 1)).remembered("key", lambda: made(1))
    files = packed(tmp_path / "run/cache/key")
    assert files is not None
    assert "did not arrive" in Shelf(tmp_path / "other").kept(name, files, 1)
    assert not [file for file in (tmp_path / "other").rglob("*") if file.is_file()]


def test_a_damaged_piece_of_the_run_is_made_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "run")
    AwayFolder(tmp_path / "1", Direct(shelf, 1)).remembered("key", lambda: made(1))
    (tmp_path / "run/cache/key/value.npz").write_bytes(b"")
    again = AwayFolder(tmp_path / "2", Direct(shelf, 2))
    assert again.remembered("key", lambda: made(1))["value"].tolist() == [1, 1, 1]
    assert packed(tmp_path / "run/cache/key") is not None


def test_what_the_shelf_has_is_found_at_once_and_what_nobody_has_others_may_make(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").remembered("there", lambda: made(3))
    shelf = Shelf(tmp_path / "run")
    one, other = (AwayFolder(tmp_path / str(number), Direct(shelf, number)) for number in (1, 2))
    held = one.kept("there")
    assert held is not None
    assert held["value"].tolist() == [3, 3, 3]
    assert one.kept("lost") is None
    assert other.remembered("lost", lambda: made(4))["value"].tolist() == [4, 4, 4]
