"""The gallery's figures, at the width of a printed page."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report import queries, wording
from harness.report.effects import effects_figure
from harness.report.gain_figures import recall_figure
from harness.report.gallery_lime import lime_figure
from harness.report.gallery_parts import GAP, WIDTH, class_title, no_image
from harness.report.gallery_queries import NONE, StoredGallery
from harness.report.style import (
    FAINT,
    SIGNED,
    Margins,
    bare,
    canvas,
    heading,
    limits,
    panels,
    show_face,
    styled,
)

PRINT_DPI = 300

ACROSS = 7
"""Classes in a row."""
STRENGTH = "magma"


@dataclass(frozen=True)
class GalleryPlate:
    """A figure of the gallery: its name, title and caption, and whether the caption stands on it already."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure | None]
    carries_caption: bool = False


def gallery_plates(held: StoredGallery) -> Iterator[GalleryPlate]:
    """Yield the figures in the order of the report that the gallery follows."""
    right = "classified right" if held.labelled else "predicted as the class (the images have no labels)"
    rule = f"One image a class, at random among those {right}. Images: {held.images('random')}."
    yield GalleryPlate(
        "figure-1",
        "Figure 1. Saliency",
        f"{rule} Brighter pixels change the class's logit more (absolute gradient), each map scaled to its own 99th "
        "percentile.",
        partial(_faces_figure, held, "saliency", "Figure 1. Saliency", _strength),
    )
    shown = wording.shortened(held.called(held.about["outputs"]["image"]))
    outputs = GalleryPlate(
        "figure-2.2",
        "Figure 2.2. What filters give for one image",
        _outputs_caption(held),
        partial(_outputs_figure, held, f"Figure 2.2. Filter outputs for image {shown}"),
        carries_caption=True,
    )
    for place, layer in enumerate(held.about["layers"]):
        if not layer["layer"]:
            yield outputs
        name, title = _layer_names(held, place)
        yield GalleryPlate(
            name, title, _layer_caption(held, layer), partial(_units_figure, held, place, title), carries_caption=True
        )
    yield GalleryPlate(
        "figure-3",
        "Figure 3. LIME, beside the confusion matrix",
        f"One image a class, the one with the highest probability among those {right}. Images: "
        f"{held.images('surest')}. Bright and outlined: the segments that speak for the class, at most five, those of "
        "largest positive weight; the rest is darkened.",
        partial(lime_figure, held),
    )
    yield GalleryPlate(
        "figure-4",
        "Figure 4. Grad-CAM",
        f"The images of figure 1. Images: {held.images('random')}. Coloured places speak for the class, each map "
        "scaled to its own maximum.",
        partial(_faces_figure, held, "grad-cam", "Figure 4. Grad-CAM", _overlay),
    )
    yield GalleryPlate(
        "figure-5",
        "Figure 5. What the network truly uses",
        "The same faces rendered again with the actions of one part put to rest, or with it alone acting: true causes, "
        "in which no map is involved.",
        partial(effects_figure, held.run),
    )
    if "deletion-gain" in queries.metrics(held.run):
        yield GalleryPlate(
            "figure-6",
            "Figure 6. Faithfulness of the maps against recall, class by class",
            "How far each map's deletion curve runs under that of its null map, on average over a class's images, "
            "against the class's recall: do classes that do best have better maps?",
            partial(recall_figure, held.run, "deletion-gain", [n for n in queries.methods(held.run) if n in SHOWN]),
        )


SHOWN = ("saliency", "lime", "grad-cam")
"""The methods of figures 1, 3 and 4."""

# ---------------------------------------------------------------------- figures 1 and 4


def _faces_figure(
    held: StoredGallery, explainer: str, title: str, draw: Callable[[Axes, np.ndarray, np.ndarray], None]
) -> Figure:
    """Return a picture and its map for each class, seven classes in a row."""
    count = len(held.classes)
    across = min(ACROSS, count)
    blocks = -(-count // across)
    side = (WIDTH - 0.7 - GAP * (ACROSS - 1)) / ACROSS
    note = "Under each class: which image it is, and the class's probability."
    if not held.labelled:
        note += " The images have no labels: the class is the predicted one."
    with styled():
        margins = Margins(left=0.62, right=0.08, top=0.66, bottom=0.28, across=GAP, down=0.5)
        figure, axes = panels(blocks * across, across, (side, 2 * side + GAP), margins)
        for place in range(blocks * across):
            ax = axes[place // across][place % across]
            upper, lower = _halves(figure, ax)
            if place >= count:
                continue
            class_title(upper, held, "random", place)
            if place % across == 0:
                _row_name(upper, "image")
                _row_name(lower, explainer)
            if held.arrays["random_ids"][place] == NONE:
                no_image(upper, held.absent(held.classes[place]))
                no_image(lower, "")
                continue
            picture, map_ = (held.arrays[f"random_{what}"][place] for what in ("pictures", explainer))
            show_face(upper, picture)
            if np.isfinite(map_).all():
                draw(lower, picture, map_)
            else:
                no_image(lower, "no map was made")
        heading(figure, f"{title}: {held.title}")
        figure.text(0.62 / WIDTH, 0.07 / figure.get_figheight(), note, fontsize=6.5, color=FAINT)
    return figure


def _halves(figure: Figure, ax: Axes) -> tuple[Axes, Axes]:
    """Return two square panels in the place of one twice as high."""
    box = ax.get_position()
    ax.remove()
    high = float(figure.get_size_inches()[1])
    half = (box.height - GAP / high) / 2
    made = [figure.add_axes((box.x0, y, box.width, half)) for y in (box.y1 - half, box.y0)]
    for each in made:
        bare(each)
        each.patch.set_visible(False)
    return made[0], made[1]


def _row_name(ax: Axes, name: str) -> None:
    """Write what a row shows at its left."""
    ax.text(-0.08, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=7)


def _strength(ax: Axes, picture: Float[np.ndarray, "h w"], map_: Float[np.ndarray, "h w"]) -> None:
    """Draw a map without signs, black at zero."""
    ax.imshow(np.abs(map_), cmap=STRENGTH, vmin=0, vmax=limits(map_))


def _overlay(ax: Axes, picture: Float[np.ndarray, "h w"], map_: Float[np.ndarray, "h w"]) -> None:
    """Draw a coarse map over its picture, the stronger the more opaque; a map of zeros is named."""
    show_face(ax, picture)
    top = float(map_.max())
    if top <= 0:
        ax.text(0.5, 0.06, "map is zero", transform=ax.transAxes, ha="center", fontsize=6.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
        return
    share = np.clip(map_ / top, 0, 1)
    ax.imshow(matplotlib.colormaps["plasma"](share), alpha=0.75 * share**0.7, interpolation="bilinear")


# ---------------------------------------------------------------------- figure 2.1


def _layer_names(held: StoredGallery, place: int) -> tuple[str, str]:
    """Return file name and title of one layer's images."""
    about = held.about["layers"][place]
    if not about["layer"]:
        return "figure-2.3", "Figure 2.3. Images that most activate each class"
    many = f"{about['shown']} of {about['units']}" if about["shown"] < about["units"] else f"all {about['units']}"
    letter = "ab"[place]
    return f"figure-2.1{letter}", f"Figure 2.1{letter}. Images that most activate {many} filters of {about['layer']}"


def _layer_caption(held: StoredGallery, about: dict[str, Any]) -> str:
    """Return how the images were found and what the checks say of them."""
    ascent = held.about["ascent"]
    what = "class" if not about["layer"] else "filter"
    parts = [
        f"Gradient ascent on the input from noise ({ascent['steps']} steps, best of {ascent['draws']} starts). Under "
        f"each image: the {what}'s {'mean activation over places' if about['layer'] else 'logit'}, and in brackets "
        f"the largest that any of the {held.about['faces']['n']} images gives.",
        *checks_said(about),
    ]
    if about["layer"] and about["units"] < about["asked"]:
        parts.append(f"{about['asked']} were asked for; the layer has {about['units']}.")
    return " ".join(parts)


def checks_said(about: dict[str, Any]) -> list[str]:
    """Return what the checks of one layer's images found, a sentence each."""
    exceeds, random = about["outcomes"]
    found = []
    if exceeds["effect"] is not None:
        reached = round(exceeds["effect"] * exceeds["n"])
        found.append(f"Higher than every image: {reached} of {exceeds['n']} ({exceeds['verdict']}).")
        found += [f"{wording.begun(exceeds['reason'])}."] if exceeds["reason"] else []
    if random["effect"] is None:
        found.append(f"Random weights: not judged ({random['reason']}).")
    else:
        found.append(
            "Likeness to the picture that random weights give, beyond that between units: "
            f"{wording.number(random['effect'], signed=True)}, 99% interval "
            f"{wording.interval(random['low'], random['high'])}, margin {random['margin']:g} ({random['verdict']}); "
            "likeness between starts "
            f"{wording.number(about['agreement'] if about['agreement'] is not None else np.nan)}."
        )
    if about["dead"]:
        what = "Dead (no image and no start changes it)"
        found.append(f"{what}: {wording.listed(map(str, about['dead']))}.")
    return found


def _units_figure(held: StoredGallery, place: int, title: str) -> Figure:
    """Return one layer's images, each with its unit, what it reaches and what the best face gives."""
    about, rows = held.about["layers"][place], held.best(held.about["layers"][place]["layer"])
    pictures = held.arrays[f"filters_{place}"]
    across = ACROSS if not about["layer"] else 8
    side = (WIDTH - 0.16 - GAP * (across - 1)) / across
    note = textwrap.fill(_layer_caption(held, about), 146)
    with styled():
        low = 0.1 + 0.125 * (note.count("\n") + 1)
        margins = Margins(left=0.08, right=0.08, top=0.42, bottom=low + 0.24, across=GAP, down=0.26)
        figure, axes = panels(len(pictures), across, (side, side), margins)
        flat = [ax for row in axes for ax in row]
        for ax, picture, row in zip(flat, pictures, rows.to_dict("records"), strict=False):
            bare(ax)
            name = held.class_called(row["unit"]) if not about["layer"] else str(row["unit"])
            if row["dead"]:
                no_image(ax, "dead: nothing changes it")
            else:
                ax.imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=1)
            ax.text(0, -0.04, name, transform=ax.transAxes, va="top", fontsize=6.5, weight="bold")
            ax.text(
                0 if not about["layer"] else 1, -0.04 if about["layer"] else -0.17,
                f"{_short(row['reached'])} ({_short(row['best_face'])})", transform=ax.transAxes,
                ha="left" if not about["layer"] else "right", va="top", fontsize=6.5,
            )  # fmt: skip
        heading(figure, f"{title}: {held.title}")
        figure.text(0.08 / WIDTH, 0.06 / figure.get_figheight(), note, fontsize=6.5, color=FAINT, va="bottom")
    return figure


def _short(value: float) -> str:
    """Return three figures.

    Examples
    --------
    >>> _short(71.64), _short(0.4321), _short(0.0), _short(-3.0)
    ('71.6', '0.43', '0', '-3.00')
    """
    return "0" if value == 0 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


# ---------------------------------------------------------------------- figure 2.2


def _outputs_caption(held: StoredGallery) -> str:
    """Return whose outputs they are, and how to read them."""
    about = held.about["outputs"]
    truly = f", truly {about['label']}" if about["label"] not in ("", about["predicted"]) else ""
    when = "after their activation" if about["after_activation"] else "before activation and pooling"
    layers = wording.listed(about["layers"])
    return (
        f"Outputs of {layers}, {when}, for image {held.called(about['image'])} ({about['rule']}), seen as "
        f"{about['predicted']}{truly}. "
        "The number at the left is the first filter of a row. Red is above zero, blue below; each filter is "
        "scaled to its own 99th percentile."
    )


def _outputs_figure(held: StoredGallery, title: str) -> Figure:
    """Return the picture, and under it a block of filter outputs for each layer."""
    about = held.about["outputs"]
    blocks = [held.arrays[f"outputs_{place}"] for place in range(len(about["layers"]))]
    across = 16 if max(map(len, blocks), default=0) > 2 * 8 else 8
    wide = WIDTH - 0.42
    sizes = [wide * _mosaic(block, across).shape[0] / _mosaic(block, across).shape[1] for block in blocks]
    face, low = 1.15, 0.1
    height = 0.35 + face + sum(0.36 + size for size in sizes) + low
    with styled():
        figure = canvas(WIDTH, height)
        top = height - 0.35
        ax = figure.add_axes((0.34 / WIDTH, (top - face) / height, face / WIDTH, face / height))
        show_face(ax, held.arrays["outputs_picture"])
        bare(ax)
        note = textwrap.fill(_outputs_caption(held) + _note(about["note"]), 100)
        figure.text((0.34 + face + 0.15) / WIDTH, top / height, note, fontsize=7, va="top", linespacing=1.4)
        top -= face
        for name, block, size in zip(about["layers"], blocks, sizes, strict=True):
            top -= 0.36
            said = f"{name}: {len(block)} filters of {block.shape[1]}×{block.shape[2]}"
            figure.text(0.34 / WIDTH, (top + 0.05) / height, said, fontsize=8, weight="bold")
            ax = figure.add_axes((0.34 / WIDTH, (top - size) / height, wide / WIDTH, size / height))
            _draw_mosaic(ax, block, across)
            top -= size
        heading(figure, f"{title}: {held.title}")
    return figure


def _note(text: str) -> str:
    """Return a note as a sentence of its own."""
    return f" {wording.begun(text)}." if text else ""


def _mosaic(block: Shaped[np.ndarray, "f h w"], across: int) -> Float[np.ndarray, "hh ww"]:
    """Return all filters side by side, each from -1 to 1; NaN between them."""
    count, height, width = block.shape
    gap = max(1, round(width * 0.06))
    rows = -(-count // across)
    made = np.full((rows * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    for place, map_ in enumerate(block):
        y, x = (place // across) * (height + gap), (place % across) * (width + gap)
        made[y : y + height, x : x + width] = np.clip(map_ / limits(map_), -1, 1)
    return made


def _draw_mosaic(ax: Axes, block: Shaped[np.ndarray, "f h w"], across: int) -> None:
    """Draw a layer's filters with the number of each row's first."""
    made = _mosaic(block, across)
    ax.imshow(np.ma.masked_invalid(made), cmap=SIGNED, vmin=-1, vmax=1, aspect="auto")
    bare(ax)
    step = block.shape[1] + max(1, round(block.shape[2] * 0.06))
    for row in range(-(-len(block) // across)):
        ax.text(-0.006, row * step + block.shape[1] / 2, str(row * across), ha="right", va="center", fontsize=6.5,
                transform=ax.get_yaxis_transform())  # fmt: skip
