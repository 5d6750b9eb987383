"""The site: it builds without a warning, asks nothing of any other, and what its pages tell a reader to run runs."""

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.cli import asked_request, main, runs
from harness.cli.main import command_parser
from harness.importing import load_object
from harness.report import ladder
from harness.store import RunFolder

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN_PAGES = ("first-verdict.md", "ladder.md", "own-network.md")
"""Pages whose commands run as they stand; other new pages have none of their own."""


def assembling():
    found = spec_from_file_location("assembling", DOCS / "assembling.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


made = assembling()


# ---------------------------------------------------------------------- what is built


class Requests(HTMLParser):
    """Collects what a browser asks for when it shows a page: not what its links lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.asked += [value for name, value in attrs if name in ("src", "href", "srcset", "poster") and value]


def outside(page: str) -> list[str]:
    """Addresses of other machines that a page asks."""
    parser = Requests()
    parser.feed(page)
    return [each for each in parser.asked if re.match(r"(https?:)?//", each)]


def test_a_request_is_seen() -> None:
    asked = '<link href="https://fonts.example/a.css"><script src="//cdn.example/b.js"></script><img src="c.png">'
    assert outside(asked + '<a href="https://paper.example">') == ["https://fonts.example/a.css", "//cdn.example/b.js"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("material", "mkdocstrings"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install explanation-harness[docs]")
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_every_page_is_built(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    pages |= {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.ipynb")}
    assert [page for page in [*pages, Path("command-line.html")] if not (site / page).is_file()] == []


def test_no_page_asks_another_machine(site: Path) -> None:
    assert {page.name: outside(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")} == {
        page.name: [] for page in site.rglob("*.html")
    }
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles) == []


def test_what_is_written_once_is_on_its_page(site: Path) -> None:
    for page, said in {
        "ladder.html": "it beats its own map of another image of the class",
        "adding/explainer.html": "blurred_gradient",
        "adding/metric.html": "share_on_bright",
        "adding/check.html": "looks_at_bright",
        "interface.html": "parametrize_with_checks",
        "command-line.html": "--time-limit",
    }.items():
        assert said in (site / page).read_text(encoding="utf-8"), page


# ---------------------------------------------------------------------- how it is put together


TEXT = "# T\n\nfirst\n\n## One [x]\n\n```python\n# no heading\n```\n\n## Two\n\nlast\n"


@pytest.mark.parametrize(
    ("slug", "held"),
    [("t", "\nfirst\n\n"), ("one-x", "\n```python\n# no heading\n```\n\n"), ("two", "\nlast\n")],
)
def test_a_section_ends_at_the_next_heading(slug: str, held: str) -> None:
    assert made.section(TEXT, slug, "t.md") == held


def test_a_section_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"t\.md has no heading #three"):
        made.section(TEXT, "three", "t.md")


def test_links_lead_within_the_site_or_are_text() -> None:
    brought: list[Path] = []

    def bring(path: Path) -> str:
        brought.append(path)
        return f"repository/{path.name}"

    text = (
        "[a](docs/checks.md) [b](suites/findings.toml) ![c](results/reference/figures/ladder.png) [d](no.md) `x[0](y)`"
    )
    told = made.relinked(text, ROOT / "README.md", DOCS / "adding" / "check.md", bring)
    assert told == "[a](../checks.md) b ![c](../repository/ladder.png) [d](no.md) `x[0](y)`"
    assert brought == [ROOT / "results" / "reference" / "figures" / "ladder.png"]
    code = "```\n[a](docs/checks.md)\n```\n"
    assert made.relinked(code, ROOT / "README.md", DOCS / "index.md", bring) == code


# ---------------------------------------------------------------------- what its pages tell to run


def fenced(page: str, language: str = "") -> list[str]:
    """The blocks of a page in a language, without their titles."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)(?: title=\S+)?\n(.*?)^```$", text, re.M | re.S)
    return [block for named, block in blocks if named == language]


def commands(page: str) -> list[list[str]]:
    return [
        shlex.split(line)[1:] for block in fenced(page) for line in block.splitlines() if line.startswith("harness ")
    ]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the repository has and the pages name."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shutil.copytree(ROOT / "results" / "reference", tmp_path / "results" / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures: tests of reports draw them."""
    monkeypatch.setattr(runs, "write_report", lambda run: [run.path / "report.html"])


@pytest.mark.usefixtures("registry", "unchecked", "undrawn")
@pytest.mark.parametrize("page", RUN_PAGES)
def test_every_command_of_a_page_runs(page: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands; a run is made of a network of the page's own, on one picture a class, and asked of any other.

    What is read of a run that was only asked for is read of the committed one. `tests/test_examples.py` makes it.
    """
    for code in fenced(page, "python"):
        (place / "my_net.py").write_text(code, encoding="utf-8")
    asked = commands(page)
    assert asked
    for words in asked:
        if words[0] == "run" and "my_net.py:make" in words:
            assert main([*words, "--per-class", "1", "--feed", "contiguous:64"]) == 0, words
        elif words[0] == "run":
            assert asked_request(command_parser().parse_args(words), strict=True).checks
            (place / words[words.index("--out") + 1]).symlink_to(place / "results" / "reference")
        else:
            assert main(words) == 0, words
    assert "%" in capsys.readouterr().out


def test_the_answer_that_the_page_shows_is_how_a_run_ends() -> None:
    said = "\n".join(ladder.lines(RunFolder.existing(ROOT / "results" / "reference")))
    (shown,) = fenced("first-verdict.md", "text")
    for line in shown.splitlines():
        pattern = re.escape(line).replace(r"\.\.", r"[^\n]+?").replace(r"\ \ ", r" +")
        assert re.search(pattern, said), line


def test_the_mark_that_is_explained_is_one_of_the_committed_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mark,) = re.findall(r"`(\d\? \d+ %)` in a class's row", (DOCS / "ladder.md").read_text(encoding="utf-8"))
    assert main(["table", "results/reference"]) == 0
    assert mark in capsys.readouterr().out


def test_no_other_new_page_has_commands_of_its_own() -> None:
    others = [
        "index.md",
        "pitfalls.md",
        "architecture.md",
        "interface.md",
        *(f"adding/{n}.md" for n in ("explainer", "metric", "check")),
    ]
    assert [page for page in others if "```" in (DOCS / page).read_text(encoding="utf-8")] == []


def test_pitfalls_name_checks_that_there_are_and_papers_that_they_list() -> None:
    text = (DOCS / "pitfalls.md").read_text(encoding="utf-8")
    body, papers = text.split("## Papers")
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", body))
    assert named - set(CHECKS) == {"fill-recognition"}, "a measurement of the network, no check"
    cited = {one.strip() for group in re.findall(r"\[([T\d, ]+)\](?!\()", body) for one in group.split(",")}
    listed = set(re.findall(r"^(\d+)\. ", papers, re.M)) | set(re.findall(r"^- (T\d+):", papers, re.M))
    assert cited == listed


def test_the_file_of_the_page_is_a_network_with_pictures_it_reads(place: Path) -> None:
    (code,) = fenced("own-network.md", "python")
    (place / "my_net.py").write_text(code, encoding="utf-8")
    subject, faces = load_object("my_net.py:make")(), load_object("my_net.py:pictures")()
    answers = subject.logits(subject.prepare(faces.images)).argmax(1).numpy()
    assert (answers == faces.labels).all()
