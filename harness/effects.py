"""What a network uses, in true causes: faces re-rendered with one part's actions at rest, or acting alone."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from harness.errors import UsageError
from harness.faces.faceset import Counterfactuals, FaceSet
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
    known, labels = faces.counterfactuals, faces.labels
    if known is None or labels is None or not len(known.faces):
        raise UsageError(f"faces {faces.name!r} have no labelled counterfactuals; part effects need rendered faces")
    truth = labels[known.faces]
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
    """Return where the causes of each face's class lie, and which faces that is known of.

    A group of facial actions counts by how much the label's logit falls when the group is put to rest, and lies where
    resting it changes the picture: |image - at rest|, scaled to sum to one over the picture. Groups that speak against
    the class count negative; a face whose actions change nothing has a map of zeros.

    Parameters
    ----------
    subject
        Any network over the faces' classes.
    faces
        With counterfactuals; their labels say which class is asked about.

    Raises
    ------
    UsageError
        Where the faces have no labels or no counterfactuals.
    """
    known, labels = faces.counterfactuals, faces.labels
    if known is None or labels is None or not len(known.faces):
        raise UsageError(f"faces {faces.name!r} have no labelled counterfactuals; causes need rendered faces")
    truth, pictures = labels[known.faces], faces.images[known.faces]
    whole = _answers(subject, pictures, truth)[:, 0]
    maps = np.zeros(pictures.shape, np.float32)
    for place, group in enumerate(known.groups):
        if group != EVERYTHING:
            rested = known.at_rest[:, place]
            effect = whole - _answers(subject, rested, truth)[:, 0]
            moved = np.abs(pictures.astype(np.float64) - rested)
            total = moved.sum(axis=(1, 2), keepdims=True)
            share = np.divide(moved, total, out=np.zeros_like(moved), where=total > 0)
            maps += (effect[:, None, None] * share).astype(np.float32)
    return maps, known.faces


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
