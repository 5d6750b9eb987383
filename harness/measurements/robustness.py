"""Whether a map holds where it should: under noise, under a shift of brightness, under another seed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from harness.errors import ExplainerFault
from harness.evaluation_set import EvaluationSet
from harness.measurements.base import (
    MAP,
    TRANSPLANT,
    Attributions,
    Measured,
    score_rows,
)
from harness.measurements.scored import CONSTANT, rows_against_nulls
from harness.metrics import robustness
from harness.metrics.cards import card_of
from harness.networks.equal import SAME, largest_difference, taking_back
from harness.perturbation import noisy_copies
from harness.store import SCORES, joined
from harness.subject import Subject
from harness.subject.channels import scaled_by_channel

SPREAD = 0.02
"""Standard deviation of the noise as a share of each channel's range: five grey levels of 255, hardly seen."""
SHIFT = 0.1
"""Brightness added, as a share of the range of values: enough to see, and few pixels leave the range."""
NEAR = 1.0
"""Maps of unit length this near are alike: their cosine is one half."""


@dataclass(frozen=True)
class View:
    """An image as the explainer and the network see it; of neighbours, every array has an axis of copies behind n."""

    maps: Float[np.ndarray, "n *copies h w"]
    images: Float[np.ndarray, "n *copies c height width"]
    logits: Float[np.ndarray, "n *copies k"]
    inner: Float[np.ndarray, "n *copies f"]


Score = Callable[[View, View, Bool[np.ndarray, "n s"]], Float[np.ndarray, " n"]]


def _distances(here: View, near: View) -> Float[np.ndarray, "n s"]:
    """Return the Euclidean distance of each copy from its image."""
    differences = near.images.astype(np.float64) - here.images[:, None]
    distances: np.ndarray = np.sqrt((differences**2).reshape(*differences.shape[:2], -1).sum(-1))
    return distances


OF_INNER = "relative-representation-stability"
UNHEARD = "the network has no last layer with weights that takes one row an image, whose input would be compared"

SCORES_OF_COPIES: dict[str, Score] = {
    "max-sensitivity": lambda here, near, kept: robustness.max_sensitivity(here.maps, near.maps, kept),
    "average-sensitivity": lambda here, near, kept: robustness.average_sensitivity(here.maps, near.maps, kept),
    "local-lipschitz": lambda here, near, kept: robustness.local_lipschitz(
        here.maps, near.maps, _distances(here, near), kept
    ),
    "continuity": lambda here, near, kept: robustness.continuity(here.maps, near.maps, _distances(here, near), kept),
    "relative-input-stability": lambda here, near, kept: robustness.relative_input_stability(
        here.maps, near.maps, here.images, near.images, kept, robustness.length_change
    ),
    "relative-output-stability": lambda here, near, kept: robustness.relative_output_stability(
        here.maps, near.maps, here.logits, near.logits, kept, robustness.length_change
    ),
    OF_INNER: lambda here, near, kept: robustness.relative_representation_stability(
        here.maps, near.maps, here.inner, near.inner, kept, robustness.length_change
    ),
}
"""Relative changes are of lengths: entry by entry, one pixel or unit that was zero would leave no score."""


@dataclass(frozen=True)
class Robustness:
    """How far a map moves when its image moves a little, beside how far it lies from that of another image.

    Every metric of noisy copies is measured again with the image's donor as its only copy: the transplant null. The
    gain is how much less the map moves under noise. Copies in which the prediction changed do not count. An explainer
    that draws at random draws anew for each copy, so that its own unrest is part of what is measured. The
    representation is what reaches the last layer with weights; of a network that has none, or one that takes no row an
    image, ``relative-representation-stability`` is not scored.

    Attributes
    ----------
    per_class
        Images of each class.
    copies
        Noisy copies of each.
    """

    per_class: int
    copies: int

    name = "robustness"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores of the noisy copies and of the brightness shift."""
        some = attributions.some(self.per_class)
        return Measured(scores=joined(SCORES, [*self._noise(some), _shift(some)]))

    def _noise(self, some: Attributions) -> list[Any]:
        """Return the rows of every metric of noisy copies."""
        here, copies, kept = self._views(some)
        others = View(*(values[some.donors][:, None] for values in vars(here).values()))
        rows = []
        for metric, score in SCORES_OF_COPIES.items():
            found = {
                MAP: score(here, copies, kept),
                TRANSPLANT: score(here, others, np.ones((len(kept), 1), dtype=bool)),
            }
            unknown = metric == OF_INNER and not here.inner.shape[-1]
            rows += rows_against_nulls(some, metric, found, lacking=np.full(len(kept), UNHEARD * unknown, dtype=object))
        return rows

    def _views(self, some: Attributions) -> tuple[View, View, Bool[np.ndarray, "n s"]]:
        """Return the images, their noisy copies, and in which of these the prediction stayed."""
        case = some.case
        noise = noisy_copies(
            torch.zeros_like(case.images, dtype=torch.float32), 1.0, draws=self.copies, seed=case.seed, keys=case.keys
        )
        copies = case.images[:, None] + scaled_by_channel(noise, case.subject.spec, SPREAD)
        known = some.shared(("noisy copies", self.copies, SPREAD), lambda: _answers(case, copies))
        maps = some.explain(copies.flatten(0, 1), np.repeat(case.targets, self.copies))
        maps = maps.reshape(-1, self.copies, *maps.shape[1:])
        here = View(some.maps, case.images.cpu().numpy(), known["logits"], known["inner"])
        near = View(maps, copies.cpu().numpy(), known["moved_logits"], known["moved_inner"])
        return here, near, near.logits.argmax(-1) == case.targets[:, None]


def _answers(case: EvaluationSet, copies: Float[Tensor, "n s c h w"]) -> Mapping[str, np.ndarray]:
    """Return logits and representations of the images and of their copies: one pass each."""
    logits, inner = _reached(case.subject, case.images)
    moved_logits, moved_inner = _reached(case.subject, copies.flatten(0, 1))
    ahead = copies.shape[:2]
    return {
        "logits": logits,
        "inner": inner,
        "moved_logits": moved_logits.reshape(*ahead, -1),
        "moved_inner": moved_inner.reshape(*ahead, -1),
    }


def _reached(subject: Subject, images: Tensor) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n f"]]:
    """Return the logits, and what reaches the last layer with weights: of no length where that is no row an image."""
    weighted = [name for name in subject.layers if list(subject.layer(name).parameters(recurse=False))]
    heard: list[Tensor] = []
    with _overheard(subject.layer(weighted[-1]), heard) if weighted else nullcontext():
        logits = subject.logits(images).double().cpu().numpy()
    inner = torch.cat(heard) if len({each.shape[1:] for each in heard}) == 1 else torch.zeros(0)
    if len(inner) != len(images):
        return logits, np.zeros((len(images), 0))
    return logits, inner.double().cpu().numpy()


@contextmanager
def _overheard(layer: nn.Module, heard: list[Tensor]) -> Iterator[None]:
    """Keep what reaches a layer, by position or by keyword, a row an image."""

    def hear(_layer: nn.Module, by_place: tuple[Any, ...], by_name: dict[str, Any]) -> None:
        reaching = [each for each in (*by_place, *by_name.values()) if isinstance(each, Tensor)]
        heard.extend(each.detach().flatten(1).clone() for each in reaching[:1])

    handle = layer.register_forward_pre_hook(hear, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _shift(some: Attributions) -> Any:
    """Return the rows of input invariance, undefined with its reason where no network takes the shift back."""
    case, metric = some.case, "input-invariance"
    spec, nothing = case.subject.spec, np.full(len(some.maps), np.nan)
    shift = SHIFT * (spec.high - spec.low)
    other = taking_back(case.subject, shift)
    if other is None:
        reason = "the first layer with weights is neither a convolution nor dense, so that its bias takes nothing back"
        return score_rows(case, metric, MAP, nothing, reason)
    moved = case.images + shift
    apart = some.shared(
        ("taking back", SHIFT), lambda: {"apart": np.array(largest_difference(case.subject, other, case.images, moved))}
    )
    if not apart["apart"] <= SAME:
        reason = "the network with another first bias answers otherwise: something before it changes the shift"
        return score_rows(case, metric, MAP, nothing, reason)
    try:
        values = robustness.input_invariance(some.maps, some.explain(moved, case.targets, other))
    except ExplainerFault as fault:  # the twin has a padding module that an explainer may not know
        return score_rows(case, metric, MAP, nothing, f"on the network that takes the shift back: {fault}")
    return score_rows(case, metric, MAP, values, card_of(metric).undefined)


@dataclass(frozen=True)
class Agreement:
    """Whether images of like maps have like predictions (Dasgupta et al. 2022), over all images."""

    name = "agreement"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return consistency over a coarse grid of signs, and sufficiency among near maps."""
        case = attributions.case
        # A constant map is like no other: one of zeros lies as far from each map as maps that share nothing.
        telling = np.flatnonzero(~attributions.constant)
        maps, answers = attributions.maps[telling], case.targets[telling]
        rows = maps.reshape(len(maps), -1).astype(np.float64)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        found = {
            "consistency": robustness.consistency(robustness.coarse_codes(maps), answers),
            "neighbour-sufficiency": robustness.neighbour_sufficiency(cdist(units, units), answers, NEAR),
        }
        tables = []
        for metric, values in found.items():
            all_values = np.full(len(case.targets), np.nan)
            all_values[telling] = values
            tables.append(score_rows(case, metric, MAP, all_values, card_of(metric).undefined_beside(CONSTANT)))
        return Measured(scores=joined(SCORES, tables))


@dataclass(frozen=True)
class Seeds:
    """How alike an explainer's maps of one image are under several seeds; undefined for one that draws nothing.

    Attributes
    ----------
    per_class
        Images of each class.
    seeds
        Seeds, the run's own among them.
    """

    per_class: int
    seeds: int

    name = "seeds"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the mean rank correlation of the maps of each pair of seeds."""
        some = attributions.some(self.per_class)
        case, metric = some.case, "seed-stability"
        if not (some.seeded or _draws(some)):
            nothing = np.full(len(some.maps), np.nan)
            return Measured(scores=score_rows(case, metric, MAP, nothing, "the explainer draws nothing"))
        others = [some.explain(case.images, case.targets, seed=case.seed + further) for further in range(1, self.seeds)]
        values = robustness.seed_stability(np.stack([some.maps, *others], axis=1))
        return Measured(scores=score_rows(case, metric, MAP, values, card_of(metric).undefined))


def _draws(some: Attributions) -> bool:
    """Whether an explainer that takes no seed draws from global generators: one image tells."""
    asked = some.case.images[:1], some.case.targets[:1]
    one, other = (some.explain(*asked, seed=some.case.seed + further) for further in (0, 1))
    return not np.array_equal(one, other)
