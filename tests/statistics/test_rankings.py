"""Rankings and pairwise comparison of methods: against scipy, with undefined scores, and planted effects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from scipy.stats import friedmanchisquare
from tiny import EXACT

from harness.statistics import (
    average_ranks,
    friedman,
    holm,
    pairwise,
    people_interval,
    sign_flip_p_clustered,
    sign_flip_p_two_sided,
)

TABLES = arrays(np.int64, st.tuples(st.integers(2, 8), st.integers(3, 5)), elements=st.integers(0, 4))
NAMES = ["gradient", "occlusion", "edges", "random"]


def planted(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal([0.0, 1.0, 0.0, 0.0], 1, (n, 4))


@settings(max_examples=60, deadline=None)
@given(TABLES.filter(lambda table: (np.ptp(table, axis=1) > 0).any()))
def test_friedman_agrees_with_scipy(table: np.ndarray) -> None:
    found, theirs = friedman(table), friedmanchisquare(*table.T)
    assert found.statistic == pytest.approx(theirs.statistic, rel=EXACT, abs=EXACT)
    assert found.p == pytest.approx(theirs.pvalue, rel=EXACT)


def test_friedman_reaches_its_largest_value_where_all_images_agree() -> None:
    assert friedman(np.tile([1.0, 2.0, 3.0, 4.0], (10, 1))).statistic == 30


def test_friedman_finds_a_planted_method() -> None:
    assert friedman(planted()).p < 0.001


def test_friedman_rarely_finds_what_is_not_there() -> None:
    null = np.random.default_rng(0).normal(size=(1_000, 30, 4))
    # .044 here, standard error .0069.
    assert np.mean([friedman(table).p <= 0.05 for table in null]) <= 0.065


@pytest.mark.parametrize(
    ("table", "reason"),
    [(np.ones((5, 3)), "ties all"), (np.ones((1, 3)), "1 images"), (np.ones((5, 1)), "1 methods")],
)
def test_friedman_is_undefined_where_nothing_can_rank(table: np.ndarray, reason: str) -> None:
    found = friedman(table)
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason is not None
    assert reason in found.reason


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_average_ranks_share_out_all_ranks(table: np.ndarray) -> None:
    k = table.shape[1]
    assert average_ranks(table).sum() == pytest.approx(k * (k + 1) / 2)


def test_the_highest_score_ranks_first() -> None:
    assert average_ranks(np.array([[0.1, 0.9, 0.5], [0.2, 0.8, 0.3]])).tolist() == [3, 1, 2]


def test_no_image_ranks_nothing() -> None:
    assert np.isnan(average_ranks(np.zeros((0, 3)))).all()


@pytest.mark.parametrize("ranked", [average_ranks, friedman])
def test_incomplete_images_are_refused(ranked) -> None:
    with pytest.raises(ValueError, match="scores holds 1 undefined of 4"):
        ranked(np.array([[1.0, np.nan], [1.0, 2.0]]))


def test_every_pair_is_compared_once_in_the_order_of_the_names() -> None:
    pairs = [(row.first, row.second) for row in pairwise(NAMES, planted())]
    assert pairs == [(a, b) for i, a in enumerate(NAMES) for b in NAMES[i + 1 :]]


def test_a_row_holds_the_interval_and_p_of_the_paired_differences() -> None:
    scores = planted()
    row = pairwise(NAMES, scores)[0]
    differences = scores[:, 0] - scores[:, 1]
    assert row.effect == people_interval(differences)
    assert row.p == sign_flip_p_two_sided(differences)


def test_adjusted_p_holds_over_all_pairs() -> None:
    rows = pairwise(NAMES, planted())
    assert [row.p_adjusted for row in rows] == holm(np.array([row.p for row in rows])).tolist()


def test_the_planted_method_alone_differs() -> None:
    different = {frozenset((row.first, row.second)) for row in pairwise(NAMES, planted()) if row.p_adjusted < 0.01}
    assert different == {frozenset(("occlusion", other)) for other in ("gradient", "edges", "random")}


def test_images_undefined_for_either_are_left_out_and_counted() -> None:
    scores = planted()
    scores[:3, 0], scores[2:5, 1] = np.nan, np.nan
    row = pairwise(NAMES, scores)[0]
    assert (row.effect.n, row.undefined) == (35, 5)
    assert row.effect == people_interval(scores[5:, 0] - scores[5:, 1])


def test_a_pair_without_a_common_image_is_undefined_and_does_not_count() -> None:
    scores = np.array([[1.0, 0.0, np.nan]] * 5)
    rows = pairwise(["a", "b", "c"], scores)
    assert np.isnan([rows[1].effect.estimate, rows[1].p, rows[1].p_adjusted]).all()
    assert rows[1].undefined == 5
    assert rows[0].p_adjusted == rows[0].p == 2 / 32


def test_swapping_two_methods_turns_the_effect_round() -> None:
    scores = planted()
    (forward,) = pairwise(["a", "b"], scores[:, :2])
    (backward,) = pairwise(["b", "a"], scores[:, 1::-1])
    assert backward.effect.estimate == -forward.effect.estimate
    assert backward.p == forward.p


def test_images_of_one_person_are_kept_together() -> None:
    scores, people = planted(), np.repeat(np.arange(10), 4)
    scores[0, 0] = np.nan
    row = pairwise(NAMES, scores, clusters=people)[0]
    differences = (scores[:, 0] - scores[:, 1])[1:]
    assert row.effect == people_interval(differences, people[1:])
    assert row.p == 2 * sign_flip_p_clustered(-differences, people[1:])


def test_an_infinite_score_is_refused() -> None:
    with pytest.raises(ValueError, match="undefined"):
        pairwise(["a", "b"], np.array([[np.inf, 1.0], [0.0, 1.0]]))


@pytest.mark.parametrize("names", [["a"], ["a", "a"]])
def test_names_that_do_not_name_each_column_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="name each column once"):
        pairwise(names, np.zeros((3, 2)))


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises((ValueError, TypeCheckError), match=r"2 cluster labels for 3 images|clusters"):
        pairwise(["a", "b"], np.zeros((3, 2)), clusters=np.array([1, 2]))


def test_one_method_has_no_pair() -> None:
    assert pairwise(["a"], np.zeros((3, 1))) == []
