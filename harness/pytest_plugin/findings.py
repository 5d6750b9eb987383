"""What is known to fail, and why."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.checks import all_checks
from harness.errors import UsageError

FINDINGS = "findings.toml"
"""Beside the test files: failures that are known and why."""


@dataclass(frozen=True)
class Finding:
    """A claim that is known not to hold, and why."""

    subject: str
    explainer: str
    check: str
    reason: str


def known_findings(file: Path, explainers: Collection[str]) -> dict[tuple[str, str, str], Finding]:
    """Return the declared failures of a TOML file by subject, explainer and check; none where there is no file.

    Parameters
    ----------
    file
        Tables ``[[finding]]``, each with ``subjects``, ``explainers``, ``checks`` and ``reason``.
    explainers
        Names that an explainer can have.

    Raises
    ------
    UsageError
        Where an entry is incomplete or doubled, or names a check or explainer that does not exist: what nothing can
        meet would be ignored in silence.
    """
    if not file.is_file():
        return {}
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("finding", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: {error}") from error
    known: dict[tuple[str, str, str], Finding] = {}
    for number, entry in enumerate(entries, start=1):
        for finding in _declared(entry, f"{file}: finding {number}", explainers):
            key = (finding.subject, finding.explainer, finding.check)
            if key in known:
                raise UsageError(f"{file}: {' / '.join(key)} is declared twice")
            known[key] = finding
    return known


def _declared(entry: dict[str, object], where: str, explainers: Collection[str]) -> list[Finding]:
    """Return the findings of one entry, which may name several subjects, explainers and checks."""
    if set(entry) != {"subjects", "explainers", "checks", "reason"}:
        raise UsageError(f"{where} needs exactly subjects, explainers, checks and reason")
    names = {key: [str(name) for name in _as_list(entry[key])] for key in ("subjects", "explainers", "checks")}
    for key, existing in (("explainers", explainers), ("checks", all_checks())):
        for name in names[key]:
            if name not in existing:
                raise UsageError(f"{where} names {key.removesuffix('s')} {name!r}, which does not exist")
    return [
        Finding(subject, explainer, check, str(entry["reason"]))
        for subject in names["subjects"]
        for explainer in names["explainers"]
        for check in names["checks"]
    ]


def _as_list(value: object) -> list[object]:
    """Return a TOML value as a list."""
    return value if isinstance(value, list) else [value]
