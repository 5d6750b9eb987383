import contextlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from tiny import EXACT, names_in

from harness import report
from harness.report import figures, labels, queries
from harness.report.style import FAMILIES, canvas, limits, panels, show_map, styled
from harness.store import RunFolder

SMALLEST = 3.5
"""Points; only numbers inside the cells of a matrix of twenty classes are so small."""


def each_kind(run: RunFolder) -> Iterator[tuple[str, Figure]]:
    """Each kind of figure once, of a few explainers, those with the longest names among them."""
    names = sorted(queries.families(run), key=len)[-4:]
    drawn = {
        "verdicts": figures.verdict_figure(run),
        "overview": figures.overview_figure(run),
        "maps": figures.gallery_figure(run, names, queries.classes(run)[:3]),
        "gains": figures.gains_figure(run, explainers=names),
        "curves": figures.curves_figure(run, "deletion", names[-2:], queries.classes(run)[:7]),
        "cascade": figures.cascade_figure(run, explainers=names),
        "confusion": figures.confusion_figure(run),
        "similarity": figures.similarity_figure(run, names),
        "recall": figures.recall_figure(run, explainers=names[-3:]),
    }
    return ((name, figure) for name, figure in drawn.items() if figure is not None)


def texts(figure: Figure) -> list[Text]:
    """What is written and seen."""
    return [each for each in figure.findobj(Text) if each.get_visible() and each.get_text().strip()]


def shown(figure: Figure) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Every visible text with its box in pixels, hidden tick labels and hidden panels left out."""
    drawn = FigureCanvasAgg(figure)
    drawn.draw()
    renderer = drawn.get_renderer()
    held = [each for ax in figure.axes if ax.get_visible() for each in (ax.title, ax._left_title, *ax.texts)]
    held += [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if ax.get_visible():
                held += [
                    each
                    for tick in axis._update_ticks()
                    for each, on in ((tick.label1, tick.label1.get_visible()), (tick.label2, tick.label2.get_visible()))
                    if on
                ]
    boxes = [(each.get_text(), each.get_window_extent(renderer).extents) for each in held if each.get_text().strip()]
    return [(text, tuple(box)) for text, box in boxes]


@pytest.mark.parametrize("which", ["few", "small", "large"])
def test_figures_fit_the_page_and_no_text_is_cut_off_or_too_small(which: str, request: pytest.FixtureRequest) -> None:
    # A pixel beyond the edge is the side bearing of a letter and shows nothing.
    for name, figure in each_kind(request.getfixturevalue(which)):
        assert figure.get_size_inches()[0] <= 9.7, name
        assert figure.get_size_inches()[1] <= 12, name
        width, height = figure.get_size_inches() * figure.dpi
        for text, (x0, y0, x1, y1) in shown(figure):
            assert x0 >= -1, (name, text)
            assert y0 >= -1, (name, text)
            assert x1 <= width + 1, (name, text)
            assert y1 <= height + 1, (name, text)
        assert min(each.get_fontsize() for each in texts(figure)) >= SMALLEST, name


def test_a_text_that_is_cut_off_is_found() -> None:
    figure = canvas(1.0, 1.0)
    figure.text(0.5, 0.5, "far wider than an inch of paper can hold")
    ((_, box),) = shown(figure)
    assert box[2] > figure.get_size_inches()[0] * figure.dpi


def test_pages_hold_every_explainer_once(large: RunFolder) -> None:
    pages = [plate for plate in figures.plates(large) if plate.name.startswith("recall")]
    names = [name for plate in pages for name in plate.draw.args[-1]]  # type: ignore[attr-defined]
    assert sorted(names) == sorted(name for name in queries.methods(large))


def test_every_figure_is_written_as_png_of_160_dots_an_inch(few: RunFolder, saved: list[str]) -> None:
    for name in saved:
        with Image.open(few.path / "figures" / f"{name}.png") as held:
            assert held.format == "PNG"
            assert held.info["dpi"] == pytest.approx((160, 160), abs=0.1)


def test_figures_of_a_run_have_their_expected_names(saved: list[str]) -> None:
    assert saved == [
        "confusion", "deletion", "deletion-gain", "insertion", "insertion-gain", "map-similarity", "maps", "overview",
        "randomization-cascade", "randomization-cascade-absolute", "recall", "verdicts", "verdicts-2",
    ]  # fmt: skip


def test_two_drawings_of_a_run_are_the_same_picture(small: RunFolder, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        figure = figures.overview_figure(small)
        assert figure is not None
        report.style.save(figure, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_without_labels_nothing_is_held_against_recall(unlabelled: RunFolder) -> None:
    assert figures.recall_figure(unlabelled) is None


def test_a_run_without_gains_has_no_overview(small: RunFolder) -> None:
    bare = RunFolder(small.path)
    bare.__dict__["scores"] = small.scores[names_in(small.scores) == "randomization-full"]
    assert figures.overview_figure(bare) is None
    assert "recall" not in [plate.name for plate in figures.plates(bare)]


def test_a_class_without_images_says_so(few: RunFolder) -> None:
    assert "Disgust (no images)" in {
        each.get_text() for each in texts(figures.gains_figure(few, explainers=["gradient"]))
    }


def test_an_explainer_without_values_is_undefined_in_the_figure(few: RunFolder) -> None:
    assert "undefined" in {each.get_text() for each in texts(figures.gains_figure(few, explainers=["rise"]))}


def test_a_row_with_fewer_values_says_how_many(few: RunFolder) -> None:
    assert "19/24" in {each.get_text() for each in texts(figures.gains_figure(few, explainers=["lime"]))}


def test_an_explainer_without_maps_leaves_its_place_empty(few: RunFolder) -> None:
    assert "no map" in {each.get_text() for each in texts(figures.gallery_figure(few, ["rise"]))}


def test_the_gallery_tells_a_picture_of_another_class(small: RunFolder) -> None:
    run, held = RunFolder(small.path), small.examples
    run.__dict__["examples"] = replace(held, labels=np.array(["class C", *held.targets[1:]]))
    written = " ".join(each.get_text() for each in texts(figures.gallery_figure(run)))
    assert f"class A image {held.images[0]} truly class C" in written.replace("\n", " ")
    assert written.count("truly") == 1


def test_a_control_is_drawn_dashed_and_grey(few: RunFolder) -> None:
    figure = figures.cascade_figure(few, "randomization-cascade", ["edges"])
    line = figure.axes[0].lines[-1]
    assert (line.get_color(), line.get_linestyle()) == (FAMILIES["control"], "--")


def test_curves_are_the_mean_of_the_stored_curves(few: RunFolder) -> None:
    figure = figures.curves_figure(few, "deletion", ["gradient"], ["Fear"])
    c = few.curves
    held = c[(c.metric == "deletion") & (c.explainer == "gradient") & (c.variant == "map") & (c.target == "Fear")]
    np.testing.assert_allclose(figure.axes[0].lines[-1].get_ydata(), held.groupby("x")["value"].mean(), rtol=EXACT)


def test_colours_of_a_map_are_symmetric_about_zero() -> None:
    map_ = np.random.default_rng(0).normal(1.0, 1.0, (16, 16))
    figure, axes = panels(1, 1, (1.0, 1.0))
    show_map(axes[0][0], map_)
    low, high = axes[0][0].images[0].get_clim()
    assert figure is not None
    assert (low, high) == (-np.percentile(np.abs(map_), 99), np.percentile(np.abs(map_), 99))


def test_a_sparse_map_has_limits_too() -> None:
    map_ = np.zeros((20, 20))
    map_[3, 3] = -2.0
    assert limits(map_) == 2.0


def test_drawing_leaves_matplotlib_as_it_was(small: RunFolder) -> None:
    before = dict(matplotlib.rcParams)
    figures.verdict_figure(small)
    assert dict(matplotlib.rcParams) == before


def test_the_look_ends_also_after_an_error() -> None:
    before = matplotlib.rcParams["font.size"]
    with contextlib.suppress(ZeroDivisionError), styled():
        assert matplotlib.rcParams["font.size"] == 8
        raise ZeroDivisionError
    assert matplotlib.rcParams["font.size"] == before


def test_no_figure_goes_through_pyplot() -> None:
    sources = Path(report.__file__).parent.glob("*.py")
    assert not [path.name for path in sources if "matplotlib.pyplot" in path.read_text() or "plt." in path.read_text()]


def test_names_beside_dots_do_not_cover_each_other() -> None:
    points = np.random.default_rng(3).uniform(0, 1, (12, 2))
    with styled():
        figure, axes = panels(1, 1, (2.8, 1.9))
        axes[0][0].set_xlim(-0.2, 1.2)
        axes[0][0].set_ylim(-0.2, 1.2)
        labels.place(axes[0][0], points, [f"class {i}" for i in range(12)], 6.5)
        drawn = FigureCanvasAgg(figure)
        drawn.draw()
    boxes = [Text.get_window_extent(each, drawn.get_renderer()) for each in axes[0][0].texts]
    shared = [a.intersection(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    # Boxes may touch by a pixel: the room that is kept is an estimate of each word's width.
    assert all(min(box.width, box.height) <= 1.5 for box in shared)


def test_names_on_one_spot_do_cover_each_other_without_placing() -> None:
    with styled():
        figure, axes = panels(1, 1, (2.8, 1.9))
        held = [axes[0][0].annotate(f"class {i}", (0.5, 0.5)) for i in range(2)]
        drawn = FigureCanvasAgg(figure)
        drawn.draw()
    first, second = (Text.get_window_extent(each, drawn.get_renderer()) for each in held)
    assert first.overlaps(second)


def test_a_curve_says_on_how_many_images_it_rests(few: RunFolder) -> None:
    assert "8 of 8" in {each.get_text() for each in texts(figures.curves_figure(few, "deletion", ["lime"], ["Fear"]))}


def test_bands_stay_inside_their_panels(few: RunFolder) -> None:
    for ax in figures.cascade_figure(few).axes:
        low, high = ax.get_ylim()
        for band in ax.collections:
            heights = band.get_paths()[0].vertices[:, 1]
            assert low <= heights.min() <= heights.max() <= high
