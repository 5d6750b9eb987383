"""One page over all runs below a folder: what was explained, by whom, how far each got, and where its page is."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.errors import UsageError
from harness.report import ladder, queries
from harness.report.templating import rendered
from harness.store import RunFolder

PAGE = "index.html"


@dataclass(frozen=True)
class Entry:
    """One run; `link` is "" where it has no page."""

    name: str
    link: str
    subject: str
    images: str
    explainers: Sequence[str]
    rungs: str


@dataclass(frozen=True)
class Index:
    """The page that was written, and a line for each run that could not be read."""

    path: Path
    refused: tuple[str, ...]


def write_index(place: Path) -> Index:
    """Write ``index.html`` over the runs below a folder.

    Raises
    ------
    UsageError
        Where there is no such folder, or no run below it.
    """
    if not place.is_dir():
        raise UsageError(f"{place} is no folder; give one with finished runs below it")
    entries, refused = list[Entry](), list[str]()
    for each in _runs(place):
        try:
            entries.append(_entry(place, RunFolder.existing(each)))
        except UsageError as error:
            refused.append(str(error))
    if not entries and not refused:
        raise UsageError(f"{place} holds no finished run (no run.json below it); make one with: harness run")
    folder = RunFolder(place)
    folder.write_text(PAGE, rendered(PAGE, folder=place.resolve().name, entries=entries, refused=refused))
    return Index(place / PAGE, tuple(refused))


def _runs(folder: Path) -> Iterator[Path]:
    """Yield the folders of runs, in the order of their names; a run's own folders hold none."""
    for place, below, files in os.walk(folder):
        below.sort()
        if "run.json" in files:
            below.clear()
            yield Path(place)


def _entry(folder: Path, run: RunFolder) -> Entry:
    """Return what the page says of a run."""
    place = run.path.relative_to(folder)
    made = (run.path / "report.html").is_file()
    methods = queries.methods(run)
    return Entry(
        name=run.path.resolve().name if place == Path() else place.as_posix(),
        link=quote((place / "report.html").as_posix()) if made else "",
        subject=run.record.subject.name,
        images=f"{sum(run.record.chosen.values())} of {run.record.faces.name}",
        explainers=methods,
        rungs=_rungs(run, methods),
    )


def _rungs(run: RunFolder, methods: Sequence[str]) -> str:
    """Return which methods reach which rung without a gap, the highest first."""
    if not len(run.ladder):
        return "–"
    reached: dict[tuple[int, str], list[str]] = {}
    for name in methods:
        one = ladder.standing(run, name, with_share=False)
        reached.setdefault((one.rung, one.name or "none"), []).append(name)
    return "; ".join(f"{rung} {label}: {', '.join(names)}" for (rung, label), names in sorted(reached.items())[::-1])
