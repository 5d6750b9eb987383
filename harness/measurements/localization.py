"""How well a map points at pixels that are known to matter."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from harness.measurements.base import Attributions, MapScore, Measured
from harness.measurements.causes import causes
from harness.measurements.scored import scored_against_nulls
from harness.metrics.localization import (
    attribution_localization,
    intersection_over_union,
    localization_auc,
    pointing_game,
    relevance_mass,
    relevance_rank_accuracy,
    top_k_intersection,
)
from harness.store import SCORES, joined

MARK = "mark"
"""Evidence that is truth: a patch that alone told the class when the network was trained."""
CAUSES = "causes"
"""Evidence that is truth: pixels that change when the parts that speak for the class are put to rest."""
DISPLACEMENT = "displacement"
"""Evidence about the pictures, not about the network: how far the expression moved each pixel."""
HELD = 0.5
"""Of graded evidence, the strongest pixels that together hold this share of it are taken."""
TOP = 0.05
"""Of the map, the share of pixels that top-k intersection takes: about the size of a facial part."""


@dataclass(frozen=True)
class Known:
    """Pixels known to matter for n images.

    Attributes
    ----------
    pixels
        Which they are.
    lacking
        Why they are not known for an image, "" where they are.
    """

    pixels: Bool[np.ndarray, "n h w"]
    lacking: Shaped[np.ndarray, " n"]


@dataclass(frozen=True)
class EvidenceLocalization:
    """Pointing game, mass, rank, top-k, AUC and overlap of a map and its null maps on every evidence that faces have.

    What the network uses comes first and has the metrics' plain names: on rendered faces the causes, which are the
    pixels that change when the groups of actions that speak for the target are put to rest (changes summed over the
    groups whose true effect on the target's logit is positive; the strongest pixels that together hold half of the
    change, ties taken in); else the planted mark, whose pattern tells the class and whose place is random, so that
    neither chance nor a portrait of the class finds it. Other evidence has its name for a suffix. Of the displacement,
    which is no truth about any network, only the mass is told.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls drawn an image; their scores are averaged.
    """

    spectrum_draws: int

    name = "localization"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores and the gains over the nulls; nothing where the faces have no evidence."""
        rows: list[pd.DataFrame] = []
        evidence = known_evidence(attributions)
        main = _main(evidence)
        for name, known in evidence.items():
            rows += scored_against_nulls(
                attributions,
                _metrics(known.pixels, only_mass=name == DISPLACEMENT),
                self.spectrum_draws,
                suffix="" if name == main else f"-{name}",
                lacking=known.lacking,
                shifts=True,
            )
        if MARK in evidence:
            mark = evidence[MARK]
            # Under the name by which it is judged.
            on_mark: dict[str, MapScore] = {"mass-on-mark": lambda maps: relevance_mass(maps, mark.pixels)}
            rows += scored_against_nulls(attributions, on_mark, self.spectrum_draws, lacking=mark.lacking, shifts=True)
        return Measured(scores=joined(SCORES, rows))


def known_evidence(attributions: Attributions) -> Mapping[str, Known]:
    """Return what is known, what the network uses first and what is graded made yes or no."""
    case = attributions.case
    found = {}
    pixels = _causal(attributions)
    if pixels is not None:
        found[CAUSES] = pixels
    for name in sorted(case.faces.evidence, key=lambda name: name != MARK):
        values = case.subject.spec.resized(case.faces.evidence[name])
        chosen = strongest(values) if name == DISPLACEMENT else values > 0
        none = ~chosen.any(axis=(1, 2))
        found[name] = Known(chosen, np.where(none, f"the image has no {name}", ""))
    return found


def main_evidence(attributions: Attributions) -> Known | None:
    """Return the pixels of the first evidence that is truth about the network; None where nothing is known."""
    evidence = known_evidence(attributions)
    main = _main(evidence)
    return evidence[main] if main else None


def _main(evidence: Mapping[str, Known]) -> str:
    """Return the first evidence that is truth about the network, "" where there is none."""
    return next((name for name in evidence if name != DISPLACEMENT), "")


def strongest(values: Float[np.ndarray, "n h w"]) -> Bool[np.ndarray, "n h w"]:
    """Return the fewest pixels of each image that hold half of its values' sum, with all that are tied with the last.

    Nothing where an image has no positive value.

    Examples
    --------
    >>> strongest(np.array([[[5.0, 3.0, 1.0, 1.0]], [[1.0, 1.0, 1.0, 0.0]], [[0.0] * 4]])).astype(int).tolist()
    [[[1, 0, 0, 0]], [[1, 1, 1, 0]], [[0, 0, 0, 0]]]
    """
    flat = np.maximum(values.reshape(len(values), -1).astype(np.float64), 0)
    falling = -np.sort(-flat, axis=1)
    enough = np.cumsum(falling, axis=1) >= HELD * falling.sum(axis=1, keepdims=True)
    last = np.take_along_axis(falling, enough.argmax(axis=1)[:, None], axis=1)
    chosen: Bool[np.ndarray, "n h w"] = ((flat >= last) & (flat > 0)).reshape(values.shape)
    return chosen


def _causal(attributions: Attributions) -> Known | None:
    """Return the pixels through which the network is known to see what it names, or None where no face tells."""
    truth = causes(attributions)
    if truth is None:
        return None
    speaks = np.nan_to_num(truth.effects) > 0
    pixels = strongest((truth.changes * speaks[:, :, None, None]).sum(axis=1))
    silent = (truth.lacking == "") & ~pixels.any(axis=(1, 2))
    return Known(pixels, np.where(silent, "no part speaks for the class", truth.lacking))


def _metrics(pixels: Bool[np.ndarray, "n h w"], *, only_mass: bool) -> dict[str, MapScore]:
    """Return the metrics, by the names of their cards, bound to the pixels known to matter."""
    k = max(1, round(TOP * pixels[0].size))
    mass: dict[str, MapScore] = {"relevance-mass": lambda maps: relevance_mass(maps, pixels)}
    if only_mass:
        return mass
    return mass | {
        "pointing-game": lambda maps: pointing_game(maps, pixels),
        "attribution-localization": lambda maps: attribution_localization(maps, pixels),
        "relevance-rank": lambda maps: relevance_rank_accuracy(maps, pixels),
        "top-k-intersection": lambda maps: top_k_intersection(maps, pixels, k),
        "localization-auc": lambda maps: localization_auc(maps, pixels),
        "intersection-over-union": lambda maps: intersection_over_union(maps, pixels),
    }
