"""What a reader of results should know of how network and pictures meet."""

import numpy as np

from harness.errors import UsageError
from harness.evaluation.request import Request
from harness.faces.faceset import FaceSet
from harness.models.soundness import sound_network
from harness.subject import Subject

GRADIENTS = ("gradient", "backprop", "cam")
"""Families that ask the network for gradients."""


def noted(request: Request) -> tuple[str, ...]:
    """Examine the networks, and return what a reader of the results should know of how network and pictures meet.

    Raises
    ------
    UsageError
        Where a network cannot be explained; see :func:`harness.models.soundness.sound_network`.
    """
    subject, faces = request.subject, request.faces
    gradients = any(explainer.facts.family in GRADIENTS for explainer in request.explainers)
    notes = [*faces.notes, *sound_network(subject, faces, gradients=gradients)]
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
        notes.append(f"class activation maps read layer {subject.cam_layer}")
    return tuple(notes)


def check_faces(subject: Subject, faces: FaceSet) -> None:
    """Refuse faces whose labels would index other classes than the subject's, or that scores could not be told of."""
    if len(np.unique(faces.ids)) < len(faces):
        raise UsageError(f"images {faces.name!r} have one id for several images; give each image an id of its own")
    if faces.classes != subject.classes:
        raise UsageError(
            f"images {faces.name!r} have classes {', '.join(faces.classes)}, but subject {subject.name!r} has "
            f"{', '.join(subject.classes)}; give both the same classes in the same order"
        )
