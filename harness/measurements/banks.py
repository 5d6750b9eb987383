"""What the network answers when parts of an image are hidden, asked once and held against every explainer's map.

Which parts are hidden does not depend on any map, so that the answers serve all explainers and all null maps. They are
drops of the target's *logit*: it is what explainers explain, and on a linear network it is the sum of its pixels'
contributions, so that a true map scores exactly 1 there, while a probability saturates. Pixels are hidden in patches,
the cells of a grid, because scattered pixels disturb any network more than a part that is gone does.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from harness.evaluation_set import EvaluationSet
from harness.measurements.answers import target_logits
from harness.measurements.base import Attributions, Measured
from harness.measurements.scored import scored_against_nulls
from harness.metrics.axioms import non_sensitivity, sensitivity
from harness.metrics.faithfulness import (
    attributed_sums,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    monotonicity_nguyen,
    nguyen_effects,
    scaled_infidelity,
    sensitivity_n,
)
from harness.perturbation import Fill, Purpose, cell_mask_bank, grid_cells
from harness.store import SCORES, joined

GRID = 8
"""Cells a side: on a face of 48 pixels a cell measures 6, about an eye."""
REMOVED = (0.125, 0.25, 0.5, 0.75)
"""Shares of the cells that masks remove: the sizes of sensitivity-n, from a part of a face to most of it."""
CORRELATED = 0.5
"""The share whose masks faithfulness correlation takes: there the sums over random sets vary most."""
FLOOR = 0.01
"""A patch has no relevance, or no effect, up to this share of the largest of its image."""


@dataclass(frozen=True)
class MaskBank:
    """Whether the relevance of what random masks remove foretells the drop of the target's logit.

    Faithfulness correlation (Bhatt et al. 2020) takes the masks that remove half of the cells; sensitivity-n (Ancona et
    al. 2018) the mean correlation over every size; infidelity and scaled infidelity (Yeh et al. 2019) all masks of all
    sizes. Infidelity takes maps for contributions, whatever their unit: compare it with the map's own nulls, never with
    another explainer's. The masks are drawn apart from those that an explainer may learn from.

    Attributes
    ----------
    fill
        What stands where cells were removed; the same as in removal curves, so that a map that is faithful by one and
        not by the other cannot owe it to the fill.
    masks
        Masks of each size.
    spectrum_draws
        Spectrum nulls drawn an image; their scores are averaged.
    """

    fill: Fill
    masks: int
    spectrum_draws: int

    name = "bank"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores of all four metrics and their gains over the nulls."""
        removed = self._removed(attributions.case)
        drops = self._drops(attributions, removed)
        sizes, masks = removed.shape[:2]
        half = REMOVED.index(CORRELATED)

        def sums(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n sizes m"]:
            return attributed_sums(maps, removed.reshape(sizes * masks, *maps.shape[1:])).reshape(drops.shape)

        every = drops.reshape(len(drops), -1)
        rows = scored_against_nulls(
            attributions,
            {
                "faithfulness-correlation": lambda maps: faithfulness_correlation(sums(maps)[:, half], drops[:, half]),
                "sensitivity-n": lambda maps: sensitivity_n(sums(maps), drops),
                "infidelity": lambda maps: infidelity(sums(maps).reshape(every.shape), every),
                "scaled-infidelity": lambda maps: scaled_infidelity(sums(maps).reshape(every.shape), every),
            },
            self.spectrum_draws,
        )
        return Measured(scores=joined(SCORES, rows))

    def _removed(self, case: EvaluationSet) -> Bool[np.ndarray, "sizes m h w"]:
        """Return the masks of every size, the same for all images, True where a pixel is gone."""
        height, width = case.images.shape[-2:]
        grid = min(GRID, height, width)
        kept = [
            cell_mask_bank(
                self.masks, (height, width), grid=grid, kept_fraction=1 - share, seed=case.seed, purpose=Purpose.JUDGE
            )
            for share in REMOVED
        ]
        return ~np.stack(kept)

    def _drops(
        self, attributions: Attributions, removed: Bool[np.ndarray, "sizes m h w"]
    ) -> Float[np.ndarray, "n sizes m"]:
        """Return by how much each mask makes each image's target logit fall, asked once for all."""
        sizes, masks = removed.shape[:2]
        flat = removed.reshape(sizes * masks, *removed.shape[2:])
        found = attributions.shared(
            ("mask bank", self.fill, self.masks, GRID, REMOVED),
            lambda: {"drops": logit_drops(attributions.case, self.fill, flat)},
        )
        drops: Float[np.ndarray, "n masks"] = found["drops"]
        return drops.reshape(-1, sizes, masks)


@dataclass(frozen=True)
class SinglePatches:
    """Whether each patch's relevance tells what hiding it alone does to the target's logit.

    Relevance is summed over the patch. Faithfulness estimate (Alvarez-Melis & Jaakkola 2018) correlates it with the
    drop; monotonicity (Nguyen & Rodriguez Martinez 2020) ranks its magnitude against the squared change, one value
    being drawn anew for each patch: the fill. Sensitivity is the share of patches with an effect that have no
    relevance, non-sensitivity the share of patches without effect that have some; what counts as none is up to a
    hundredth of the image's largest. An explainer that itself hides patches, such as occlusion, is asked here what it
    was told.

    Attributes
    ----------
    fill
        What stands where a patch was.
    spectrum_draws
        Spectrum nulls drawn an image; their scores are averaged.
    """

    fill: Fill
    spectrum_draws: int

    name = "patches"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the scores of all four metrics and their gains over the nulls."""
        patches = self._patches(attributions.case)
        drops = self._drops(attributions, patches)
        largest = np.abs(drops).max(axis=1, keepdims=True)
        shares = np.divide(drops, largest, out=np.zeros_like(drops), where=largest > 0)
        effects = nguyen_effects(np.zeros(len(drops)), -drops[:, :, None])

        def relevances(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n f"]:
            return attributed_sums(maps, patches)

        rows = scored_against_nulls(
            attributions,
            {
                "faithfulness-estimate": lambda maps: faithfulness_estimate(relevances(maps), drops),
                "monotonicity-nguyen": lambda maps: monotonicity_nguyen(relevances(maps), effects),
                "sensitivity": lambda maps: sensitivity(relevances(maps), shares, FLOOR, FLOOR),
                "non-sensitivity": lambda maps: non_sensitivity(relevances(maps), shares, FLOOR, FLOOR),
            },
            self.spectrum_draws,
        )
        return Measured(scores=joined(SCORES, rows))

    def _patches(self, case: EvaluationSet) -> Bool[np.ndarray, "f h w"]:
        """Return where each patch is."""
        height, width = case.images.shape[-2:]
        grid = min(GRID, height, width)
        cells = grid_cells((height, width), grid)
        where: Bool[np.ndarray, "f h w"] = np.arange(grid**2)[:, None, None] == cells
        return where

    def _drops(self, attributions: Attributions, patches: Bool[np.ndarray, "f h w"]) -> Float[np.ndarray, "n f"]:
        """Return by how much hiding each patch makes each image's target logit fall, asked once for all."""
        found = attributions.shared(
            ("single patches", self.fill, GRID), lambda: {"drops": logit_drops(attributions.case, self.fill, patches)}
        )
        drops: Float[np.ndarray, "n f"] = found["drops"]
        return drops


def logit_drops(case: EvaluationSet, fill: Fill, removed: Bool[np.ndarray, "m h w"]) -> Float[np.ndarray, "n m"]:
    """Return the target's logit of each image less that of the image with each of m removals."""
    replacement = fill.prepare(case.images)
    whole = target_logits(case, case.images)
    everywhere = (np.broadcast_to(mask, (len(whole), *mask.shape)) for mask in removed)
    return np.stack([whole - target_logits(case, replacement(mask, case.seed)) for mask in everywhere], axis=1)
