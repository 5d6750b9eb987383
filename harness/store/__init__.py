"""Run folders: one evaluation, its numbers and its cache. The only place that writes results."""

from harness.store.examples import Examples
from harness.store.folder import RunFolder
from harness.store.record import (
    CheckRecord,
    Cost,
    ExplainerRecord,
    FacesRecord,
    PassesRecord,
    RungRecord,
    RunRecord,
    SubjectRecord,
)
from harness.store.schema import (
    BLANK,
    CURVES,
    EFFECTS,
    EXAMINATIONS,
    FILTERS,
    IDENTITY,
    IMAGES,
    LADDER,
    MATRICES,
    PERSONS,
    SCHEMA_VERSION,
    SCORES,
    VERDICTS,
    frame,
    joined,
)
from harness.store.shared import SharedPieces, shared_pieces
from harness.store.shelf import AwayFolder, Lender, Shelf

__all__ = [
    "BLANK",
    "CURVES",
    "EFFECTS",
    "EXAMINATIONS",
    "FILTERS",
    "IDENTITY",
    "IMAGES",
    "LADDER",
    "MATRICES",
    "PERSONS",
    "SCHEMA_VERSION",
    "SCORES",
    "VERDICTS",
    "AwayFolder",
    "CheckRecord",
    "Cost",
    "Examples",
    "ExplainerRecord",
    "FacesRecord",
    "Lender",
    "PassesRecord",
    "RunFolder",
    "RunRecord",
    "RungRecord",
    "SharedPieces",
    "Shelf",
    "SubjectRecord",
    "frame",
    "joined",
    "shared_pieces",
]
