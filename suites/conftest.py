"""Lets pytest judge explainers; every word of the command line is in ``pytest suites/ --help`` under "harness"."""

from harness.waiting import wait_passively

wait_passively()  # before torch is loaded

from harness.pytest_plugin import (  # noqa: E402
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
