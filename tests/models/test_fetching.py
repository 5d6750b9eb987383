import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import fetching
from harness.errors import UsageError
from harness.fetching import Outside, cached, fetch

CONTENT = b"weights"
DOWNLOAD = fetching._download


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """A made-up wheel, in a folder where pip finds it without a network."""
    wheel = tmp_path / "index" / "madeup-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("madeup/data/w.bin", CONTENT)
        archive.writestr("madeup/__init__.py", "raise RuntimeError('nobody imports this')")
        archive.writestr("madeup-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: madeup\nVersion: 1.0\n")
        archive.writestr("madeup-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("madeup-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    thing = Outside(
        name="madeup",
        distribution="madeup==1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        wanted="madeup/data/*.bin",
        count=1,
        licence="none",
        what="a test",
        sha256={"madeup/data/w.bin": sha256(CONTENT)},
    )
    known(monkeypatch, thing)
    monkeypatch.setattr(fetching, "_download", lambda _thing, _folder: wheel)
    return thing


@pytest.fixture
def with_pip(thing: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Download as the user does, from a folder."""
    monkeypatch.setattr(fetching, "_download", DOWNLOAD)


def known(monkeypatch: pytest.MonkeyPatch, thing: Outside) -> None:
    monkeypatch.setattr(fetching, "OUTSIDE", {thing.name: thing})


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("with_pip")
def test_only_the_wanted_files_are_kept(tmp_path: Path) -> None:
    assert files_in(fetch("madeup")) == ["madeup/data/w.bin"]
    assert files_in(tmp_path / "cache") == ["madeup/madeup/data/w.bin"]


@pytest.mark.usefixtures("thing")
def test_a_second_fetch_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch("madeup")
    monkeypatch.delattr(fetching, "_download")
    assert fetch("madeup") == first == cached("madeup")


WRONG = "0" * 64


@pytest.mark.parametrize(
    "wronged",
    [
        lambda thing: replace(thing, wheel_sha256=WRONG),
        lambda thing: replace(thing, sha256={"madeup/data/w.bin": WRONG}),
    ],
    ids=["wheel", "file"],
)
def test_a_wrong_digest_is_refused_and_nothing_is_kept(
    wronged: Callable[[Outside], Outside], thing: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, wronged(thing))
    with pytest.raises(UsageError, match=f"has sha256 .*, not {WRONG}; nothing was kept") as caught:
        fetch("madeup")
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path / "cache") == []


def test_a_wheel_without_all_files_is_refused(thing: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, replace(thing, count=2))
    with pytest.raises(UsageError, match=r"holds 1 files .* not 2"):
        fetch("madeup")


@pytest.mark.usefixtures("with_pip")
def test_what_pip_cannot_find_is_one_line(thing: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, replace(thing, distribution="madeup==2.0"))
    with pytest.raises(UsageError, match=r"pip could not download madeup==2.0 .*No matching distribution") as caught:
        fetch("madeup")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("thing")
def test_what_was_never_fetched_says_how_to() -> None:
    with pytest.raises(UsageError, match="madeup is not on this machine; bring it once with: harness fetch madeup"):
        cached("madeup")


@pytest.mark.usefixtures("thing")
def test_a_changed_file_is_noticed() -> None:
    (fetch("madeup") / "madeup/data/w.bin").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"w\.bin was changed; remove"):
        cached("madeup")


@pytest.mark.usefixtures("thing")
def test_a_lost_file_is_noticed() -> None:
    (fetch("madeup") / "madeup/data/w.bin").unlink()
    with pytest.raises(UsageError, match="does not hold the 1 files"):
        cached("madeup")


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"called 'olr' \(did you mean 'orl'\?\)"):
        fetch("olr")
