"""The gallery: the figures of a classic report on an expression network, and what measurement says of their reading.

Everything is computed and stored first (``gallery.npz``, ``filters.parquet``, ``gallery.json`` and a run); reports draw
from what is stored.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from harness.digest import code_digest, digest
from harness.errors import ExplainerFault, UsageError
from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.faces.faceset import FaceSet
from harness.models.soundness import sound_network
from harness.networks.random import layer_groups, randomized
from harness.store import FILTERS, RunFolder, frame, joined
from harness.subject import Subject
from harness.visualization import (
    Ascent,
    Maximised,
    Outcome,
    activation_after,
    activation_layers,
    convolution_layers,
    differs_from_random,
    exceeds_faces,
    filter_outputs,
    maximise,
    random_right,
    speaking_regions,
    surest_right,
)
from harness.visualization.choosing import NONE
from harness.visualization.maximisation import LOGITS, unit_count
from harness.visualization.outcomes import agreement_of_draws

EXPLAINERS = ("saliency", "lime", "grad-cam")
"""What figures 1, 3 and 4 show, and what the gallery's run judges."""

FILTERS_SHOWN = (32, 48)
"""Filters of the first and of the second activation layer."""

IMAGE = 5607
"""The image whose filter outputs are shown, where the face set has it."""

MOST_CLASSES = 21
"""Classes that the figures show at most."""

SCALE_IMAGES = 64
"""Images on which a random network's activations are brought to scale."""


@dataclass(frozen=True)
class Gallery:
    """What is to be shown.

    Attributes
    ----------
    subject, faces
        The network, and the faces over the same classes.
    seed
        Of every random draw.
    image
        Image whose filter outputs are shown; None for the rule of :data:`IMAGE`.
    after_activation
        Whether filter outputs are shown after their activation instead of before it.
    ascent
        How images that activate a filter are found.
    """

    subject: Subject
    faces: FaceSet
    seed: int = 0
    image: int | None = None
    after_activation: bool = False
    ascent: Ascent = field(default_factory=Ascent)

    def check(self) -> None:
        """Refuse what could be refused only after minutes of work, and a network that cannot be explained."""
        sound_network(self.subject, self.faces)
        if self.image is not None and self.image not in self.faces.ids:
            raise UsageError(
                f"faces {self.faces.name!r} have no image {self.image}; their {len(self.faces)} images are numbered "
                f"{self.faces.ids.min()} to {self.faces.ids.max()}"
            )
        if self.after_activation:
            for layer in convolution_layers(self.subject).names:
                activation_after(self.subject, layer)

    def check_run(self, run: RunFolder) -> None:
        """Refuse a run of another network, of other faces, or without the explainers that are shown."""
        for what, mine in (("subject", self.subject), ("faces", self.faces)):
            held = run.info[what]
            if held["digest"] != mine.digest:
                raise UsageError(
                    f"{run.path} is a run of {what} {held['name']!r} (digest {held['digest']}), not of {mine.name!r} "
                    f"({mine.digest}); give --{what} as in the run, or leave out --run"
                )
        missing = sorted(set(EXPLAINERS) - {each["name"] for each in run.info["explainers"]})
        if missing:
            raise UsageError(f"{run.path} did not judge {', '.join(missing)}; leave out --run to have it judged")


def fill(gallery: Gallery, folder: RunFolder, run: RunFolder, command: str = "") -> None:
    """Compute all that the figures show and store it in `folder`; what is there already is not computed again.

    Parameters
    ----------
    gallery
        What is to be shown.
    folder
        Where it goes.
    run
        The evaluation whose numbers stand beside the figures.
    command
        Noted in the folder.
    """
    subject, faces = gallery.subject, gallery.faces
    gallery.check()
    images = subject.prepare(faces.images)
    probabilities = subject.probabilities(images).double().cpu().numpy()
    shown = min(MOST_CLASSES, len(subject.classes))
    chance = random_right(faces.labels, probabilities.argmax(1), len(subject.classes), gallery.seed)[:shown]
    surest = surest_right(faces.labels, probabilities)[:shown]
    faults: list[str] = []
    arrays = {
        **_maps(gallery, images, probabilities, chance, ("random", ("saliency", "grad-cam")), faults),
        **_maps(gallery, images, probabilities, surest, ("surest", ("lime",)), faults),
    }
    arrays |= _regions(gallery, images, surest, arrays["surest_lime"])
    outputs, about_outputs = _outputs(gallery, images, probabilities, chance)
    layers = [_layer(gallery, folder, images, *each) for each in _asked_layers(gallery)]
    folder.write_arrays(
        "gallery.npz", arrays | outputs | {f"filters_{i}": made.pictures for i, made in enumerate(layers)}
    )
    folder.write_table("filters", joined(FILTERS, [made.table for made in layers]))
    folder.write_json(
        "gallery.json",
        {
            "command": command,
            "subject": {"name": subject.name, "digest": subject.digest, "classes": list(subject.classes[:shown])},
            "faces": {"name": faces.name, "n": len(faces), "labelled": faces.labels is not None},
            "predicted": _predicted(subject, probabilities),
            "seed": gallery.seed,
            "run": str(run.path),
            "ascent": asdict(gallery.ascent),
            "outputs": about_outputs,
            "layers": [made.about for made in layers],
            "notes": [*_notes(gallery, about_outputs), *faults],
        },
    )


def _predicted(subject: Subject, probabilities: Float[np.ndarray, "n k"]) -> dict[str, int]:
    """Return how many faces are seen as each class."""
    counts = np.bincount(probabilities.argmax(1), minlength=len(subject.classes))
    return {name: int(count) for name, count in zip(subject.classes, counts, strict=True)}


def _notes(gallery: Gallery, outputs: dict[str, Any]) -> list[str]:
    """Return in what the figures differ from what was asked."""
    found = [activation_layers(gallery.subject, len(FILTERS_SHOWN)).note, str(outputs["note"])]
    classes = len(gallery.subject.classes)
    if classes > MOST_CLASSES:
        found.append(f"of {classes} classes the first {MOST_CLASSES} are shown")
    if gallery.faces.labels is None:
        found.append(
            "the faces have no labels: where a figure's rule says classified right, the predicted class is taken, "
            "and whether it is right cannot be known"
        )
    return [note for note in found if note]


# ---------------------------------------------------------------------- figures 1, 3 and 4


def _maps(
    gallery: Gallery,
    images: Float[torch.Tensor, "n c h w"],
    probabilities: Float[np.ndarray, "n k"],
    chosen: Int[np.ndarray, " k"],
    shown: tuple[str, Sequence[str]],
    faults: list[str],
) -> dict[str, np.ndarray]:
    """Return the chosen images, one a class, with their maps; a class without an image has id -1 and empty maps.

    An explainer that breaks its contract has maps of NaN, and why is added to `faults`.
    """
    (name, explainers), subject, held = shown, gallery.subject, np.flatnonzero(chosen != NONE)
    index = chosen[held]
    shape = (len(chosen), *images.shape[-2:])
    found = {
        f"{name}_ids": np.full(len(chosen), NONE),
        f"{name}_probabilities": np.full(len(chosen), np.nan),
        f"{name}_pictures": np.zeros(shape, np.float32),
    }
    found[f"{name}_ids"][held] = gallery.faces.ids[index]
    found[f"{name}_probabilities"][held] = probabilities[index, held]
    found[f"{name}_pictures"][held] = subject.spec.to_grey(images[index])
    targets = torch.from_numpy(held).to(subject.device)
    for explainer in explainers:
        found[f"{name}_{explainer}"] = np.zeros(shape, np.float32)
        if len(held):
            try:
                maps = registered()[explainer].maps(subject, images[index], targets, gallery.seed)
            except ExplainerFault as fault:
                maps = np.full((len(held), *shape[1:]), np.nan, np.float32)
                faults.append(f"{fault}; its figure has no maps")
            found[f"{name}_{explainer}"][held] = maps
    return found


def _regions(
    gallery: Gallery,
    images: Float[torch.Tensor, "n c h w"],
    chosen: Int[np.ndarray, " k"],
    maps: Float[np.ndarray, "k h w"],
) -> dict[str, np.ndarray]:
    """Return each picture's segments, and the pixels of those that speak for the class."""
    segments = np.zeros(maps.shape, np.int64)
    speaking = np.zeros(maps.shape, bool)
    for place, face in enumerate(chosen):
        if face != NONE:
            segments[place] = segments_of(images[face])
            speaking[place] = speaking_regions(maps[place], segments[place])
    return {"surest_segments": segments, "surest_speaking": speaking}


# ---------------------------------------------------------------------- figure 2.1


@dataclass(frozen=True)
class _Layer:
    """What is stored of a layer: its best pictures (m, h, w, c), a row a unit and draw, and all that is said of it."""

    pictures: np.ndarray
    table: pd.DataFrame
    about: dict[str, Any]


def _asked_layers(gallery: Gallery) -> Iterator[tuple[str, int]]:
    """Yield the layers whose units are shown with how many of them; the last one is the classes."""
    yield from zip(activation_layers(gallery.subject, len(FILTERS_SHOWN)).names, FILTERS_SHOWN, strict=False)
    yield LOGITS, MOST_CLASSES


def _layer(
    gallery: Gallery, folder: RunFolder, images: Float[torch.Tensor, "n c h w"], layer: str, asked: int
) -> _Layer:
    """Find the images of a layer's units, and check them."""
    subject, seed = gallery.subject, gallery.seed
    held = unit_count(subject, layer)
    units = range(min(asked, held))
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
        "asked": asked,
        "units": held,
        "shown": len(units),
        "dead": [int(unit) for unit in found.units[dead]],
        "agreement": _plain(agreement_of_draws(found, ~dead)),
        "outcomes": [_told(outcome) for outcome in outcomes],
    }
    return _Layer(pictures, _rows(gallery, found, means, dead), about)


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
    settings = (layer, list(units), rounded, asdict(ascent), gallery.seed, code_digest(maximise))
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


# ---------------------------------------------------------------------- figure 2.2


def _outputs(
    gallery: Gallery,
    images: Float[torch.Tensor, "n c h w"],
    probabilities: Float[np.ndarray, "n k"],
    chosen: Int[np.ndarray, " k"],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what the filters of two convolutions give for one image, and what is said of it."""
    subject, faces = gallery.subject, gallery.faces
    face, rule = _one_face(gallery, chosen)
    layers = convolution_layers(subject)
    read = [activation_after(subject, name) if gallery.after_activation else name for name in layers.names]
    found = filter_outputs(subject, images[face : face + 1], read)
    arrays = {f"outputs_{place}": found[name] for place, name in enumerate(read)}
    about = {
        "image": int(faces.ids[face]),
        "rule": rule,
        "label": "" if faces.labels is None else faces.classes[faces.labels[face]],
        "predicted": subject.classes[int(probabilities[face].argmax())],
        "probability": float(probabilities[face].max()),
        "layers": read,
        "after_activation": gallery.after_activation,
        "note": layers.note,
    }
    return arrays | {"outputs_picture": subject.spec.to_grey(images[face : face + 1])[0]}, about


def _one_face(gallery: Gallery, chosen: Int[np.ndarray, " k"]) -> tuple[int, str]:
    """Return the face whose filter outputs are shown, and why it is that one."""
    ids = gallery.faces.ids
    if gallery.image is not None:
        return int(np.flatnonzero(ids == gallery.image)[0]), "as asked"
    if IMAGE in ids:
        return int(np.flatnonzero(ids == IMAGE)[0]), f"image {IMAGE}, as in the report that this gallery follows"
    first = chosen[chosen != NONE]
    why = f"the faces have no image {IMAGE}, so it is the first of figure 1"
    return (int(first[0]), why) if len(first) else (0, f"the faces have no image {IMAGE}, so it is the first one")
