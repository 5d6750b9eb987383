"""The gallery as one page and as one picture."""

import base64
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.font_manager
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from harness.report import wording
from harness.report.gallery_answer import QUESTION, GalleryAnswer, gallery_answer
from harness.report.gallery_figures import PRINT_DPI, SHOWN, GalleryPlate, checks_said, gallery_plates
from harness.report.gallery_queries import StoredGallery
from harness.report.style import INK, save, save_picture
from harness.report.templating import rendered

SHOWN_WIDTH = 880
"""Pixels across a figure on the page."""

POSTER_DPI = 200
COLUMN, GUTTER = 1500, 90
"""Pixels across a column of the poster and around it."""


@dataclass(frozen=True)
class _Drawn:
    """A plate with the file that it was drawn into."""

    plate: GalleryPlate
    path: Path


def write_gallery(held: StoredGallery) -> list[Path]:
    """Write every figure, ``gallery.html`` and ``gallery.png``, and return their paths."""
    drawn = []
    for plate in gallery_plates(held):
        figure = plate.draw()
        if figure is not None:
            drawn.append(_Drawn(plate, save(figure, held.path(plate.name), PRINT_DPI)))
    said = gallery_answer(held.run, SHOWN)
    page = rendered("gallery.html", **_contents(held, said, drawn))
    folder = held.folder
    folder.write_text("gallery.html", page)
    poster = save_picture(_poster(held, said, drawn), folder.path / "gallery.png", POSTER_DPI)
    return [*(each.path for each in drawn), folder.path / "gallery.html", poster]


def spoken(held: StoredGallery) -> list[str]:
    """Return what the command prints: which images each figure shows, what the checks found, and the answer."""
    outputs = held.about["outputs"]
    lines = [
        f"figures 1 and 4, images: {held.images('random')}",
        f"figure 2.2, image: {held.called(outputs['image'])} ({outputs['rule']})",
        f"figure 3, images: {held.images('surest')}",
    ]
    for about in held.about["layers"]:
        lines.append(f"{about['layer'] or 'classes'}, images by ascent: {' '.join(checks_said(about))}")
    lines += [f"note: {note}" for note in held.about["notes"]]
    return [*lines, "", gallery_answer(held.run, SHOWN).lead, ""]


def _title(held: StoredGallery) -> str:
    """Return the title of page and poster."""
    about = held.about
    return f"What {about['subject']['name']} sees in {about['faces']['name']}"


def _asked(held: StoredGallery) -> str:
    """Return what was shown to what, in a sentence."""
    about = held.about
    return (
        f"The figures of a report that read an expression network by eye, drawn of {about['subject']['name']} and the "
        f"{about['faces']['n']} images of {about['faces']['name']}"
        f"{'' if held.labelled else ', which have no labels'}; seed {about['seed']}. Its reading of figure 3 was a "
        "question, which is answered here by measurement and not by eye."
    )


# ---------------------------------------------------------------------- page


def _contents(held: StoredGallery, said: GalleryAnswer, drawn: Sequence[_Drawn]) -> dict[str, Any]:
    """Return all that the template shows."""
    return {
        "title": _title(held),
        "asked": _asked(held),
        "command": held.about["command"],
        "question": QUESTION,
        "answer": said,
        "notes": held.about["notes"],
        "figures": [
            {
                "title": each.plate.title,
                "caption": "" if each.plate.carries_caption else each.plate.caption,
                "alt": f"{each.plate.title}. {each.plate.caption}",
                "anchor": each.plate.name,
                "source": "data:image/png;base64," + base64.b64encode(each.path.read_bytes()).decode("ascii"),
            }
            for each in drawn
        ],
        "width": SHOWN_WIDTH,
        "layers": [_filter_table(held, about["layer"]) for about in held.about["layers"]],
        "run": held.about["run"],
    }


def _filter_table(held: StoredGallery, layer: str) -> dict[str, Any]:
    """Return the numbers under one layer's images."""
    rows = []
    for row in held.best(layer).to_dict("records"):
        draws = held.filters[(held.filters["layer"] == layer) & (held.filters["unit"] == row["unit"])]["reached"]
        rows.append(
            (
                held.class_called(row["unit"]) if not layer else str(row["unit"]),
                "dead" if row["dead"] else _span(draws),
                f"{row['best_face']:.3f}",
                held.called(row["best_face_image"]),
            )
        )
    return {"title": f"Filters of {layer}" if layer else "Classes", "rows": rows}


def _span(reached: pd.Series) -> str:
    """Return what the starts reached, best first."""
    return ", ".join(f"{value:.3f}" for value in sorted(reached, reverse=True))


# ---------------------------------------------------------------------- poster


def _poster(held: StoredGallery, said: GalleryAnswer, drawn: Sequence[_Drawn]) -> Image.Image:
    """Return title, answer and every figure in two columns, as a report is laid out."""
    words = [
        _text(_title(held), 44, bold=True),
        _text(_asked(held), 21),
        _text(QUESTION, 30, bold=True),
        _text(said.lead, 25),
    ]
    for name, sentences in said.parts:
        words += [_text(name, 24, bold=True), *(_text(sentence, 19) for sentence in sentences)]
    words += [_text(wording.begun(note) + ".", 19) for note in held.about["notes"]]
    figures = [
        [_shown(each.path)] + ([] if each.plate.carries_caption else [_text(each.plate.caption, 19)]) for each in drawn
    ]
    return _laid_out([*([block] for block in words), *figures])


def _laid_out(groups: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Return groups of blocks under each other in two columns of about one height; a group stays together."""
    heights = [sum(block.height for block in group) + 24 for group in groups]
    cut = min(range(1, len(groups)), key=lambda place: max(sum(heights[:place]), sum(heights[place:])))
    high = max(sum(heights[:cut]), sum(heights[cut:])) + 2 * GUTTER
    page = Image.new("RGB", (2 * COLUMN + 3 * GUTTER, high), "white")
    for column, members in enumerate((groups[:cut], groups[cut:])):
        x, y = GUTTER + column * (COLUMN + GUTTER), GUTTER
        for group in members:
            for block in group:
                page.paste(block, (x, y))
                y += block.height
            y += 24
    return page


def _shown(path: Path) -> Image.Image:
    """Return a figure as wide as a column, with room under it."""
    with Image.open(path) as found:
        picture = found.convert("RGB")
    high = round(picture.height * COLUMN / picture.width)
    made = Image.new("RGB", (COLUMN, high + 12), "white")
    made.paste(picture.resize((COLUMN, high), Image.Resampling.LANCZOS), (0, 0))
    return made


def _text(text: str, size: int, *, bold: bool = False) -> Image.Image:
    """Return text broken to a column's width."""
    family = matplotlib.font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    font = ImageFont.truetype(matplotlib.font_manager.findfont(family), size)
    letters = int(COLUMN / font.getlength("abcdefghij klmnopqr stuvw xyz") * 29)
    lines = [line for line in textwrap.wrap(text, letters) if line] or [""]
    while max(font.getlength(line) for line in lines) > COLUMN:
        letters -= 1
        lines = textwrap.wrap(text, letters)
    step = round(size * 1.4)
    made = Image.new("RGB", (COLUMN, step * len(lines) + size // 3), "white")
    brush = ImageDraw.Draw(made)
    for place, line in enumerate(lines):
        brush.text((0, place * step), line, font=font, fill=INK)
    return made
