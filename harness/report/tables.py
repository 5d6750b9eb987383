"""Tables of a run: scores class by class, verdicts check by check, and their printed forms."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tabulate import tabulate

from harness.errors import UsageError
from harness.report import reading, words
from harness.report.reading import ALL, DEFAULT_METRIC, Counts
from harness.store import RunFolder

WIDTH = 120
"""Columns of a terminal that a text table fits into."""


# ---------------------------------------------------------------------- making


def metric_table(
    run: RunFolder,
    metric: str = DEFAULT_METRIC,
    variant: str = "",
    by: Literal["class", "explainer"] = "class",
) -> pd.DataFrame:
    """Return the mean of a metric for each class and explainer.

    Parameters
    ----------
    run
        A finished run.
    metric
        A name, or name and variant as ``deletion-gain/transplant-null``.
    variant
        By default the spectrum null where there is one, else the first.
    by
        What the rows are.

    Returns
    -------
    pd.DataFrame
        By class: a row for each class of the subject, with or without images, and "all" (mean over images); columns
        ``n`` (text, defined of asked), ``recall`` where there are labels, and one an explainer, NaN where no value is
        defined. By explainer: the same transposed. ``attrs`` hold the counts of every cell for :func:`render`.

    Raises
    ------
    UsageError
        Where the run holds no such metric or variant; the message lists those it holds.
    """
    metric, variant = reading.chosen(run, metric, variant)
    held = reading.rows(run, metric, variant)
    table, count, recall = reading.means(run, held), reading.counts(run, held), reading.recalls(run)
    names = list(table.columns)
    if recall is not None:
        table.insert(0, "recall", recall)
    table.insert(0, "n", _n(count))
    table = table.rename_axis(index="class", columns=None)
    made = table if by == "class" else table.T.rename_axis("explainer")
    made.attrs = {
        "kind": "metric", "metric": metric, "variant": variant, "by": by, "explainers": names,
        "defined": count.defined.to_dict("index"), "asked": count.asked.to_dict("index"),
        "signed": reading.measure(run, metric).signed,
        "title": _title(run, metric, variant), "notes": _metric_notes(run, held),
    }  # fmt: skip
    return made


def verdict_tables(run: RunFolder) -> list[pd.DataFrame]:
    """Return each explainer's verdicts over all images in two tables: what decides, and what is shown."""
    groups = reading.check_groups(run)
    made = [verdict_table(run, names) for names in groups.values()]
    for table, title in zip(made, groups, strict=True):
        table.attrs["title"] += f"; {title}"
    for table in made[:-1]:
        table.attrs["notes"] = []
    return made or [verdict_table(run)]


def verdict_table(run: RunFolder, checks: Sequence[str] | None = None) -> pd.DataFrame:
    """Return each explainer's verdicts over all images.

    Parameters
    ----------
    run
        A finished run.
    checks
        Which ones; all by default.

    Returns
    -------
    pd.DataFrame
        A row an explainer, a column a check; a cell is a mark (pass, FAIL, ? for inconclusive, – for not applicable)
        and the effect. The first column, ``n``, counts the images with a defined value of those asked for.
    """
    held = reading.verdicts(run)
    checks = reading.checks(run) if checks is None else list(checks)
    held, names = held[held["check"].isin(checks)], list(reading.families(run))
    cells = _cells(held, "explainer", "check").reindex(index=names, columns=checks).fillna("")
    made = cells.rename_axis(index="explainer", columns=None)
    counted = _images(held, "explainer") | dict.fromkeys(reading.faults(run), "no maps")
    made.insert(0, "n", [counted.get(name, "–") for name in names])
    made.attrs = {
        "kind": "verdicts", "title": "verdicts over all images: mark and effect", "records": _records(held),
        "notes": [
            _marks_note(), _alpha_note(run), *_class_check_notes(held), *_unapplied_notes(run), *_control_notes(run),
        ],
    }  # fmt: skip
    return made


def per_class_verdicts(run: RunFolder) -> pd.DataFrame:
    """Return each explainer's verdicts class by class, over the checks that judge classes.

    Returns
    -------
    pd.DataFrame
        Columns ``explainer``, ``check``, ``n`` (range over the classes, defined of asked) and one a class of the
        subject; a class without images says so.
    """
    held = run.verdicts[run.verdicts["class"] != ALL]
    names, shown = list(reading.families(run)), [c for c in reading.checks(run) if c in set(held["check"])]
    keyed = held.assign(key=held["explainer"] + "\0" + held["check"])
    keys = [f"{name}\0{check}" for name in names for check in shown]
    keys = [key for key in keys if key in set(keyed["key"])]
    made = _cells(keyed, "key", "class").reindex(index=keys, columns=reading.classes(run)).fillna("no images")
    counted = _images(keyed, "key")
    made.insert(0, "n", [counted.get(key, "–") for key in keys])
    made.insert(0, "check", [key.split("\0")[1] for key in keys])
    made.insert(0, "explainer", [key.split("\0")[0] for key in keys])
    made = made.reset_index(drop=True).rename_axis(columns=None)
    made.attrs = {
        "kind": "verdicts", "title": "verdicts class by class: mark and effect", "records": _records(held),
        "notes": [_marks_note(), _alpha_note(run), *_control_notes(run)],
    }  # fmt: skip
    return made


def overview_table(run: RunFolder) -> pd.DataFrame:
    """Return every metric's mean over all images for each explainer.

    Returns
    -------
    pd.DataFrame
        A row a metric (of the map itself; gains over null maps are tables of their own), with ``better``, the
        direction that is a virtue, and ``tells truth from noise``, the share of images on which the metric puts the
        true causes before their null, where that was examined; then one column an explainer, NaN where no image has a
        defined value.
    """
    held = run.scores[(run.scores["variant"] == "map") & (run.scores["status"] != "failed")]
    names = list(dict.fromkeys(held["metric"]))
    made = held.pivot_table(index="metric", columns="explainer", values="value", aggfunc="mean", sort=False)
    made = made.reindex(index=names, columns=[name for name in reading.families(run) if name in made.columns])
    told = run.examinations.set_index("metric")["discrimination"].reindex(names)
    made.insert(0, "tells truth from noise", ["–" if pd.isna(share) else f"{share:.2f}" for share in told])
    made.insert(0, "better", [reading.measure(run, name).better or "–" for name in names])
    made = made.rename_axis(columns=None)
    made.attrs = {
        "kind": "overview", "title": "every metric: mean over the images with a defined value",
        "notes": [
            "tells truth from noise: share of images on which the metric puts the true causes before their spectrum "
            "null (.50 is chance), where causes are known.",
            *(f"{name}: {why}." for name, why in reading.metric_faults(run).items()),
            *_control_notes(run),
        ],
    }  # fmt: skip
    return made


def examination_table(run: RunFolder) -> pd.DataFrame:
    """Return what came of each metric's examination; empty where no cause is known of the faces."""
    held = run.examinations
    span = [f"{low:.2f} to {high:.2f}" for low, high in zip(held["low"], held["high"], strict=True)]
    made = pd.DataFrame(
        {
            "metric": held["metric"],
            "n": [words.of([n], [n + u]) for n, u in zip(held["n"], held["undefined"], strict=True)],
            "discrimination": [f"{share:.2f}" for share in held["discrimination"]],
            "interval": span,
            "verdict": held["verdict"],
            "reason": held["reason"],
        },
        dtype="object",
    )
    made.attrs = {
        "title": "which metrics can judge here",
        "notes": [
            "discrimination: share of images on which the metric puts the true causes before their spectrum null; a "
            "metric judges where truth, truth with noise and noise come in that order, each step significant.",
        ],
    }
    return made


def _n(count: Counts) -> list[str]:
    """Return defined of asked for each class, by the explainer that has most; cells with fewer say so themselves."""
    return [words.of([count.defined.loc[name].max()], count.asked.loc[name]) for name in count.defined.index]


def _images(held: pd.DataFrame, key: str) -> dict[str, str]:
    """Return defined of asked of the verdicts that count images, for each value of `key`."""
    over_images = held[held["family"] != "confusion"]
    made = {}
    for name, group in over_images.groupby(key, sort=False):
        judged = group[group["verdict"] != "not applicable"]
        counted = judged if len(judged) else group
        made[str(name)] = words.of(counted["n"], counted["n"] + counted["undefined"])
    return made


def _cells(held: pd.DataFrame, row: str, column: str) -> pd.DataFrame:
    """Return mark and effect of each verdict as a table."""
    asked = held["n"] + held["undefined"]
    marks = [
        "no images" if of == 0 and where != ALL else cell(verdict, effect)
        for verdict, effect, of, where in zip(held["verdict"], held["effect"], asked, held["class"], strict=True)
    ]
    made = held.assign(cell=pd.Series(marks, index=held.index, dtype="object"))
    return made.pivot(index=row, columns=column, values="cell")


def cell(verdict: str, effect: float) -> str:
    """Return a verdict's mark and effect.

    Examples
    --------
    >>> cell("pass", 0.1), cell("not applicable", float("nan"))
    ('pass +0.100', '–')
    """
    mark = words.MARKS.get(verdict, verdict)
    return mark if pd.isna(effect) else f"{mark} {words.number(effect, signed=True)}"


def _records(held: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as mappings with None for what is undefined."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in held.to_dict("records")]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, NaN as None."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


# ---------------------------------------------------------------------- notes


def _title(run: RunFolder, metric: str, variant: str) -> str:
    """Return what a metric table shows, in a line."""
    fact = reading.measure(run, metric)
    over = f" over {variant}" if variant in words.NULLS and fact.relative else f" ({variant})"
    return f"{metric}{over}: mean over images" + (f"; {fact.better} is better" if fact.better else "")


def _metric_notes(run: RunFolder, held: pd.DataFrame) -> list[str]:
    """Return what a reader must know beside the numbers: the metric, the nulls, what is missing and why."""
    metric, variant = (str(held[name].iloc[0]) for name in ("metric", "variant"))
    notes = [f"{metric}: {reading.measure(run, metric).meaning}."]
    if variant in words.NULLS:
        notes.append(f"{variant}: {words.NULLS[variant]}.")
    notes.append("n: images with a defined value of images asked for; a cell with fewer than its row shows its own.")
    absent = [name for name in reading.classes(run) if name not in set(held["target"])]
    if absent:
        notes.append(f"no images of: {', '.join(absent)}.")
    return [*notes, *_control_notes(run), *_missing(run, held)]


def _missing(run: RunFolder, held: pd.DataFrame) -> list[str]:
    """Return one line an explainer and reason for values that are not defined."""
    whole = held.groupby("explainer").size()
    lines = [f"{name}: {why}." for name, why in reading.faults(run).items() if name not in whole.index]
    gaps = held[~held["defined"]].groupby(["explainer", "status", "reason"], sort=False).size().reset_index(name="size")
    for row in gaps.to_dict("records"):
        why = f" ({row['reason']})" if row["reason"] else ""
        lines.append(f"{row['explainer']}: {row['size']} of {whole[row['explainer']]} {row['status']}{why}.")
    return lines


def _control_notes(run: RunFolder) -> list[str]:
    """Return which rows are no methods: those that cannot be faithful, and those made of the true causes."""
    told = {
        "controls, which cannot be faithful": reading.controls(run),
        "made of the true causes, with shares of noise": reading.oracles(run),
    }
    return [f"{what}: {', '.join(names)}." for what, names in told.items() if names]


def _unapplied_notes(run: RunFolder) -> list[str]:
    """Return which checks are left out, because they apply to nothing in this run."""
    names = reading.unapplied(run)
    return [f"not applicable here: {', '.join(names)}."] if names else []


def _marks_note() -> str:
    """Return what the marks say."""
    return "pass and FAIL: the claim holds, or does not; ?: inconclusive; –: not applicable."


def _alpha_note(run: RunFolder) -> str:
    """Return at which level the marks are given."""
    alpha = run.info.get("alpha")
    return f"alpha {alpha}, corrected over each explainer's claims; n: images with a defined value of images asked for."


def _class_check_notes(held: pd.DataFrame) -> list[str]:
    """Return how many classes the checks over classes rest on."""
    over_classes = held[(held["family"] == "confusion") & held["effect"].notna()]
    if over_classes.empty:
        return []
    counted = words.of(over_classes["n"], over_classes["n"] + over_classes["undefined"])
    return [f"confusion checks count classes: {counted}."]


# ---------------------------------------------------------------------- printing


def render(table: pd.DataFrame, format: str = "text") -> str:
    """Return a table as text.

    Parameters
    ----------
    table
        Of this module or of :mod:`harness.report.comparison`; any other table is printed as it is.
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
    """Print for a paper that uses booktabs."""
    shown = readable(table)
    body = tabulate(
        _strings(shown), list(shown.columns), "latex_booktabs", disable_numparse=True, colalign=_aligned(shown)
    )
    comments = [table.attrs.get("title", ""), *table.attrs.get("notes", [])]
    return "\n".join([*(f"% {line}" for line in comments if line), str(body)])


def _csv(table: pd.DataFrame) -> str:
    """Print for a spreadsheet: every mean is followed by how many values it rests on."""
    if table.attrs.get("kind") != "metric":
        return _flat(table).to_csv(index=False)
    by_class = table if table.attrs["by"] == "class" else table.T.rename_axis("class")
    wide = by_class.copy().drop(columns="n")
    wide.insert(0, "n", [max(table.attrs["asked"][name].values(), default=0) for name in by_class.index])
    for name in table.attrs["explainers"]:
        held = [table.attrs["defined"][where][name] for where in by_class.index]
        wide.insert(list(wide.columns).index(name) + 1, f"{name} defined", held)
    made = wide if table.attrs["by"] == "class" else wide.T.rename_axis("explainer")
    return str(made.to_csv())


def _json(table: pd.DataFrame) -> str:
    """Print for a program: undefined is null."""
    facts = {key: table.attrs[key] for key in ("title", "metric", "variant", "notes") if key in table.attrs}
    if table.attrs.get("kind") == "metric":
        body: dict[str, Any] = {"classes": _class_records(table)}
    else:
        body = {"rows": table.attrs.get("records") or _records(_flat(table))}
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
        | ({"recall": _plain(row["recall"])} if "recall" in by_class.columns else {})
        | {
            "explainers": {
                name: {"mean": _plain(row[name]), "defined": defined[where][name], "asked": asked[where][name]}
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
        return pd.DataFrame({name: [_shown(name, v) for v in flat[name]] for name in flat.columns}, dtype="object")
    by_class = table if table.attrs["by"] == "class" else table.T
    cells = {
        name: [_cell(table.attrs, str(where), name, by_class.loc[where, name]) for where in by_class.index]
        for name in by_class.columns
    }
    made = pd.DataFrame(cells, index=by_class.index, dtype="object")
    made = made if table.attrs["by"] == "class" else made.T
    return made.rename_axis(table.attrs["by"]).reset_index()


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison as a reader wants it: the interval in one column, and a reason where nobody can be ahead."""
    signed = table.attrs["signed"]
    made = {name: [str(v) for v in table[name]] for name in ("explainer", "first", "second", "n")}
    if not any(made["explainer"]):
        del made["explainer"]
    for name in ("first_mean", "second_mean"):
        made[name.replace("_", " ")] = [words.number(v, signed=signed) for v in table[name]]
    made["effect"] = [words.number(v, signed=True) for v in table["effect"]]
    made[f"{table.attrs['confidence']:.0%} interval"] = [
        words.interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)
    ]
    made["p"] = [words.bare_chance(p) for p in table["p"]]
    made["corrected p"] = [words.bare_chance(p) for p in table["p_adjusted"]]
    made["ahead"] = [a or reason or "undecided" for a, reason in zip(table["ahead"], table["reason"], strict=True)]
    return pd.DataFrame(made, dtype="object")


def _cell(attrs: Mapping[Any, Any], where: str, name: str, value: Any) -> str:
    """Return one cell of a metric table."""
    if name == "n":
        return str(value)
    if name == "recall":
        return "no faces" if pd.isna(value) else f"{value:.2f}"
    defined, asked = attrs["defined"][where], attrs["asked"][where]
    if asked[name] == 0:
        return "–"
    if pd.isna(value):
        return "undefined"
    text = words.number(float(value), signed=attrs["signed"])
    return text if defined[name] == max(defined.values()) else f"{text} ({defined[name]}/{asked[name]})"


def _shown(column: str, value: Any) -> str:
    """Return one cell of any other table."""
    if isinstance(value, float):
        return words.number(value, signed=column in _SIGNED)
    return str(value)


_SIGNED = ("effect", "low", "high")


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its index as a column, where that says anything."""
    return table.reset_index() if table.index.name else table


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
    return max(longest, *map(len, words.folded(name, header).split("\n")))


def _block(shown: pd.DataFrame, longest: Mapping[str, int]) -> str:
    """Print the columns of one block."""
    names = [str(name) for name in shown.columns]
    width = _header(longest, names) or _HEADERS[-1]
    widths = [_width(name, longest[name], width) for name in names]
    headers = [words.folded(name, width).split("\n") for name in names]
    deep = max(len(lines) for lines in headers)
    raised = [[""] * (deep - len(lines)) + lines for lines in headers]
    lines = [*zip(*raised, strict=True), ["-" * wide for wide in widths], *_strings(shown)]
    pads = [str.ljust if side == "left" else str.rjust for side in _aligned(shown)]
    padded = [[pad(text, wide) for pad, text, wide in zip(pads, line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)


# ---------------------------------------------------------------------- writing


def write_tables(run: RunFolder) -> list[Path]:
    """Write the tables that are read into ``tables/`` of the run folder, as csv and md.

    Class by class there are the metrics that a check rests on; ``harness table`` prints any other.
    """
    judged = {str(check["metric"]) for check in run.info.get("checks", []) if check.get("metric")}
    made = {
        f"{metric}-{variant}": metric_table(run, metric, variant)
        for metric, variants in reading.metrics(run).items()
        for variant in variants
        if metric in judged
    }
    made |= {"verdicts": verdict_table(run), "verdicts-by-class": per_class_verdicts(run)}
    made |= {"metrics": overview_table(run), "examinations": examination_table(run)}
    paths = []
    for name, table in made.items():
        for format in ("csv", "md"):
            run.write_text(f"tables/{name}.{format}", render(table, format))
            paths.append(run.path / "tables" / f"{name}.{format}")
    return paths
