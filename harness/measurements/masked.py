"""The picture multiplied by its own map: what the network, and the explainer, say of what is left."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT, Attributions, Measured, score_rows
from harness.measurements.outputs import outputs
from harness.measurements.scored import CONSTANT, rows_against_nulls
from harness.metrics import faithfulness
from harness.metrics.cards import card_of
from harness.store import SCORES, joined

OF_PROBABILITIES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "average-drop": faithfulness.average_drop,
        "average-increase": faithfulness.average_increase,
        "average-gain": faithfulness.average_gain,
    }
)
"""What is read from the probability of the whole picture and of the masked one."""


@dataclass(frozen=True)
class Masked:
    """Average drop, increase and gain of the picture times its map, and how much of the picture that keeps.

    Pixels are multiplied, so that what the map leaves out is black however the network states its input, where an
    implementation that multiplies input units leaves whatever 0 stands for. Only positive relevance keeps anything.

    Attributes
    ----------
    spectrum_draws
        Spectrum nulls an image; scores are averaged over them.
    """

    spectrum_draws: int

    name = "masked"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores and their gains, from one pass a map."""
        case, rows = attributions.case, []
        whole = case.probabilities[np.arange(len(case.targets)), case.targets]
        maps = {
            MAP: [attributions.maps],
            SPECTRUM: list(attributions.spectrum_nulls(self.spectrum_draws)),
            TRANSPLANT: [attributions.transplanted],
        }
        masks = {variant: [faithfulness.keep_masks(one) for one in drawn] for variant, drawn in maps.items()}
        kept = {variant: [kept_probability(case, one) for one in drawn] for variant, drawn in masks.items()}
        for name, score in OF_PROBABILITIES.items():
            found = {v: np.mean([score(whole, one) for one in drawn], axis=0) for v, drawn in kept.items()}
            rows += rows_against_nulls(attributions, name, found)
        sizes = {v: np.mean([faithfulness.adcc_complexity(one) for one in drawn], axis=0) for v, drawn in masks.items()}
        rows += rows_against_nulls(attributions, "adcc-complexity", sizes)
        return Measured(scores=joined(SCORES, rows))


@dataclass(frozen=True)
class Coherency:
    """Whether the map of the masked picture is the map again (coherency), and ADCC, which holds all three together.

    The explainer is asked about the masked pictures, for the same classes; a null map has no explainer to be asked.

    Attributes
    ----------
    per_class
        Images of each class: each is a map more.
    """

    per_class: int

    name = "coherency"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return both scores, without a null."""
        few = attributions.some(self.per_class)
        case, masks = few.case, faithfulness.keep_masks(few.maps)
        again = faithfulness.keep_masks(few.explain(masked_pictures(case, masks), case.targets))
        coherent = faithfulness.coherency(masks, again)
        drops = faithfulness.average_drop(
            case.probabilities[np.arange(len(case.targets)), case.targets], kept_probability(case, masks)
        )
        found = {
            "coherency": coherent,
            "adcc": faithfulness.adcc(coherent, faithfulness.adcc_complexity(masks), drops),
        }
        rows = [
            score_rows(case, name, MAP, values, card_of(name).undefined_beside(CONSTANT))
            for name, values in found.items()
        ]
        return Measured(scores=joined(SCORES, rows))


def masked_pictures(case: EvaluationSet, masks: Float[np.ndarray, "n h w"]) -> Float[Tensor, "n c h w"]:
    """Return each picture, pixel by pixel, times its mask, in input units; a picture without a mask as it is."""
    kept = torch.from_numpy(np.where(np.isnan(masks), 1.0, masks))[:, None].to(case.images)
    black = torch.tensor(case.subject.spec.shade(0.0))[:, None, None].to(case.images)
    return torch.lerp(black, case.images, kept)


def kept_probability(case: EvaluationSet, masks: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return the probability of each picture's class when it is multiplied by its mask; NaN without a mask."""
    found = outputs(case, masked_pictures(case, masks), case.targets).probability
    kept: np.ndarray = np.where(np.isnan(masks).any(axis=(1, 2)), np.nan, found)
    return kept
