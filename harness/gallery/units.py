"""What is stored of the units of a gallery's layers: images that activate them, and what these are worth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from harness.digest import digest
from harness.gallery.asked import FILTERS_SHOWN, MOST_CLASSES, SCALE_IMAGES, Gallery
from harness.gallery.layers import activation_layers
from harness.gallery.maximisation import LOGITS, Maximised, maximise, unit_count
from harness.gallery.outcomes import Outcome, agreement_of_draws, differs_from_random, exceeds_faces
from harness.identity import content
from harness.networks.random import layer_groups, randomized
from harness.store import FILTERS, RunFolder, frame
from harness.subject import Subject


@dataclass(frozen=True)
class Layer:
    """What is stored of a layer: its best pictures (m, h, w, c), a row a unit and draw, and all that is said of it."""

    pictures: np.ndarray
    table: pd.DataFrame
    about: dict[str, Any]


def asked_layers(gallery: Gallery) -> Iterator[tuple[str, int]]:
    """Yield the layers whose units are shown with how many of them; the last one is the classes."""
    names = activation_layers(gallery.subject, len(FILTERS_SHOWN)).names
    yield from zip(names, map(gallery.found, FILTERS_SHOWN), strict=False)
    yield LOGITS, gallery.found(MOST_CLASSES)


def stored_layer(
    gallery: Gallery,
    folder: RunFolder,
    images: Float[torch.Tensor, "n c h w"],
    layer: str,
    asked: Int[np.ndarray, " asked"],
) -> Layer:
    """Find the images of a layer's units that are asked for and that there are, and check them."""
    subject, seed = gallery.subject, gallery.seed
    held = unit_count(subject, layer)
    units = [int(unit) for unit in asked if unit < held]
    means = subject.unit_means(images, layer).double().cpu().numpy()
    found = _maximised(gallery, folder, subject, layer, units, means)
    groups = layer_groups(subject, len(subject.layers))
    some = images[:: max(1, len(images) // SCALE_IMAGES)][:SCALE_IMAGES]
    drawn = randomized(subject, [name for group in groups for name in group], seed=seed, images=some)
    drawn_means = drawn.unit_means(images, layer).double().cpu().numpy()
    random = _maximised(gallery, folder, drawn, layer, units, drawn_means, draws=1)
    dead = found.dead(means)
    outcomes = (
        exceeds_faces(found, means, dead),
        differs_from_random(found, random, ~dead & ~random.dead(drawn_means)),
    )
    pictures = found.pictures[found.best, np.arange(len(units))].transpose(0, 2, 3, 1)
    about = {
        "layer": layer,
        "asked": len(asked),
        "units": held,
        "shown": len(units),
        "dead": [int(unit) for unit in found.units[dead]],
        "agreement": _plain(agreement_of_draws(found, ~dead)),
        "outcomes": [_told(outcome) for outcome in outcomes],
    }
    return Layer(pictures, _rows(gallery, found, means, dead), about)


def _maximised(
    gallery: Gallery,
    folder: RunFolder,
    subject: Subject,
    layer: str,
    units: Sequence[int],
    means: Float[np.ndarray, "n units"],
    draws: int | None = None,
) -> Maximised:
    """Return the images of units, computed once for a network, its faces' scales and the settings."""
    ascent = gallery.ascent if draws is None else replace(gallery.ascent, draws=draws)
    scales = means.std(0)[list(units)]

    def make() -> dict[str, np.ndarray]:
        made = maximise(subject, layer, units, scales=scales, ascent=ascent, seed=gallery.seed)
        return {"pictures": made.pictures, "reached": made.reached, "moved": made.moved}

    rounded = [float(f"{scale:.3g}") for scale in scales]  # the feed of the day moves the last digits
    settings = (layer, list(units), rounded, asdict(ascent), gallery.seed, content(maximise).digest)
    held = folder.remembered(digest("maximise", subject.digest, *settings), make)
    return Maximised(layer, np.array(units, np.int64), held["pictures"], held["reached"], held["moved"])


def _rows(gallery: Gallery, found: Maximised, means: Float[np.ndarray, "n units"], dead: np.ndarray) -> pd.DataFrame:
    """Return one row a unit and draw: what was reached beside the best face."""
    ids = gallery.faces.ids
    rows = [
        {
            "layer": found.layer,
            "unit": int(unit),
            "draw": draw,
            "reached": float(found.reached[draw, place]),
            "best_face": float(means[:, unit].max()),
            "best_face_image": int(ids[means[:, unit].argmax()]),
            "best_draw": bool(found.best[place] == draw),
            "dead": bool(dead[place]),
        }
        for draw in range(len(found.reached))
        for place, unit in enumerate(found.units)
    ]
    return frame(FILTERS, rows)


def _told(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for a text file, undefined being null."""
    return {key: _plain(value) for key, value in vars(outcome).items()}


def _plain(value: Any) -> Any:
    """Return a value that every reader of JSON takes."""
    return None if isinstance(value, float) and math.isnan(value) else value
