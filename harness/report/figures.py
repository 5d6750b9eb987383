"""Every figure of a run with what a reader is told about it, and the pages of panels that a large run needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from harness.report import queries, wording
from harness.report.curve_figures import cascade_figure, curves_figure
from harness.report.effects import effects_figure
from harness.report.gain_figures import gains_figure, overview_figure, recall_figure
from harness.report.ladder_figure import ladder_figure, shares
from harness.report.map_figures import gallery_figure
from harness.report.matrix_figures import confusion_figure, similarity_figure, verdict_figure
from harness.report.queries import ALL, DEFAULT_METRIC
from harness.report.rank_figure import rank_figure
from harness.report.style import chunks, save
from harness.store import RunFolder

__all__ = [
    "Plate",
    "Saved",
    "cascade_figure",
    "confusion_figure",
    "curves_figure",
    "effects_figure",
    "gains_figure",
    "gallery_figure",
    "overview_figure",
    "plates",
    "rank_figure",
    "recall_figure",
    "save_figures",
    "similarity_figure",
    "verdict_figure",
    "write_figures",
]


VERDICTS_PLATE, MAPS_PLATE = "verdicts", "maps"
_EFFECTS = (
    "The same faces rendered again with the actions of one part put back to neutral, or with that part acting alone on "
    "the neutral face: person, light, pose and noise stay. What the class's probability loses or gains is what the "
    "network uses, measured and not guessed; no map is involved. A part whose interval holds zero is not shown to "
    "matter."
)


@dataclass(frozen=True)
class Plate:
    """A figure with what a reader is told about it.

    Attributes
    ----------
    name
        Stem of its file.
    title, caption
        What it shows, and how to read it.
    draw
        Makes it; None where the run holds nothing to draw.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure | None]


@dataclass(frozen=True)
class Saved:
    """A figure that was written."""

    path: Path
    title: str
    caption: str


def plates(run: RunFolder) -> Iterator[Plate]:
    """Yield every figure of a run, in the order in which a reader wants them; large runs have several pages of one."""
    # One line of the page says why the others have nothing to draw.
    everyone = queries.sound(run)
    methods = [name for name in everyone if name in queries.methods(run)]
    curves, metrics = set(run.curves["metric"]), queries.metrics(run)
    few = 20 if len(queries.classes(run)) <= 10 else 10
    columns = [names for group in queries.check_groups(run).values() for names in chunks(group, 12)]
    yield from _pages(
        Plate(VERDICTS_PLATE, "Verdicts", _VERDICTS, _nothing), columns or [[]], partial(verdict_figure, run)
    )
    if len(run.ladder) and shares(run):
        yield Plate("ladder", "How far each explainer can be believed", _LADDER, partial(ladder_figure, run))
    yield Plate("ranks", "Which methods can be told apart", _RANKS, partial(rank_figure, run))
    yield Plate("overview", "Gains over all images", _OVERVIEW, partial(overview_figure, run))
    yield from _galleries(run)
    for metric in ("deletion-gain", "insertion-gain"):
        if metric in metrics:
            plate = Plate(metric, f"{wording.begun(metric)}, class by class", _GAINS, _nothing)
            yield from _pages(plate, chunks(everyone, few), partial(gains_figure, run, metric))
    for metric in ("deletion", "insertion"):
        if metric in curves:
            yield from _curve_plates(run, metric)
    for metric, caption in _ORDERS.items():
        if metric in curves:
            plate = Plate(metric, "Randomisation of the network, layer by layer", caption, _nothing)
            yield from _pages(plate, chunks(everyone, 20), partial(cascade_figure, run, metric))
    yield Plate("part-effects", "What the network uses", _EFFECTS, partial(effects_figure, run))
    yield Plate("confusion", "What the network confuses", _CONFUSION, partial(confusion_figure, run))
    plate = Plate("map-similarity", "What is explained alike", _SIMILARITY, _nothing)
    yield from _pages(plate, chunks(everyone, 19), partial(similarity_figure, run))
    if DEFAULT_METRIC in metrics:
        plate = Plate("recall", "Score against recall", _RECALL, _nothing)
        yield from _pages(plate, chunks(methods, 12), partial(recall_figure, run, DEFAULT_METRIC))


def _nothing() -> None:
    """Draw nothing: a plate's pages draw."""


def _pages(
    plate: Plate, groups: Sequence[Sequence[str]], draw: Callable[[Sequence[str]], Figure | None]
) -> Iterator[Plate]:
    """Yield one page a group of explainers."""
    for number, names in enumerate(groups):
        yield replace(plate, name=_numbered(plate.name, number), draw=partial(draw, names))


def _galleries(run: RunFolder) -> Iterator[Plate]:
    """Yield the maps, at most eight explainers and ten classes a page."""
    if not (run.path / "examples.npz").is_file():
        return
    held = [str(name) for name in run.examples.targets]
    pages = [
        (names, classes)
        for names in chunks(queries.sound(run), 8)
        for classes in chunks([name for name in queries.classes(run) if name in held], 10)
    ]
    absent = [name for name in queries.classes(run) if name not in held]
    caption = _GALLERY + (f" No example of: {', '.join(absent)}." if absent else "")
    if len(run.images):
        caption += f" Images: {', '.join(run.called(int(image)) for image in run.examples.images)}."
    for number, page in enumerate(pages):
        yield Plate(_numbered(MAPS_PLATE, number), "Maps", caption, partial(gallery_figure, run, *page))


def _curve_plates(run: RunFolder, metric: str) -> Iterator[Plate]:
    """Yield the curves of the methods, at most eight classes and seven explainers a page."""
    shown = [*queries.classes(run), ALL]
    present = set(run.curves.loc[run.curves["metric"] == metric, "target"]) | {ALL}
    pages = [
        (names, classes)
        for classes in chunks([name for name in shown if name in present], 8)
        for names in chunks([name for name in queries.sound(run) if name in queries.methods(run)], 7)
    ]
    absent = [name for name in shown if name not in present]
    caption = f"{_CURVES[metric]} {_NO_CONTROLS}" + (f" No images of: {', '.join(absent)}." if absent else "")
    for number, page in enumerate(pages):
        yield Plate(
            _numbered(metric, number), f"{wording.begun(metric)} curves", caption,
            partial(curves_figure, run, metric, *page),
        )  # fmt: skip


def _numbered(name: str, number: int) -> str:
    """Return a page's name; the first has no number, so that a small run's figures and a large one's begin alike."""
    return name if number == 0 else f"{name}-{number + 1}"


def save_figures(run: RunFolder) -> list[Saved]:
    """Write every figure that the run has something for, and return it with its caption."""
    saved = []
    for plate in plates(run):
        figure = plate.draw()
        if figure is not None:
            path = save(figure, run.path / "figures" / f"{plate.name}.png")
            saved.append(Saved(path, plate.title, plate.caption))
    return saved


def write_figures(run: RunFolder) -> list[Path]:
    """Write every figure as PNG into ``figures/`` of the run folder."""
    return [each.path for each in save_figures(run)]


_VERDICTS = (
    "A row an explainer, a column a claim. The mark says whether the claim holds, the number is the effect that it "
    "rests on. Names in grey are controls, which cannot be faithful: a check that passes them shows nothing here."
)
_LADDER = (
    "Of the pairs of cells that the network's answers to all coalitions order alike under every fill, the share that a "
    "map orders alike, with its interval, from chance to the truth. Green shows what counted, orange does not, yellow "
    "is open; grey is what they are compared with."
)
_RANKS = (
    "Each method's rank by the share of settled pairs, averaged over people (images, where nobody is known); 1 is the "
    "best. A bar joins methods that Nemenyi's test does not tell apart; the grey line is as long as mean ranks must "
    "lie apart (Demsar 2006). Ranks hang on who is ranked and decide nothing; controls and maps made of the truth are "
    "left out."
)
_OVERVIEW = (
    "How much better each map orders the pixels than its own null map does, mean over images with its interval. Right "
    "of zero is better than chance; controls are hollow, grey and dashed. Fractions give images with a defined value."
)
_GALLERY = (
    "One image a class, classified right where there is such an image. Red speaks for the class, blue against it, "
    "white is zero; full colour is the 99th percentile of the map's own size, so strength compares within a map and "
    "not between maps."
)
_GAINS = (
    "The same gain class by class, mean with its interval; the number of images stands beside the class. An interval "
    "that crosses zero has not beaten the null map for that class."
)
_CURVES = {
    "deletion": (
        "The target's probability while pixels are removed, those that the map ranks highest first. A faithful map "
        "falls below both of its nulls; the area between is the deletion gain."
    ),
    "insertion": (
        "The target's probability while pixels are shown, those that the map ranks highest first. A faithful map rises "
        "above both of its nulls; the area between is the insertion gain."
    ),
}
_NO_CONTROLS = "Controls stand among the gains: raw curves of unlike maps do not compare."
_CASCADE = (
    "How alike the map stays to that of the trained network while layers are set to random weights, from the output "
    "downwards. A map that depends on what the network learned falls to its transplant null; one that stays high would "
    "say the same of a network that knows nothing."
)
_ORDERS = {
    "randomization-cascade": _CASCADE,
    "randomization-cascade-absolute": _CASCADE,
    "randomization-bottom-up": (
        "The same from the input upwards: the last point is again the network that knows nothing. A map that stays "
        "high until the last layers are random depends on those alone."
    ),
    "randomization-independent": (
        "Each group of layers random alone, all others as trained. A point that stays high says that the map does not "
        "depend on what those layers learned."
    ),
}
_CONFUSION = (
    "Rows are true classes, columns predicted ones; numbers are images. Beside it, how alike the mean images of two "
    "classes are: maps may be alike for that reason alone."
)
_SIMILARITY = (
    "How alike the mean maps of two classes are, darker is more alike, each panel from its own least to its own most; "
    "the diagonal is left out. Where classes that are confused are explained alike, a panel resembles the mistakes."
)
_RECALL = (
    "Each dot is a class: how often the network gets it right, and how much better than its null the map is there."
)
