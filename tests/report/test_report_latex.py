"""A table for a paper: names are escaped, and it compiles with booktabs."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from harness.report import rendering, tables
from harness.store import RunFolder

NAMES = {
    "a_b": r"a\_b",
    "50%": r"50\%",
    "x & y": r"x \& y",
    "#1": r"\#1",
    "$z$": r"\$z\$",
    "{}": r"\{\}",
    r"\input": r"\textbackslash{}input",
    "~^": r"\textasciitilde{}\^{}",
}
PAPER = r"\documentclass{article}\usepackage{booktabs}\begin{document}%s\end{document}"


@pytest.fixture
def table() -> pd.DataFrame:
    made = pd.DataFrame({name: [name, 0.5] for name in NAMES})
    made.attrs = {"title": "of one\n\\input{two}", "notes": ["a note\r\\input{three}"]}
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_command_in_head_or_body(name: str, table: pd.DataFrame) -> None:
    head, body = rendering.render(table, "latex").split(r"\midrule")
    assert NAMES[name] in head
    assert NAMES[name] in body


def test_a_comment_ends_with_its_line(table: pd.DataFrame) -> None:
    first, second, *rest = rendering.render(table, "latex").splitlines()
    assert (first, second) == (r"% of one \input{two}", r"% a note \input{three}")
    assert rest[0].startswith(r"\begin{tabular}")
    assert not re.search(r"(?m)^[^%\n]*\\input", "\n".join(rest))


def test_a_table_compiles(run: RunFolder, table: pd.DataFrame, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    if latex is None:
        pytest.skip("pdflatex is not on PATH")
    made = [rendering.render(each, "latex") for each in (table, tables.metric_table(run), tables.verdict_table(run))]
    (tmp_path / "paper.tex").write_text(PAPER % "\n\n".join(made), encoding="utf-8")
    words = [latex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
