"""What a reader of results should know of how network and pictures meet."""

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment

from harness.errors import UsageError
from harness.evaluation.request import Request
from harness.faces.faceset import FaceSet
from harness.models.soundness import sound_network
from harness.subject import Subject

GRADIENTS = ("gradient", "backprop", "cam")
"""Families that ask the network for gradients."""


DARK = 63
"""Pixels of which none is brighter are dark, or of other units than 0 to 255: a quarter of what there is."""

FEWEST_TURNED, SHARE_TURNED = 10, 0.2
"""How many more pictures, and which share, have to be right under other names of the classes."""

SAID = 3
"""Classes that are named in a line."""


def noted(request: Request) -> tuple[str, ...]:
    """Examine the networks, and return what a reader of the results should know of how network and pictures meet.

    Raises
    ------
    UsageError
        Where a network cannot be explained; see :func:`harness.models.soundness.sound_network`.
    """
    subject, faces = request.subject, request.faces
    gradients = any(explainer.facts.family in GRADIENTS for explainer in request.explainers)
    notes = [*faces.notes, *_picture_notes(faces), *sound_network(subject, faces, gradients=gradients)]
    if request.random_labels is not None:
        notes += sound_network(request.random_labels, faces, gradients=gradients)
    height, width = faces.images.shape[1:3]
    spec = subject.spec
    if (height, width) != (spec.height, spec.width):
        how = "enlarged" if height * width < spec.height * spec.width else "shrunk"
        notes.append(f"pictures of {width}x{height} are {how} to the {spec.width}x{spec.height} that the network reads")
    channels = 1 if faces.images.ndim == 3 else faces.images.shape[3]
    if channels != spec.channels:
        notes.append(
            "grey pictures are repeated for the network's three colours"
            if channels == 1
            else "colour pictures become grey (ITU-R 601 luma) for the network"
        )
    if any(explainer.facts.family == "cam" for explainer in request.explainers):
        times = subject.runs[subject.cam_layer]
        notes.append(
            f"class activation maps read layer {subject.cam_layer}"
            if times == 1
            else f"layer {subject.cam_layer} runs {times} times a pass, so that no class activation map reads it; name "
            "another as cam_layer"
        )
    return tuple(notes)


def _picture_notes(faces: FaceSet) -> tuple[str, ...]:
    """Return what is odd about pictures: copies, which are no second case, dark ones, and which axis is of channels."""
    notes = []
    copies = len(faces) - len({picture.tobytes() for picture in faces.images})
    if copies:
        notes.append(f"{copies} of {len(faces)} pictures are copies of others, and are taken for pictures of their own")
    brightest = int(faces.images.max())
    if brightest <= DARK:
        notes.append(
            f"no pixel is above {brightest} of 255: where that is meant to be white, stretch it to 255, and state "
            "mean and std of pixels 0 to 1"
        )
    shape = faces.images.shape[1:]
    if len(shape) == 3 and shape[0] == shape[2]:
        notes.append(f"pictures of shape {shape} are read as {shape[0]} rows, with their {shape[2]} channels last")
    return tuple(notes)


def answer_notes(faces: FaceSet, predicted: Int[np.ndarray, " n"]) -> tuple[str, ...]:
    """Return what speaks for labels that are not numbered as the network's classes are.

    Classes are called anew, each one another's name, as fits the answers best. Where many more pictures would then be
    right, labels and network are of different orders; a network that takes one class for another, and that for itself,
    gains nothing by it.

    Examples
    --------
    >>> faces = FaceSet("f", np.zeros((40, 2, 2), np.uint8), ("a", "b"), np.arange(40) % 2)
    >>> answer_notes(faces, 1 - faces.labels)[0][:61]
    '0 of 40 pictures are answered right, but 40 where a is called'
    >>> answer_notes(faces, faces.labels)
    ()
    """
    if faces.labels is None:
        return ()
    count = np.zeros((len(faces.classes),) * 2, int)
    np.add.at(count, (faces.labels, predicted), 1)
    right = int(np.trace(count))
    # A class that does not occur may be called anything; as itself nothing is said of it.
    rows, columns = linear_sum_assignment(-(len(faces) + 1) * count - np.eye(len(count), dtype=int))
    most = int(count[rows, columns].sum())
    if most - right < max(FEWEST_TURNED, SHARE_TURNED * len(faces)):
        return ()
    turned = [(row, column) for row, column in zip(rows, columns, strict=True) if row != column and count[row, column]]
    said = ", ".join(f"{faces.classes[row]} is called {faces.classes[column]}" for row, column in turned[:SAID])
    more = f" and {len(turned) - SAID} more" if len(turned) > SAID else ""
    return (
        f"{right} of {len(faces)} pictures are answered right, but {most} where {said}{more}: the labels may be "
        "numbered in another order than the network's classes; name them",
    )


def check_faces(subject: Subject, faces: FaceSet) -> None:
    """Refuse faces whose labels would index other classes than the subject's, or that scores could not be told of."""
    if len(np.unique(faces.ids)) < len(faces):
        raise UsageError(f"images {faces.name!r} have one id for several images; give each image an id of its own")
    if faces.classes != subject.classes:
        raise UsageError(
            f"images {faces.name!r} have classes {', '.join(faces.classes)}, but subject {subject.name!r} has "
            f"{', '.join(subject.classes)}; give both the same classes in the same order"
        )
