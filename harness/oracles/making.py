"""What a planted fault is, and how one is made."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from harness.explainers.base import Explainer, Facts, MapFunction, registered
from harness.subject import Subject

CONTRACT, SHOWS_NETWORK, SHOWS_WHAT_COUNTS, TELLS_CLASSES, TELLS_IMAGES, AMOUNTS = range(1, 7)
"""The rungs that a fault can falsify."""


@dataclass(frozen=True)
class PlantedFault:
    """One false explainer.

    Attributes
    ----------
    explainer
        It, as one that can be run.
    falsifies
        The lowest rung that it must not be said to have reached.
    finer_than
        Where the fault moves or smears a right map: the side in pixels of the cells below which it is false; at coarser
        cells it may be right. 0 where it is false at any resolution.
    why
        What is wrong with it.
    """

    explainer: Explainer
    falsifies: int
    why: str
    finer_than: int = 0


def fault(
    name: str, function: MapFunction, falsifies: int, why: str, finer_than: int = 0, /, **settings: Any
) -> PlantedFault:
    """Return a fault whose explainer is a function with settings."""
    made = Explainer(f"fault-{name}", function, settings, Facts("fault", cost="its base's"), f"{__name__}:{name}")
    return PlantedFault(made, falsifies, why, finer_than)


def base_maps(base: str, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> Float[np.ndarray, "n h w"]:
    """Return the unspoiled maps of a registered method."""
    maps: np.ndarray = registered()[base].maps(subject, images, targets, seed)
    return maps
