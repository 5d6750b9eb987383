"""Every metric has a card, and what the card says is so."""

import ast
import inspect
import re
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import harness
from harness.metrics.cards import FAMILIES as FILES
from harness.metrics.cards import MetricCard, metric_cards
from harness.metrics.parity import LARGEST_DIFFERENCE

CARDS = metric_cards()
FAMILIES = [import_module(f"harness.metrics.{name}") for name in FILES]
# What serves metrics and is none.
SERVANTS = {
    "absolute",
    "area_under_curve",
    "attributed_sums",
    "class_means",
    "coarse_codes",
    "confusion_matrix",
    "entrywise_change",
    "important_parts",
    "length_change",
    "mprt_curve",
    "nguyen_effects",
    "part_mass",
    "positive",
    "repeated",
    "road_curve",
    "sensitivity_n_curve",
    "settled_order",
    "similarity_matrix",
    "smooth_maps",
    "tile_sums",
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
    home = f"harness.metrics.{card.family}"
    assert card.function.__module__ == home or card.function.__module__.startswith(f"{home}.")


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_says_when_its_metric_is_undefined_and_what_chance_is(card):
    assert card.undefined
    assert card.chance
    assert card.cost
    assert card.meaning
    assert card.low < card.high


def test_every_difference_that_was_measured_is_of_a_metric():
    assert set(LARGEST_DIFFERENCE) <= set(CARDS)


# ---------------------------------------------------------------------- directions

DESCRIBES = {"complexity", "similarity"}
"""Families that describe maps and claim no virtue."""
STATED = re.compile(r"\b(higher|lower) is better", re.IGNORECASE)
SOURCE = Path(harness.__file__).parent


def undirected(held: Iterable[MetricCard]) -> set[str]:
    """Metrics that state no direction, though they should."""
    return {card.name for card in held if card.higher_is_better is None and card.family not in DESCRIBES}


def contradicted(card: MetricCard) -> bool:
    """Whether a metric's docstring states another direction than its card."""
    found = {word.lower() for word in STATED.findall(inspect.getdoc(card.function) or "")}
    return bool(found - {{True: "higher", False: "lower", None: ""}[card.higher_is_better]})


def stated_elsewhere(source: str) -> bool:
    """Whether a module outside the metrics states a direction: a keyword or a field `higher_is_better` of its own."""
    for node in ast.walk(ast.parse(source)):
        told = node.value if isinstance(node, ast.keyword) and node.arg == "higher_is_better" else None
        if isinstance(told, ast.Constant) or (
            isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "higher_is_better"
        ):
            return True
    return False


def test_every_metric_that_judges_states_a_direction():
    assert undirected(CARDS.values()) == set()


def test_a_metric_without_a_direction_is_found():
    assert undirected([replace(CARDS["road"], higher_is_better=None)]) == {"road"}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_docstring_states_the_direction_of_the_card(card):
    assert not contradicted(card)


def test_enough_docstrings_state_a_direction_and_a_contradiction_is_found():
    stated = [card for card in CARDS.values() if STATED.search(inspect.getdoc(card.function) or "")]
    assert len(stated) >= len(CARDS) / 4
    assert all(contradicted(replace(card, higher_is_better=not card.higher_is_better)) for card in stated)


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_direction_is_stated_beside_the_cards(file):
    of_cards = "metrics" in file.relative_to(SOURCE).parts or file.stem.endswith("metrics")
    assert of_cards or not stated_elsewhere(file.read_text())


@pytest.mark.parametrize("text", ["f(higher_is_better=False)", "class A:\n    higher_is_better: bool"])
def test_a_direction_beside_the_cards_is_found(text):
    assert stated_elsewhere(text)


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_metric_has_at_most_six_parameters(card):
    assert len(inspect.signature(card.function).parameters) <= 6


NOT_OF_MAPS = ("top-k-intersection", "mosaic-answer")
LOCATING = [card for card in CARDS.values() if card.family == "localization" and card.name not in NOT_OF_MAPS]
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
