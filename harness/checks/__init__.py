"""Claims about explainers, one file a family; plain functions and tables, no test runner."""

from harness.checks import confusion, faithfulness, localization, mistakes, randomization
from harness.checks.base import ALPHA, CONFIDENCE, EVERYTHING, Check, Evidence, Finding, Verdict, judged

FAMILIES = (faithfulness, localization, randomization, confusion, mistakes)

CHECKS: dict[str, Check] = {check.name: check for family in FAMILIES for check in family.CHECKS}
"""Every check by name, in the order in which tables show them."""

__all__ = [
    "ALPHA",
    "CHECKS",
    "CONFIDENCE",
    "EVERYTHING",
    "Check",
    "Evidence",
    "Finding",
    "Verdict",
    "judged",
]
