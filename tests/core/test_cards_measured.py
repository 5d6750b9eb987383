"""Every metric that has a card is measured in a run of everything, or it is said why not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import SIDE, SMALL, acting_faces, make_case, parts_subject, tiny_network

from harness.bench import Bench
from harness.evaluation import Request
from harness.explainers import registered
from harness.metrics.cards import metric_cards
from harness.store import RunFolder
from harness.subject import Subject

NOT_SCORES = {
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
    subject, explainer = parts_subject(), registered()["expected-gradients"]
    # A network of one layer has no other of equal answers; one of two layers has.
    deep = Subject(tiny_network(), name="deep", classes=subject.classes, spec=subject.spec)
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    measurements = Request(subject, faces, (explainer,), (), SMALL, everything=True).measurements()
    invariance = [each for each in measurements if each.name == "invariance"]
    benches = Bench(make_case(subject, faces), measurements, folder), Bench(make_case(deep, faces), invariance, folder)
    return pd.concat([bench.measured(explainer).scores for bench in benches])


def measured(scores: pd.DataFrame) -> set[str]:
    """Metrics that hold at least one number for the map itself."""
    return set(scores[(scores["variant"] == "map") & scores["value"].notna()]["metric"])


def missing(scores: pd.DataFrame) -> set[str]:
    return set(metric_cards()) - measured(scores) - set(NOT_SCORES)


def test_every_card_is_measured_or_listed(scores: pd.DataFrame) -> None:
    assert missing(scores) == set()


def test_nothing_that_is_measured_is_listed_as_not(scores: pd.DataFrame) -> None:
    assert measured(scores) & set(NOT_SCORES) == set()


def test_what_is_listed_has_a_card() -> None:
    assert set(NOT_SCORES) <= set(metric_cards())


def test_a_metric_that_is_no_longer_measured_is_missed(scores: pd.DataFrame) -> None:
    assert missing(scores[scores["metric"] != "sensitivity-n"]) == {"sensitivity-n"}
