"""Whether removing what a map calls relevant changes the network's answer as the map says.

Three kinds of measurement come in, none of which is made here.

A **trajectory** ``values`` (n, steps) is the output for the explained class (a probability or a logit, in
that unit) as pixels are removed in the map's order, step 0 being the whole image unless said otherwise. A
**bank** is a set of m random removals: ``attributed`` (n, m) is the relevance that the map gives to what each
removal takes away, ``drops`` (n, m) the output of the whole image minus the output without it. **Effects**
(n, f) are the consequences of removing each feature alone. An undefined measurement is NaN and makes its
image's score NaN.
"""

from harness.metrics.faithfulness.banks import (
    attributed_sums,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    monotonicity_arya,
    monotonicity_nguyen,
    nguyen_effects,
    scaled_infidelity,
    sensitivity_n,
    sensitivity_n_curve,
)
from harness.metrics.faithfulness.curves import (
    aopc,
    area_under_curve,
    comprehensiveness,
    deletion_auc,
    insertion_auc,
    pixel_flipping,
    selectivity,
    sufficiency,
    symmetric_relevance_gain,
)
from harness.metrics.faithfulness.information import accuracy_information_curve, softmax_information_curve
from harness.metrics.faithfulness.masked import (
    adcc,
    adcc_complexity,
    average_drop,
    average_gain,
    average_increase,
    coherency,
    keep_masks,
)
from harness.metrics.faithfulness.relative import irof, road, road_curve
from harness.metrics.faithfulness.soundness import attribution_completeness, attribution_soundness

__all__ = [
    "accuracy_information_curve",
    "adcc",
    "adcc_complexity",
    "aopc",
    "area_under_curve",
    "attributed_sums",
    "attribution_completeness",
    "attribution_soundness",
    "average_drop",
    "average_gain",
    "average_increase",
    "coherency",
    "comprehensiveness",
    "deletion_auc",
    "faithfulness_correlation",
    "faithfulness_estimate",
    "infidelity",
    "insertion_auc",
    "irof",
    "keep_masks",
    "monotonicity_arya",
    "monotonicity_nguyen",
    "nguyen_effects",
    "pixel_flipping",
    "road",
    "road_curve",
    "scaled_infidelity",
    "selectivity",
    "sensitivity_n",
    "sensitivity_n_curve",
    "softmax_information_curve",
    "sufficiency",
    "symmetric_relevance_gain",
]
