"""Every metric that has a card is measured in a run of everything, or it is said why not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import (
    SIDE,
    SMALL,
    acting_faces,
    bright_patch_faces,
    make_case,
    names_in,
    parts_subject,
    patch_subject,
    tiny_network,
)

from harness.checks import CHECKS
from harness.evaluation import Request
from harness.evaluation.runner import Runner
from harness.explainers import registered
from harness.explainers.base import COMPLETENESS
from harness.metrics.cards import described, gain_of, metric_cards
from harness.metrics.score import Score
from harness.profiles import PROFILES, Profile
from harness.store import IDENTITY, RunFolder
from harness.subject import Subject

NOT_SCORES = {
    "settled-share": "of the network, not of a map: its rows have no explainer",
    "additivity": "of the network, not of a map: its rows have no explainer",
    "fill-recognition": "of the network, not of a map: its rows have no explainer",
    "recall": "of a class, not of an image: the confusion matrix holds it",
    "precision": "of a class, not of an image: the confusion matrix holds it",
    "pearson": "a likeness of two maps, not a score of one: for those who compare maps",
    "spearman": "a likeness of two maps: randomisation and class similarity are made of it",
    "cosine": "a likeness of two maps, not a score of one: for those who compare maps",
    "ssim": "a likeness of two maps: randomisation is made of it",
    "hog": "a likeness of two maps: randomisation is made of it",
    "top-k-overlap": "a likeness of two maps, not a score of one: for those who compare maps",
}
"""Cards that no run has rows of, and why."""

ALONE = ("invariance", "information")
"""Measurements that another network is asked for too."""

NO_VIRTUE = {"sparseness", "entropy-complexity", "pixels-above-floor", "histogram-entropy"}
"""Measured, and better in neither direction: how concentrated a map is."""


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """All that a run of everything measures of one explainer, on faces of which everything is known."""
    mark = np.zeros((36, SIDE, SIDE), np.float32)
    mark[:, 5:7, 0:2] = 1
    faces = acting_faces(36)
    labels = faces.labels.copy()
    labels[:6] = (labels[:6] + 1) % 3  # on which the network is wrong
    faces = replace(faces, labels=labels, evidence={"mark": mark, "displacement": mark})
    # It draws, and claims every axiom.
    drawing = registered()["expected-gradients"]
    claims = replace(drawing.facts, axioms=drawing.facts.axioms | {COMPLETENESS})
    subject, explainer = parts_subject(), replace(drawing, facts=claims)
    # A network of one layer has no other of equal answers; one of two layers has.
    deep = Subject(tiny_network(), name="deep", classes=subject.classes, spec=subject.spec)
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    twin = Subject(subject.network, name="twin", classes=subject.classes, spec=subject.spec)
    measurements = Request(subject, faces, (explainer,), (), SMALL, everything=True, random_labels=twin).measurements()
    invariance, information = ([each for each in measurements if each.name == name] for name in ALONE)
    runners = (
        Runner(make_case(subject, faces), measurements, folder),
        Runner(make_case(deep, faces), invariance, folder),
        # One that is never sure of a whole picture has no curve of its certainty; this one is.
        Runner(make_case(patch_subject(), bright_patch_faces()), information, folder),
    )
    return pd.concat([runner.measured(explainer).scores for runner in runners])


def identities(scores: pd.DataFrame) -> list[Score]:
    """Each score that was measured, once."""
    return [Score(*row) for row in scores[list(IDENTITY)].drop_duplicates().itertuples(index=False)]


def measured(scores: pd.DataFrame) -> set[str]:
    """Metrics that hold at least one number for the map itself."""
    return set(names_in(scores[(scores["variant"] == "map") & scores["value"].notna()]))


def missing(scores: pd.DataFrame) -> set[str]:
    return set(metric_cards()) - measured(scores) - set(NOT_SCORES)


def test_every_card_is_measured_or_listed(scores: pd.DataFrame) -> None:
    assert missing(scores) == set()


def test_nothing_that_is_measured_is_listed_as_not(scores: pd.DataFrame) -> None:
    assert measured(scores) & set(NOT_SCORES) == set()


def test_every_score_of_a_run_has_facts_of_a_card(scores: pd.DataFrame) -> None:
    names = set(names_in(scores))
    facts = described(identities(scores), ("mark", "displacement"))
    assert set(facts) == names
    assert all(fact.meaning and fact.undefined for fact in facts.values())
    assert {fact.card for fact in facts.values() if fact.higher_is_better is None} == NO_VIRTUE


def test_a_score_lies_in_the_range_that_a_reader_is_told(scores: pd.DataFrame) -> None:
    facts = described(identities(scores), ("mark", "displacement"))
    spans = scores.groupby(names_in(scores))["value"].agg(["min", "max"])
    # A sum of some hundred terms of single precision may miss the end of its range by so much.
    slack = 1e-5
    for name, (low, high) in zip(spans.index, spans.to_numpy(), strict=True):
        fact = facts[name]
        assert not (fact.low is not None and low < fact.low - slack), name
        assert not (fact.high is not None and high > fact.high + slack), name


def test_a_gain_is_better_the_higher_whatever_its_metric(scores: pd.DataFrame) -> None:
    facts = described(identities(scores), ("mark", "displacement"))
    kinds = {name: fact for name, fact in facts.items() if fact.kind == "gain"}
    assert {fact.higher_is_better for fact in kinds.values()} == {True}
    called = scores.assign(name=names_in(scores).to_numpy())
    table, own = (
        called[called["variant"] == variant].pivot_table(index="image", columns="name", values="value")
        for variant in ("spectrum-null", "map")
    )
    for name, sign in (("deletion-auc", -1), ("insertion-auc", 1), ("infidelity", -1), ("relevance-mass", 1)):
        assert {True: 1, False: -1}[facts[name].higher_is_better] == sign
        difference = (sign * (own[name] - table[name])).dropna()
        pd.testing.assert_series_equal(table[gain_of(name)].dropna(), difference, check_names=False)


def test_what_is_listed_has_a_card() -> None:
    assert set(NOT_SCORES) <= set(metric_cards())


def test_a_metric_that_is_no_longer_measured_is_missed(scores: pd.DataFrame) -> None:
    assert missing(scores[names_in(scores) != "sensitivity-n"]) == {"sensitivity-n"}


def names_of_measurements(profile: Profile) -> set[str]:
    """What a run of everything measures in a profile."""
    request = Request(parts_subject(), acting_faces(6), (), (), profile, everything=True)
    return {each.name for each in request.measurements()}


def test_the_quickest_profile_leaves_out_what_is_shown_alone_and_has_passes_of_its_own() -> None:
    left_out = names_of_measurements(PROFILES["standard"]) - names_of_measurements(PROFILES["quick"])
    assert left_out == {"masked", "coherency", "information", "soundness", "part-checks", "part-targets", "regions"}
    assert not left_out & frozenset().union(*(check.needs for check in CHECKS.values()))
