"""Networks whose attributions are known exactly: linear, maximum, AND and OR, product."""

from itertools import combinations, permutations

import numpy as np
import pytest
from tiny import EXACT

from harness.metrics import axioms, robustness
from harness.metrics import faithfulness as faith
from harness.rounding import rounding

WEIGHTS = np.array([4.0, -2.0, 1.0, 0.0, 3.0, 0.5])
IMAGE = np.array([1.0, 2.0, -1.0, 5.0, 0.5, 4.0])
CONTRIBUTIONS = WEIGHTS * IMAGE
SUBSETS = [list(c) for size in range(1, 7) for c in combinations(range(6), size)]


def linear(images):
    return images @ WEIGHTS


def largest(images):
    return images.max(axis=-1)


def without(image, indices):
    after = image.copy()
    after[indices] = 0
    return after


def drops_of(network, image, subsets):
    return np.array([[network(image) - network(without(image, subset)) for subset in subsets]])


def sums_of(contributions, subsets):
    return np.array([[contributions[subset].sum() for subset in subsets]])


def removal(network, image, order):
    """Return the output for the whole image and after each further feature."""
    return np.array([[network(without(image, list(order[:step]))) for step in range(len(order) + 1)]])


def by_relevance(contributions):
    return np.argsort(-contributions, kind="stable")


SINGLES = [[f] for f in range(6)]


# ---------------------------------------------------------------------- linear: w * x is the truth


def test_linear_contributions_have_no_infidelity():
    drops = drops_of(linear, IMAGE, SUBSETS)
    # The square of sums of at most six numbers in another order, whose magnitudes add up to 14.
    close = rounding("float64", 6, scale=14.0) ** 2
    assert faith.infidelity(sums_of(CONTRIBUTIONS, SUBSETS), drops).item() == pytest.approx(0, abs=close)


def test_a_linear_gradient_has_no_infidelity_under_its_own_perturbations():
    noise = np.random.default_rng(0).normal(size=(20, 6))
    drops = (linear(IMAGE) - linear(IMAGE - noise))[None]
    # As above, twice over, with noise of up to 3 on each of the six.
    close = rounding("float64", 12, scale=50.0) ** 2
    assert faith.infidelity((noise @ WEIGHTS)[None], drops).item() == pytest.approx(0, abs=close)


def test_linear_contributions_correlate_wholly_over_a_bank():
    found = faith.faithfulness_correlation(sums_of(CONTRIBUTIONS, SUBSETS), drops_of(linear, IMAGE, SUBSETS))
    assert found.item() == pytest.approx(1, abs=EXACT)


def test_linear_contributions_correlate_wholly_at_every_size():
    sized = [[list(c) for c in combinations(range(6), size)][:6] for size in (1, 2, 3)]
    sums = np.stack([sums_of(CONTRIBUTIONS, subsets)[0] for subsets in sized])[None]
    drops = np.stack([drops_of(linear, IMAGE, subsets)[0] for subsets in sized])[None]
    assert faith.sensitivity_n_curve(sums, drops) == pytest.approx(np.ones((1, 3)), abs=EXACT)


def test_linear_contributions_correlate_wholly_feature_by_feature():
    found = faith.faithfulness_estimate(CONTRIBUTIONS[None], drops_of(linear, IMAGE, SINGLES))
    assert found.item() == pytest.approx(1, abs=EXACT)


def test_a_linear_gradient_ranks_effects_of_resampling_by_magnitude():
    shifts = np.linspace(-1, 1, 5)
    moved = IMAGE[None, None] + shifts[None, :, None] * np.eye(6)[:, None]
    effects = faith.nguyen_effects(np.array([linear(IMAGE)]), linear(moved)[None])
    assert faith.monotonicity_nguyen(WEIGHTS[None], effects).item() == pytest.approx(1, abs=EXACT)


def test_linear_contributions_are_complete():
    drop = np.array([linear(IMAGE) - linear(np.zeros(6))])
    assert axioms.completeness(CONTRIBUTIONS.reshape(1, 2, 3), drop).item() == 0


def test_linear_contributions_miss_nothing_and_invent_nothing():
    effects = drops_of(linear, IMAGE, SINGLES)
    assert axioms.sensitivity(CONTRIBUTIONS[None], effects).item() == 0
    assert axioms.non_sensitivity(CONTRIBUTIONS[None], effects).item() == 0


def test_the_input_itself_invents_relevance_on_a_linear_network():
    # The fourth feature is the largest and has no weight.
    assert axioms.non_sensitivity(IMAGE[None], drops_of(linear, IMAGE, SINGLES)).item() == 1


def test_linear_contributions_are_linear_in_the_network():
    other = np.array([1.0, 1.0, 0.0, 2.0, -1.0, 3.0])
    combined = (2 * WEIGHTS - 3 * other) * IMAGE
    parts = (CONTRIBUTIONS.reshape(1, 2, 3), (other * IMAGE).reshape(1, 2, 3))
    assert axioms.linearity(combined.reshape(1, 2, 3), parts, (2.0, -3.0)).item() == 0


def test_a_linear_gradient_never_moves():
    maps = WEIGHTS.reshape(1, 2, 3)
    assert robustness.max_sensitivity(maps, np.repeat(maps[:, None], 4, axis=1)).item() == 0


def test_no_order_removes_a_linear_output_faster_than_that_of_the_contributions():
    best = faith.aopc(removal(linear, IMAGE, by_relevance(CONTRIBUTIONS))).item()
    others = [faith.aopc(removal(linear, IMAGE, order)).item() for order in permutations(range(6))]
    assert best == pytest.approx(max(others))


def test_no_order_gains_more_symmetrically_than_that_of_the_contributions():
    ends = np.linspace(0, 1, 7)

    def gain(order):
        forth, back = removal(linear, IMAGE, order), removal(linear, IMAGE, order[::-1])
        return faith.symmetric_relevance_gain(ends, back, forth).item()

    assert gain(tuple(by_relevance(CONTRIBUTIONS))) == pytest.approx(max(map(gain, permutations(range(6)))))


def test_the_mean_symmetric_gain_over_all_orders_is_zero():
    ends = np.linspace(0, 1, 7)
    gains = [
        faith.symmetric_relevance_gain(ends, removal(largest, IMAGE, o[::-1]), removal(largest, IMAGE, o)).item()
        for o in permutations(range(6))
    ]
    assert np.mean(gains) == pytest.approx(0, abs=EXACT)


def test_a_linear_deletion_area_is_known_in_closed_form():
    order = by_relevance(CONTRIBUTIONS)
    # Feature number r in the order is there for the first r + 1/2 of six steps, the trapezoid halving its last.
    expected = (CONTRIBUTIONS[order] * (np.arange(6) + 0.5) / 6).sum()
    assert faith.pixel_flipping(removal(linear, IMAGE, order)).item() == pytest.approx(expected)


def test_putting_back_positive_contributions_is_monotonic():
    image = np.abs(IMAGE) * (WEIGHTS > 0)
    order = np.argsort(WEIGHTS * image, kind="stable")
    shown = [linear(without(image, list(order[step:]))) for step in range(7)]
    assert faith.monotonicity_arya(np.array([shown])).item() == 1


# ---------------------------------------------------------------------- maximum: one feature speaks


PEAK = np.array([1.0, 7.0, 3.0, 2.0, 5.0, 4.0])
ON_PEAK = np.equal(PEAK, PEAK.max()).astype(float)


def test_of_a_maximum_only_the_highest_feature_has_an_effect():
    assert axioms.sensitivity(ON_PEAK[None], drops_of(largest, PEAK, SINGLES)).item() == 0
    assert axioms.non_sensitivity(ON_PEAK[None], drops_of(largest, PEAK, SINGLES)).item() == 0


def test_the_highest_feature_alone_suffices_for_a_maximum():
    kept = [largest(PEAK * ON_PEAK)]
    assert faith.sufficiency(np.array([largest(PEAK)]), np.array([kept])).item() == 0


def test_without_the_highest_feature_a_maximum_falls_to_the_second():
    removed = [largest(without(PEAK, [1]))]
    assert faith.comprehensiveness(np.array([largest(PEAK)]), np.array([removed])).item() == 2


def test_a_map_on_the_second_highest_misses_the_only_effect():
    second = (PEAK == 5.0).astype(float)
    assert axioms.sensitivity(second[None], drops_of(largest, PEAK, SINGLES)).item() == 1
    assert axioms.non_sensitivity(second[None], drops_of(largest, PEAK, SINGLES)).item() == pytest.approx(1 / 5)


# ---------------------------------------------------------------------- AND, OR: Shapley values of one half each


BOTH = np.ones(2)
HALVES = np.full(2, 0.5)
OF_TWO = [[0], [1], [0, 1]]


@pytest.mark.parametrize("gate", [np.min, np.max])
def test_shapley_values_of_a_gate_are_wrong_by_a_half_for_each_single_removal(gate):
    found = faith.infidelity(sums_of(HALVES, OF_TWO), drops_of(gate, BOTH, OF_TWO))
    assert found.item() == pytest.approx((0.25 + 0.25 + 0) / 3)


@pytest.mark.parametrize("gate", [np.min, np.max])
def test_shapley_values_of_a_gate_are_complete(gate):
    assert axioms.completeness(HALVES.reshape(1, 1, 2), np.array([gate(BOTH) - gate(0 * BOTH)])).item() == 0


def test_of_an_or_no_single_feature_has_an_effect():
    effects = drops_of(np.max, BOTH, [[0], [1]])
    assert np.isnan(axioms.sensitivity(HALVES[None], effects)).item()
    assert axioms.non_sensitivity(HALVES[None], effects).item() == 1


def test_of_an_and_every_single_feature_has_the_whole_effect():
    effects = drops_of(np.min, BOTH, [[0], [1]])
    assert effects.tolist() == [[1, 1]]
    assert np.isnan(axioms.non_sensitivity(HALVES[None], effects)).item()


def test_an_and_is_gone_at_once_and_an_or_only_at_the_end():
    assert faith.aopc(removal(np.min, BOTH, [0, 1])).item() == pytest.approx(2 / 3)
    assert faith.aopc(removal(np.max, BOTH, [0, 1])).item() == pytest.approx(1 / 3)


def test_features_of_equal_effect_order_nothing():
    assert np.isnan(faith.faithfulness_estimate(HALVES[None], drops_of(np.min, BOTH, [[0], [1]]))).item()


# ---------------------------------------------------------------------- product: gradient x input is n times too much


@pytest.mark.parametrize("n", [2, 3, 4])
def test_gradient_times_input_of_a_product_is_incomplete_by_n_minus_one_outputs(n):
    image = np.arange(2.0, 2.0 + n)
    gradient_times_input = np.full((1, 1, n), image.prod())
    assert axioms.completeness(gradient_times_input, np.array([image.prod()])).item() == pytest.approx(n - 1)


def test_two_networks_of_one_product_written_otherwise_have_one_gradient():
    x = np.array([2.0, 3.0])
    direct = np.array([[[x[1], x[0]]]])
    by_squares = np.array([[[2 * (x.sum()) / 4 - 2 * (x[0] - x[1]) / 4, 2 * x.sum() / 4 + 2 * (x[0] - x[1]) / 4]]])
    assert axioms.implementation_invariance(direct, by_squares).item() == 0
