"""What a notebook shows of a run: escaped, asking for nothing, in a look that stays within it."""

import re
from pathlib import Path

from synthetic import Plan

from harness.report import notebook, style, templating
from harness.store import RunFolder

NAME = "<script>alert(1)</script>&"
PAIR = (("gradient", "gradient"), ("edges", "control"))


def test_it_shows_the_answer_and_a_table_of_each_kind(run: RunFolder) -> None:
    html = notebook.shown(run)
    assert "In short: what to use" in html
    assert html.count("<table") == 2, "nothing decides a rung in this run"
    assert "href=" not in html, "evidence stands on the page, where links lead to it"


def test_a_run_with_a_ladder_shows_it_with_its_picture() -> None:
    html = notebook.shown(RunFolder.existing(Path(__file__).parents[2] / "results" / "reference"))
    assert html.count("<table") == 3
    assert html.count('<img src="data:image/png;base64,') == 1


def test_names_are_escaped(make) -> None:
    html = notebook.shown(make(Plan((NAME, "happy"), PAIR, empty="", gaps="", broken="")))
    assert NAME not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in html
    assert "<script" not in html


def test_it_asks_for_nothing(run: RunFolder) -> None:
    assert re.findall(r"(?:src|href)=\"(?!data:image/png;base64,)[^\"]*|url\([^)]*|@import", notebook.shown(run)) == []


def test_its_style_is_the_pages_and_reaches_nothing_else(run: RunFolder) -> None:
    (rules,) = re.findall(r"<style>@scope \(\.harness-run\) \{ (.*) \}</style>", notebook.shown(run), re.S)
    assert rules == templating.scoped()
    assert not re.search(r"(?m)^\s*(:root|body|html)\b", rules)
    assert rules.count(":scope {") >= 3, "colours by day and by night, and the ground"
    assert "--pass: #a6d9c7" in rules


def test_a_figure_is_a_picture_of_itself() -> None:
    figure = style.canvas(1.0, 1.0)
    assert figure._repr_png_() == style.png(figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
