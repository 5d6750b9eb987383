"""The reference tables say what the package says of itself."""

import importlib.util
import inspect
import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.cli.main import command_parser
from harness.faces.tables import USAGES
from harness.metrics.cards import metric_cards, names_of
from harness.models.training import train
from harness.store import RunFolder

DOCS = Path(__file__).parents[2] / "docs"


def load(name: str, folder: Path = DOCS):
    found = importlib.util.spec_from_file_location(f"docs_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


PAGES = load("tables").PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_script_writes(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python docs/tables.py"


def peers_rows() -> list[tuple[str, str, str]]:
    """What each table of the page says: their metric, ours, the rest."""
    text = (DOCS / "peers.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in rows if row[1] != "here"]


def test_what_others_measure_is_here_under_a_name_that_there_is_or_it_is_said_why_not() -> None:
    known = {name for card in metric_cards().values() for name in names_of(card)}
    rows = peers_rows()
    assert len(rows) > 80
    for theirs, ours, said in rows:
        named = re.findall("`([^`]+)`", ours)
        assert named or said, theirs
        assert set(named) <= known, theirs


def test_every_metric_that_is_compared_with_a_package_stands_on_the_page_of_that_package() -> None:
    ours = {name for _, cell, _ in peers_rows() for name in re.findall("`([^`]+)`", cell)}
    packages = ("Quantus 0.6 ", "captum 0.9 ", "pytorch-grad-cam ", "saliency 0.2 ")
    compared = {card.name for card in metric_cards().values() if card.compared_with.startswith(packages)}
    assert len(compared) > 40
    assert compared <= ours


def test_the_workflow_asks_for_what_there_is() -> None:
    """Every harness command of it is one that the command line reads."""
    text = (DOCS / "workflows" / "explanations.yml").read_text()
    commands = [line.split("- run: harness ")[1] for line in text.splitlines() if "- run: harness " in line]
    assert len(commands) == 2
    for command in commands:
        command_parser().parse_args(shlex.split(command))
    assert commands[1] in (DOCS / "continuous-integration.md").read_text(), "the page and the workflow say the same"


def test_every_command_for_fer2013_is_one_that_there_is() -> None:
    """Each is read by the command line, and there is one for each form of the file that the page names."""
    text = (DOCS / "fer2013.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("harness ")]
    read = [command_parser().parse_args(shlex.split(line)[1:]) for line in lines]
    assert {asked.command for asked in read} == {"train", "run", "table", "report", "gallery"}
    faces = {asked.faces.partition("#")[0] for asked in read if hasattr(asked, "faces")}
    assert faces == {"fer2013.csv", "icml_face_data.csv", "fer2013", "fer2013new.csv"}
    assert "docs/fer2013.md" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_the_page_on_fer2013_says_what_the_code_does() -> None:
    text = (DOCS / "fer2013.md").read_text(encoding="utf-8")
    share = inspect.signature(train).parameters["held_share"].default
    assert f"{1 - share:.0%} of each class are learned from, {share:.0%} choose".replace("%", " %") in text
    rows = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \|", text, re.MULTILINE))
    size = load("fer2013_size", DOCS.parent / "benchmarks")
    counts = Counter(size.usage(row) for row in range(size.ROWS))
    assert {name: int(number.replace(",", "")) for name, number in rows.items()} == counts
    assert {name.casefold() for name in rows} == set(USAGES)


findings = load("findings")


def test_readmes_table_is_of_the_runs_that_were_kept() -> None:
    pairs = json.loads(findings.KEPT.read_text(encoding="utf-8"))
    text = findings.PAGE.read_text(encoding="utf-8")
    assert findings.within_page(text, findings.table(pairs)) == text, "run: make reference"


def test_what_was_found_is_not_older_than_the_rule() -> None:
    """Checks with their margins, rungs, error rates and sizes are those by which the kept runs were decided."""
    for pair in json.loads(findings.KEPT.read_text(encoding="utf-8")):
        assert pair["rule"] == findings.rule_now(), (
            f"{pair['subject']} was decided by another rule; run: make reference"
        )


def test_another_margin_is_another_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    before = findings.rule_now()
    name, check = next((name, check) for name, check in CHECKS.items() if check.decides)
    monkeypatch.setattr(findings, "CHECKS", {**CHECKS, name: replace(check, margin=check.margin + 0.01)})
    assert findings.rule_now() != before


def test_the_committed_run_was_decided_by_the_rule_as_it_is() -> None:
    assert findings.rule_of(RunFolder.existing(DOCS.parent / "results" / "reference")) == findings.rule_now()
