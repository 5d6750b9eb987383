"""The page as a reader has it: opened from disk in a browser, sorted, filtered, clicked through and looked at."""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Make
from PIL import Image
from synthetic import FACES, METHODS, Plan

from harness.report import figures, index_page, page
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("unchecked")

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000
"""Milliseconds that a busy machine may take for a click."""

Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install .[dev])")
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH")
    with playwright.sync_playwright() as started:
        held = started.chromium.launch(executable_path=found, args=["--no-sandbox"], timeout=PATIENCE)
        yield held
        held.close()


@pytest.fixture(scope="module")
def written(make: Make) -> Path:
    """A page of four explainers and two controls on three classes, two pictures a class of which one is misread."""
    chosen = ("gradient", "guided-backprop", "rise", "lime")
    families = (*((name, METHODS[name]) for name in chosen), ("edges", "control"), ("random", "control"))
    run = make(Plan(FACES[:4], families, per_class=6))
    held = run.examples
    twice = replace(
        held,
        pictures=np.concatenate([held.pictures, held.pictures]),
        images=np.concatenate([held.images, held.images + 3]),
        labels=np.concatenate([held.targets, np.roll(held.targets, 1)]),
        targets=np.concatenate([held.targets, held.targets]),
        maps=np.concatenate([held.maps, -held.maps], axis=1),
    )
    again = RunFolder(run.path)
    vars(again)["examples"] = twice  # as if it had been read
    return page.write_page(again)


class Heard:
    """What a page asked of others and complained about."""

    def __init__(self, opened: Page) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        opened.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        opened.on("pageerror", lambda error: self.complaints.append(str(error)))
        opened.on("request", lambda request: self.requests.append(request.url))


def opened(browser: Any, path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    made.heard = Heard(made)
    made.goto(path.as_uri())
    return made


@pytest.fixture
def reader(browser: Any, written: Path) -> Iterator[Page]:
    held = opened(browser, written)
    yield held
    told = held.heard
    held.context.close()
    assert told.complaints == []
    assert [url for url in told.requests if not url.startswith(("data:", "file:"))] == []
    assert sum(url.startswith("file:") for url in told.requests) == 1


def table(reader: Page, title: str) -> Page:
    return reader.get_by_role("table", name=title)


def column(held: Page, place: int) -> list[str]:
    """What a table's visible rows say in a column."""
    said: list[str] = held.evaluate(
        "(table, i) => [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[i].innerText.trim())", place
    )
    return said


def says(held: Page, text: str) -> None:
    """Wait until a part of the page says something."""
    pytest.importorskip("playwright.sync_api").expect(held).to_have_text(text, timeout=PATIENCE)


def numbers(texts: list[str]) -> list[float]:
    return [float(found.group()) for text in texts if (found := re.search(r"[+-]?\d+\.\d+", text))]


# ---------------------------------------------------------------------- tables


def test_a_table_is_sorted_by_a_button_and_is_as_it_was_at_the_third(reader: Page) -> None:
    metrics = table(reader, "Every metric: mean over the images with a defined value")
    held = metrics.element_handle()
    before = column(held, 3)
    head = metrics.locator("th", has=reader.get_by_role("button", name="gradient", exact=True))
    head.get_by_role("button").focus()
    orders = []
    for _ in range(3):
        reader.keyboard.press("Enter")
        orders.append((head.get_attribute("aria-sort"), column(held, 3)))
    assert [order for order, _ in orders] == ["descending", "ascending", "none"]
    assert numbers(orders[0][1]) == sorted(numbers(before), reverse=True) != numbers(before)
    assert numbers(orders[1][1]) == sorted(numbers(before))
    assert orders[2][1] == before


def test_what_is_no_explainers_stays_above_the_sorted_rows(reader: Page) -> None:
    held = reader.locator("table.numbers").first
    held.get_by_role("button", name="Fear").click()
    assert column(held.element_handle(), 0)[:2] == ["n", "recall"]


def test_what_is_undefined_comes_last_in_either_order(reader: Page) -> None:
    held = reader.locator("table.numbers").first.element_handle()
    classes = held.evaluate("table => [...table.tHead.rows[0].cells].map(cell => cell.innerText.trim())")
    empty = classes.index("Disgust")
    button = reader.locator("table.numbers").first.get_by_role("button", name="Disgust")
    for _ in range(2):
        button.click()
        assert set(column(held, empty)[-2:]) <= {"–", "undefined", "no faces"}


def test_tables_are_filtered_by_explainer_class_claim_metric_and_verdict(reader: Page) -> None:
    matrix = table(reader, "What decides").element_handle()
    everyone = column(matrix, 0)
    for name, chosen in (("explainer", "gradient"), ("class", "Fear"), ("claim", "deletion-spectrum")):
        reader.locator(f"#filter select[name={name}]").select_option(chosen)
    assert column(matrix, 0) == ["gradient"]
    heads = matrix.evaluate("t => [...t.tHead.rows[0].cells].filter(c => !c.hidden).map(c => c.innerText.trim())")
    assert [head.split("\n")[0] for head in heads] == ["explainer", "deletion-spectrum"]
    rows = reader.locator("#claim-0 tbody tr:not([hidden])").evaluate_all("rows => rows.map(r => r.cells[1].innerText)")
    hidden = reader.locator("#claim-1").get_attribute("hidden")
    assert hidden is not None
    assert len(rows) == 2
    assert "rows of all tables" in reader.locator("#filter output").inner_text()
    reader.get_by_role("button", name="Show all").click()
    says(reader.locator("#filter output"), "")
    assert column(matrix, 0) == everyone
    reader.locator("#filter select[name=metric]").select_option("deletion-gain")
    assert reader.locator("section.block[data-metric]:not([hidden])").count() == 1


def test_a_filter_by_verdict_leaves_what_has_it(reader: Page) -> None:
    reader.locator("#filter select[name=verdict]").select_option("fail")
    matrix = table(reader, "What decides")
    left = matrix.locator("tbody tr:not([hidden])")
    assert 0 < left.count() < matrix.locator("tbody tr").count()
    for row in left.all():
        assert row.locator("td[data-verdict=fail]:not([hidden])").count() > 0
    assert matrix.locator("td[data-verdict=pass]").first.is_hidden()


# ---------------------------------------------------------------------- evidence and pictures


def test_a_cell_says_its_numbers_when_focused_and_leads_to_its_evidence(reader: Page) -> None:
    cell = table(reader, "What decides").get_by_role("link").first
    cell.focus()
    told = reader.get_by_role("tooltip").inner_text()
    for word in ("gradient, deletion-spectrum", "effect ", "99% interval", "18 of 18 images", "margin 0.01"):
        assert word in told
    assert cell.get_attribute("aria-describedby") == "tip"
    reader.keyboard.press("Escape")
    assert reader.get_by_role("tooltip").count() == 0
    reader.keyboard.press("Enter")
    row = reader.locator("#claim-0-0")
    row.wait_for(state="visible")
    assert row.inner_text().split()[:2] == ["gradient", "all"]
    claim = reader.locator("#claim-0")
    assert claim.get_attribute("open") is not None
    assert "margin: above 0.01 (one pixel in a hundred)" in claim.inner_text()


def test_evidence_that_is_filtered_away_is_shown_when_it_is_led_to(reader: Page) -> None:
    reader.locator("#filter select[name=explainer]").select_option("lime")
    reader.evaluate("location.hash = '#claim-0-0'")
    reader.locator("#claim-0-0").wait_for(state="visible")


def test_a_class_and_a_picture_of_it_are_picked(reader: Page) -> None:
    reader.locator("#pick select[name=of]").select_option("Happy")
    pictures = reader.locator("#pick select[name=picture]").locator("option").all_inner_texts()
    assert len(pictures) == 2
    assert "misread: truly Fear" in pictures[1]
    reader.locator("#pick select[name=picture]").select_option(pictures[1])
    shown = reader.locator("details.picture:visible")
    assert shown.count() == 1
    assert shown.locator("img:visible").count() == 1 + 5  # the picture, and every explainer that made maps
    assert shown.locator("img").evaluate_all("held => held.every(each => each.naturalWidth > 0)")
    assert "rise" not in shown.inner_text()


def test_without_script_everything_is_there(browser: Any, written: Path) -> None:
    held = opened(browser, written, script=False)
    assert not held.locator("#filter").is_visible()
    assert not held.locator("#pick").is_visible()
    assert held.locator("details.picture").count() == 6
    assert "effect" in str(table(held, "What decides").get_by_role("link").first.get_attribute("title"))
    table(held, "What decides").get_by_role("link").first.click()
    assert held.locator("#claim-0-0").is_visible()
    held.context.close()


def test_runs_of_an_index_are_searched_and_sorted(
    browser: Any, small: RunFolder, written: Path, tmp_path: Path
) -> None:
    for name, source in {"second": small.path, "first": written.parent}.items():
        shutil.copytree(source, tmp_path / name)
    held = opened(browser, index_page.write_index(tmp_path).path)
    runs = table(held, "Runs").element_handle()
    assert column(runs, 0)[0] == "first"
    held.get_by_role("button", name="run", exact=True).click()
    held.get_by_role("button", name="run", exact=True).click()
    assert [text.split()[0] for text in column(runs, 0)] == ["second", "first"]
    held.get_by_role("searchbox").fill("guided FIRST")
    says(held.locator("output"), "1 of 2 runs")
    held.get_by_role("link", name="first").click()
    held.wait_for_url("**/first/report.html")
    assert held.heard.complaints == []
    held.context.close()


# ---------------------------------------------------------------------- looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window_and_is_not_blank(width: int, scheme: str, browser: Any, written: Path) -> None:
    held = opened(browser, written, width=width, scheme=scheme)
    assert held.evaluate("document.documentElement.scrollWidth") == width, "only tables scroll sideways"
    seen = np.asarray(Image.open(io.BytesIO(held.screenshot())).convert("L"), dtype=float)
    held.context.close()
    ground = np.median(seen)
    assert ground > 200 if scheme == "light" else ground < 60
    written_on = np.abs(seen - ground) > 80
    assert written_on.mean() > 0.005, "letters cover a part of the page"
    assert written_on[: len(seen) // 3].any()
    assert written_on[-len(seen) // 3 :].any()


def test_what_goes_on_beyond_the_edge_fades_until_it_is_scrolled_to(browser: Any, written: Path) -> None:
    held = opened(browser, written, width=390)
    box = held.get_by_role("group", name="What decides")
    fades = "part => part.classList.contains('more') && getComputedStyle(part).maskImage !== 'none'"
    box.scroll_into_view_if_needed()
    assert box.evaluate(fades)
    box.evaluate("part => { part.scrollLeft = part.scrollWidth; }")
    held.wait_for_function("part => !part.classList.contains('more')", arg=box.element_handle())
    held.context.close()
    wide = opened(browser, written, width=2400)
    assert not wide.get_by_role("group", name="What decides").evaluate(fades)
    wide.context.close()


def test_a_print_holds_the_tables_whole_and_nothing_to_click(browser: Any, written: Path) -> None:
    a4_across = 1030  # pixels between the margins
    held = opened(browser, written, width=a4_across, scheme="dark")
    held.emulate_media(media="print")
    assert held.evaluate("document.documentElement.scrollWidth") == a4_across
    assert held.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for what in ("#filter", "#pick", "nav"):
        assert held.locator(what).is_hidden()
    held.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_a_reader_out(scheme: str, browser: Any, written: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    held = opened(browser, written, scheme=scheme)
    held.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    # The page's policy lets no script in but its own; what is evaluated from outside is not the page's.
    found = axe.Axe().run(held).response["violations"]
    held.context.close()
    said = [f"{each['id']}: {node['html'][:100]}" for each in found for node in each["nodes"][:3]]
    assert said == []


def test_a_page_is_smaller_than_ten_megabytes_with_maps_of_large_pictures(make: Make, monkeypatch: Any) -> None:
    run = make(Plan(FACES, tuple(METHODS.items()), per_class=3, empty="", gaps="", broken=""))
    held, again = run.examples, RunFolder(run.path)
    vars(again)["examples"] = replace(
        held,
        pictures=np.kron(held.pictures, np.ones((1, 5, 5))),
        maps=np.random.default_rng(0).normal(size=(*held.maps.shape[:2], 240, 240)),
    )
    monkeypatch.setattr(figures, "save_figures", lambda run: [])
    text = page.write_page(again).read_text(encoding="utf-8")
    sources = re.findall(r"data:image/png;base64,([^\"]*)", text)
    sizes = {Image.open(io.BytesIO(base64.b64decode(source))).size for source in sources}
    assert sizes == {(112, 112)}
    assert len(text) < 10_000_000
