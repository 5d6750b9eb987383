"""Claims and their parts: exact cases, the conditions of the proof, and error rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import EXACT

from harness.statistics import hierarchical, holm
from harness.statistics.hierarchy import _shares

P = st.floats(0, 1, width=32)


def table(draw, m: int, k: int) -> np.ndarray:
    return draw(arrays(np.float64, (m, k), elements=P))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 8), elements=P))
def test_without_parts_it_is_holm(p: np.ndarray) -> None:
    np.testing.assert_allclose(hierarchical(p, np.empty((len(p), 0)), 0.01).whole, holm(p), rtol=EXACT)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 8), elements=P))
def test_parts_without_a_whole_are_holm(p: np.ndarray) -> None:
    np.testing.assert_allclose(hierarchical(np.array([np.nan]), p[None], 0.01).parts[0], holm(p), rtol=EXACT)


def test_a_part_has_more_under_a_claim_that_is_made() -> None:
    made = hierarchical(np.array([1e-6, 0.5]), np.array([[0.002, 0.5], [0.002, 0.5]]), 0.01)
    # Under the claim that is made: .002 times two claims and two parts; under the other one half of that share.
    assert made.parts[:, 0].tolist() == pytest.approx([0.008, 0.016])


def test_a_part_that_is_made_leaves_its_share_to_its_siblings() -> None:
    made = hierarchical(np.array([1e-6]), np.array([[0.001, 0.009]]), 0.01)
    assert made.parts[0].tolist() == pytest.approx([0.002, 0.009])


def test_a_claim_whose_parts_are_all_made_has_the_whole_share() -> None:
    assert hierarchical(np.array([0.009]), np.array([[1e-6, 1e-6]]), 0.01).whole[0] == pytest.approx(0.009)


def test_a_claim_that_is_made_with_all_its_parts_leaves_its_share_to_the_others() -> None:
    made = hierarchical(np.array([1e-6, 0.004]), np.array([[1e-6], [np.nan]]), 0.01)
    assert made.whole[1] == pytest.approx(0.004)


def test_shares_are_those_at_which_each_was_tested_in_the_end() -> None:
    made = hierarchical(np.array([1e-6, 0.5]), np.array([[0.5, 0.5], [0.5, 0.5]]), 0.01)
    assert made.whole_share.tolist() == [0.25, 0.25]
    assert made.part_share.tolist() == [[0.25, 0.25], [0.125, 0.125]]


def test_what_was_not_tested_does_not_count() -> None:
    alone = hierarchical(np.array([0.004]), np.empty((1, 0)), 0.01)
    among = hierarchical(np.array([np.nan, 0.004]), np.full((2, 3), np.nan), 0.01)
    assert among.whole[1] == alone.whole[0] == 0.004
    assert np.isnan(among.whole[0])
    assert np.isnan(among.parts).all()


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(0, 4))
def test_shares_sum_to_at_most_one_and_never_fall_as_claims_are_made(data, m: int, k: int) -> None:
    open_ = data.draw(arrays(bool, (m, k + 1)))
    order = data.draw(st.none() | arrays(np.int64, m, elements=st.integers(0, 3)))
    before = _shares(open_, 0.5, order)
    assert before.sum() <= 1 + EXACT
    for place in np.argwhere(open_):
        left = open_.copy()
        left[tuple(place)] = False
        after = _shares(left, 0.5, order)
        assert (after[left] >= before[left] - EXACT).all()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 3))
def test_adjusted_p_is_never_smaller_and_follows_p(data, m: int, k: int) -> None:
    whole, parts = table(data.draw, m, 1)[:, 0], table(data.draw, m, k)
    before = hierarchical(whole, parts, 0.01)
    assert (before.whole >= whole - EXACT).all()
    assert (before.parts >= parts - EXACT).all()
    smaller = hierarchical(whole / 2, parts, 0.01)
    assert (smaller.parts <= before.parts + EXACT).all()


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        hierarchical(np.array([bad]), np.empty((1, 0)), 0.01)


@pytest.mark.parametrize(("alpha", "own"), [(0.0, 0.5), (0.01, 1.0)])
def test_levels_and_shares_outside_their_range_are_refused(alpha: float, own: float) -> None:
    with pytest.raises(ValueError, match="give numbers between 0 and 1"):
        hierarchical(np.array([0.1]), np.empty((1, 0)), alpha, own=own)


def test_of_claims_in_an_order_the_first_has_most_and_leaves_it_to_the_next() -> None:
    none = np.empty((3, 0))
    # 1, 1/2 and 1/3 of a sum of 11/6.
    open_ = hierarchical(np.full(3, 0.9), none, 0.01, order=np.array([2, 0, 1]))
    assert open_.whole_share.tolist() == pytest.approx([2 / 11, 6 / 11, 3 / 11])
    made = hierarchical(np.array([0.9, 1e-6, 0.9]), none, 0.01, order=np.array([2, 0, 1]))
    assert made.whole_share[[0, 2]].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_in_an_order_the_parts_of_the_first_claim_are_decided_by_fewer_people() -> None:
    whole, parts = np.full(6, 1e-6), np.full((6, 7), 0.9)
    equal, ordered = (hierarchical(whole, parts, 0.01, order=order) for order in (None, np.arange(6)))
    assert ordered.part_share[0, 0] > 2.4 * equal.part_share[0, 0]


@pytest.mark.parametrize("order", [None, np.arange(4)], ids=["equal", "ordered"])
@pytest.mark.parametrize("true_claims", [0, 2])
def test_any_error_is_as_rare_as_alpha(true_claims: int, order: np.ndarray | None) -> None:
    rng, m, k = np.random.default_rng(0), 4, 5
    wrong = 0
    for _ in range(1_500):
        whole, parts = rng.random(m), rng.random((m, k))
        # Claims that hold, though in two of five classes alone.
        whole[:true_claims], parts[:true_claims, :2] = 0.0, 0.0
        made = hierarchical(whole, parts, 0.05, order=order)
        false = np.concatenate(
            [made.whole[true_claims:], made.parts[:true_claims, 2:].ravel(), made.parts[true_claims:].ravel()]
        )
        wrong += bool((false < 0.05).any())
    # Two standard errors of a rate of .05 over 1,500.
    assert wrong / 1_500 < 0.05 + 0.0113
    # And all but unused where it could be: a procedure that never decides would be as safe.
    assert wrong / 1_500 > 0.02
