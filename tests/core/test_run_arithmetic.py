"""One run has one feed and pieces of one arithmetic, and says which."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import scipy
import torch
from tiny import CLASSES, SPEC, tiny_network
from torch import Tensor, nn

from harness.arithmetic import FEED_FILE, TORCH_SETTINGS, arithmetic, machine, on_arithmetic, settle_feed
from harness.errors import UsageError
from harness.store import RunFolder
from harness.subject import Feed, Subject


def fresh(network: nn.Module | None = None) -> Subject:
    return Subject(network or tiny_network(), name="tiny", classes=CLASSES, spec=SPEC)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_the_first_process_chooses_and_every_other_follows(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subject, "tuned", lambda self: self.fed(Feed(True, 32, 16)))
    assert settle_feed(fresh(), folder).feed == Feed(True, 32, 16)
    monkeypatch.setattr(Subject, "tuned", lambda self: self.fed(Feed(False, 128, 128)))
    assert settle_feed(fresh(), folder).feed == Feed(True, 32, 16)


def test_of_processes_that_begin_at_once_one_chooses(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    together, measured = Barrier(4), []

    def tuned(self: Subject) -> Subject:
        measured.append(self)
        time.sleep(0.05)  # in which the others come to ask, too
        return self.fed(Feed(False, 2 ** len(measured), 16))

    def settled(subject: Subject) -> Feed:
        together.wait()
        return settle_feed(subject, folder).feed

    monkeypatch.setattr(Subject, "tuned", tuned)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(settled, [fresh() for _ in range(4)])) == {Feed(False, 2, 16)}
    assert len(measured) == 1


def test_a_piece_that_several_need_at_once_is_made_once_and_whole(folder: RunFolder) -> None:
    together, made = Barrier(4), []

    def asked(number: int) -> int:
        together.wait()
        return int(folder.remembered("piece", lambda: {"value": np.array(made.append(number) or number)})["value"])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(asked, range(4))) == set(made)
    assert len(made) == 1


def test_a_subject_of_its_own_has_a_feed_of_its_own(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_feed(fresh(), folder, "contiguous:16")
    monkeypatch.setattr(Subject, "tuned", lambda self: self.fed(Feed(True, 32, 32)))
    other = fresh(tiny_network(1))
    assert settle_feed(other, folder).feed == Feed(True, 32, 32)
    assert settle_feed(fresh(), folder).feed == Feed(False, 16, 16)


def test_a_feed_that_is_asked_for_replaces_the_one_held(folder: RunFolder) -> None:
    settle_feed(fresh(), folder, "contiguous:16")
    settle_feed(fresh(), folder, "channels-last:32:16")
    assert settle_feed(fresh(), folder).feed == Feed(True, 32, 16)


def test_the_network_is_laid_out_as_the_feed_says(folder: RunFolder) -> None:
    subject = settle_feed(fresh(), folder, "channels-last:32")
    weights = subject.network.get_submodule("3").weight
    assert weights.is_contiguous(memory_format=torch.channels_last)
    assert not weights.is_contiguous()


def test_pieces_of_another_feed_are_never_mixed(folder: RunFolder) -> None:
    made = {}
    for feed in ("contiguous:16", "contiguous:32", "contiguous:16"):
        kept = on_arithmetic(fresh(), folder, feed)
        made[feed] = str(kept.remembered("key", lambda feed=feed: {"value": [feed]})["value"][0])
    assert made == {"contiguous:16": "contiguous:16", "contiguous:32": "contiguous:32"}


def test_pieces_of_the_same_feed_are_found_again(folder: RunFolder) -> None:
    on_arithmetic(fresh(), folder, "contiguous:16").remembered("key", lambda: {"value": [1]})
    again = on_arithmetic(fresh(), folder).remembered("key", lambda: {"value": [2]})
    assert again["value"].tolist() == [1]


class Views(nn.Module):
    """Views its input, which another layout does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2 * SPEC.height * SPEC.width, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.first(images).view(len(images), -1))


def test_a_feed_that_the_network_does_not_take_is_refused_in_one_line(folder: RunFolder) -> None:
    with pytest.raises(UsageError, match=r"^--feed channels-last:64: subject 'tiny' does not run on it .*give another"):
        settle_feed(fresh(Views()), folder, "channels-last:64")
    assert not (folder.path / FEED_FILE).exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "KEY:nonsense"])
def test_a_damaged_file_is_named(folder: RunFolder, text: str) -> None:
    subject = fresh()
    if text.startswith("KEY"):
        text = json.dumps({f"{subject.digest} cpu": "nonsense"})
    folder.write_text(FEED_FILE, text)
    with pytest.raises(UsageError, match=r"feed\.json is damaged"):
        settle_feed(subject, folder)


def test_what_moves_last_bits_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"):
        monkeypatch.delenv(name, raising=False)
    before = arithmetic(fresh())
    assert before["threads"] == str(torch.get_num_threads())
    assert torch.__version__ in before["torch"]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    after = arithmetic(fresh().fed(Feed(True, 16, 16)))
    assert {what for what in before if before[what] != after[what]} == {"switches", "feed"}
    assert "ONEDNN_MAX_CPU_ISA=SSE41" in after["switches"]


def test_settings_of_the_process_and_other_libraries_are_part_of_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = machine()
    assert "precision" not in usual["switches"]
    assert f"scipy {scipy.__version__}" in usual["libraries"]
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert machine()["switches"].endswith("float32 matmul precision=medium")
    finally:
        torch.set_float32_matmul_precision(before)
    monkeypatch.setitem(TORCH_SETTINGS, "mkldnn", (_mixed, True))
    assert machine()["switches"].endswith("mkldnn=mixed")


def _mixed() -> object:
    raise RuntimeError("a mix of the legacy and new APIs")
