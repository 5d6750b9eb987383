"""The tables of a run: their columns, typed, and the version of all of them together."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

SCHEMA_VERSION = 3

SCORES = {
    "explainer": "str", "metric": "str", "output": "str", "fill": "str", "kind": "str", "variant": "str",
    "image": "int64", "label": "str", "predicted": "str", "target": "str", "value": "float64", "status": "str",
    "reason": "str",
}  # fmt: skip
"""One row an image, score and variant. Undefined is a null value with a status, never 0."""

OK, UNDEFINED, NOT_SCORABLE, SILENT, FAILED = "ok", "undefined", "not scorable", "silent", "failed"
"""Of a score: there; undefined; undefined whatever the map says; undefined because the map that was asked for, of a
built network or another class, says nothing where another map would; its explainer or metric broke down."""

IDENTITY = ("metric", "output", "fill", "kind")
"""The columns that say which score a row holds; ``run.json`` has a name for each that it tells of."""

CURVES = {
    "explainer": "str", "metric": "str", "variant": "str", "image": "int64", "target": "str", "x": "float64",
    "value": "float64",
}  # fmt: skip
"""One row a point of an image's curve."""

EFFECTS = {"image": "int64", "label": "str", "part": "str", "kind": "str", "logit": "float64", "probability": "float64"}
"""One row an image, face part and kind (at-rest, alone): what the part does for the true class."""

MATRICES = {"matrix": "str", "explainer": "str", "row": "str", "column": "str", "value": "float64"}
"""Class by class tables: the confusion matrix and the similarities of class means."""

FILTERS = {
    "layer": "str", "unit": "int64", "draw": "int64", "reached": "float64", "best_face": "float64",
    "best_face_image": "int64", "best_draw": "bool", "dead": "bool",
}  # fmt: skip
"""One row a unit of a layer and random start of a gallery: what its found image reaches beside the best face."""

VERDICTS = {
    "explainer": "str", "check": "str", "family": "str", "control": "str", "class": "str", "n": "int64",
    "unit": "str", "units": "int64", "undefined": "int64", "blank": "int64", "effect": "float64", "low": "float64",
    "high": "float64", "margin": "float64", "p": "float64", "p_adjusted": "float64", "p_fail": "float64",
    "p_fail_adjusted": "float64", "verdict": "str", "reason": "str",
}  # fmt: skip
"""One row an explainer, check and class ("all" or a name): n images of so many units (people, images or classes)."""

PERSONS = {"image": "int64", "person": "int64"}
"""Who is on each image that is explained or has effects; no row where nobody is known."""

IMAGES = {"image": "int64", "name": "str"}
"""What each explained image is called, such as its file's path; no row where its number is all there is."""

BLANK = {"explainer": "str", "image": "int64"}
"""The images for which an explainer's map is constant: undefined scores of these count against it."""


LADDER = {
    "explainer": "str", "class": "str", "rung": "int64", "name": "str", "reached": "str", "resolution": "int64",
    "effect": "float64", "low": "float64", "high": "float64", "p_adjusted": "float64", "check": "str", "n": "int64",
    "unit": "str", "reason": "str",
}  # fmt: skip
"""One row an explainer, class ("all" or a name) and rung; resolution in pixels of a cell's side, 0 where it has none.

Effect, interval, p (of a fail, that against the claim) and n are those of the claim that decides the rung: `check`.
"""

EXAMINATIONS = {
    "metric": "str", "n": "int64", "undefined": "int64", "discrimination": "float64", "low": "float64",
    "high": "float64", "p": "float64", "verdict": "str", "reason": "str",
}  # fmt: skip
"""One row a metric: whether it puts truth before truth with noise, that before noise, and truth before controls."""


def frame(columns: Mapping[str, str], rows: Mapping[str, Any] | list[dict[str, Any]] | None = None) -> pd.DataFrame:
    """Return a table with exactly `columns`, typed; an absent column of `rows` is an error."""
    made = pd.DataFrame(rows if rows is not None and len(rows) else {name: [] for name in columns})
    return _typed(made[list(columns)], columns)


def joined(columns: Mapping[str, str], tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of one schema under each other."""
    filled = [table for table in tables if len(table)]
    return _typed(pd.concat(filled, ignore_index=True), columns) if filled else frame(columns)


def _typed(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with columns of these types; those that have theirs are left alone, which most have."""
    held = table.dtypes
    other = {name: kind for name, kind in columns.items() if held[name] != _type(kind)}
    return table.astype(other) if other else table


@cache
def _type(kind: str) -> Any:
    """Return what pandas calls a type."""
    return pd.api.types.pandas_dtype(kind)
