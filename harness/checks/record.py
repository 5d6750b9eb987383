"""What is on record of the explainers that come with the package: whether they keep the contract, and on what code.

``pytest suites/test_contract.py --record`` writes it. A record speaks for the code that it was made with and no other.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from harness.checks.contract import Examination, contract_digest
from harness.explainers.base import Explainer
from harness.store import RunFolder

RECORD = Path(__file__).with_name("contract.json")
RECORDED = ("faces-cnn", "fer2013-minixception")
"""Subjects that the record is kept for: one of either architecture."""

Record: TypeAlias = Mapping[str, Mapping[str, Mapping[str, str]]]
"""By subject and explainer: the code's digest, the faces, the state (holds, broken, refuses) and the reason."""


def contract_states(explainer: Explainer, record: Record | None = None) -> dict[str, str]:
    """Return, for each recorded subject, ``holds``, what is broken, why it refuses, or that it was not examined."""
    record = _stored() if record is None else record
    return {subject: _state(explainer, record.get(subject, {}).get(explainer.name)) for subject in RECORDED}


def _state(explainer: Explainer, entry: Mapping[str, str] | None) -> str:
    """Say what one entry says of the code as it is."""
    if entry is None:
        return "not examined"
    if entry["digest"] != contract_digest(explainer):
        return "not examined since it changed"
    return f"{entry['state']}: {entry['reason']}" if entry["reason"] else entry["state"]


def with_examinations(record: Record, faces: str, found: Sequence[tuple[Explainer, Examination]]) -> Record:
    """Return a record to which examinations on some faces are added, in the place of older ones."""
    added: dict[str, dict[str, Mapping[str, str]]] = {subject: dict(held) for subject, held in record.items()}
    for explainer, examination in found:
        state = "refuses" if examination.refusal else "broken" if examination.broken else "holds"
        added.setdefault(examination.subject, {})[explainer.name] = {
            "digest": contract_digest(explainer),
            "faces": faces,
            "state": state,
            "reason": examination.refusal or examination.said,
        }
    return {subject: dict(sorted(held.items())) for subject, held in sorted(added.items())}


def write_record(faces: str, found: Sequence[tuple[Explainer, Examination]], file: Path = RECORD) -> Path:
    """Add examinations to the record, and return its file."""
    record = with_examinations(stored_record(file), faces, found)
    folder = RunFolder(file.parent)
    folder.write_text(file.name, json.dumps(record, indent=1) + "\n")
    return file


def stored_record(file: Path = RECORD) -> Record:
    """Return the record; empty where there is none."""
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return held


@cache
def _stored() -> Record:
    """Return the package's own record, read once."""
    return stored_record()
