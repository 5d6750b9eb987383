"""The page on Python runs as it stands, and what is exported is what it was announced to be."""

import ast
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
EXPORTED = {
    "ClaimFailed", "FaceSet", "InputSpec", "Judgement", "Run", "Subject", "check", "evaluate", "explainer", "metric",
    "parametrize_with_checks",
}  # fmt: skip
"""Change this only with a line in CHANGELOG.md: other people's code imports these."""


def snippets() -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_what_is_exported_is_what_was_announced() -> None:
    assert set(harness.__all__) == EXPORTED
    assert all(getattr(harness, name) is not None for name in harness.__all__)
    assert set(dir(harness)) >= EXPORTED


def test_types_and_names_are_exported_alike() -> None:
    tree = ast.parse(Path(harness.__file__).read_text())
    typed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed - {"import_module", "TYPE_CHECKING", "Any"} == EXPORTED == set(harness._HOMES)


def test_help_reads_like_a_table_of_contents() -> None:
    shown = pydoc.plaintext.document(harness).split("PACKAGE CONTENTS")[0]
    for name in EXPORTED:
        assert re.search(rf"\b{name}\b", shown), name


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, harness; assert not {'torch', 'numpy', 'pytest'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_names_all_that_is_exported_for_use() -> None:
    text = PAGE.read_text()
    for name in ("evaluate", "check", "parametrize_with_checks", "ClaimFailed", "Run", "InputSpec", "FaceSet"):
        assert f"harness.{name}" in text or f"`{name}`" in text, name


def test_every_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    held: dict[str, object] = {"__name__": "page"}
    for number, snippet in enumerate(snippets()):
        exec(compile(snippet, f"snippet {number}", "exec"), held)
    assert "breaks its contract" not in capsys.readouterr().out
    (mark,) = held["test_mine"].pytestmark
    ids = [param.id for param in mark.args[1]]
    assert ids == [
        f"{name}-{check}" for name in ("brightness", "edges") for check in ("contract", "randomization-full")
    ]
    for param in mark.args[1]:
        explainer, check = param.values
        if param.marks:
            with pytest.raises(harness.ClaimFailed, match="edges: "):
                check(explainer)
        else:
            held["test_mine"](explainer, check)
