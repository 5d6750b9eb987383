"""The reference tables say what the package says of itself."""

import importlib.util
from pathlib import Path

import pytest

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
