"""Taking pixels away: fills, removal orders, mask banks and null maps; no network, no explainer."""

from harness.perturbation._seeds import Stream, generator
from harness.perturbation.copies import noisy_copies
from harness.perturbation.fills import (
    BlurFill,
    ConstantFill,
    Fill,
    MeanFill,
    NegativeFill,
    NoisyLinearFill,
    PictureFill,
    Replacement,
    UniformFill,
)
from harness.perturbation.masks import (
    Purpose,
    cell_mask_bank,
    colour_mask_bank,
    grid_cells,
    grid_mask_bank,
    pixel_mask_bank,
)
from harness.perturbation.mosaics import Mosaics, mosaics
from harness.perturbation.nulls import (
    segment_null,
    shifted,
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
    "Mosaics",
    "NegativeFill",
    "NoisyLinearFill",
    "PictureFill",
    "Purpose",
    "Replacement",
    "Stream",
    "UniformFill",
    "cell_mask_bank",
    "colour_mask_bank",
    "generator",
    "grid_cells",
    "grid_mask_bank",
    "is_of_segments",
    "least_first",
    "mosaics",
    "noisy_copies",
    "pixel_mask_bank",
    "removal_order",
    "removed_steps",
    "segment_null",
    "shifted",
    "spectrum_error",
    "spectrum_null",
    "step_fractions",
    "transplant_pairs",
    "transplant_pairs_other_class",
    "value_areas",
]
