"""One page over all runs below a folder."""

import re
import shutil
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import UsageError
from harness.report import index_page
from harness.store import RunFolder


@pytest.fixture
def folder(tmp_path: Path, small: RunFolder, few: RunFolder) -> Path:
    """Two runs, one of them deep and with a page, a damaged one, and a folder that is none."""
    shutil.copytree(small.path, tmp_path / "old" / "a & b <i>")
    (tmp_path / "old" / "a & b <i>" / "report.html").write_text("")
    shutil.copytree(few.path, tmp_path / "plain", ignore=shutil.ignore_patterns("*.html"))
    shutil.copytree(few.path, tmp_path / "spoilt")
    (tmp_path / "spoilt" / "run.json").write_text("{")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_every_run_has_a_row_with_a_link_where_it_has_a_page(folder: Path) -> None:
    made = index_page.write_index(folder)
    text = made.path.read_text(encoding="utf-8")
    assert re.findall(r'href="([^"]*)"', text) == ["old/a%20%26%20b%20%3Ci%3E/report.html"]
    assert "old/a &amp; b &lt;i&gt;</a>" in text
    assert "plain (no page: harness report)" in text
    assert "4: gradient, guided-backprop, rise, lime" in text
    assert text.count("<tr data-") == 2


def test_a_run_that_cannot_be_read_is_named_on_the_page_and_on_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(folder / "index.html")
    assert re.search(r"harness: .*spoilt.run\.json is damaged", said.err)
    assert "is damaged" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_single_run_is_called_by_its_folder(few: RunFolder) -> None:
    (entry,) = [index_page._entry(few.path, few)]
    assert entry.name == few.path.name


@pytest.mark.parametrize(("below", "said"), [("empty", "holds no finished run"), ("nowhere", "is no folder")])
def test_where_there_is_no_run_that_is_said(below: str, said: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=said):
        index_page.write_index(folder / below)
