"""One self-contained page of a run: what was asked, the answer, the evidence, and how it came about."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from harness.report import answer, figures, ladder, queries, rendering, tables, wording
from harness.report.answer import Belief, State
from harness.report.queries import ALL
from harness.report.style import DPI, VERDICTS
from harness.store import CheckRecord, RunFolder

TABLES = (("deletion-gain", "spectrum-null"), ("insertion-gain", "spectrum-null"))
"""Per-class tables that the page shows; the others lie in ``tables/`` of the run folder."""

PIXELS_AN_INCH = 112
"""At which a figure's smallest text is about nine pixels high."""

_STATES = {
    State.BELIEVED: ("yes", "pass"),
    State.REFUTED: ("NO", "fail"),
    State.OPEN: ("?", "inconclusive"),
    State.UNJUDGED: ("–", "not applicable"),
}


@dataclass(frozen=True)
class Cell:
    """A table's cell: what stands in it, in smaller letters under it, and the colour behind it."""

    text: str
    below: str = ""
    fill: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of the page."""

    title: str
    head: Sequence[str]
    rows: Sequence[tuple[str, bool, Sequence[Cell]]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A picture as text that a page can hold, what stands where it cannot be seen, and how wide it is shown."""

    source: str
    alt: str
    width: int


@dataclass(frozen=True)
class Section:
    """Figures under one title, with one caption."""

    title: str
    caption: str
    pictures: Sequence[Picture]


def write_page(run: RunFolder) -> Path:
    """Write ``report.html``, one file that needs no other, and the figures that it shows.

    Returns
    -------
    Path
        Of the page, in the run folder.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    run.write_text("report.html", environment.get_template("report.html").render(_contents(run)))
    return run.path / "report.html"


def _contents(run: RunFolder) -> dict[str, Any]:
    """Return all that the template shows."""
    return {
        "title": f"Which explanations of {run.record.subject.name} can be believed?",
        "asked": _asked(run),
        "command": run.record.command,
        "answer": answer.answer(run),
        "standing": _standing(run),
        "by_class": _by_class(run),
        "verdicts": [_verdicts(run, title, names) for title, names in queries.check_groups(run).items()],
        "verdict_notes": tables.verdict_table(run).attrs["notes"],
        "metrics": _plain_grid(tables.overview_table(run)),
        "examinations": _plain_grid(tables.examination_table(run)),
        "tables": [_scores(run, *pair) for pair in TABLES if pair[1] in queries.metrics(run).get(pair[0], ())],
        "sections": _sections(run),
        "missing_figures": _absent(run),
        "checks": _checks(run),
        "nulls": wording.NULLS,
        "rule": _rule(run),
        "provenance": _provenance(run),
        "explainers": _explainers(run),
    }


def _asked(run: RunFolder) -> str:
    """Return the question in a sentence."""
    methods, controls = queries.methods(run), queries.controls(run)
    faces, chosen = run.record.faces, run.record.chosen
    images = len(run.scores[["image", "target"]].drop_duplicates())
    each = f", {wording.span(list(chosen.values()))} a class"
    beside = f"{_counted(controls, 'control')} that cannot be faithful" if controls else "no controls"
    return (
        f"{_counted(methods, 'way')} of explaining the network {run.record.subject.name} and {beside} were tested "
        f"on {images} images{each}, of the set {faces.name} ({faces.n} images, "
        f"{len(queries.classes(run))} classes)."
    )


def _counted(things: Sequence[str], word: str) -> str:
    """Return how many there are of what."""
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")


# ---------------------------------------------------------------------- tables


def _standing(run: RunFolder) -> Grid:
    """Return how far each explainer can be believed, or, where nothing decides a rung, for which class."""
    if len(run.ladder):
        return _ladder(run)
    held = answer.beliefs(run)
    shown = [ALL, *queries.classes(run)]
    rows = [
        (name, family in ("control", queries.ORACLE), [_standing_cell(held[name, where]) for where in shown])
        for name, family in queries.families(run).items()
    ]
    return Grid("Who can be believed for which class", ["explainer", *shown], rows)


def _ladder(run: RunFolder) -> Grid:
    """Return the ladder over all images, a rung a column."""
    table = ladder.ladder_table(run)
    reached = run.ladder[run.ladder["class"] == ALL].set_index(["explainer", "name"])["reached"]
    apart = {*queries.controls(run), *queries.oracles(run)}
    rows = [
        (
            str(name),
            name in apart,
            [_rung_cell(str(text), str(reached.get((name, column), ""))) for column, text in row.items()],
        )
        for name, row in table.iterrows()
    ]
    notes = [*table.attrs["notes"], *[f"{each.name}: {each.claim}." for each in run.record.rungs]]
    return Grid(str(table.attrs["title"]).capitalize(), ["explainer", *map(str, table.columns)], rows, notes)


def _rung_cell(text: str, reached: str) -> Cell:
    """Return a mark with its effect under it, on the colour of what it says."""
    mark, _, effect = text.partition(" ") if reached else (text, "", "")
    verdict = {"yes": "pass", "no": "fail", "open": "inconclusive", "not applicable": "not applicable"}.get(reached, "")
    return Cell(mark, effect, VERDICTS.get(verdict, ""))


def _by_class(run: RunFolder) -> Grid | None:
    """Return the highest rung of each method for each class; nothing where nothing decides a rung."""
    return _plain_grid(ladder.class_table(run).reset_index()) if len(run.ladder) else None


def _standing_cell(belief: Belief) -> Cell:
    """Return one standing as a mark."""
    mark, verdict = _STATES[belief.state]
    return Cell(mark, fill=VERDICTS[verdict])


def _verdicts(run: RunFolder, title: str, checks: Sequence[str]) -> Grid:
    """Return the verdict matrix of some checks with effect and n in every cell."""
    held = queries.verdicts(run)
    found = {(str(row["explainer"]), str(row["check"])): row for row in held.to_dict("records")}
    rows = [
        (name, family in ("control", queries.ORACLE), [_verdict_cell(found.get((name, check))) for check in checks])
        for name, family in queries.families(run).items()
    ]
    return Grid(title.capitalize(), ["explainer", *checks], rows)


def _verdict_cell(row: Mapping[Any, Any] | None) -> Cell:
    """Return one verdict: mark and effect over n."""
    if row is None:
        return Cell("")
    verdict = str(row["verdict"])
    below = "" if pd.isna(row["effect"]) else f"{row['n']} of {row['n'] + row['undefined']}"
    below += f", {row['units']} people" if below and row["unit"] == "people" else ""
    return Cell(tables.cell(verdict, float(row["effect"])), below, VERDICTS.get(verdict, ""))


def _scores(run: RunFolder, metric: str, variant: str) -> Grid:
    """Return a metric class by class, coloured by how far from zero."""
    table = tables.metric_table(run, metric, variant, by="explainer")
    shown = rendering.readable(table)
    names = table.attrs["explainers"]
    top = float(table.loc[names].astype(float).abs().max().max()) or 1.0
    controls = [*queries.controls(run), *queries.oracles(run)]
    rows = []
    for row in shown.itertuples(index=False):
        name = str(row[0])
        values = table.loc[name] if name in names else [None] * (len(row) - 1)
        fills = [_fill(value, top) for value in values]
        rows.append((name, name in controls, [Cell(str(t), fill=f) for t, f in zip(row[1:], fills, strict=True)]))
    return Grid(str(table.attrs["title"]), [str(name) for name in shown.columns], rows, list(table.attrs["notes"]))


def _plain_grid(table: pd.DataFrame) -> Grid:
    """Return a table as it is printed."""
    shown = rendering.readable(table)
    rows = [(str(row[0]), False, [Cell(str(text)) for text in row[1:]]) for row in shown.to_numpy()]
    return Grid(str(table.attrs["title"]), [str(name) for name in shown.columns], rows, list(table.attrs["notes"]))


def _fill(value: Any, top: float) -> str:
    """Return green for above zero and orange for below, the stronger the further; nothing where undefined."""
    if value is None or pd.isna(value):
        return ""
    share = min(abs(float(value)) / top, 1) if top == top else 0.0
    paint = "0, 158, 115" if value > 0 else "213, 94, 0"
    return f"rgba({paint}, {0.5 * share:.2f})"


# ---------------------------------------------------------------------- figures


def _sections(run: RunFolder) -> list[Section]:
    """Return the figures, pages of one kind together."""
    # The verdicts stand on the page as a table, which a reader can search and select.
    saved = [each for each in figures.save_figures(run) if not each.path.stem.startswith(figures.VERDICTS_PLATE)]
    return [
        Section(title, caption, [_picture(title, each.path) for each in group])
        for (title, caption), group in groupby(saved, key=lambda each: (each.title, each.caption))
    ]


def _picture(title: str, path: Path) -> Picture:
    """Return a figure for the page, every figure at the same scale."""
    with Image.open(path) as held:
        width = round(held.width / DPI * PIXELS_AN_INCH)
    source = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return Picture(source, f"{title} ({path.stem}); the numbers are in the run folder's tables", width)


def _absent(run: RunFolder) -> list[str]:
    """Return why a figure that a reader may expect is not there."""
    if queries.matrix(run, "confusion") is None:
        return ["The images have no labels, so there is no confusion matrix and nothing to hold against recall."]
    return []


# ---------------------------------------------------------------------- methods and provenance


def _checks(run: RunFolder) -> list[dict[str, str]]:
    """Return each check with its claim, control, margin and the margin's reason."""
    held = run.verdicts.drop_duplicates("check").set_index("check")
    return [
        {
            "name": each.name,
            "claim": each.claim,
            "control": str(held.loc[each.name, "control"]) if each.name in held.index else "",
            "margin": f"{_side(each)} {each.margin:g}",
            "reason": each.margin_reason,
            "reference": each.reference,
        }
        for each in run.record.checks
    ]


def _side(check: CheckRecord) -> str:
    """Return on which side of its margin a claim lies."""
    return "below" if check.at_most else "above"


def _rule(run: RunFolder) -> str:
    """Return when a verdict is a pass, and when an explainer is believed."""
    decisive = queries.check_groups(run).get("what decides", [])
    alpha, confidence = run.record.alpha, run.record.confidence
    return (
        "Scores are paired by image; the effect is the mean difference with its interval (confidence "
        f"{confidence:.0%}). Where persons are known they are the sample, and their images count as one. A claim "
        "passes where a one-sided p for an effect beyond the margin, corrected over the explainer's own claims and "
        f"their classes, is below {alpha}, and fails where one for an effect on the other side is; otherwise it is "
        "inconclusive, and the reason says what would settle it. An image for which an explainer has no map, or a "
        "constant one, gains nothing. An explainer can be believed where every deciding claim passes, at least one of "
        "them on faithfulness; it cannot where one fails; where one could not be asked it is undecided. What decides: "
        f"{wording.listed(decisive)}. Other checks repeat these by other means, or ask for virtues that a false map "
        "can have; they are shown. Checks over classes say nothing of a single map."
    )


def _provenance(run: RunFolder) -> list[tuple[str, str]]:
    """Return where the numbers come from."""
    record, passes = run.record, run.record.passes
    told = [
        ("run folder", run.name),
        ("subject", f"{record.subject.name}, digest {record.subject.digest}"),
        ("images", f"{record.faces.name}, {record.faces.n} images, digest {record.faces.digest}"),
        ("layer of class activation maps", str(record.subject.cam_layer)),
        ("notes", "; ".join(record.notes)),
        ("profile", _settings(record.profile)),
        ("seed", str(record.seed)),
        ("images passed", f"{passes.forward:,} forward, {passes.backward:,} backward"),
        ("time", f"{_duration(record.seconds)} on {record.device}"),
        ("arithmetic", _settings(record.arithmetic)),
        ("layers randomised", "; ".join(", ".join(group) for group in record.cascade)),
        ("versions", _settings({name: version for name, version in record.versions.items() if version})),
        ("schema", str(record.schema_version)),
    ]
    return [(name, value) for name, value in told if value]


def _settings(held: Mapping[str, object]) -> str:
    """Return settings as words."""
    return ", ".join(f"{name} {value}" for name, value in held.items())


def _duration(seconds: float) -> str:
    """Return seconds as a reader says them.

    Examples
    --------
    >>> _duration(61.5), _duration(3.2), _duration(7325)
    ('1 min 2 s', '3 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _explainers(run: RunFolder) -> list[dict[str, str]]:
    """Return each explainer with what it was."""
    families = queries.families(run)
    held = {each.name: each for each in run.record.explainers}
    return [
        {
            "name": name,
            "family": family,
            "settings": _settings(held[name].settings) or "none",
            "reference": held[name].reference,
            "digest": held[name].digest,
            "status": ": ".join(part for part in (held[name].status, held[name].reason) if part),
        }
        for name, family in families.items()
    ]
