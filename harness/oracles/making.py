"""What a planted fault is, and how one is made."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from harness.digest import digest
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
    """Return a fault whose explainer is a function with settings; it claims the axioms that its base claims."""
    claims = registered()[settings["base"]].facts if "base" in settings else Facts()
    facts = Facts(
        "fault",
        cost="its base's",
        axioms=claims.axioms,
        baselines=None if claims.baselines is None else _baselines_of_base,
    )
    made = Explainer(f"fault-{name}", function, settings, facts, f"{__name__}:{name}")
    return PlantedFault(made, falsifies, why, finer_than)


def _baselines_of_base(
    subject: Subject, images: Tensor, *, base: str, seed: int, **settings: Any
) -> Iterable[Float[Tensor, "n c h w"]]:
    """Return the pictures from which the base explains, whatever else the fault is set to."""
    return registered()[base].baselines(subject, images, seed)


_held: dict[str, np.ndarray] | None = None
"""Maps of bases that are remembered, by what they were asked for; None where nothing is."""


@contextmanager
def bases_remembered() -> Iterator[None]:
    """Make each map of a base once, as long as this lasts: all faults spoil the same few."""
    global _held
    before, _held = _held, {}
    try:
        yield
    finally:
        _held = before


def base_maps(base: str, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> Float[np.ndarray, "n h w"]:
    """Return the unspoiled maps of a registered method."""
    if _held is None:
        return registered()[base].maps(subject, images, targets, seed)
    key = digest(base, subject.digest, subject.state_digest(), images, targets, seed)
    if key not in _held:
        _held[key] = registered()[base].maps(subject, images, targets, seed)
    return _held[key].copy()
