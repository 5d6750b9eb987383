"""Photographs of 40 people without expression labels: the ORL faces of AT&T Laboratories Cambridge.

Samaria & Harter, "Parameterisation of a stochastic model for human face identification", WACV 1994.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.fetching import OUTSIDE, cached

FACE_BOX = (10, 14, 82, 100)
"""Left, top, right and bottom of the face in the 92x112 photographs."""


def load_orl() -> FaceSet:
    """Return the 400 photographs cropped to the face, (400, 86, 72), by person and then by picture.

    Labels are None: nobody has said what these faces express. Their classes are FER2013's, for a network to predict.

    Raises
    ------
    UsageError
        Where they have not been fetched.
    """
    paths = sorted(cached("orl").rglob("*.pgm"), key=_place)
    return FaceSet(
        name="orl",
        images=np.stack([_face(path) for path in paths]),
        classes=EXPRESSIONS,
        persons=np.array([_place(path)[0] for path in paths]),
        licence=OUTSIDE["orl"].licence,
    )


def _place(path: Path) -> tuple[int, int]:
    """Person and picture number of ``s12/7.pgm``: (12, 7)."""
    person, picture = re.findall(r"\d+", "/".join(path.parts[-2:]))
    return int(person), int(picture)


def _face(path: Path) -> UInt8[np.ndarray, "86 72"]:
    """Return the face in one photograph."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L").crop(FACE_BOX))
