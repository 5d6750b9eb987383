"""Computes and stores all that a gallery's figures show."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from harness.engines import Job, Progress, run_here
from harness.errors import ExplainerFault
from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.gallery.asked import FILTERS_SHOWN, IMAGE, MOST_CLASSES, Gallery
from harness.gallery.choosing import NONE, random_right, shown_classes, surest_right
from harness.gallery.layers import activation_after, activation_layers, convolution_layers, filter_outputs
from harness.gallery.maximisation import LOGITS
from harness.gallery.regions import speaking_regions
from harness.gallery.units import Layer, asked_layers, stored_layer
from harness.models.soundness import finite_answers
from harness.store import FILTERS, RunFolder, joined
from harness.subject import Subject


def fill(
    gallery: Gallery, folder: RunFolder, run: RunFolder, command: str = "", progress: Progress = lambda jobs: jobs
) -> None:
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
    progress
        Passes jobs through and shows how far they are.
    """
    subject, faces = gallery.subject, gallery.faces
    gallery.check()
    images = subject.prepare(faces.images)
    probabilities = finite_answers(subject, faces, subject.probabilities(images).double().cpu().numpy())
    predicted = probabilities.argmax(1)
    shown = shown_classes(predicted, len(subject.classes), MOST_CLASSES)
    chance = random_right(faces.labels, predicted, len(subject.classes), gallery.seed)[shown]
    surest = surest_right(faces.labels, probabilities)[shown]
    faults: list[str] = []
    arrays: dict[str, np.ndarray] = {}
    layers: dict[str, Layer] = {}

    def show(chosen: Int[np.ndarray, " k"], name: str, explainers: Sequence[str]) -> None:
        arrays.update(_maps(gallery, images, probabilities[:, shown], (shown, chosen), (name, explainers), faults))

    def find(layer: str, asked: int) -> None:
        units = np.sort(shown[:asked]) if layer == LOGITS else np.arange(asked)
        layers[layer] = stored_layer(gallery, folder, images, layer, units)

    maps = {"random": (chance, ("saliency", "grad-cam")), "surest": (surest, ("lime",))}
    jobs = [
        *[
            Job(f"maps of {' and '.join(explainers)}", "", partial(show, chosen, name, explainers))
            for name, (chosen, explainers) in maps.items()
        ],
        *[
            Job(f"images for {layer or 'the classes'}", "", partial(find, layer, asked))
            for layer, asked in asked_layers(gallery)
        ],
    ]
    run_here(jobs, progress)
    arrays |= _regions(gallery, images, surest, arrays["surest_lime"])
    outputs, about_outputs = _outputs(gallery, images, probabilities, chance)
    found = {f"filters_{number}": made.pictures for number, made in enumerate(layers.values())}
    folder.write_arrays("gallery.npz", arrays | outputs | found)
    folder.write_table("filters", joined(FILTERS, [made.table for made in layers.values()]))
    folder.write_json(
        "gallery.json",
        {
            "command": command,
            "subject": {
                "name": subject.name,
                "digest": subject.digest,
                "classes": [subject.classes[place] for place in shown],
                "places": shown.tolist(),
            },
            "faces": {"name": faces.name, "n": len(faces), "labelled": faces.labels is not None},
            "predicted": _predicted(subject, probabilities),
            "seed": gallery.seed,
            "run": str(run.path),
            "ascent": asdict(gallery.ascent),
            "outputs": about_outputs,
            "layers": [made.about for made in layers.values()],
            "notes": [*_notes(gallery, about_outputs), *faults],
            "names": dict(zip(map(str, faces.ids.tolist()), faces.names, strict=True)) if faces.names else {},
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
        found.append(f"of {classes} classes those that most images are taken for are shown, {MOST_CLASSES} at most")
    if gallery.found(MOST_CLASSES) < MOST_CLASSES:
        found.append("pictures are large, so that images are found of a quarter as many filters and classes as usual")
    if gallery.faces.labels is None:
        found.append(
            "the images have no labels: where a figure's rule says classified right, the predicted class is taken, "
            "and whether it is right cannot be known"
        )
    return [note for note in found if note]


# ---------------------------------------------------------------------- figures 1, 3 and 4


def _maps(
    gallery: Gallery,
    images: Float[torch.Tensor, "n c h w"],
    probabilities: Float[np.ndarray, "n k"],
    classes: tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]],
    shown: tuple[str, Sequence[str]],
    faults: list[str],
) -> dict[str, np.ndarray]:
    """Return images with their maps, one for each of `classes`, which says who they are and which image is chosen.

    A class without an image has id -1 and empty maps.

    An explainer that breaks its contract has maps of NaN, and why is added to `faults`.
    """
    (places, chosen), (name, explainers), subject = classes, shown, gallery.subject
    held = np.flatnonzero(chosen != NONE)
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
    targets = torch.from_numpy(places[held]).to(subject.device)
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


# ---------------------------------------------------------------------- figure 2.2


def _outputs(
    gallery: Gallery,
    images: Float[torch.Tensor, "n c h w"],
    probabilities: Float[np.ndarray, "n k"],
    chosen: Int[np.ndarray, " s"],
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


def _one_face(gallery: Gallery, chosen: Int[np.ndarray, " s"]) -> tuple[int, str]:
    """Return the face whose filter outputs are shown, and why it is that one."""
    ids = gallery.faces.ids
    if gallery.image is not None:
        return gallery.faces.place_called(gallery.image), "as asked"
    if IMAGE in ids:
        return int(np.flatnonzero(ids == IMAGE)[0]), f"image {IMAGE}, as in the report that this gallery follows"
    first = chosen[chosen != NONE]
    why = f"there is no image {IMAGE}, so it is the first of figure 1"
    return (int(first[0]), why) if len(first) else (0, f"there is no image {IMAGE}, so it is the first one")
