"""What each metric is: its range, direction, chance level, cost, and what it was compared with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from harness.metrics import (
    axioms,
    cells,
    complexity,
    confusion,
    faithfulness,
    localization,
    parts,
    randomization,
    robustness,
    similarity,
)


@dataclass(frozen=True)
class MetricCard:
    """What a table, a reader or a check needs to know of a metric.

    Attributes
    ----------
    name
        What the command line and tables call it.
    family
        The file it lives in.
    function
        The metric itself.
    low, high
        Range of the score; infinite where there is no bound. For outputs that are probabilities.
    higher_is_better
        None where no direction is a virtue.
    chance
        The score of a map that knows nothing, or how to find it.
    cost
        Images passed through the network for one map, in words.
    undefined
        When the score is NaN.
    reference
        The paper.
    compared_with
        The independent implementation, "" where there is none.
    largest_difference
        The largest absolute difference from it that was measured, None where the two are not comparable.
    differs
        Where it differs from that implementation on purpose.
    """

    name: str
    family: str
    function: Callable[..., object]
    low: float
    high: float
    higher_is_better: bool | None
    chance: str
    cost: str
    undefined: str
    reference: str
    compared_with: str = ""
    largest_difference: float | None = None
    differs: str = ""


def metric_cards() -> dict[str, MetricCard]:
    """Return every metric's card by name.

    Examples
    --------
    >>> metric_cards()["sparseness"].higher_is_better is None
    True
    """
    return {card.name: replace(card, largest_difference=_MEASURED.get(card.name)) for card in _CARDS}


_TRAJECTORY = "one forward a step"
_BANK = "one forward a mask, shared by all maps of the image"
_EACH_FEATURE = "one forward a feature, shared by all maps of the image"
_NO_PASSES = "none"
_NAN_OUTPUT = "an output along the trajectory is NaN"
_CONSTANT_BANK = "attributed sums or drops are constant over the bank"
_CONSTANT_MAP = "the map is constant or not finite"
_NO_EVIDENCE = "the map is constant or holds NaN, or there is no evidence"
_AREA = "the evidence's share of the image"
_NULL = "its null maps' score"
_COPIES = "one explanation a disturbed copy"
_TRAPEZOID = "counts the whole image as step 0 and divides the area by the span, so that steps do not change the unit"

_FAITHFULNESS = (
    MetricCard(
        name="deletion-auc",
        family="faithfulness",
        function=faithfulness.deletion_auc,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined=_NAN_OUTPUT,
        reference="Petsiuk et al. 2018, RISE",
        compared_with="the exact area under piecewise linear curves",
    ),
    MetricCard(
        name="insertion-auc",
        family="faithfulness",
        function=faithfulness.insertion_auc,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined=_NAN_OUTPUT,
        reference="Petsiuk et al. 2018, RISE",
        compared_with="the exact area under piecewise linear curves",
    ),
    MetricCard(
        name="symmetric-relevance-gain",
        family="faithfulness",
        function=faithfulness.symmetric_relevance_gain,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost="two forwards a step",
        undefined=_NAN_OUTPUT,
        reference="Bluecher et al. 2024, Decoupling pixel flipping and occlusion strategy",
        compared_with="the exact area between piecewise linear curves",
    ),
    MetricCard(
        name="pixel-flipping",
        family="faithfulness",
        function=faithfulness.pixel_flipping,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined=_NAN_OUTPUT,
        reference="Bach et al. 2015, layer-wise relevance propagation",
        compared_with="Quantus 0.6 PixelFlipping",
        differs=_TRAPEZOID,
    ),
    MetricCard(
        name="aopc",
        family="faithfulness",
        function=faithfulness.aopc,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined=_NAN_OUTPUT,
        reference="Samek et al. 2017, Evaluating the visualization of what a deep network has learned",
        compared_with="Quantus 0.6 RegionPerturbation",
        differs=("Quantus gives the curve of falls without step 0; the paper's mean over L + 1 steps is taken here"),
    ),
    MetricCard(
        name="selectivity",
        family="faithfulness",
        function=faithfulness.selectivity,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance=_NULL,
        cost="one forward a patch",
        undefined=_NAN_OUTPUT,
        reference="Montavon et al. 2018, Methods for interpreting and understanding deep neural networks",
        compared_with="Quantus 0.6 Selectivity",
        differs=_TRAPEZOID,
    ),
    MetricCard(
        name="comprehensiveness",
        family="faithfulness",
        function=faithfulness.comprehensiveness,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost="one forward a share removed",
        undefined="an output is NaN",
        reference="DeYoung et al. 2020, ERASER",
        compared_with="networks with known contributions",
    ),
    MetricCard(
        name="sufficiency",
        family="faithfulness",
        function=faithfulness.sufficiency,
        low=-1.0,
        high=1.0,
        higher_is_better=False,
        chance=_NULL,
        cost="one forward a share kept",
        undefined="an output is NaN",
        reference="DeYoung et al. 2020, ERASER",
        compared_with="networks with known contributions",
    ),
    MetricCard(
        name="faithfulness-correlation",
        family="faithfulness",
        function=faithfulness.faithfulness_correlation,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost=_BANK,
        undefined=_CONSTANT_BANK,
        reference="Bhatt et al. 2020, Evaluating and aggregating feature-based model explanations",
        compared_with="Quantus 0.6 FaithfulnessCorrelation",
    ),
    MetricCard(
        name="sensitivity-n",
        family="faithfulness",
        function=faithfulness.sensitivity_n,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost=_BANK,
        undefined="attributed sums or drops are constant at some size",
        reference="Ancona et al. 2018, Towards better understanding of gradient-based attribution methods",
        compared_with="Quantus 0.6 SensitivityN",
        differs=(
            "correlates over random removals of one image; Quantus correlates over the images of a "
            "batch, and one step's relevance with the drop of all steps so far, so exact contributions "
            "of a linear network score below 1 there"
        ),
    ),
    MetricCard(
        name="faithfulness-estimate",
        family="faithfulness",
        function=faithfulness.faithfulness_estimate,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost=_EACH_FEATURE,
        undefined="relevances or drops are constant",
        reference=(
            "Alvarez-Melis & Jaakkola 2018, Towards robust interpretability with self-explaining neural networks"
        ),
        compared_with="Quantus 0.6 FaithfulnessEstimate",
    ),
    MetricCard(
        name="monotonicity-arya",
        family="faithfulness",
        function=faithfulness.monotonicity_arya,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined="the output never moves, or is NaN somewhere",
        reference="Arya et al. 2019, One explanation does not fit all",
        compared_with="Quantus 0.6 Monotonicity",
        differs=(
            "Quantus puts the baseline in place of the baseline, so its image stays empty and every map is monotonic"
        ),
    ),
    MetricCard(
        name="monotonicity-nguyen",
        family="faithfulness",
        function=faithfulness.monotonicity_nguyen,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost="one forward a feature and drawn value, shared by all maps of the image",
        undefined="absolute relevances or effects are constant",
        reference="Nguyen & Rodriguez Martinez 2020, On quantitative aspects of model interpretability",
        compared_with="Quantus 0.6 MonotonicityCorrelation",
        differs=("takes the absolute relevance, because an effect has no sign; Quantus does so only where asked"),
    ),
    MetricCard(
        name="infidelity",
        family="faithfulness",
        function=faithfulness.infidelity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="the variance of the drops, for a map of zeros that meets drops of mean 0",
        cost=_BANK,
        undefined="a measurement is NaN",
        reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
        compared_with="Quantus 0.6 Infidelity; captum 0.9 infidelity",
    ),
    MetricCard(
        name="scaled-infidelity",
        family="faithfulness",
        function=faithfulness.scaled_infidelity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="at most the mean squared drop",
        cost=_BANK,
        undefined="the bank meets no relevance, or a measurement is NaN",
        reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
        compared_with="captum 0.9 infidelity(normalize=True)",
        differs=(
            "the best scale may not be negative: captum gives a map and its negative the same score, and divides 0 by 0"
        ),
    ),
    MetricCard(
        name="irof",
        family="faithfulness",
        function=faithfulness.irof,
        low=-inf,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost="one forward a segment",
        undefined="the whole image's output is 0, or an output is NaN",
        reference="Rieger & Hansen 2020, IROF",
        compared_with="Quantus 0.6 IROF",
        differs=_TRAPEZOID + "; Quantus's area grows with the number of segments",
    ),
    MetricCard(
        name="road",
        family="faithfulness",
        function=faithfulness.road,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance=_NULL,
        cost=_TRAJECTORY,
        undefined="never",
        reference="Rong et al. 2022, A consistent and efficient evaluation strategy for attribution methods",
        compared_with="Quantus 0.6 ROAD",
        differs="the curve is the same; its area over each image is added",
    ),
)

_LOCALIZATION = (
    MetricCard(
        name="pointing-game",
        family="localization",
        function=localization.pointing_game,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_AREA + ", grown by the tolerance",
        cost=_NO_PASSES,
        undefined=_NO_EVIDENCE,
        reference="Zhang et al. 2018, Top-down neural attention by excitation backprop",
        compared_with="Quantus 0.6 PointingGame",
        differs=("a tie for the highest pixel scores the share that hits; Quantus lets a constant map hit always"),
    ),
    MetricCard(
        name="relevance-mass",
        family="localization",
        function=localization.relevance_mass,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_AREA,
        cost=_NO_PASSES,
        undefined="there is no mass or no evidence",
        reference="Arras et al. 2022, CLEVR-XAI",
        compared_with="Quantus 0.6 RelevanceMassAccuracy",
        differs=(
            "the treatment of sign is an argument; Quantus divides signed sums, which may exceed 1 or change sign"
        ),
    ),
    MetricCard(
        name="attribution-localization",
        family="localization",
        function=localization.attribution_localization,
        low=0.0,
        high=inf,
        higher_is_better=True,
        chance="1",
        cost=_NO_PASSES,
        undefined="there is no mass or no evidence",
        reference=("Kohlbrenner et al. 2020, Towards best practice in explaining neural network decisions with LRP"),
        compared_with="Quantus 0.6 AttributionLocalisation",
        differs=(
            "divides by the evidence's share of the image, as in the paper; Quantus's weight multiplies "
            "by it, and takes the size of the batch without its first two images for that of the image"
        ),
    ),
    MetricCard(
        name="relevance-rank",
        family="localization",
        function=localization.relevance_rank_accuracy,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_AREA,
        cost=_NO_PASSES,
        undefined=_NO_EVIDENCE,
        reference="Arras et al. 2022, CLEVR-XAI",
        compared_with="Quantus 0.6 RelevanceRankAccuracy",
        differs="ties by expectation; Quantus takes tied pixels in the order in which they are stored",
    ),
    MetricCard(
        name="top-k-intersection",
        family="localization",
        function=localization.top_k_intersection,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_AREA,
        cost=_NO_PASSES,
        undefined=_NO_EVIDENCE,
        reference="Theiner et al. 2022, Interpretable semantic photo geolocation",
        compared_with="Quantus 0.6 TopKIntersection",
        differs="ties by expectation; Quantus takes tied pixels in the order in which they are stored",
    ),
    MetricCard(
        name="localization-auc",
        family="localization",
        function=localization.localization_auc,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="0.5",
        cost=_NO_PASSES,
        undefined=_NO_EVIDENCE + ", or everything is evidence",
        reference="Fawcett 2006, An introduction to ROC analysis",
        compared_with="Quantus 0.6 AUC",
        differs="a constant map is undefined; Quantus gives .5",
    ),
    MetricCard(
        name="intersection-over-union",
        family="localization",
        function=localization.intersection_over_union,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost=_NO_PASSES,
        undefined=_NO_EVIDENCE + ", or the map has no positive value",
        reference="Zhou et al. 2016, Learning deep features for discriminative localization",
        compared_with="scikit-learn jaccard_score on the thresholded map",
    ),
    MetricCard(
        name="focus",
        family="localization",
        function=localization.focus,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="the target tiles' share of the mosaic",
        cost=_NO_PASSES,
        undefined="there is no positive relevance or no target tile",
        reference="Arias-Duart et al. 2022, Focus! Rating XAI methods and finding biases",
        compared_with="Quantus 0.6 Focus",
        differs="without positive relevance undefined; Quantus gives 0",
    ),
)

_ROBUSTNESS = (
    MetricCard(
        name="max-sensitivity",
        family="robustness",
        function=robustness.max_sensitivity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its distance between two images of the class",
        cost=_COPIES,
        undefined="the map is zero, or the prediction changed in every copy",
        reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
        compared_with="Quantus 0.6 MaxSensitivity",
    ),
    MetricCard(
        name="average-sensitivity",
        family="robustness",
        function=robustness.average_sensitivity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its distance between two images of the class",
        cost=_COPIES,
        undefined="the map is zero, or the prediction changed in every copy",
        reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
        compared_with="Quantus 0.6 AvgSensitivity",
    ),
    MetricCard(
        name="local-lipschitz",
        family="robustness",
        function=robustness.local_lipschitz,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its ratio between two images of the class",
        cost=_COPIES,
        undefined="a copy is no distance away, or the prediction changed in every copy",
        reference="Alvarez-Melis & Jaakkola 2018, On the robustness of interpretability methods",
        compared_with="Quantus 0.6 LocalLipschitzEstimate",
    ),
    MetricCard(
        name="continuity",
        family="robustness",
        function=robustness.continuity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its ratio between two images of the class",
        cost=_COPIES,
        undefined="a copy is no distance away, or the prediction changed in every copy",
        reference="Montavon et al. 2018, Methods for interpreting and understanding deep neural networks",
        compared_with="Quantus 0.6 Continuity",
    ),
    MetricCard(
        name="relative-input-stability",
        family="robustness",
        function=robustness.relative_input_stability,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its ratio between two images of the class",
        cost=_COPIES,
        undefined=(
            "an entry of the map moved from 0, an image did not change, or the prediction changed in every copy"
        ),
        reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
        compared_with="Quantus 0.6 RelativeInputStability",
        differs="an entry that moves from 0 is undefined; Quantus takes it relative to a millionth",
    ),
    MetricCard(
        name="relative-output-stability",
        family="robustness",
        function=robustness.relative_output_stability,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its ratio between two images of the class",
        cost=_COPIES + ", one forward a copy",
        undefined=(
            "an entry of the map moved from 0, the logits did not change, or the prediction changed in every copy"
        ),
        reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
        compared_with="Quantus 0.6 RelativeOutputStability",
        differs="an entry that moves from 0 is undefined; Quantus takes it relative to a millionth",
    ),
    MetricCard(
        name="relative-representation-stability",
        family="robustness",
        function=robustness.relative_representation_stability,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="its ratio between two images of the class",
        cost=_COPIES + ", one forward a copy",
        undefined="an entry of map or activation moved from 0, or the prediction changed in every copy",
        reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
        compared_with="Quantus 0.6 RelativeRepresentationStability",
        differs="an entry that moves from 0 is undefined; Quantus takes it relative to a millionth",
    ),
    MetricCard(
        name="consistency",
        family="robustness",
        function=robustness.consistency,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="the prediction's share among the other images",
        cost=_NO_PASSES,
        undefined="no other image has that explanation",
        reference="Dasgupta et al. 2022, Framework for evaluating faithfulness of local explanations",
        compared_with="Quantus 0.6 Consistency",
        differs=(
            "undefined where no other image has that explanation, Quantus gives 0; and Quantus codes a "
            "map by the signs of its first five pixels in storage order, not of its highest"
        ),
    ),
    MetricCard(
        name="neighbour-sufficiency",
        family="robustness",
        function=robustness.neighbour_sufficiency,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="the prediction's share among the other images",
        cost=_NO_PASSES,
        undefined="no other explanation is near",
        reference="Dasgupta et al. 2022, Framework for evaluating faithfulness of local explanations",
        compared_with="Quantus 0.6 Sufficiency",
        differs="undefined where no other explanation is near; Quantus gives 0",
    ),
    MetricCard(
        name="input-invariance",
        family="robustness",
        function=robustness.input_invariance,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="0 is claimed",
        cost="one explanation of the shifted image",
        undefined="the map is zero",
        reference="Kindermans et al. 2019, The (un)reliability of saliency methods",
        compared_with="Quantus 0.6 InputInvariance",
        differs=("a distance; Quantus says whether every pixel is within a ten-thousandth, whatever the map's scale"),
    ),
    MetricCard(
        name="seed-stability",
        family="robustness",
        function=robustness.seed_stability,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0 for maps that are drawn and nothing else",
        cost="one explanation a further seed",
        undefined="a map is constant, or there are fewer than two seeds",
        reference="Visani et al. 2020, Statistical stability indices for LIME",
        compared_with="scipy spearmanr of each pair",
    ),
)

_COMPLEXITY = (
    MetricCard(
        name="sparseness",
        family="complexity",
        function=complexity.sparseness,
        low=0.0,
        high=1.0,
        higher_is_better=None,
        chance=_NULL,
        cost=_NO_PASSES,
        undefined="all pixels have one magnitude, or a value is not finite",
        reference="Chalasani et al. 2020, Concise explanations of neural networks using adversarial training",
        compared_with="Quantus 0.6 Sparseness",
        differs=("undefined for a constant map, and nothing is added to the values; Quantus adds 1e-7 and gives 0"),
    ),
    MetricCard(
        name="entropy-complexity",
        family="complexity",
        function=complexity.entropy_complexity,
        low=0.0,
        high=inf,
        higher_is_better=None,
        chance=_NULL,
        cost=_NO_PASSES,
        undefined="all pixels have one magnitude, or a value is not finite",
        reference="Bhatt et al. 2020, Evaluating and aggregating feature-based model explanations",
        compared_with="Quantus 0.6 Complexity",
        differs="undefined for a constant map, and nothing is added to the values",
    ),
    MetricCard(
        name="effective-complexity",
        family="complexity",
        function=complexity.effective_complexity,
        low=1.0,
        high=inf,
        higher_is_better=None,
        chance=_NULL,
        cost=_NO_PASSES,
        undefined="all pixels have one magnitude, or a value is not finite",
        reference="Nguyen & Rodriguez Martinez 2020, On quantitative aspects of model interpretability",
        compared_with="Quantus 0.6 EffectiveComplexity",
        differs=(
            "the floor is a share of the map's own largest magnitude; Quantus's is a share of the "
            "batch's, so that a map's score changes with its company"
        ),
    ),
    MetricCard(
        name="histogram-entropy",
        family="complexity",
        function=complexity.histogram_entropy,
        low=0.0,
        high=inf,
        higher_is_better=None,
        chance=_NULL,
        cost=_NO_PASSES,
        undefined=_CONSTANT_MAP,
        reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
        compared_with="Quantus 0.6 discrete_entropy",
        differs="undefined for a constant map; Quantus gives 0",
    ),
)

_AXIOMS = (
    MetricCard(
        name="completeness",
        family="axioms",
        function=axioms.completeness,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="0 is claimed",
        cost="one forward of the baseline",
        undefined="the output does not drop",
        reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
        compared_with="Quantus 0.6 Completeness",
        differs=(
            "a distance; Quantus asks for equality of rounded numbers, on maps divided by their largest "
            "value by default"
        ),
    ),
    MetricCard(
        name="sensitivity",
        family="axioms",
        function=axioms.sensitivity,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance="0 is claimed",
        cost=_EACH_FEATURE,
        undefined="no feature has an effect, or a number is NaN",
        reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
        compared_with="Quantus 0.6 NonSensitivity",
        differs="a share; Quantus counts the features in breach of this or of non-sensitivity together",
    ),
    MetricCard(
        name="non-sensitivity",
        family="axioms",
        function=axioms.non_sensitivity,
        low=0.0,
        high=1.0,
        higher_is_better=False,
        chance="0 is claimed",
        cost=_EACH_FEATURE,
        undefined="every feature has an effect, or a number is NaN",
        reference="Nguyen & Rodriguez Martinez 2020, On quantitative aspects of model interpretability",
        compared_with="Quantus 0.6 NonSensitivity",
        differs="a share; Quantus counts the features in breach of this or of sensitivity together",
    ),
    MetricCard(
        name="implementation-invariance",
        family="axioms",
        function=axioms.implementation_invariance,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="0 is claimed",
        cost="one explanation on the twin network",
        undefined="the map is zero",
        reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
        compared_with="pairs of networks with equal outputs",
    ),
    MetricCard(
        name="linearity",
        family="axioms",
        function=axioms.linearity,
        low=0.0,
        high=inf,
        higher_is_better=False,
        chance="0 is claimed",
        cost="three explanations",
        undefined="the map of the sum is zero",
        reference="Sundararajan et al. 2017, Axiomatic attribution for deep networks",
        compared_with="networks with known contributions",
    ),
)

_RANDOMIZATION = (
    MetricCard(
        name="mprt-average",
        family="randomization",
        function=randomization.mprt_average,
        low=-1.0,
        high=1.0,
        higher_is_better=False,
        chance="the transplant null's likeness",
        cost="one explanation a stage",
        undefined="the likeness is undefined at a stage",
        reference="Adebayo et al. 2018, Sanity checks for saliency maps",
        compared_with="Quantus 0.6 MPRT",
        differs="the unrandomised network is no stage; Quantus averages its likeness of 1 in",
    ),
    MetricCard(
        name="mprt-last",
        family="randomization",
        function=randomization.mprt_last,
        low=-1.0,
        high=1.0,
        higher_is_better=False,
        chance="the transplant null's likeness",
        cost="one explanation",
        undefined="the likeness is undefined",
        reference="Adebayo et al. 2018, Sanity checks for saliency maps",
        compared_with="Quantus 0.6 MPRT",
    ),
    MetricCard(
        name="efficient-mprt",
        family="randomization",
        function=randomization.efficient_mprt,
        low=-1.0,
        high=inf,
        higher_is_better=True,
        chance="0",
        cost="one explanation",
        undefined="a complexity is undefined, or the original's is 0",
        reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
        compared_with="Quantus 0.6 EfficientMPRT",
    ),
    MetricCard(
        name="smooth-mprt",
        family="randomization",
        function=randomization.smooth_mprt,
        low=-1.0,
        high=1.0,
        higher_is_better=False,
        chance="the transplant null's likeness",
        cost="one explanation a stage and noisy copy",
        undefined="the likeness is undefined",
        reference="Hedstroem et al. 2024, A fresh look at sanity checks for saliency maps",
        compared_with="Quantus 0.6 SmoothMPRT",
    ),
    MetricCard(
        name="random-logit",
        family="randomization",
        function=randomization.random_logit,
        low=-1.0,
        high=1.0,
        higher_is_better=False,
        chance="1 for an explainer that ignores the class",
        cost="one explanation",
        undefined="the likeness is undefined",
        reference="Sixt et al. 2020, When explanations lie",
        compared_with="Quantus 0.6 RandomLogit",
        differs=(
            "SSIM is taken over the image; Quantus takes it over the flattened map, whose neighbours are not neighbours"
        ),
    ),
    MetricCard(
        name="target-specificity",
        family="randomization",
        function=randomization.target_specificity,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost="two forwards a step",
        undefined=_NAN_OUTPUT,
        reference="after Sixt et al. 2020, When explanations lie",
        compared_with="the exact area between piecewise linear curves",
    ),
)


def _likeness(
    name: str, function: Callable[..., object], reference: str, compared_with: str, differs: str = ""
) -> MetricCard:
    """Return the card of a likeness between two maps."""
    return MetricCard(
        name=name,
        family="similarity",
        function=function,
        low=-1.0,
        high=1.0,
        higher_is_better=None,
        chance="the transplant null's likeness",
        cost=_NO_PASSES,
        undefined=_CONSTANT_MAP,
        reference=reference,
        compared_with=compared_with,
        differs=differs,
    )


_SIMILARITY = (
    _likeness("pearson", similarity.pearson_similarity, "Pearson 1895", "scipy.stats.pearsonr"),
    _likeness("spearman", similarity.spearman_similarity, "Spearman 1904", "scipy.stats.spearmanr"),
    _likeness("cosine", similarity.cosine_similarity, "", "scipy.spatial.distance.cosine"),
    _likeness(
        "ssim",
        similarity.ssim_similarity,
        "Wang et al. 2004, Image quality assessment",
        "scikit-image structural_similarity",
    ),
    _likeness(
        "hog",
        similarity.hog_similarity,
        "Adebayo et al. 2018, Sanity checks for saliency maps",
        "scikit-image hog with scipy.stats.pearsonr",
    ),
    MetricCard(
        name="top-k-overlap",
        family="similarity",
        function=similarity.top_k_overlap,
        low=0.0,
        high=1.0,
        higher_is_better=None,
        chance="k / pixels",
        cost=_NO_PASSES,
        undefined=_CONSTANT_MAP,
        reference="",
        compared_with="sets of the highest pixels",
    ),
)

_PARTS = (
    MetricCard(
        name="part-spearman",
        family="parts",
        function=parts.part_spearman,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost="one forward a part, shared by all maps of the image",
        undefined="fewer than two parts have both numbers, or all masses or all effects are equal",
        reference="",
        compared_with="scipy.stats.spearmanr",
    ),
    MetricCard(
        name="part-kendall",
        family="parts",
        function=parts.part_kendall,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance="0",
        cost="one forward a part, shared by all maps of the image",
        undefined="fewer than two parts have both numbers, or all masses or all effects are equal",
        reference="Kendall 1945, tau-b",
        compared_with="scipy.stats.kendalltau",
    ),
)

_COALITIONS = "one forward a coalition, grid and fill, shared by all maps and classes of the image"
_CELLS = (
    MetricCard(
        name="settled-pairs",
        family="cells",
        function=cells.settled_pairs,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="0.5",
        cost=_COALITIONS,
        undefined="the map is constant, or no pair of cells is settled",
        reference="Shapley 1953, A value for n-person games; settled pairs are this project's",
        compared_with="scipy.stats.kendalltau, where one fill settles every pair",
    ),
    MetricCard(
        name="coalition-fit",
        family="cells",
        function=cells.coalition_fit,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        chance=_NULL,
        cost=_COALITIONS,
        undefined="the map is constant or 0 in every cell, or the network answers all coalitions alike",
        reference="Hammer and Holzman 1992, Approximations of pseudo-Boolean functions",
        compared_with="least squares over all coalitions",
    ),
)

_CONFUSION = (
    MetricCard(
        name="recall",
        family="confusion",
        function=confusion.recall,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="the class's share of predictions",
        cost="one forward",
        undefined="the class has no image",
        reference="",
        compared_with="scikit-learn recall_score",
    ),
    MetricCard(
        name="precision",
        family="confusion",
        function=confusion.precision,
        low=0.0,
        high=1.0,
        higher_is_better=True,
        chance="the class's share of images",
        cost="one forward",
        undefined="the class is never predicted",
        reference="",
        compared_with="scikit-learn precision_score",
    ),
    MetricCard(
        name="turn-back",
        family="confusion",
        function=confusion.turn_back,
        low=-2.0,
        high=2.0,
        higher_is_better=True,
        chance=_NULL,
        cost="one forward",
        undefined="the image was classified right, or an output is NaN",
        reference="",
        compared_with="probabilities known by hand",
    ),
)

_CARDS = (
    *_FAITHFULNESS,
    *_RANDOMIZATION,
    *_LOCALIZATION,
    *_ROBUSTNESS,
    *_COMPLEXITY,
    *_AXIOMS,
    *_SIMILARITY,
    *_PARTS,
    *_CELLS,
    *_CONFUSION,
)

# By benchmarks/metrics_parity.py, rounded up to one digit. Where the network's answers come in, what is left is
# single precision; where nothing is said, double.
_MEASURED = {
    "pixel-flipping": 2e-8,
    "selectivity": 1e-16,
    "aopc": 2e-8,
    "faithfulness-correlation": 2e-9,
    "faithfulness-estimate": 3e-16,
    "monotonicity-nguyen": 2e-16,
    "sensitivity-n": 2e-7,
    "infidelity": 2e-9,
    "scaled-infidelity": 2e-11,
    "irof": 2e-7,
    "road": 0.0,
    "pointing-game": 0.0,
    "relevance-mass": 0.0,
    "attribution-localization": 7e-9,
    "relevance-rank": 0.0,
    "top-k-intersection": 0.0,
    "localization-auc": 2e-16,
    "intersection-over-union": 0.0,
    "focus": 4e-9,
    "max-sensitivity": 0.0,
    "average-sensitivity": 0.0,
    "local-lipschitz": 0.0,
    "continuity": 2e-9,
    "relative-input-stability": 2e-6,
    "relative-output-stability": 9e-5,
    "relative-representation-stability": 4e-8,
    "consistency": 3e-10,
    "neighbour-sufficiency": 0.0,
    "input-invariance": 0.0,
    "sparseness": 3e-7,
    "entropy-complexity": 2e-10,
    "effective-complexity": 0.0,
    "histogram-entropy": 2e-15,
    "completeness": 0.0,
    "sensitivity": 0.0,
    "non-sensitivity": 0.0,
    "mprt-last": 4e-17,
    "mprt-average": 3e-17,
    "efficient-mprt": 3e-16,
    "smooth-mprt": 3e-17,
    "random-logit": 6e-17,
    "pearson": 3e-16,
    "spearman": 2e-16,
    "cosine": 3e-16,
    "ssim": 0.0,
    "hog": 3e-16,
    "top-k-overlap": 0.0,
    "part-spearman": 2e-16,
    "part-kendall": 2e-16,
    "settled-pairs": 6e-17,
    "coalition-fit": 5e-16,
    "recall": 0.0,
    "precision": 0.0,
}
