"""Claims about explainers, one file a family; plain functions and tables, no test runner."""

from harness.checks import (
    axioms,
    cells,
    confusion,
    constructed,
    faithfulness,
    localization,
    mistakes,
    parts,
    randomization,
    robustness,
)
from harness.checks.base import ALPHA, CONFIDENCE, EVERYTHING, Check, Correction, Evidence, Finding, Verdict, judged
from harness.checks.examination import Examination, barred, examination_table, examined

FAMILIES = (
    cells,
    constructed,
    faithfulness,
    parts,
    localization,
    randomization,
    robustness,
    axioms,
    confusion,
    mistakes,
)

CHECKS: dict[str, Check] = {check.name: check for family in FAMILIES for check in family.CHECKS}
"""Every check by name, in the order in which tables show them."""

__all__ = [
    "ALPHA",
    "CHECKS",
    "CONFIDENCE",
    "EVERYTHING",
    "Check",
    "Correction",
    "Evidence",
    "Examination",
    "Finding",
    "Verdict",
    "barred",
    "examination_table",
    "examined",
    "judged",
]
