"""Every metric has a card, and what the card says is so."""

import inspect
from types import ModuleType

import numpy as np
import pytest

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
from harness.metrics.cards import metric_cards

CARDS = metric_cards()
FAMILIES = [
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
]
# What serves metrics and is none.
SERVANTS = {
    "absolute",
    "additivity",
    "area_under_curve",
    "attributed_sums",
    "class_means",
    "coarse_codes",
    "confusion_matrix",
    "entrywise_change",
    "length_change",
    "mprt_curve",
    "nguyen_effects",
    "part_mass",
    "positive",
    "road_curve",
    "sensitivity_n_curve",
    "settled_order",
    "similarity_matrix",
    "smooth_maps",
}


def public(family: ModuleType) -> set[str]:
    """Return the public functions that a family defines."""
    functions = inspect.getmembers(family, inspect.isfunction)
    return {name for name, one in functions if one.__module__ == family.__name__ and not name.startswith("_")}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_public_metric_of_a_family_has_a_card(family):
    carded = {card.function.__name__ for card in CARDS.values()}
    assert public(family) - SERVANTS <= carded


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_lies_in_the_family_of_its_function(card):
    assert card.function.__module__ == f"harness.metrics.{card.family}"


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_says_when_its_metric_is_undefined_and_what_chance_is(card):
    assert card.undefined
    assert card.chance
    assert card.cost
    assert card.low < card.high


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_metric_has_at_most_six_parameters(card):
    assert len(inspect.signature(card.function).parameters) <= 6


LOCATING = [card for card in CARDS.values() if card.family == "localization" and card.name != "top-k-intersection"]
LIKENESS = [card for card in CARDS.values() if card.family == "similarity" and card.name != "top-k-overlap"]
CONCENTRATION = [card for card in CARDS.values() if card.family == "complexity"]


@pytest.mark.parametrize("card", [*LOCATING, *LIKENESS, *CONCENTRATION], ids=lambda card: card.name)
def test_scores_of_random_maps_lie_in_the_range_of_the_card(card):
    rng = np.random.default_rng(0)
    maps, others = rng.normal(size=(2, 20, 16, 16))
    companion = {"localization": (others > 1,), "similarity": (others,), "complexity": ()}[card.family]
    scores = card.function(maps, *companion)
    assert ((scores >= card.low) & (scores <= card.high)).all()


CHANCE_IS_AREA = ["pointing-game", "relevance-mass", "relevance-rank"]


@pytest.mark.parametrize("name", CHANCE_IS_AREA)
def test_maps_that_know_nothing_score_the_evidences_share_of_the_image(name):
    rng = np.random.default_rng(0)
    maps, evidence = rng.normal(size=(1500, 10, 10)), rng.random((1500, 10, 10)) < 0.3
    scores = CARDS[name].function(maps, evidence)
    # Four standard errors of the mean.
    assert scores.mean() == pytest.approx(0.3, abs=4 * scores.std() / np.sqrt(len(scores)))


@pytest.mark.parametrize(("name", "level"), [("localization-auc", 0.5), ("attribution-localization", 1.0)])
def test_maps_that_know_nothing_score_the_chance_level_whatever_the_area(name, level):
    rng = np.random.default_rng(0)
    maps, evidence = rng.normal(size=(1500, 10, 10)), rng.random((1500, 10, 10)) < 0.3
    scores = CARDS[name].function(maps, evidence)
    # Four standard errors of the mean.
    assert scores.mean() == pytest.approx(level, abs=4 * scores.std() / np.sqrt(len(scores)))
