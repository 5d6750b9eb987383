"""What pytest loads wherever the package is installed: next to nothing, until the suites are asked for.

The suites' own words (``--subject``, ``--explainer``, ...) and fixtures come with :mod:`harness.pytest_plugin`, which
loads torch. It is brought in where the command line names ``harness.suites`` or says ``--harness``, or where pytest
meets the ``conftest.py`` of the suites.
"""

from collections.abc import Sequence
from importlib import import_module

import pytest

from harness.process import set_up

PLUGIN = "harness.pytest_plugin"
SUITES = "harness.suites"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one word that brings in all others."""
    group = parser.getgroup("harness", "explanations of image classifiers")
    said = f"judge explainers: the words of `pytest --pyargs {SUITES}`, shown by --harness --help"
    group.addoption("--harness", action="store_true", help=said)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    """Bring in the suites' words where the suites are asked for, before the words are read."""
    if "--harness" in args or any(word == SUITES or word.startswith((f"{SUITES}.", f"{SUITES}::")) for word in args):
        load_suites(early_config.pluginmanager)


def load_suites(plugins: pytest.PytestPluginManager) -> None:
    """Bring in the suites' words, fixtures and hooks, once."""
    if plugins.has_plugin(PLUGIN):
        return
    set_up()  # before torch is loaded
    plugins.register(import_module(PLUGIN), PLUGIN)
