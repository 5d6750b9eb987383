"""Every comparison of a metric with another implementation, and the table of them."""

from collections.abc import Callable

import numpy as np

from benchmarks.metrics_parity.axioms import completeness, non_sensitivity
from benchmarks.metrics_parity.complexity import (
    entropy_complexity,
    histogram_entropy,
    mst_compactness,
    pixels_above_floor,
    sparseness,
)
from benchmarks.metrics_parity.faithfulness import (
    aopc,
    captum_infidelity,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    irof,
    monotonicity_nguyen,
    pixel_flipping,
    road,
    selectivity,
    sensitivity_n_kernel,
)
from benchmarks.metrics_parity.information import accuracy_information_curve, softmax_information_curve
from benchmarks.metrics_parity.likeness import (
    coalition_fit,
    cosine,
    hog,
    part_kendall,
    part_spearman,
    pearson,
    precision,
    recall,
    settled_pairs,
    spearman,
    ssim,
    top_k_overlap,
)
from benchmarks.metrics_parity.localization import (
    attribution_localization,
    focus,
    intersection_over_union,
    localization_auc,
    pointing_game,
    relevance_mass,
    relevance_rank,
    top_k_intersection,
)
from benchmarks.metrics_parity.masked import (
    adcc_complexity,
    average_drop,
    average_increase,
    coherency,
    least_deviation,
)
from benchmarks.metrics_parity.randomization import efficient_mprt, mprt_average, mprt_last, random_logit, smooth_mprt
from benchmarks.metrics_parity.robustness import (
    average_sensitivity,
    consistency,
    continuity,
    input_invariance,
    local_lipschitz,
    max_sensitivity,
    neighbour_sufficiency,
    relative_input_stability,
    relative_output_stability,
    relative_representation_stability,
)
from benchmarks.metrics_parity.setup import MAPS, PIXELS, WITHIN, Comparison, Pair
from harness.rounding import rounding


def _quantus(metric: str, name: str, answers: Callable[[], Pair], note: str = "", *, added: float = 0.0) -> Comparison:
    """Return a comparison with a metric of Quantus, to whose scores its own epsilon makes a difference of `added`."""
    return Comparison(metric, f"Quantus {name}", "quantus", answers, note, WITHIN + added)


def _grad_cam(metric: str, name: str, answers: Callable[[], Pair], note: str = "", *, added: float = 0.0) -> Comparison:
    """Return a comparison with a metric of pytorch-grad-cam, whose own arithmetic makes a difference of `added`."""
    return Comparison(metric, f"pytorch-grad-cam {name}", "pytorch_grad_cam", answers, note, WITHIN + added)


RISING = np.maximum(MAPS, 0).sum(axis=(1, 2)).min()
LEVEL = (np.abs(MAPS) / np.abs(MAPS).max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2)).min()

COMPARISONS = (
    _quantus("pixel-flipping", "PixelFlipping", pixel_flipping, "its area with step 0 added, over all steps"),
    _quantus("selectivity", "Selectivity", selectivity, "its curve with step 0 added"),
    _quantus("aopc", "RegionPerturbation", aopc, "its curve with the fall of step 0 added"),
    _quantus("faithfulness-correlation", "FaithfulnessCorrelation", faithfulness_correlation),
    _quantus("faithfulness-estimate", "FaithfulnessEstimate", faithfulness_estimate),
    _quantus("monotonicity-nguyen", "MonotonicityCorrelation", monotonicity_nguyen, "its `abs` on"),
    _quantus("sensitivity-n", "SensitivityN", sensitivity_n_kernel, "the correlation alone, on what it measures"),
    _quantus("infidelity", "Infidelity", infidelity),
    Comparison("infidelity", "captum infidelity", "captum", lambda: captum_infidelity(scaled=False)),
    Comparison("scaled-infidelity", "captum infidelity, normalize", "captum", lambda: captum_infidelity(scaled=True)),
    _quantus("irof", "IROF", irof, "its area with step 0 added, over the number of segments"),
    _quantus("road", "ROAD", road, "the accuracy curve"),
    _quantus("pointing-game", "PointingGame", pointing_game),
    _quantus("relevance-mass", "RelevanceMassAccuracy", relevance_mass, "of magnitudes"),
    _quantus(
        "attribution-localization",
        "AttributionLocalisation",
        attribution_localization,
        "its share over area; it adds 1e-9",
        added=1e-9 / RISING,
    ),
    _quantus("relevance-rank", "RelevanceRankAccuracy", relevance_rank),
    _quantus("top-k-intersection", "TopKIntersection", top_k_intersection),
    _quantus("localization-auc", "AUC", localization_auc),
    Comparison("intersection-over-union", "scikit-learn jaccard_score", "sklearn", intersection_over_union),
    _quantus("focus", "Focus", focus, "it adds 1e-9 to the total", added=1e-9 / RISING),
    _quantus("max-sensitivity", "MaxSensitivity", max_sensitivity),
    _quantus("average-sensitivity", "AvgSensitivity", average_sensitivity),
    _quantus("local-lipschitz", "LocalLipschitzEstimate", local_lipschitz),
    _quantus("continuity", "Continuity", continuity, "no copy in place"),
    # It subtracts pictures in single precision, which differ by a fiftieth of their size at least.
    _quantus(
        "relative-input-stability",
        "RelativeInputStability",
        relative_input_stability,
        "no entry 0",
        added=rounding("float32", 4, conditioning=50.0),
    ),
    _quantus("relative-output-stability", "RelativeOutputStability", relative_output_stability, "no entry 0"),
    _quantus(
        "relative-representation-stability",
        "RelativeRepresentationStability",
        relative_representation_stability,
        "no entry 0",
    ),
    _quantus("consistency", "Consistency", consistency, "coded by all signs; it adds 1e-9", added=1e-9),
    _quantus("neighbour-sufficiency", "Sufficiency", neighbour_sufficiency, "images with a neighbour"),
    _quantus("input-invariance", "InputInvariance", input_invariance, "kept or not; all pixels shifted"),
    _quantus("sparseness", "Sparseness", sparseness, "it adds 1e-7 to every magnitude", added=1e-7 / LEVEL),
    _quantus(
        "entropy-complexity", "Complexity", entropy_complexity, "it adds 1e-12 in the logarithm", added=1e-12 * PIXELS
    ),
    _quantus("pixels-above-floor", "EffectiveComplexity", pixels_above_floor, "maps normalised one by one"),
    _quantus("histogram-entropy", "discrete_entropy", histogram_entropy),
    _quantus("completeness", "Completeness", completeness, "kept or not"),
    _quantus("sensitivity", "NonSensitivity", non_sensitivity, "breaches of both counted together"),
    _quantus("non-sensitivity", "NonSensitivity", non_sensitivity, "breaches of both counted together"),
    _quantus("mprt-last", "MPRT", mprt_last),
    _quantus("mprt-average", "MPRT", mprt_average, "its stages without the unrandomised network"),
    _quantus("efficient-mprt", "EfficientMPRT", efficient_mprt),
    _quantus("smooth-mprt", "SmoothMPRT", smooth_mprt, "one copy without noise"),
    _quantus("random-logit", "RandomLogit", random_logit, "by correlation"),
    Comparison("pearson", "scipy.stats.pearsonr", "scipy", pearson),
    Comparison("spearman", "scipy.stats.spearmanr", "scipy", spearman),
    Comparison("cosine", "scipy cosine", "scipy", cosine),
    Comparison("ssim", "scikit-image structural_similarity", "skimage", ssim),
    Comparison("hog", "scikit-image hog, scipy pearsonr", "skimage", hog),
    Comparison("top-k-overlap", "sets of pixels", "numpy", top_k_overlap),
    Comparison("part-spearman", "scipy.stats.spearmanr", "scipy", part_spearman),
    Comparison("part-kendall", "scipy.stats.kendalltau", "scipy", part_kendall),
    Comparison("settled-pairs", "scipy.stats.kendalltau", "scipy", settled_pairs),
    Comparison("coalition-fit", "least squares over all coalitions", "numpy", coalition_fit),
    # A difference of two probabilities in single precision, over the least of them.
    _grad_cam(
        "average-drop",
        "DropInConfidence",
        average_drop,
        "over the whole picture's probability",
        added=rounding("float32", 3, conditioning=10.0),
    ),
    _grad_cam("average-increase", "IncreaseInConfidence", average_increase),
    _grad_cam("coherency", "Coherency", coherency, "it adds 1e-8 to the deviations", added=1e-8 / least_deviation()),
    _grad_cam("adcc-complexity", "Complexity", adcc_complexity),
    Comparison("softmax-information-curve", "saliency compute_pic_metric", "saliency", softmax_information_curve),
    Comparison("accuracy-information-curve", "saliency compute_pic_metric", "saliency", accuracy_information_curve),
    Comparison("mst-compactness", "scikit-learn graph, SciPy tree and hull", "sklearn", mst_compactness),
    Comparison("recall", "scikit-learn recall_score", "sklearn", recall),
    Comparison("precision", "scikit-learn precision_score", "sklearn", precision),
)


def table() -> str:
    """Return the comparisons as a markdown table."""
    rows = ["| metric | reference | largest difference | largest score | note |", "|---|---|---|---|---|"]
    for one in COMPARISONS:
        found = "{:.1e} | {:.3g}".format(*one.found()) if one.available() else "not installed | "
        rows.append(f"| {one.metric} | {one.reference} | {found} | {one.note} |")
    return "\n".join(rows)
