"""Agreement of raters and of explanations: against published tables, an independent package and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import EXACT

from harness.statistics import Level, feature_agreement, krippendorff_alpha, rank_agreement, sign_agreement

X = np.nan
NEAR = 1000 * EXACT
"""One less a ratio of sums: of small ones, a few digits go."""
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
)
"""Four observers, twelve units, some not rated; Krippendorff 2011, section D."""
LEVELS = {Level.NOMINAL: 0.743, Level.ORDINAL: 0.815, Level.INTERVAL: 0.849}


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_is_as_published(level: Level) -> None:
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(LEVELS[level], abs=0.0006)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_another_package(level: Level, seed: int) -> None:
    krippendorff = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(seed)
    ratings = rng.integers(0, 5, (4, 9)).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = np.nan
    theirs = krippendorff.alpha(reliability_data=ratings, level_of_measurement=level.value)
    assert krippendorff_alpha(ratings, level) == pytest.approx(theirs, rel=NEAR, abs=NEAR)


def test_two_raters_by_hand() -> None:
    """Two units of two ratings: 1 and 1, 1 and 2. Of four ratings three are 1: chance disagrees in half of pairs."""
    assert krippendorff_alpha(np.array([[1.0, 1.0], [1.0, 2.0]]), Level.NOMINAL) == pytest.approx(0, abs=EXACT)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(2, 7)), elements=st.sampled_from([0.0, 1, 2, X])))
def test_who_rates_what_first_does_not_matter(ratings: np.ndarray) -> None:
    turned = krippendorff_alpha(ratings[::-1, ::-1].copy())
    assert krippendorff_alpha(ratings) == pytest.approx(turned, rel=NEAR, abs=NEAR, nan_ok=True)
    stretched = krippendorff_alpha(np.exp(ratings))
    assert krippendorff_alpha(ratings) == pytest.approx(stretched, rel=NEAR, abs=NEAR, nan_ok=True), (
        "order alone counts"
    )


def test_raters_who_know_nothing_agree_as_chance_has_it() -> None:
    rng = np.random.default_rng(0)
    ranks = rng.permuted(np.tile(np.arange(7.0), (500, 30, 1)), axis=2)
    found = [krippendorff_alpha(each) for each in ranks]
    # Means of 500: one has a deviation of about sqrt(2 / (6 * 30 * 29)), .02.
    assert np.mean(found) == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("ratings", [[[1.0, X], [X, 2.0]], [[2.0, 2.0], [2.0, 2.0]], [[X, X], [X, X]]])
def test_where_nothing_could_disagree_alpha_is_undefined(ratings: list[list[float]]) -> None:
    assert np.isnan(krippendorff_alpha(np.array(ratings)))


# ---------------------------------------------------------------------- two explanations

FIRST = np.array([[5.0, -4.0, 3.0, 0.5, 0.1, 0.0]])
SECOND = np.array([[-5.0, -4.0, 0.2, 3.0, 0.1, 0.0]])


def test_agreements_by_hand() -> None:
    """Of three features two are shared, both at their rank, and one with its sign."""
    assert feature_agreement(FIRST, SECOND, 3).tolist() == [2 / 3]
    assert rank_agreement(FIRST, SECOND, 3).tolist() == [2 / 3]
    assert sign_agreement(FIRST, SECOND, 3).tolist() == [1 / 3]
    assert rank_agreement(FIRST, FIRST[:, [1, 0, 2, 3, 4, 5]], 3).tolist() == [1 / 3]


def test_a_map_agrees_with_itself_and_shares_no_sign_with_its_negative() -> None:
    for share in (feature_agreement, rank_agreement, sign_agreement):
        assert share(FIRST, FIRST, 4).tolist() == [1]
    assert sign_agreement(FIRST, -FIRST, 4).tolist() == [0]
    assert feature_agreement(FIRST, -FIRST, 4).tolist() == [1]


def test_maps_that_know_nothing_agree_as_chance_has_it() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 20_000, 9))
    # A share of three has a deviation of at most .5; four standard errors over 20,000 are .0142.
    assert feature_agreement(first, second, 3).mean() == pytest.approx(3 / 9, abs=0.0142)
    assert rank_agreement(first, second, 3).mean() == pytest.approx(1 / 9, abs=0.0142)
    assert sign_agreement(first, second, 3).mean() == pytest.approx(3 / 18, abs=0.0142)


@pytest.mark.parametrize(
    "values", [[0.0, 0, 0, 0, 0, 0], [1.0, 1, 0, 0, 0, 0], [3.0, 2, 1, -1, 0, 0], [X, 1, 2, 3, 4, 5]]
)
def test_where_a_tie_or_a_gap_leaves_the_largest_open_nothing_is_said(values: list[float]) -> None:
    assert np.isnan(feature_agreement(np.array([values]), FIRST, 3)).all()


def test_a_tie_below_the_largest_does_not_matter() -> None:
    assert feature_agreement(np.array([[5.0, 4, 3, 1, 1, 1]]), FIRST, 3).tolist() == [1]


@pytest.mark.parametrize("top", [0, 7])
def test_more_features_than_there_are_cannot_be_asked_for(top: int) -> None:
    with pytest.raises(ValueError, match=f"top is {top} of 6 features"):
        feature_agreement(FIRST, FIRST, top)
