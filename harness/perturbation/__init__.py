"""Taking pixels away: fills, removal orders, mask banks and null maps; no network, no explainer."""

from harness.perturbation.fills import BlurFill, ConstantFill, Fill, MeanFill, NoisyLinearFill, Replacement
from harness.perturbation.masks import Purpose, grid_mask_bank, pixel_mask_bank
from harness.perturbation.nulls import (
    segment_null,
    spectrum_error,
    spectrum_null,
    transplant_pairs,
    transplant_pairs_other_class,
)
from harness.perturbation.orders import least_first, removal_order, removed_steps, step_fractions
from harness.perturbation.segments import is_of_segments, value_areas

__all__ = [
    "BlurFill",
    "ConstantFill",
    "Fill",
    "MeanFill",
    "NoisyLinearFill",
    "Purpose",
    "Replacement",
    "grid_mask_bank",
    "is_of_segments",
    "least_first",
    "pixel_mask_bank",
    "removal_order",
    "removed_steps",
    "segment_null",
    "spectrum_error",
    "spectrum_null",
    "step_fractions",
    "transplant_pairs",
    "transplant_pairs_other_class",
    "value_areas",
]
