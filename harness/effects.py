"""What a network uses, in true causes: faces re-rendered with one part's actions at rest, or acting alone."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from harness.errors import UsageError
from harness.faces.faceset import Counterfactuals, FaceSet, changed_pixels
from harness.store import EFFECTS, frame, joined
from harness.subject import Subject

EVERYTHING = "all"
"""The group of all parts: at rest, it is the neutral face of the same person."""


def part_effects(subject: Subject, faces: FaceSet) -> pd.DataFrame:
    """Return how much each face part's actions do for the true class, image by image.

    The face is the same person under the same light, pose and noise with only one part's actions changed, so the
    pictures stay in the distribution that the network knows, and the effect is measured, not guessed (as FunnyBirds
    does for birds, Hesse et al. 2023).

    Parameters
    ----------
    subject
        Any network over the faces' classes.
    faces
        With labels and counterfactuals.

    Returns
    -------
    pd.DataFrame
        One row an image, part and kind: ``at-rest`` (what the class loses when the part is put to rest: the face minus
        the face with the part at rest) and ``alone`` (what the class gains from the part alone: the neutral face with
        only that part acting minus the neutral face). Columns ``logit`` and ``probability`` of the true class; positive
        means that the part speaks for the class.

    Raises
    ------
    UsageError
        Where the faces have no labels or no counterfactuals.
    """
    known, truth = _with_truth(faces)
    whole = _answers(subject, faces.images[known.faces], truth)
    at_rest = [_answers(subject, known.at_rest[:, place], truth) for place in range(len(known.groups))]
    tables = [
        _rows(faces, known, group, "at-rest", whole - rested)
        for group, rested in zip(known.groups, at_rest, strict=True)
    ]
    if EVERYTHING in known.groups:
        neutral = at_rest[known.groups.index(EVERYTHING)]
        parts = [group for group in known.groups if group != EVERYTHING]
        tables += [
            _rows(faces, known, group, "alone", _answers(subject, known.alone[:, place], truth) - neutral)
            for place, group in enumerate(parts[: known.alone.shape[1]])
        ]
    return joined(EFFECTS, tables)


def cause_maps(subject: Subject, faces: FaceSet) -> tuple[Float[np.ndarray, "m h w"], Int[np.ndarray, " m"]]:
    """Return the map of true causes of each face with counterfactuals: what an explainer that knew them would draw.

    Each group of actions spreads its effect (the true class's logit of the face, minus that with the group at rest)
    over the pixels that it changes, in proportion to how much it changes them; the maps of all groups but ``all`` are
    added.
    Signed: a group that speaks against the class counts negative. In units of logits: a map's sum is the sum of its
    groups' effects. A group that changes no pixel, or has no effect, adds nothing, so that a face in which no group
    acts (Neutral) has a map of zeros. What hair, light or outline do is not in it.

    Parameters
    ----------
    subject
        Any network over the faces' classes.
    faces
        With labels and counterfactuals.

    Returns
    -------
    maps
        One a face, at the pictures' own size, never NaN.
    index
        Place in `faces` of each map's face.

    Raises
    ------
    UsageError
        Where the faces have no labels or no counterfactuals.
    """
    known, truth = _with_truth(faces)
    whole, changed = _answers(subject, faces.images[known.faces], truth)[:, 0], changed_pixels(faces)
    maps = np.zeros((len(truth), *faces.images.shape[1:3]))
    for place, group in enumerate(known.groups):
        if group != EVERYTHING:
            effect = whole - _answers(subject, known.at_rest[:, place], truth)[:, 0]
            maps += effect[:, None, None] * _shares(changed[:, place])
    return maps.astype(np.float32), known.faces


def _with_truth(faces: FaceSet) -> tuple[Counterfactuals, Int[np.ndarray, " m"]]:
    """Return the counterfactuals and the true class of each of their faces."""
    known, labels = faces.counterfactuals, faces.labels
    if known is None or labels is None or not len(known.faces):
        raise UsageError(f"faces {faces.name!r} have no labelled counterfactuals; part effects need rendered faces")
    return known, labels[known.faces]


def _shares(changed: UInt8[np.ndarray, "m h w"]) -> Float[np.ndarray, "m h w"]:
    """Return each pixel's share of a face's change; zeros where nothing changes."""
    total = changed.sum(axis=(1, 2), dtype=np.float64, keepdims=True)
    shares: np.ndarray = changed / np.maximum(total, 1)  # a sum of bytes: below 1 it is 0
    return shares


def _answers(
    subject: Subject, pictures: UInt8[np.ndarray, "m h w"], truth: Int[np.ndarray, " m"]
) -> Float[np.ndarray, "m 2"]:
    """Return the logit and the probability of each picture's true class."""
    logits = subject.logits(subject.prepare(pictures)).double()
    both = [output.cpu().numpy()[np.arange(len(truth)), truth] for output in (logits, logits.softmax(1))]
    return np.stack(both, axis=1)


def _rows(
    faces: FaceSet, known: Counterfactuals, part: str, kind: str, change: Float[np.ndarray, "m 2"]
) -> pd.DataFrame:
    """Return one row a face."""
    labels = np.array(faces.classes)[faces.labels[known.faces]] if faces.labels is not None else ""
    return frame(
        EFFECTS,
        {
            "image": faces.ids[known.faces],
            "label": labels,
            "part": part,
            "kind": kind,
            "logit": change[:, 0],
            "probability": change[:, 1],
        },
    )


def additive_cells(subject: Subject) -> int:
    """Return along how many cells a side the network's answers add up: what it states as `additive_cells`, else 0."""
    return int(getattr(subject.network, "additive_cells", 0))


def cell_maps(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n h w"]:
    """Return what each cell adds to the target's logit of a network that is a sum over cells, spread evenly over it.

    From a picture of zeros in input units, so that a map adds up to the logit less that of zeros. Exact where the
    network is what it states: the part of a cell is the same whatever the others show.

    Raises
    ------
    UsageError
        Where the network states no cells, or the parts do not add up to its answers.
    """
    side = additive_cells(subject)
    if not side:
        raise UsageError(f"subject {subject.name!r} states no cells that its answers are a sum over")
    chosen = torch.from_numpy(targets).to(subject.device)[:, None]
    height, width = images.shape[2] // side, images.shape[3] // side

    def answer(pictures: Tensor) -> Tensor:
        return subject.logits(pictures).gather(1, chosen)[:, 0].double()

    nothing, whole = answer(torch.zeros_like(images)), answer(images)
    maps = torch.zeros(len(images), *images.shape[2:], dtype=torch.float64)
    for cell in range(side**2):
        top, left = height * (cell // side), width * (cell % side)
        alone = torch.zeros_like(images)
        place = (..., slice(top, top + height), slice(left, left + width))
        alone[place] = images[place]
        maps[place] = ((answer(alone) - nothing).cpu() / (height * width))[:, None, None]
    lost = (maps.sum((1, 2)) - (whole - nothing).cpu()).abs().max()
    # Single precision leaves 1e-6 of the logits in each of some ten answers.
    if lost > 1e-4 * max(1.0, float(whole.abs().max()), float(nothing.abs().max())):
        raise UsageError(f"subject {subject.name!r} states {side}x{side} cells, but its answers are no sum over them")
    return maps.float().numpy()
