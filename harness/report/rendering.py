"""The printed forms of a table: for a terminal, a page, a paper, a spreadsheet, a program."""

import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from harness.errors import UsageError
from harness.report import latex, wording

WIDTH = 120
"""Columns of a terminal that a text table fits into."""


def records(held: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as mappings with None for what is undefined."""
    return [{str(key): plain(value) for key, value in row.items()} for row in held.to_dict("records")]


def plain(value: Any) -> Any:
    """Return a value as JSON has it, NaN as None."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def render(table: pd.DataFrame, format: str = "text") -> str:
    """Return a table as text.

    Parameters
    ----------
    table
        Of :mod:`harness.report.tables` or of :mod:`harness.report.comparison`; any other table is printed as it is.
    format
        ``text`` (at most 120 columns wide), ``md``, ``csv``, ``latex`` or ``json``.

    Returns
    -------
    str
        Ends in a newline. In ``csv`` and ``json`` numbers have all digits, and what is undefined is empty or null.

    Raises
    ------
    UsageError
        For another format.
    """
    if format not in _FORMATS:
        raise UsageError(f"unknown format {format!r}; choose one of: {', '.join(_FORMATS)}")
    return _FORMATS[format](table).rstrip("\n") + "\n"


def _text(table: pd.DataFrame) -> str:
    """Print for a terminal: blocks of columns, each as wide as the terminal, under one title."""
    shown = readable(table)
    fixed = _fixed(shown)
    longest = {str(name): max(map(len, shown[name].astype(str)), default=0) for name in shown.columns}
    blocks = [_block(shown[[*fixed, *names]], longest) for names in _blocks(longest, fixed)]
    notes = [textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in table.attrs.get("notes", [])]
    title = textwrap.wrap(table.attrs.get("title", ""), WIDTH)
    return "\n\n".join(part for part in ["\n".join(title), *blocks, "\n".join(notes)] if part)


def _markdown(table: pd.DataFrame) -> str:
    """Print for a repository's page."""
    shown = readable(table)
    body = tabulate(_strings(shown), list(shown.columns), "pipe", disable_numparse=True, colalign=_aligned(shown))
    notes = "\n".join(f"- {note}" for note in table.attrs.get("notes", []))
    return "\n\n".join(part for part in [table.attrs.get("title", ""), body, notes] if part)


def _latex(table: pd.DataFrame) -> str:
    """Print for a paper that uses booktabs; :mod:`harness.report.paper` adds intervals and who is best."""
    shown = readable(table)
    below, best = table.attrs.get("below", {}), table.attrs.get("best", {})
    by_class = str(shown.columns[0]) == "class"

    def shaped(row: str, column: str, text: str) -> str:
        where, name = (row, column) if by_class else (column, row)
        return latex.cell(text, below.get(where, {}).get(name, ""), best=best.get(where) == name)

    body = latex.tabulars(shown, _aligned(shown), _fixed(shown), shaped)
    # A name with a line break would end its comment and be read as a command.
    comments = [" ".join(line.split()) for line in (table.attrs.get("title", ""), *table.attrs.get("notes", []))]
    return "\n".join([*(f"% {line}" for line in comments if line), body])


def _csv(table: pd.DataFrame) -> str:
    """Print for a spreadsheet: every mean is followed by how many values it rests on."""
    if table.attrs.get("kind") != "metric":
        return inert(_flat(table)).to_csv(index=False)
    by_class = table if table.attrs["by"] == "class" else table.T.rename_axis("class")
    wide = by_class.copy().drop(columns="n")
    wide.insert(0, "n", [max(table.attrs["asked"][name].values(), default=0) for name in by_class.index])
    for name in table.attrs["explainers"]:
        held = [table.attrs["defined"][where][name] for where in by_class.index]
        wide.insert(list(wide.columns).index(name) + 1, f"{name} defined", held)
    made = wide if table.attrs["by"] == "class" else wide.T.rename_axis("explainer")
    return str(inert(made).to_csv())


def inert(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of which a spreadsheet takes no text for a formula: an apostrophe goes before such a text."""
    held = table.copy()
    for place, (_, column) in enumerate(table.items()):
        if not pd.api.types.is_numeric_dtype(column.dtype):  # numbers are no formulas
            held.isetitem(place, np.array([_as_text(value) for value in column.tolist()], dtype=object))
    held = held.rename(columns=_as_text)
    return held.rename(index=_as_text) if isinstance(held.index.name, str) else held


def _as_text(value: Any) -> Any:
    """Return a text that would be a formula with an apostrophe before it, anything else as it is.

    Examples
    --------
    >>> _as_text("=1+1"), _as_text("-0.5"), _as_text("-x"), _as_text(2.0)
    ("'=1+1", '-0.5', "'-x", 2.0)
    """
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@"):
        return value
    return value if re.fullmatch(r"[+-][\d.,]*%?", value) else f"'{value}"


def _json(table: pd.DataFrame) -> str:
    """Print for a program: undefined is null."""
    facts = {key: table.attrs[key] for key in ("title", "metric", "score", "variant", "notes") if key in table.attrs}
    if table.attrs.get("kind") == "metric":
        body: dict[str, Any] = {"classes": _class_records(table)}
    else:
        body = {"rows": table.attrs.get("records") or records(_flat(table))}
    return json.dumps(facts | body, indent=2, allow_nan=False, ensure_ascii=False)


_FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "text": _text,
    "md": _markdown,
    "csv": _csv,
    "latex": _latex,
    "json": _json,
}
FORMATS = tuple(_FORMATS)


def _class_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a metric table as one mapping a class."""
    by_class = table if table.attrs["by"] == "class" else table.T
    defined, asked = table.attrs["defined"], table.attrs["asked"]
    return [
        {"class": str(where), "images": max(asked[where].values(), default=0)}
        | ({"recall": plain(row["recall"])} if "recall" in by_class.columns else {})
        | {
            "explainers": {
                name: {"mean": plain(row[name]), "defined": defined[where][name], "asked": asked[where][name]}
                for name in table.attrs["explainers"]
            }
        }
        for where, row in by_class.iterrows()
    ]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text, its index as the first column: numbers rounded, undefined named, gaps counted."""
    if table.attrs.get("kind") == "comparison":
        return _compared(table)
    if table.attrs.get("kind") != "metric":
        flat = _flat(table)
        # Of many metrics each row has a unit of its own.
        beside = flat.select_dtypes("number").abs().max(axis=1) if table.attrs.get("kind") == "overview" else ()
        largest = beside if len(beside) else np.ones(len(flat))
        shown = {
            name: [_shown(name, *pair) for pair in zip(flat[name].tolist(), largest, strict=True)]
            for name in flat.columns
        }
        return pd.DataFrame(shown, dtype="object")
    by_class = table if table.attrs["by"] == "class" else table.T
    cells = {
        name: [
            _cell(table.attrs, str(where), name, value)
            for where, value in zip(by_class.index, by_class[name].tolist(), strict=True)
        ]
        for name in by_class.columns
    }
    made = pd.DataFrame(cells, index=by_class.index, dtype="object")
    made = made if table.attrs["by"] == "class" else made.T
    return _flat(made.rename_axis(table.attrs["by"]))


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison as a reader wants it: the interval in one column, and a reason where nobody can be ahead."""
    signed, largest = table.attrs["signed"], np.nanmax(np.abs([*table["first_mean"], *table["second_mean"]]), initial=0)
    made = {name: [str(v) for v in table[name]] for name in ("explainer", "first", "second", "n")}
    if not any(made["explainer"]):
        del made["explainer"]
    for name in ("first_mean", "second_mean"):
        made[name.replace("_", " ")] = [wording.number(v, signed=signed, beside=largest) for v in table[name]]
    made["effect"] = [wording.number(v, signed=True, beside=largest) for v in table["effect"]]
    made[f"{table.attrs['confidence']:.0%} interval"] = [
        wording.interval(low, high, beside=largest) for low, high in zip(table["low"], table["high"], strict=True)
    ]
    made["p"] = [wording.bare_chance(p) for p in table["p"]]
    made["corrected p"] = [wording.bare_chance(p) for p in table["p_adjusted"]]
    made["ahead"] = [a or reason or "undecided" for a, reason in zip(table["ahead"], table["reason"], strict=True)]
    return pd.DataFrame(made, dtype="object")


def _cell(attrs: Mapping[Any, Any], where: str, name: str, value: Any) -> str:
    """Return one cell of a metric table."""
    if name == "n":
        return str(value)
    if name == "recall":
        return "no images" if pd.isna(value) else f"{value:.2f}"
    defined, asked = attrs["defined"][where], attrs["asked"][where]
    if asked[name] == 0:
        return "–"
    if pd.isna(value):
        return "undefined"
    text = wording.number(float(value), signed=attrs["signed"], beside=attrs["largest"])
    return text if defined[name] == max(defined.values()) else f"{text} ({defined[name]}/{asked[name]})"


def _shown(column: str, value: Any, beside: float) -> str:
    """Return one cell of any other table."""
    if isinstance(value, float):
        return wording.number(value, signed=column in _SIGNED, beside=float(beside))
    return str(value)


_SIGNED = ("effect", "low", "high")


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its index as a column, where that says anything."""
    return (
        table.reset_index(names=wording.own_label(str(table.index.name), table.columns)) if table.index.name else table
    )


def _strings(shown: pd.DataFrame) -> list[list[str]]:
    """Return the cells by row."""
    return [[str(value) for value in row] for row in shown.itertuples(index=False)]


def _aligned(shown: pd.DataFrame) -> list[str]:
    """Return the side of each column: names to the left, values to the right."""
    return ["left" if i == 0 or name in _LEFT else "right" for i, name in enumerate(shown.columns)]


_LEFT = ("check", "first", "second", "ahead", "explainer")
_REPEATED = ("n", "recall", "check", "first", "second")


def _fixed(shown: pd.DataFrame) -> list[str]:
    """Return the columns that name a row, repeated in every block."""
    names = [str(name) for name in shown.columns]
    leading = [name for name in names[1:] if name in _REPEATED]
    return [names[0], *(name for name in leading if names.index(name) <= len(leading))]


_HEADERS = (16, 14, 12, 11)
"""Widths of a header to try, widest first; narrower ones would break words."""


def _blocks(longest: Mapping[str, int], fixed: Sequence[str]) -> list[list[str]]:
    """Split the columns into the fewest blocks that fit, of about equal size."""
    free = [name for name in longest if name not in fixed]
    for count in range(1, len(free)):
        size = -(-len(free) // count)
        made = [free[start : start + size] for start in range(0, len(free), size)]
        if all(_header(longest, [*fixed, *names]) for names in made):
            return made
    return [[name] for name in free] or [[]]


def _header(longest: Mapping[str, int], names: Sequence[str]) -> int:
    """Return the widest header with which a block fits, 0 where none does."""
    for width in _HEADERS:
        if sum(_width(name, longest[name], width) + 2 for name in names) - 2 <= WIDTH:
            return width
    return 0


def _width(name: str, longest: int, header: int) -> int:
    """Return how many columns of the terminal a column takes."""
    return max(longest, *map(len, wording.folded(name, header).split("\n")))


def _block(shown: pd.DataFrame, longest: Mapping[str, int]) -> str:
    """Print the columns of one block."""
    names = [str(name) for name in shown.columns]
    width = _header(longest, names) or _HEADERS[-1]
    widths = [_width(name, longest[name], width) for name in names]
    headers = [wording.folded(name, width).split("\n") for name in names]
    deep = max(len(lines) for lines in headers)
    raised = [[""] * (deep - len(lines)) + lines for lines in headers]
    lines = [*zip(*raised, strict=True), ["-" * wide for wide in widths], *_strings(shown)]
    pads = [str.ljust if side == "left" else str.rjust for side in _aligned(shown)]
    padded = [[pad(text, wide) for pad, text, wide in zip(pads, line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)
