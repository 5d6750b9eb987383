"""Rendered faces with known labels, people, facial regions and causes."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS, Counterfactuals, FaceSet
from harness.fixtures_folder import fixture


def load_rendered() -> FaceSet:
    """Return the rendered test faces; evidence ``displacement`` says how far the expression moved each pixel."""
    return read_rendered(fixture("faces/rendered.npz"), "rendered")


def load_rendered_shortcut() -> FaceSet:
    """Return rendered faces with a mark that gives the class away.

    Evidence ``mark`` says where the mark is; ids are the faces' places in the rendered set.
    """
    return read_rendered(fixture("faces/rendered-shortcut.npz"), "rendered-shortcut")


def read_rendered(path: Path, name: str) -> FaceSet:
    """Return the face set in a file that the fixture script wrote.

    Raises
    ------
    UsageError
        Where the file lacks an array or is no ``.npz``.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return FaceSet(
            name=name,
            images=arrays["images"],
            classes=EXPRESSIONS,
            labels=arrays["labels"].astype(np.int64),
            ids=arrays.get("source", np.arange(len(arrays["images"]))).astype(np.int64),
            persons=arrays["persons"].astype(np.int64) if "persons" in arrays else None,
            evidence=_evidence(arrays),
            parts=arrays.get("parts"),
            part_names=tuple(str(part) for part in arrays.get("part_names", ())),
            counterfactuals=_counterfactuals(arrays) if "family" in arrays else None,
            licence="CC0",
        )
    except UsageError:
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())
        raise UsageError(f"{path} is not a file of rendered faces ({what}); restore it from the checkout") from error


def _evidence(arrays: dict[str, np.ndarray]) -> dict[str, Float[np.ndarray, "n h w"]]:
    """Return the maps of pixels known to matter."""
    evidence = {}
    if "displacement" in arrays:
        evidence["displacement"] = arrays["displacement"].astype(np.float32) * np.float32(arrays["displacement_scale"])
    if "mark" in arrays:
        evidence["mark"] = arrays["mark"].astype(np.float32)
    return evidence


def _counterfactuals(arrays: dict[str, np.ndarray]) -> Counterfactuals:
    """Return the re-rendered faces."""
    return Counterfactuals(
        faces=arrays["family"].astype(np.int64),
        groups=tuple(str(group) for group in arrays["groups"]),
        at_rest=arrays["at_rest"],
        alone=arrays["alone"],
    )
