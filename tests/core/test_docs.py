"""The reference tables say what the package says of itself."""

import importlib.util
import shlex
from pathlib import Path

import pytest

from harness.cli.main import command_parser

DOCS = Path(__file__).parents[2] / "docs"


def load():
    found = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


PAGES = load().PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_script_writes(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python docs/tables.py"


def test_the_workflow_asks_for_what_there_is() -> None:
    """Every harness command of it is one that the command line reads."""
    text = (DOCS / "workflows" / "explanations.yml").read_text()
    commands = [line.split("- run: harness ")[1] for line in text.splitlines() if "- run: harness " in line]
    assert len(commands) == 2
    for command in commands:
        command_parser().parse_args(shlex.split(command))
    assert commands[1] in (DOCS / "continuous-integration.md").read_text(), "the page and the workflow say the same"
