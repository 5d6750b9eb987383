"""Claims about explainers, one file a family; plain functions and tables, no test runner."""

from harness.checks.base import (
    ALPHA,
    CONFIDENCE,
    EVERYTHING,
    UNITS,
    Check,
    Correction,
    Evidence,
    Finding,
    Verdict,
    judged,
)
from harness.checks.examination import Examination, barred, examination_table, examined
from harness.checks.own import check, tried
from harness.checks.registry import CHECKS, FAMILIES, all_checks, register

__all__ = [
    "ALPHA",
    "CHECKS",
    "CONFIDENCE",
    "EVERYTHING",
    "FAMILIES",
    "UNITS",
    "Check",
    "Correction",
    "Evidence",
    "Examination",
    "Finding",
    "Verdict",
    "all_checks",
    "barred",
    "check",
    "examination_table",
    "examined",
    "judged",
    "register",
    "tried",
]
