"""Lets pytest judge explainers; every word of the command line is in ``pytest --harness --help`` under "harness"."""

import pytest

from harness.pytest_entry import load_suites


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Bring in what the suites need; where it is there already, nothing happens."""
    load_suites(pluginmanager)
