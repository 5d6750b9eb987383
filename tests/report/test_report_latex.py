"""A table for a paper: names are escaped, and it compiles with booktabs."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.report import ladder, latex, paper, rendering, tables
from harness.statistics import people_interval
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
REFERENCE = RunFolder.existing(Path(__file__).parents[2] / "results" / "reference")
PAPER = r"\documentclass{article}\usepackage{booktabs}\begin{document}%s\end{document}"


@pytest.fixture
def table() -> pd.DataFrame:
    made = pd.DataFrame({name: [name, 0.5] for name in NAMES})
    made.attrs = {"title": "of one\n\\input{two}", "notes": ["a note\r\\input{three}"]}
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_command_in_head_or_body(name: str, table: pd.DataFrame) -> None:
    text = rendering.render(table, "latex")
    for part in (r"\\toprule(.*?)\\midrule", r"\\midrule(.*?)\\bottomrule"):
        assert NAMES[name] in "".join(re.findall(part, text, re.DOTALL))


def test_a_comment_ends_with_its_line(table: pd.DataFrame) -> None:
    first, second, *rest = rendering.render(table, "latex").splitlines()
    assert (first, second) == (r"% of one \input{two}", r"% a note \input{three}")
    assert rest[0].startswith(r"\begin{tabular}")
    assert not re.search(r"(?m)^[^%\n]*\\input", "\n".join(rest))


def test_a_table_compiles(run: RunFolder, table: pd.DataFrame, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    if latex is None:
        pytest.skip("pdflatex is not on PATH")
    starting = pd.DataFrame({"[1]": ["*", "[2pt]"], "<": ["…", "–"], "×": ["∞", ">"]})
    of_run = [paper.precise(run, tables.metric_table(run)), tables.metric_table(run), tables.verdict_table(run)]
    of_reference = [
        paper.precise(REFERENCE, each)
        for by in ("class", "explainer")
        for each in (ladder.class_table(REFERENCE, by, controls=True), tables.metric_table(REFERENCE, by=by))
    ]
    made = [rendering.render(each, "latex") for each in (table, starting, *of_run, *of_reference)]
    (tmp_path / "paper.tex").write_text(PAPER % "\n\n".join(made), encoding="utf-8")
    words = [latex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


# ---------------------------------------------------------------------- intervals, and who is best


def row(where: str, people: list[str] | None = None, **scores: list[float]) -> paper.Row:
    return paper.Row(where, pd.DataFrame(scores), None if people is None else np.array(people))


APART = {"good": [1.0] * 20, "poor": [0.0] * 20, "middling": [0.5] * 20}
METHODS = ["good", "poor", "middling"]


def test_the_best_is_ahead_of_every_other_in_the_better_direction() -> None:
    """Twenty images that agree: p is 2 / 2**20, and three pairs of one row leave it far below .01."""
    assert paper.best([row("all", **APART)], METHODS, "higher", 0.01) == {"all": "good"}
    assert paper.best([row("all", **APART)], METHODS, "lower", 0.01) == {"all": "poor"}


def test_nobody_is_best_where_one_rival_is_not_beaten() -> None:
    alike = APART | {"rival": [1.0, 0.9] * 10}
    tied = alike | {"good": [0.9, 1.0] * 10}
    assert paper.best([row("all", **tied)], [*METHODS, "rival"], "higher", 0.01) == {}


def test_nobody_is_best_of_few_people_or_where_no_end_is_better() -> None:
    """Twenty images of four people are four signs: p is no less than 2 / 2**4."""
    people = ["ann", "bob", "cid", "dot"] * 5
    assert paper.best([row("all", people, **APART)], METHODS, "higher", 0.01) == {}
    assert paper.best([row("all", **APART)], METHODS, "", 0.01) == {}


def test_a_control_is_never_best() -> None:
    assert paper.best([row("all", **APART)], ["poor", "middling"], "higher", 0.01) == {"all": "middling"}


def test_more_rows_ask_for_more() -> None:
    """Nine images that agree have p = 2 / 2**9 = .0039: below .01 alone, above it where Holm's counts three rows."""
    scores = {"good": [1.0] * 9, "poor": [0.0] * 9}
    alone = [row("all", **scores)]
    beside = [*alone, *(row(name, good=[1.0] * 3, poor=[0.0] * 3) for name in ("a", "b"))]
    assert paper.best(alone, ["good", "poor"], "higher", 0.01) == {"all": "good"}
    assert paper.best(beside, ["good", "poor"], "higher", 0.01) == {}


def test_the_interval_is_that_of_the_mean() -> None:
    table = paper.precise(REFERENCE, tables.metric_table(REFERENCE, "settled-pairs"))
    scores = REFERENCE.scores.query("metric == 'settled-pairs' and variant == 'map' and explainer == 'lime'")
    scores = scores[scores["target"] == "Happy"].dropna(subset="value").sort_values("image")
    who = REFERENCE.persons.set_index("image")["person"].reindex(scores["image"]).to_numpy()
    found = people_interval(scores["value"].to_numpy(), who, confidence=REFERENCE.record.confidence)
    assert table.attrs["below"]["Happy"]["lime"] == f"[{found.low:.3f}, {found.high:.3f}]"


@pytest.mark.parametrize("by", ["class", "explainer"])
def test_bold_and_interval_stand_in_the_cell_that_they_are_of(by: str) -> None:
    table = paper.precise(REFERENCE, tables.metric_table(REFERENCE, "settled-pairs", by=by))
    table.attrs |= {"best": {"Happy": "lime"}}
    (line,) = [line for line in rendering.render(table, "latex").splitlines() if r"\textbf" in line]
    assert line.count(r"\textbf") == 1
    value = table.loc["Happy", "lime"] if by == "class" else table.loc["lime", "Happy"]
    bold = latex.cell(f"{value:.3f}", table.attrs["below"]["Happy"]["lime"], best=True)
    assert bold in line
    assert line.startswith("Happy" if by == "class" else "lime")


def test_a_wide_table_is_several_with_the_names_in_each() -> None:
    text = rendering.render(ladder.class_table(REFERENCE, controls=True), "latex")
    assert text.count(r"\begin{tabular}{") == text.count("\nall & ") == text.count(r"\midrule") > 1
