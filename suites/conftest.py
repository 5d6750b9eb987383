"""Lets pytest judge explainers; every word of the command line is in ``pytest suites/ --help`` under "harness"."""

from harness.pytest_plugin import (
    claim,
    owed,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

__all__ = [
    "claim",
    "owed",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
