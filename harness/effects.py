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
