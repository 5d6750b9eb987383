"""Lets pytest judge explainers; every word of the command line is in ``pytest suites/ --help`` under "harness"."""

from harness.suites.conftest import pytest_addoption

__all__ = ["pytest_addoption"]
