"""Run folders: one evaluation, its numbers and its cache. The only place that writes results."""

from harness.store.folder import Examples, RunFolder
from harness.store.schema import (
    BLANK,
    CURVES,
    EFFECTS,
    EXAMINATIONS,
    FILTERS,
    IDENTITY,
    LADDER,
    MATRICES,
    PERSONS,
    SCHEMA_VERSION,
    SCORES,
    VERDICTS,
    frame,
    joined,
)

__all__ = [
    "BLANK",
    "CURVES",
    "EFFECTS",
    "EXAMINATIONS",
    "FILTERS",
    "IDENTITY",
    "LADDER",
    "MATRICES",
    "PERSONS",
    "SCHEMA_VERSION",
    "SCORES",
    "VERDICTS",
    "Examples",
    "RunFolder",
    "frame",
    "joined",
]
