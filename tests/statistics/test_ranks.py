"""Mean ranks: against published critical values, an independent package, hand-made orders and null draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, spearmanr
from tiny import EXACT

from harness.statistics import average_ranks, critical_difference, kendall_w, nemenyi, not_told_apart

DEMSAR = {
    0.05: (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164),
    0.10: (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920),
}
"""Critical values for 2 to 10 classifiers, Demsar 2006, table 5 (a)."""


@pytest.mark.parametrize("alpha", DEMSAR)
def test_critical_differences_are_those_that_were_published(alpha: float) -> None:
    for k, q in enumerate(DEMSAR[alpha], start=2):
        found = critical_difference(30, k, alpha) / np.sqrt(k * (k + 1) / (6 * 30))
        assert found == pytest.approx(q, abs=0.0015), "a printed value has three decimals, some cut and some rounded"


def test_demsars_example_has_his_difference() -> None:
    """Four classifiers on fourteen data sets, in section 3.2.2."""
    assert critical_difference(14, 4, 0.05) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(14, 4, 0.10) == pytest.approx(1.12, abs=0.005)


def test_p_values_are_those_of_another_package() -> None:
    posthocs = pytest.importorskip("scikit_posthocs")
    scores = np.random.default_rng(0).normal([0.0, 1.0, 0.0, 0.3, 0.0], 1, (25, 5))
    theirs = posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
    # The studentized range is integrated to eight digits or so, and they take it for a large finite n.
    np.testing.assert_allclose(nemenyi(scores), theirs, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 8), st.sampled_from([0.01, 0.05]), st.integers(0, 10**6))
def test_a_pair_is_told_apart_where_its_p_is_below_alpha(n: int, k: int, alpha: float, seed: int) -> None:
    scores = np.random.default_rng(seed).random((n, k))
    ranks, p = average_ranks(scores), nemenyi(scores)
    apart = np.abs(ranks[:, None] - ranks) >= critical_difference(n, k, alpha)
    near = np.abs(p - alpha) < 1e-5  # where the digits of an integral decide
    assert (apart == (p < alpha))[~near].all()


@pytest.mark.parametrize("ties", [False, True])
def test_methods_that_rank_alike_are_rarely_told_apart(ties: bool) -> None:
    rng, n, k, runs = np.random.default_rng(0), 20, 7, 2_000
    scores = rng.random((runs, n, k))
    scores = np.round(scores * 4) if ties else scores
    spans = np.array([np.ptp(average_ranks(each)) for each in scores])
    wrong = (spans >= critical_difference(n, k, 0.05)).mean()
    assert wrong < 0.05 + 0.0147, "three standard errors of .05 over 2,000 runs"
    assert ties or wrong > 0.02, "without ties it is not safe for nothing"


def test_a_planted_method_is_told_apart_from_all_others() -> None:
    scores = np.random.default_rng(0).normal([0.0, 3.0, 0.0, 0.0], 1, (40, 4))
    p = nemenyi(scores)
    assert (p[1, [0, 2, 3]] < 0.001).all()
    assert p[0, 2] > 0.05
    groups = not_told_apart(average_ranks(scores), critical_difference(40, 4, 0.01))
    assert [set(group) for group in groups] == [{0, 2, 3}]


def test_groups_are_the_largest_ones() -> None:
    ranks = np.array([1.0, 2.0, 2.5, 4.0])
    assert not_told_apart(ranks, 10.0) == [(0, 1, 2, 3)]
    assert not_told_apart(ranks, 0.4) == []
    assert not_told_apart(ranks, 1.6) == [(0, 1, 2), (2, 3)]
    assert not_told_apart(ranks, 1.0) == [(1, 2)], "at the difference itself two are told apart"


@pytest.mark.parametrize(("n", "k"), [(1, 4), (9, 1)])
def test_too_few_say_nothing(n: int, k: int) -> None:
    assert np.isnan(critical_difference(n, k, 0.05))
    assert np.isnan(nemenyi(np.zeros((n, k)))).all()
    assert np.isnan(kendall_w(np.zeros((n, k))))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_alpha_that_is_no_share_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="give a number between 0 and 1"):
        critical_difference(10, 4, alpha)


# ---------------------------------------------------------------------- concordance

SIEGEL = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]])
"""Three executives on six applicants; Siegel, Nonparametric statistics (1956), chapter 9: W = .16."""


def test_concordance_of_a_published_example() -> None:
    assert kendall_w(SIEGEL) == pytest.approx(0.16, abs=0.005)
    sums = SIEGEL.sum(axis=0)
    assert kendall_w(SIEGEL) == pytest.approx(12 * ((sums - sums.mean()) ** 2).sum() / (9 * (216 - 6)), rel=EXACT)


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(2, 6), st.integers(3, 6)), elements=st.integers(0, 50)))
def test_concordance_follows_the_mean_rank_correlation(ratings: np.ndarray) -> None:
    """W = (r (m - 1) + 1) / m, where r is the mean of Spearman's over all pairs and nobody ties."""
    if any(len(set(row)) < len(row) for row in ratings):
        return
    m = len(ratings)
    pairs = [spearmanr(ratings[i], ratings[j]).statistic for i in range(m) for j in range(i)]
    assert kendall_w(ratings) == pytest.approx((np.mean(pairs) * (m - 1) + 1) / m, rel=1000 * EXACT, abs=1000 * EXACT)


def test_one_order_agrees_wholly_and_two_judges_as_their_correlation() -> None:
    assert kendall_w(np.tile([3.0, 1.0, 2.0], (5, 1))) == pytest.approx(1, rel=EXACT)
    opposed = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert kendalltau(*opposed).statistic == pytest.approx(-1)
    assert kendall_w(opposed) == pytest.approx(0, abs=EXACT)


def test_judges_who_know_nothing_of_each_other_agree_by_one_in_their_number() -> None:
    rng = np.random.default_rng(0)
    found = np.mean([kendall_w(rng.random((5, 6))) for _ in range(2_000)])
    # W has mean 1 / m and variance 2 (m - 1) / (m**3 (k - 1)), so four standard errors over 2,000 are .0101.
    assert found == pytest.approx(1 / 5, abs=0.0102)
