"""Laws that hold for every metric that takes maps, whatever their values."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import EXACT

from harness.metrics import complexity, localization, parts, randomization, robustness, similarity
from harness.metrics import faithfulness as faith
from harness.rounding import rounding

SIDE = 16
# HOG's block norms add a constant of 1e-5, by whose inverse rounding may grow.
HOG = rounding("float64", 4 * SIDE**2, conditioning=1e5)
MANY = settings(max_examples=6, deadline=None)


def draws(n: int, *shape: int, seed: int) -> np.ndarray:
    """Return numbers that depend on the image's place alone, so that permuted batches can be compared."""
    return np.random.default_rng(seed).normal(size=(n, *shape))


def masks(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((20, SIDE, SIDE)) < 0.3


def mixed(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return disturbed copies that scale with the maps."""
    return np.stack([maps + 0.1 * others, maps - 0.2 * others], axis=1)


# Each scores maps with fixed companions (another map, evidence, answers of the network) of the same images.
ON_MAPS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "pearson": similarity.pearson_similarity,
    "spearman": similarity.spearman_similarity,
    "cosine": similarity.cosine_similarity,
    "ssim": similarity.ssim_similarity,
    "hog": similarity.hog_similarity,
    "top_k": lambda maps, other: similarity.top_k_overlap(maps, other, 20),
    "pointing": lambda maps, other: localization.pointing_game(maps, other > 1, tolerance=1.0),
    "mass": lambda maps, other: localization.relevance_mass(maps, other > 1),
    "mass_absolute": lambda maps, other: localization.relevance_mass(maps, other > 1, similarity.absolute),
    "density": lambda maps, other: localization.attribution_localization(maps, other > 1),
    "rank": lambda maps, other: localization.relevance_rank_accuracy(maps, other > 1),
    "top_k_intersection": lambda maps, other: localization.top_k_intersection(maps, other > 1, 20),
    "auc": lambda maps, other: localization.localization_auc(maps, other > 1),
    "iou": lambda maps, other: localization.intersection_over_union(maps, other > 1),
    "focus": lambda maps, other: localization.focus(maps, other > 1),
    "sparseness": lambda maps, _: complexity.sparseness(maps),
    "entropy": lambda maps, _: complexity.entropy_complexity(maps),
    "effective": lambda maps, _: complexity.pixels_above_floor(maps),
    "histogram": lambda maps, _: complexity.histogram_entropy(maps),
    "correlation": lambda maps, other: faith.faithfulness_correlation(
        faith.attributed_sums(maps, masks(0)), faith.attributed_sums(other, masks(0))
    ),
    "estimate": lambda maps, other: faith.faithfulness_estimate(
        maps.reshape(-1, SIDE * SIDE), other.reshape(-1, SIDE * SIDE)
    ),
    "nguyen": lambda maps, other: faith.monotonicity_nguyen(
        maps.reshape(-1, SIDE * SIDE), other.reshape(-1, SIDE * SIDE) ** 2
    ),
    "sensitivity_n": lambda maps, other: faith.sensitivity_n(
        faith.attributed_sums(maps, masks(0)).reshape(-1, 2, 10),
        faith.attributed_sums(other, masks(0)).reshape(-1, 2, 10),
    ),
    "scaled_infidelity": lambda maps, other: faith.scaled_infidelity(
        faith.attributed_sums(maps, masks(0)), faith.attributed_sums(other, masks(0))
    ),
    "random_logit": lambda maps, other: randomization.random_logit(maps, other, similarity.pearson_similarity),
    "kendall": lambda maps, other: parts.part_kendall(
        parts.part_mass(maps, np.broadcast_to(masks(1)[:5], (len(maps), 5, SIDE, SIDE))), other[:, 0, :5]
    ),
}

# Those that compare a map with maps of the same explainer, which a rescaling of the explainer scales too.
ON_COPIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "max_sensitivity": robustness.max_sensitivity,
    "average_sensitivity": robustness.average_sensitivity,
    "ris": lambda maps, copies: robustness.relative_input_stability(
        maps, copies, np.ones((len(maps), 4)), np.full((len(maps), 2, 4), 1.5)
    ),
    "ris_by_length": lambda maps, copies: robustness.relative_input_stability(
        maps, copies, np.ones((len(maps), 4)), np.full((len(maps), 2, 4), 1.5), None, robustness.length_change
    ),
    "ros": lambda maps, copies: robustness.relative_output_stability(
        maps, copies, np.ones((len(maps), 4)), np.full((len(maps), 2, 4), 1.5)
    ),
    "efficient_mprt": lambda maps, copies: randomization.efficient_mprt(maps, copies[:, 0]),
    "input_invariance": lambda maps, copies: robustness.input_invariance(maps, copies[:, 0]),
    "mprt": lambda maps, copies: randomization.mprt_average(
        randomization.mprt_curve(maps, copies, similarity.spearman_similarity)
    ),
}


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
@MANY
def test_a_positive_rescaling_of_the_map_changes_no_score(metric, scale, seed):
    maps, others = draws(4, SIDE, SIDE, seed=seed), draws(4, SIDE, SIDE, seed=seed + 1)
    assert metric(scale * maps, others) == pytest.approx(metric(maps, others), abs=HOG, nan_ok=True)


@pytest.mark.parametrize("metric", ON_COPIES.values(), ids=ON_COPIES)
@given(power=st.integers(-10, 10), seed=st.integers(0, 1000))
@MANY
def test_a_positive_rescaling_of_the_explainer_changes_no_score(metric, power, seed):
    maps, others = draws(4, SIDE, SIDE, seed=seed), draws(4, SIDE, SIDE, seed=seed + 1)
    copies = mixed(maps, others)
    # Powers of two scale without rounding, so the scores are equal to the last bit.
    assert (metric(2.0**power * maps, 2.0**power * copies) == metric(maps, copies)).all()


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
@MANY
def test_permuting_the_batch_permutes_the_scores(metric, order, seed):
    maps, others = draws(5, SIDE, SIDE, seed=seed), draws(5, SIDE, SIDE, seed=seed + 1)
    # Matrix products of another batch order differ by rounding.
    assert metric(maps[order], others[order]) == pytest.approx(metric(maps, others)[order], abs=EXACT)


@pytest.mark.parametrize("metric", ON_COPIES.values(), ids=ON_COPIES)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
@MANY
def test_permuting_the_batch_permutes_the_scores_over_copies(metric, order, seed):
    maps, others = draws(5, SIDE, SIDE, seed=seed), draws(5, SIDE, SIDE, seed=seed + 1)
    copies = mixed(maps, others)
    assert (metric(maps[order], copies[order]) == metric(maps, copies)[order]).all()


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
def test_an_image_scores_the_same_alone_as_in_a_batch(metric):
    maps, others = draws(5, SIDE, SIDE, seed=1), draws(5, SIDE, SIDE, seed=2)
    alone = [metric(maps[n : n + 1], others[n : n + 1]).item() for n in range(5)]
    # A matrix product of one row rounds otherwise than one of five.
    assert metric(maps, others) == pytest.approx(alone, abs=EXACT)


WITHOUT_ORDER = set(ON_MAPS) - {"mass", "mass_absolute", "density", "focus", "kendall"}


@pytest.mark.parametrize("name", sorted(WITHOUT_ORDER - {"correlation", "sensitivity_n", "scaled_infidelity"}))
@pytest.mark.parametrize("level", [0.0, -2.0, 0.1])
def test_a_constant_map_has_no_score(name, level):
    scores = ON_MAPS[name](np.full((2, SIDE, SIDE), level), draws(2, SIDE, SIDE, seed=0))
    assert np.isnan(scores).all()


@pytest.mark.parametrize("name", sorted(set(ON_MAPS) - {"kendall"}))
def test_a_map_of_zeros_has_no_score(name):
    scores = ON_MAPS[name](np.zeros((2, SIDE, SIDE)), draws(2, SIDE, SIDE, seed=0))
    assert np.isnan(scores).all()


@pytest.mark.parametrize("name", sorted(set(ON_MAPS) - {"kendall"}))
def test_a_map_with_nan_has_no_score_and_leaves_the_others_theirs(name):
    maps, others = draws(3, SIDE, SIDE, seed=1), draws(3, SIDE, SIDE, seed=2)
    maps[1, 3, 3] = np.nan
    assert np.isnan(ON_MAPS[name](maps, others)).tolist() == [False, True, False]


@pytest.mark.parametrize("name", sorted(ON_COPIES))
def test_copies_of_a_map_of_zeros_have_no_score(name):
    zeros = np.zeros((2, SIDE, SIDE))
    assert np.isnan(ON_COPIES[name](zeros, draws(2, 2, SIDE, SIDE, seed=0))).all()


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
def test_single_precision_maps_score_as_double_precision_ones(metric):
    maps, others = draws(3, SIDE, SIDE, seed=1).astype(np.float32), draws(3, SIDE, SIDE, seed=2)
    assert (metric(maps, others) == metric(maps.astype(np.float64), others)).all()


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
def test_a_metric_leaves_the_maps_as_they_were(metric):
    maps, others = draws(3, SIDE, SIDE, seed=1), draws(3, SIDE, SIDE, seed=2)
    before = maps.copy(), others.copy()
    metric(maps, others)
    assert (maps == before[0]).all()
    assert (others == before[1]).all()


@pytest.mark.parametrize("metric", ON_MAPS.values(), ids=ON_MAPS)
def test_no_image_gives_no_score(metric):
    assert metric(np.empty((0, SIDE, SIDE)), np.empty((0, SIDE, SIDE))).shape == (0,)
