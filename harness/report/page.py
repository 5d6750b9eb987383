"""One self-contained page of a run: what was asked, the answer, the evidence, and how it came about."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from harness.report import answer, evidence, figures, grids, map_picker, queries, tables, wording, workings
from harness.report.answer import State
from harness.report.queries import ALL
from harness.report.style import DPI
from harness.report.templating import picture_source, rendered
from harness.store import RunFolder

TABLES = (("deletion-gain", "spectrum-null"), ("insertion-gain", "spectrum-null"))
"""Per-class tables that the page shows; the others lie in ``tables/`` of the run folder."""

FIGURES = 4_000_000
"""Most characters that the figures may take of a page, which so stays below ten megabytes."""

PIXELS_AN_INCH = 112
"""At which a figure's smallest text is about nine pixels high."""


@dataclass(frozen=True)
class Picture:
    """A picture as text that a page can hold, what stands where it cannot be seen, how wide it is shown and where."""

    anchor: str
    source: str
    alt: str
    width: int


@dataclass(frozen=True)
class Section:
    """Figures under one title, with one caption."""

    title: str
    caption: str
    pictures: Sequence[Picture]


def write_page(run: RunFolder, beside: Sequence[pd.DataFrame] = ()) -> Path:
    """Write ``report.html``, one file that needs no other, and the figures that it shows.

    Parameters
    ----------
    run
        A finished run.
    beside
        Tables about explainers, named by their index, that stand with those of ranks and agreement.

    Returns
    -------
    Path
        Of the page, in the run folder.
    """
    run.write_text("report.html", rendered("report.html", **_contents(run, beside)))
    return run.path / "report.html"


def _contents(run: RunFolder, beside: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Return all that the template shows."""
    sections, chosen = _sections(run), map_picker.picker(run)
    anchors = {each.anchor.removeprefix("figure-"): each.anchor for group in sections for each in group.pictures}
    anchors |= {"maps": "maps"} if chosen else {}
    scores = [grids.scores(run, *pair) for pair in TABLES if pair[1] in queries.metrics(run).get(pair[0], ())]
    said = list(tables.verdict_table(run).attrs["notes"])
    shared = [note for note in scores[0].notes if all(note in each.notes for each in scores)] if scores[1:] else []
    return {
        "title": f"Which explanations of {run.record.subject.name} can be believed?",
        "asked": _asked(run),
        "unknown": _unknown(run),
        "command": run.record.command,
        "answer": answer.answer(run),
        "in_short": grids.in_short(run),
        "why": _why(run),
        "confidence": f"{run.record.confidence:.0%}",
        "standing": grids.standing(run),
        "by_class": grids.by_class(run),
        "classes": _classes(run),
        "verdicts": [grids.verdicts(run, *group) for group in queries.check_groups(run).items()],
        "verdict_notes": said,
        "picker": chosen,
        "metrics": grids.without(grids.metrics(run), said),
        "examinations": grids.plain(tables.examination_table(run), "metric"),
        "agreement": [
            *(grids.plain(*each) for each in _agreement(run)),
            *(grids.plain(table, "explainer") for table in beside),
        ],
        "tables": [grids.without(each, [*said, *shared]) for each in scores],
        "table_notes": [note for note in shared if note not in said],
        "sections": sections,
        "claims": evidence.claims(run, anchors),
        "evidence_head": evidence.HEAD,
        "evidence_note": evidence.shortened(run),
        "nulls": wording.NULLS,
        "rule": _rule(run),
        "power": grids.plain(workings.power_table(run), "claim"),
        "provenance": _provenance(run),
        "cost": grids.plain(workings.cost_table(run), "explainer"),
        "explainers": _explainers(run),
        "choices": _choices(run),
    }


def _agreement(run: RunFolder) -> list[tuple[pd.DataFrame, str]]:
    """Return the tables of ranks and agreement, each with what its rows are of."""
    of = {"ranks": "score", "reliability": "score", "agreement": "explainer"}
    return [(table, of[name]) for name, table in tables.agreement_tables(run).items()]


def _choices(run: RunFolder) -> dict[str, list[str]]:
    """Return by what the tables can be filtered."""
    held = queries.metrics(run)
    return {
        "explainer": queries.sound(run),
        "class": queries.classes(run),
        "claim": [each.name for each in run.record.checks],
        "metric": sorted({*held, *(each.metric for each in run.record.checks if each.metric)}),
        "verdict": list(wording.MARKS),
    }


def _classes(run: RunFolder) -> list[tuple[str, str]]:
    """Return who can be believed for which classes, classes of one answer together."""
    told: dict[str, list[str]] = {}
    for name, text in answer.answer(run).classes:
        told.setdefault(text, []).append(name)
    return [(wording.listed(names), text) for text, names in told.items()]


def _why(run: RunFolder) -> list[tuple[str, State, str, Sequence[str]]]:
    """Return for each method its standing, the verdict that says most, and what else is to be said."""
    held = answer.beliefs(run)
    return [
        (name, state, answer.brief(run, held[name, ALL]), [text for text in (why, by_class) if text])
        for name, state, why, by_class in answer.answer(run).explainers
    ]


def _unknown(run: RunFolder) -> list[str]:
    """Return what the run could not tell, a line each with what to bring."""
    told = []
    if queries.matrix(run, "confusion") is None:
        told.append(
            "The images have no labels, so recall and confusions are unknown: bring a folder a class, or an .npz with "
            "labels."
        )
    if not len(run.persons):
        told.append("Who is on which picture is unknown, so every picture counts as one: bring that with --groups.")
    if not queries.controls(run):
        told.append("There are no controls: bring some with --explainer edges.")
    told += [f"No maps of {name}: {why}." for name, why in queries.faults(run).items()]
    return told


def _asked(run: RunFolder) -> str:
    """Return the question in a sentence."""
    methods, controls = queries.methods(run), queries.controls(run)
    faces, chosen = run.record.faces, run.record.chosen
    images = run.scores["image"].nunique()
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


# ---------------------------------------------------------------------- figures


def _sections(run: RunFolder) -> list[Section]:
    """Return the figures, pages of one kind together."""
    # The verdicts stand on the page as a table and the maps beside each other, to be searched and chosen from.
    apart = (figures.VERDICTS_PLATE, figures.MAPS_PLATE)
    saved = [each for each in figures.save_figures(run) if not each.path.stem.startswith(apart)]
    sources = embedded([each.path for each in saved])
    return [
        Section(title, caption, [_picture(title, each.path, sources[each.path]) for each in group])
        for (title, caption), group in groupby(saved, key=lambda each: (each.title, each.caption))
    ]


def _picture(title: str, path: Path, source: str) -> Picture:
    """Return a figure for the page, every figure at the same scale."""
    with Image.open(path) as held:
        width = round(held.width / DPI * PIXELS_AN_INCH)
    alt = f"{title} ({path.stem}); the numbers are in the run folder's tables"
    return Picture(f"figure-{path.stem}", source, alt, width)


def embedded(paths: Sequence[Path]) -> dict[Path, str]:
    """Return figures as text: as drawn where all fit the page, else in 256 colours, and "" where it is full."""
    made = {path: picture_source(path.read_bytes()) for path in paths}
    if sum(map(len, made.values())) > FIGURES:
        made = {path: picture_source(_in_few_colours(path)) for path in paths}
    spent, held = 0, dict[Path, str]()
    for path, source in made.items():
        spent += len(source)
        held[path] = source if spent <= FIGURES else ""
    return held


def _in_few_colours(path: Path) -> bytes:
    """Return a figure with a palette, which takes a third of the room."""
    made = io.BytesIO()
    with Image.open(path) as held:
        few = held.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(made, format="PNG", optimize=True)
    return made.getvalue()


# ---------------------------------------------------------------------- methods and provenance


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
