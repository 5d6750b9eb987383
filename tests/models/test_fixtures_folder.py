from pathlib import Path

import pytest

from harness import fixtures_folder as module
from harness.errors import UsageError
from harness.fixtures_folder import fixture, fixtures_folder


def placed(monkeypatch: pytest.MonkeyPatch, package: Path, fixtures: Path) -> None:
    package.mkdir(parents=True, exist_ok=True)
    for name in ("faces", "models"):
        (fixtures / name).mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "fixtures_folder.py"))


def test_a_checkouts_folder_is_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(monkeypatch, tmp_path / "harness", tmp_path / "fixtures")
    assert fixtures_folder() == tmp_path / "fixtures"


def test_an_installed_packages_folder_is_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(monkeypatch, tmp_path / "harness", tmp_path / "harness" / "fixtures")
    assert fixtures_folder() == tmp_path / "harness" / "fixtures"


def test_another_packages_folder_of_that_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(monkeypatch, tmp_path / "harness", tmp_path / "elsewhere")
    (tmp_path / "fixtures").mkdir()
    with pytest.raises(UsageError, match="install the wheel"):
        fixtures_folder()


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(monkeypatch, tmp_path / "harness", tmp_path / "fixtures")
    with pytest.raises(UsageError, match=r"models/w\.safetensors is missing"):
        fixture("models/w.safetensors")
