"""Synthetic runs, written once for all tests of reports."""

from collections.abc import Callable

import pytest
from synthetic import FACES, METHODS, Drawn, Plan, many

from harness.report import page
from harness.store import RunFolder

Make = Callable[[Plan], RunFolder]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Write a run for a plan."""
    return lambda plan: Drawn(tmp_path_factory.mktemp("run"), plan).write()


@pytest.fixture(scope="session")
def run(make: Make) -> RunFolder:
    """Seven classes, one of them without images; twelve explainers, one with undefined values and one failed."""
    return make(Plan())


@pytest.fixture(scope="session")
def few(make: Make) -> RunFolder:
    """Four classes, one of them without images; five explainers, one with undefined values and one failed."""
    chosen = ("gradient", "guided-backprop", "rise", "lime")
    families = (*((name, METHODS[name]) for name in chosen), ("edges", "control"))
    return make(Plan(FACES[:4], families))


@pytest.fixture(scope="session")
def small(make: Make) -> RunFolder:
    """Three classes, two explainers, no controls."""
    return make(many(3, 2))


@pytest.fixture(scope="session")
def large(make: Make) -> RunFolder:
    """Ten classes, thirty explainers."""
    return make(many(10, 30))


@pytest.fixture(scope="session")
def unlabelled(make: Make) -> RunFolder:
    """Faces without labels."""
    return make(Plan(FACES[:3], tuple(METHODS.items())[:3], empty="", gaps="", broken="", labelled=False))


@pytest.fixture(scope="session")
def html(few: RunFolder) -> str:
    """The page of the run with few explainers, its figures written."""
    return page.write_page(few).read_text()


@pytest.fixture(scope="session")
def saved(few: RunFolder, html: str) -> list[str]:
    """Names of the figures that were written with the page."""
    return sorted(path.stem for path in few.path.glob("figures/*.png"))
