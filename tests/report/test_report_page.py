import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from conftest import Make
from synthetic import FACES, Plan

from harness.report import figures, page
from harness.store import RunFolder

VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Which tags are open, and which attributes point somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.targets += [value for key, value in held.items() if key in ("src", "href", "srcset", "action") and value]
        self.ids += [value for key, value in held.items() if key == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def outline(html: str) -> Outline:
    read = Outline()
    read.feed(html)
    return read


def test_every_tag_that_opens_closes(outline: Outline) -> None:
    assert outline.open == []


def test_the_page_refers_to_nothing_outside_itself(html: str, outline: Outline) -> None:
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in outline.targets)
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)


def test_links_of_the_page_lead_somewhere(outline: Outline) -> None:
    assert {target[1:] for target in outline.targets if target.startswith("#")} <= set(outline.ids)


def test_every_figure_but_the_verdicts_is_on_the_page(html: str, saved: list[str]) -> None:
    assert html.count("data:image/png;base64,") == len([name for name in saved if not name.startswith("verdicts")])


def test_the_answer_is_told_in_words(html: str) -> None:
    assert "Over all images, 2 of 4 methods can be believed: gradient and lime." in html
    assert "A claim fails for guided-backprop." in html
    assert "Not judged: rise." in html


def test_a_class_without_images_says_so(html: str) -> None:
    assert "<strong>Disgust</strong>: no images" in html


def test_what_is_undefined_is_named(html: str) -> None:
    row = html[html.index('<th scope="row">rise</th><td>undefined') :][:200]
    assert "0.000" not in row


def test_every_verdict_stands_on_its_number_of_images(html: str) -> None:
    assert "<small>24 of 24</small>" in html
    assert "<small>19 of 24</small>" in html


def test_claims_margins_and_their_reasons_are_told(html: str) -> None:
    assert "deletion-gain over spectrum-null lies beyond its margin" in html
    assert "above 0.01" in html
    assert "below 0.15" in html
    assert "one pixel in a hundred" in html


def test_where_it_came_from_is_told(html: str) -> None:
    for told in ("digest 5b1e", "digest a0c4", "123,456 forward, 7,890 backward", "1 min 2 s on cpu", "torch 2.13.0"):
        assert told in html


def test_names_cannot_write_into_the_page(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    families = (("<script>alert(1)</script>", "gradient"), ('" onload="x', "control"))
    run = make(Plan(FACES[:2], families, empty="", gaps="", broken="", per_class=3))
    html = page.write_page(run).read_text()
    assert "<script>" not in html
    assert '" onload="x' not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_without_labels_the_page_says_what_is_missing(unlabelled: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    assert "The images have no labels" in page.write_page(unlabelled).read_text()


def test_a_run_of_one_explainer_and_two_classes_has_a_page(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    plan = replace(Plan(), classes=FACES[:2], families=(("gradient", "gradient"),), empty="", gaps="", broken="")
    assert "1 ways" not in page.write_page(make(plan)).read_text()
