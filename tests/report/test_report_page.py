import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import Make
from PIL import Image
from synthetic import FACES, Plan

from harness.cli import write_report
from harness.report import evidence, figures, map_picker, page, wording
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
    assert not re.search(r"https?://|<link|@import|url\(", html)


def test_the_page_lets_in_its_own_style_and_script_alone(html: str) -> None:
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    allowed = {}
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert html.count(f"<{tag}") == 1
        allowed[tag] = "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert policy == [
        f"default-src 'none'; img-src data:; style-src '{allowed['style']}'; script-src '{allowed['script']}'; "
        "base-uri 'none'; form-action 'none'"
    ]
    assert not re.search(r"<[^>]* (style|on\w+)=", html.split("<script>")[0])


def test_links_of_the_page_lead_somewhere(outline: Outline) -> None:
    assert {target[1:] for target in outline.targets if target.startswith("#")} <= set(outline.ids)


def test_every_figure_but_what_is_there_in_another_form_is_on_the_page(outline: Outline, saved: list[str]) -> None:
    shown = [name for name in saved if not name.startswith(("verdicts", "maps"))]
    assert sorted(each.removeprefix("figure-") for each in outline.ids if each.startswith("figure-")) == shown


def test_every_kept_picture_is_there_with_the_map_of_everyone_who_made_one(few: RunFolder, html: str) -> None:
    held = few.examples
    assert len(re.findall(r'<details class="picture', html)) == len(held.targets)
    for name in map(str, held.explainers):
        assert html.count(f'alt="Map of {name} for ') == len(held.targets)
    assert 'alt="Map of rise' not in html
    assert "No maps of rise: failed (rise returned NaN for every image)." in html


def test_pictures_are_shown_class_after_class_until_the_page_is_full(
    few: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = map_picker.picker(few)
    assert whole is not None
    monkeypatch.setattr(map_picker, "BUDGET", whole.shown[0].size + whole.shown[1].size)
    some = map_picker.picker(few)
    assert some is not None
    assert [each.where for each in some.shown] == [each.where for each in whole.shown[:2]]
    assert "2 of the 3 that the run kept fit this page" in some.note


def test_figures_lose_colours_and_then_their_place_where_a_page_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A picture of few colours and soft noise, as a figure has them.
    noise = np.random.default_rng(0).integers(0, 3, (64, 64, 3)).astype(np.uint8) + np.uint8(200)
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        Image.fromarray(noise).save(path)
    drawn = page.embedded(paths)
    assert [base64.b64decode(each.split(",")[1]) for each in drawn.values()] == [path.read_bytes() for path in paths]
    whole = sum(map(len, drawn.values()))
    monkeypatch.setattr(page, "FIGURES", whole - 1)
    few = page.embedded(paths)
    assert all(0 < len(few[path]) < len(drawn[path]) for path in paths)
    monkeypatch.setattr(page, "FIGURES", len(few[paths[0]]) * 2)
    assert [bool(each) for each in page.embedded(paths).values()] == [True, True, False]


def test_what_the_network_misread_is_said_of_its_picture(few: RunFolder) -> None:
    run, held = RunFolder(few.path), few.examples
    vars(run)["examples"] = replace(held, labels=np.array(["Happy", *held.targets[1:]]))
    shown = map_picker.picker(run)
    assert shown is not None
    assert [each.title.split(", ", 1)[1] for each in shown.shown] == [
        f"misread: truly Happy, seen as {held.targets[0]}", "seen right", "seen right",
    ]  # fmt: skip


def test_a_method_is_explained_by_three_numbers_and_the_rest_on_request(html: str) -> None:
    briefs = re.findall(r'<span class="brief">(.*?)</span>', html)
    assert len(briefs) == 4
    assert all(len(re.findall(r"[+-]?\d+\.?\d*", text)) <= 3 for text in briefs)
    why = html[html.index('<ul class="who">') :]
    assert why.count("<details>") == 4


def test_a_cell_leads_to_a_verdict_that_says_the_same(html: str) -> None:
    cells = re.findall(r'<a href="#(claim-\d+-\d+)" title="([^"]*)">([^<]*)</a>', html)
    rows = dict(re.findall(r'<tr id="(claim-\d+-\d+)"(.*?)</tr>', html))
    assert len(cells) == 4 * 8
    for link, tip, text in cells:
        name, check = tip.split(":")[0].split(", ")
        assert f'data-explainer="{name}"' in rows[link]
        assert text.rpartition(" ")[2] in rows[link]
        assert f'id="{link.rpartition("-")[0]}" data-claim="{check}"' in html


def test_the_answer_is_told_in_words(html: str) -> None:
    assert "Over all images, 2 of 4 methods can be believed: gradient and lime." in html
    assert "A claim fails for guided-backprop." in html
    assert "Not judged: rise." in html


def test_a_class_without_images_says_so(html: str) -> None:
    assert "<strong>Disgust</strong>: no images" in html


def test_who_made_no_maps_takes_no_row_or_column_of_undefined(html: str) -> None:
    answered = html[: html.index('id="evidence"')]
    assert 'data-explainer="rise"' in answered, "among the reasons"
    assert '<th scope="row">rise</th><td>undefined' not in answered
    assert '<th scope="col" data-explainer="rise">' not in answered


def test_a_number_of_images_that_all_have_is_said_once(html: str) -> None:
    table = html[html.index('aria-label="What decides"') :].split("</table>")[0]
    head, body = table.split("</thead>")
    assert head.count("<small>24 of 24</small>") == 7
    assert "24 of 24</small>" not in body
    assert "<small>19 of 24</small>" in body


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
    assert html.count("<script") == 1
    assert '" onload="x' not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_what_an_earlier_run_left_in_the_folder_is_not_handed_out(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(Plan(FACES[:2], (("gradient", "gradient"),), empty="", gaps="", broken="", per_class=3))
    for name in ("figures/maps-2.png", "tables/part-effects.csv", "tables/part-effects.md", "figures/mine.svg"):
        run.write_text(name, "of an earlier run")
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    files = list(write_report(run))
    assert [file.name for file in files] == ["report.html"]
    left = {file.name for folder in ("figures", "tables") for file in (run.path / folder).iterdir()}
    assert "mine.svg" in left
    assert "verdicts.csv" in left
    assert not left & {"maps-2.png", "part-effects.csv", "part-effects.md"}


def test_without_labels_the_page_says_what_is_missing(unlabelled: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    assert "The images have no labels" in page.write_page(unlabelled).read_text()


def test_a_run_of_one_explainer_and_two_classes_has_a_page(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    plan = replace(Plan(), classes=FACES[:2], families=(("gradient", "gradient"),), empty="", gaps="", broken="")
    assert "1 ways" not in page.write_page(make(plan)).read_text()


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_the_p_beside_a_verdict_is_that_on_which_it_rests(few: RunFolder, verdict: str) -> None:
    """Of a fail the p for the claim is near 1, and says the opposite of what the verdict says."""
    stated = few.verdicts["check"].isin([each.name for each in few.record.checks])
    row = few.verdicts[stated & (few.verdicts["verdict"] == verdict)].iloc[0]
    stands = row["p_fail_adjusted"] if verdict == "fail" else row["p_adjusted"]
    told = next(each for each in evidence.claims(few, {}) if each.name == row["check"])
    (said,) = [each for each in told.rows if (each.explainer, each.where) == (row["explainer"], row["class"])]
    assert said.numbers[-1] == wording.bare_chance(stands)
    assert stands < 0.1
