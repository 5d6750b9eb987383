"""Tables of a run: scores class by class, verdicts check by check, and their printed forms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from harness.report import queries, ranks, reliability, wording
from harness.report.queries import ALL, DEFAULT_METRIC, Counts
from harness.report.rendering import records, render
from harness.store import IDENTITY, RunFolder

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
        By default as :func:`harness.report.queries.chosen` has it.
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
    metric, variant = queries.chosen(run, metric, variant)
    held = queries.rows(run, metric, variant)
    table, count, recall = queries.means(run, held), queries.counts(run, held), queries.recalls(run)
    names, largest = list(table.columns), float(np.nanmax(table.abs().to_numpy(), initial=0))
    if recall is not None:
        table.insert(0, "recall", recall)
    table.insert(0, "n", _n(count))
    table = table.rename_axis(index="class", columns=None)
    made = table if by == "class" else table.T.rename_axis("explainer")
    made.attrs = {
        "kind": "metric", "metric": metric, "variant": variant, "by": by, "explainers": names,
        "defined": count.defined.to_dict("index"), "asked": count.asked.to_dict("index"),
        "signed": queries.measure(run, metric).signed, "largest": largest,
        "score": held[list(IDENTITY)].iloc[0].to_dict(),
        "title": _title(run, metric, variant), "notes": _metric_notes(run, held),
    }  # fmt: skip
    return made


def verdict_tables(run: RunFolder) -> list[pd.DataFrame]:
    """Return each explainer's verdicts over all images in two tables: what decides, and what is shown."""
    groups = queries.check_groups(run)
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
    held = queries.verdicts(run)
    checks = queries.checks(run) if checks is None else list(checks)
    held, names = held[held["check"].isin(checks)], list(queries.families(run))
    cells = _cells(held, "explainer", "check").reindex(index=names, columns=checks).fillna("")
    made = cells.rename_axis(index="explainer", columns=None)
    counted = _images(held, "explainer") | dict.fromkeys(queries.faults(run), "no maps")
    made.insert(0, "n", [counted.get(name, "–") for name in names])
    made.attrs = {
        "kind": "verdicts", "title": "verdicts over all images: mark and effect", "records": records(held),
        "notes": [
            _marks_note(), _alpha_note(run), *_class_check_notes(held), *_unapplied_notes(run),
            *(f"{why}." for why in queries.check_faults(run).values()), *_control_notes(run),
        ],
    }  # fmt: skip
    return made


def per_class_verdicts(run: RunFolder) -> pd.DataFrame:
    """Return each explainer's verdicts class by class, over the checks that judge classes.

    Returns
    -------
    pd.DataFrame
        Columns ``explainer``, ``check``, ``n`` (range over the classes, defined of asked), each marked where a class is
        called so (:func:`harness.report.wording.own_label`), and one a class of the subject; a class without images
        says so.
    """
    held = run.verdicts[run.verdicts["class"] != ALL]
    names, shown = list(queries.families(run)), [c for c in queries.checks(run) if c in set(held["check"])]
    keyed = held.assign(key=held["explainer"] + "\0" + held["check"])
    judged = set(keyed["key"])
    keys = [key for name in names for check in shown if (key := f"{name}\0{check}") in judged]
    made = _cells(keyed, "key", "class").reindex(index=keys, columns=queries.classes(run)).fillna("no images")
    counted = _images(keyed, "key")
    own = {
        "explainer": [key.split("\0")[0] for key in keys],
        "check": [key.split("\0")[1] for key in keys],
        "n": [counted.get(key, "–") for key in keys],
    }
    for place, (label, column) in enumerate(own.items()):
        made.insert(place, wording.own_label(label, queries.classes(run)), column)
    made = made.reset_index(drop=True).rename_axis(columns=None)
    made.attrs = {
        "kind": "verdicts", "title": "verdicts class by class: mark and effect", "records": records(held),
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
        truth before its null, where that was examined; then one column an explainer, NaN where no image has a
        defined value.
    """
    scores = run.named_scores
    held = scores[(scores["variant"] == "map") & (scores["status"] != "failed")]
    names = list(dict.fromkeys(held["name"]))
    made = held.pivot_table(index="name", columns="explainer", values="value", aggfunc="mean", sort=False)
    made = made.rename_axis(index="metric")
    made = made.reindex(index=names, columns=[name for name in queries.families(run) if name in made.columns])
    told = run.examinations.set_index("metric")["discrimination"].reindex(names)
    made.insert(0, "tells truth from noise", ["–" if pd.isna(share) else f"{share:.2f}" for share in told])
    made.insert(0, "better", [queries.measure(run, name).better or "–" for name in names])
    made = made.rename_axis(columns=None)
    made.attrs = {
        "kind": "overview", "title": "every metric: mean over the images with a defined value",
        "notes": [
            "tells truth from noise: share of images on which the metric puts the truth before its spectrum null (.50 "
            "is chance), where that was examined.",
            *(f"{name}: {why}." for name, why in queries.metric_faults(run).items()),
            *_control_notes(run),
        ],
    }  # fmt: skip
    return made


def examination_table(run: RunFolder) -> pd.DataFrame:
    """Return what came of each metric's examination; empty where neither cells nor causes were asked about."""
    held = run.examinations
    span = [f"{low:.2f} to {high:.2f}" for low, high in zip(held["low"], held["high"], strict=True)]
    made = pd.DataFrame(
        {
            "metric": held["metric"],
            "n": [wording.of([n], [n + u]) for n, u in zip(held["n"], held["undefined"], strict=True)],
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
            "discrimination: share of images on which the metric puts the truth before its spectrum null; a metric "
            "judges where truth, truth with noise and noise come in that order, each step significant, and the truth "
            "before edges, the middle of the picture and the mean picture. The truth is that of the game, for metrics "
            "of parts the true causes.",
        ],
    }
    return made


def agreement_tables(run: RunFolder) -> dict[str, pd.DataFrame]:
    """Return ranks, reliability and agreement of the methods, by name, as far as the run tells them."""
    made = {
        "ranks": ranks.rank_table(run),
        "reliability": reliability.reliability_table(run),
        "agreement": reliability.agreement_table(run),
    }
    return {name: table for name, table in made.items() if table is not None and len(table)}


def _n(count: Counts) -> list[str]:
    """Return defined of asked for each class, by the explainer that has most; cells with fewer say so themselves."""
    return [wording.of([count.defined.loc[name].max()], count.asked.loc[name]) for name in count.defined.index]


def _images(held: pd.DataFrame, key: str) -> dict[str, str]:
    """Return defined of asked of the verdicts that count images, for each value of `key`."""
    over_images = held[held["unit"] != "classes"]
    made = {}
    for name, group in over_images.groupby(key, sort=False):
        judged = group[group["verdict"] != "not applicable"]
        counted = judged if len(judged) else group
        made[str(name)] = wording.of(counted["n"], counted["n"] + counted["undefined"])
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
    mark = wording.MARKS.get(verdict, verdict)
    return mark if pd.isna(effect) else f"{mark} {wording.number(effect, signed=True)}"


# ---------------------------------------------------------------------- notes


def _title(run: RunFolder, metric: str, variant: str) -> str:
    """Return what a metric table shows, in a line."""
    fact = queries.measure(run, metric)
    over = f" over {variant}" if variant in wording.NULLS and fact.relative else f" ({variant})"
    return f"{metric}{over}: mean over images" + (f"; {fact.better} is better" if fact.better else "")


def _metric_notes(run: RunFolder, held: pd.DataFrame) -> list[str]:
    """Return what a reader must know beside the numbers: the metric, the nulls, what is missing and why."""
    metric, variant = (str(held[name].iloc[0]) for name in ("name", "variant"))
    notes = [f"{metric}: {queries.measure(run, metric).meaning}."]
    if variant in wording.NULLS:
        notes.append(f"{variant}: {wording.NULLS[variant]}.")
    notes.append("n: images with a defined value of images asked for; a cell with fewer than its row shows its own.")
    absent = [name for name in queries.classes(run) if name not in set(held["target"])]
    if absent:
        notes.append(f"no images of: {', '.join(absent)}.")
    return [*notes, *_control_notes(run), *_missing(run, held)]


def _missing(run: RunFolder, held: pd.DataFrame) -> list[str]:
    """Return one line an explainer and reason for values that are not defined."""
    whole = held.groupby("explainer").size()
    lines = [f"{name}: {why}." for name, why in queries.faults(run).items() if name not in whole.index]
    gaps = held[~held["defined"]].groupby(["explainer", "status", "reason"], sort=False).size().reset_index(name="size")
    for row in gaps.to_dict("records"):
        why = f" ({row['reason']})" if row["reason"] else ""
        lines.append(f"{row['explainer']}: {row['size']} of {whole[row['explainer']]} {row['status']}{why}.")
    return lines


def _control_notes(run: RunFolder) -> list[str]:
    """Return which rows are no methods: those that cannot be faithful, and those made of the truth."""
    played = [name for name in queries.oracles(run) if name.startswith(queries.TRUTH)]
    told = {
        "controls, which cannot be faithful": queries.controls(run),
        "made of the true causes, with shares of noise": [o for o in queries.oracles(run) if o not in played],
        "made of the truth of the games, with shares of noise": played,
    }
    return [f"{what}: {', '.join(names)}." for what, names in told.items() if names]


def _unapplied_notes(run: RunFolder) -> list[str]:
    """Return which checks are left out, because they apply to nothing in this run."""
    names = queries.unapplied(run)
    return [f"not applicable here: {', '.join(names)}."] if names else []


def _marks_note() -> str:
    """Return what the marks say."""
    return "pass and FAIL: the claim holds, or does not; ?: inconclusive; –: not applicable."


def _alpha_note(run: RunFolder) -> str:
    """Return at which level the marks are given."""
    alpha = run.record.alpha
    return f"alpha {alpha}, corrected over each explainer's claims; n: images with a defined value of images asked for."


def _class_check_notes(held: pd.DataFrame) -> list[str]:
    """Return how many classes the checks over classes rest on."""
    over_classes = held[(held["unit"] == "classes") & held["effect"].notna()]
    if over_classes.empty:
        return []
    counted = wording.of(over_classes["n"], over_classes["n"] + over_classes["undefined"])
    names = wording.listed(list(dict.fromkeys(over_classes["check"])))
    return [f"{names} count{'' if ' and ' in names else 's'} classes: {counted}."]


# ---------------------------------------------------------------------- writing


def write_tables(run: RunFolder) -> list[Path]:
    """Write the tables that are read into ``tables/`` of the run folder, as csv and md.

    Class by class there are the metrics that a check rests on; ``harness table`` prints any other.
    """
    judged = {check.metric for check in run.record.checks if check.metric}
    made = {
        f"{metric}-{variant}": metric_table(run, metric, variant)
        for metric, variants in queries.metrics(run).items()
        for variant in variants
        if metric in judged
    }
    made |= {"verdicts": verdict_table(run), "verdicts-by-class": per_class_verdicts(run)}
    made |= {"metrics": overview_table(run), "examinations": examination_table(run), **agreement_tables(run)}
    paths = []
    for name, table in made.items():
        for format in ("csv", "md"):
            run.write_text(f"tables/{name}.{format}", render(table, format))
            paths.append(run.path / "tables" / f"{name}.{format}")
    return paths
