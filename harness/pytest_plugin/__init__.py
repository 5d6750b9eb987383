"""Runs an evaluation under pytest: one item for each explainer and check, and the matrix of verdicts at the end.

:mod:`harness.pytest_entry` registers it where suites are asked for. Tests ask for the fixture `claim` and carry the
mark ``family``; the evaluation is made once, when the first of them runs. A test that asks for the fixture `owed` is
run before, for each explainer and clause of the contract.
"""

from harness.pytest_plugin.findings import known_findings
from harness.pytest_plugin.hooks import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from harness.pytest_plugin.items import Claim, Owed, claim, owed

__all__ = [
    "Claim",
    "Owed",
    "claim",
    "known_findings",
    "owed",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
