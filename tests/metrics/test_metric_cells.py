"""Settled pairs and the fit to all coalitions, on orders and games whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import EXACT

from harness.metrics import cells
from harness.metrics.cells import APART, SAME, additivity, coalition_fit, settled_order, settled_pairs

PAIRS = np.stack(np.triu_indices(4, 1))
SEEDS = st.integers(0, 2**32 - 1)
HELD = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(float)


def values(seed: int = 0, fills: int = 3, n: int = 5) -> np.ndarray:
    """What four cells are worth under fills that nearly agree."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, n, 4)) + 0.2 * rng.normal(size=(fills, n, 4))


def scored(sums: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return settled_pairs(sums, settled_order(truth, PAIRS), PAIRS)


def by_hand(sums: np.ndarray, truth: np.ndarray) -> list[float]:
    """The share of settled pairs ordered right, pair by pair in plain Python."""
    found = []
    for image, own in enumerate(sums):
        right, settled = 0.0, 0
        for i in range(4):
            for j in range(i + 1, 4):
                apart = [fill[image, i] - fill[image, j] for fill in truth]
                least = [0.05 * max(abs(v) for v in fill[image]) for fill in truth]
                up = all(a > b for a, b in zip(apart, least, strict=True))
                down = all(a < -b for a, b in zip(apart, least, strict=True))
                if up or down:
                    settled += 1
                    right += 0.5 if own[i] == own[j] else (own[i] > own[j]) == up
        found.append(right / settled if settled else float("nan"))
    return found


@given(SEEDS)
def test_the_share_is_what_counting_by_hand_gives(seed: int) -> None:
    truth = values(seed)
    sums = np.random.default_rng(seed).integers(-3, 4, (5, 4)).astype(float)
    # Quotients of two small integers.
    np.testing.assert_allclose(scored(sums, truth), by_hand(sums, truth), rtol=EXACT)


def test_the_mean_truth_orders_every_settled_pair_right() -> None:
    truth = values()
    assert scored(truth.mean(axis=0), truth).tolist() == [1.0] * 5
    assert scored(-truth.mean(axis=0), truth).tolist() == [0.0] * 5


def test_cells_given_alike_earn_half() -> None:
    assert scored(np.full((5, 4), 7.0), values()).tolist() == [0.5] * 5


@given(SEEDS, st.floats(1e-3, 1e3))
def test_a_positive_scale_of_the_map_changes_nothing(seed: int, scale: float) -> None:
    truth, sums = values(seed), np.random.default_rng(seed).normal(size=(5, 4))
    np.testing.assert_array_equal(scored(scale * sums, truth), scored(sums, truth))


@given(SEEDS)
def test_a_pair_that_one_fill_orders_otherwise_is_not_settled(seed: int) -> None:
    truth = values(seed, fills=2)
    truth[1] = -truth[0]
    assert not settled_order(truth, PAIRS).any()
    assert np.isnan(scored(truth[0], truth)).all()


@pytest.mark.parametrize(("gap", "order"), [(1.01 * APART, 1), (0.99 * APART, 0), (-1.01 * APART, -1)])
def test_a_pair_is_settled_beyond_a_share_of_the_largest_value(gap: float, order: int) -> None:
    truth = np.array([[[-1.0, gap, 0.0, -0.5]]])
    assert settled_order(truth, np.array([[1], [2]])).tolist() == [[order]]


def test_every_fill_is_held_to_its_own_largest_value() -> None:
    truth = np.array([[[1.0, 0.5, 0.0, 0.0]], [[100.0, 4.9, 0.0, 0.0]]])
    pairs = np.array([[0, 1], [1, 2]])
    assert settled_order(truth, pairs).tolist() == [[1, 0]]


def test_sums_that_differ_by_rounding_are_tied() -> None:
    truth = np.array([[[1.0, 0.5, 0.0, -1.0]]])
    near, far = np.array([[2.0, 1.0 + 1 * SAME, 1.0, 0.0]]), np.array([[2.0, 1.0 + 3 * SAME, 1.0, 0.0]])
    assert scored(near, truth).tolist() == [5.5 / 6]
    assert scored(far, truth).tolist() == [1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_has_no_score(bad: float) -> None:
    truth, sums = values(), values()[0]
    truth[1, 2, 3], sums[4, 0] = bad, bad
    assert np.isnan(scored(sums, truth)).tolist() == [False, False, True, False, True]


# ---------------------------------------------------------------------- the fit


def least_squares_share(answers: np.ndarray, columns: np.ndarray) -> float:
    """Share of variance that a constant and some columns explain."""
    design = np.column_stack([np.ones(len(answers)), columns])
    fitted = design @ np.linalg.lstsq(design, answers, rcond=None)[0]
    return 1 - ((answers - fitted) ** 2).sum() / ((answers - answers.mean()) ** 2).sum()


@given(SEEDS)
def test_the_fit_is_the_quotient_of_two_regressions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums, answers = rng.normal(size=(1, 4)), rng.normal(size=(1, 16))
    own = least_squares_share(answers[0], HELD @ sums[0])
    best = least_squares_share(answers[0], HELD)
    sign = np.sign(np.cov(HELD @ sums[0], answers[0])[0, 1])
    # Shares of variance from sums of 16 squares, divided by a share that four random cells keep above 1e-3.
    assert coalition_fit(sums, answers)[0] == pytest.approx(sign * own / best, abs=EXACT)
    assert additivity(answers)[0] == pytest.approx(best, abs=EXACT)


def test_the_weights_of_an_additive_network_fit_it_wholly() -> None:
    weights = np.array([[1.0, -2.0, 0.5, 0.0]])
    answers = weights @ HELD.T + 3
    assert coalition_fit(weights, answers) == pytest.approx(1, abs=EXACT)
    assert coalition_fit(-2 * weights, answers) == pytest.approx(-1, abs=EXACT)
    assert additivity(answers) == pytest.approx(1, abs=EXACT)


def test_what_only_two_cells_together_do_is_not_additive() -> None:
    parity = (-1.0) ** (HELD[:, 0] + HELD[:, 1])
    assert additivity(parity[None]).tolist() == [0.0]


def test_answers_that_are_all_alike_have_no_fit() -> None:
    alike = np.full((1, 16), 0.1)
    assert np.isnan(coalition_fit(np.ones((1, 4)), alike)).all()
    assert np.isnan(additivity(alike)).all()


def test_a_map_of_nothing_has_no_fit() -> None:
    assert np.isnan(coalition_fit(np.zeros((1, 4)), np.arange(16.0)[None])).all()


# ---------------------------------------------------------------------- the smallest subset


def test_the_smallest_subset_is_the_shortest_beginning_that_suffices():
    # Of three cells: 0 and 2 together, or all, are taken for the class.
    recognised = np.zeros((3, 8), dtype=bool)
    recognised[:, [0b101, 0b111]] = True
    order = np.array([[0, 2, 1], [2, 0, 1], [1, 0, 2]])
    assert cells.minimal_subset(order, recognised).tolist() == [2 / 3, 2 / 3, 1]


def test_a_subset_counts_though_more_cells_undo_it():
    recognised = np.zeros((1, 8), dtype=bool)
    recognised[:, [0b001, 0b111]] = True
    assert cells.minimal_subset(np.array([[0, 1, 2]]), recognised).tolist() == [1 / 3]


def test_where_the_fill_suffices_or_nothing_does_there_is_no_smallest_subset():
    recognised = np.zeros((2, 4), dtype=bool)
    recognised[0, [0, 3]] = True
    assert np.isnan(cells.minimal_subset(np.array([[0, 1], [0, 1]]), recognised)).all()


def test_an_answer_that_is_not_finite_is_nobodys_answer() -> None:
    order, known = np.array([[0, 1], [1, 0]]), np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, np.nan, 1.0]])
    assert cells.minimal_subset(order, known).tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert cells.fill_recognition(known[None]).tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
