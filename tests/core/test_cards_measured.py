"""Every metric that has a card is measured in a run of everything, or it is said why not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import SIDE, SMALL, acting_faces, make_case, parts_subject

from harness.bench import Bench
from harness.evaluation import Request
from harness.explainers import registered
from harness.metrics.cards import metric_cards
from harness.store import RunFolder

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

PENDING = {
    *("symmetric-relevance-gain", "pixel-flipping", "aopc", "selectivity", "comprehensiveness", "sufficiency"),
    *("monotonicity-arya", "irof", "road"),
    *("mprt-average", "mprt-last", "efficient-mprt", "smooth-mprt", "random-logit", "target-specificity"),
    *("max-sensitivity", "average-sensitivity", "local-lipschitz", "continuity", "consistency"),
    *("relative-input-stability", "relative-output-stability", "relative-representation-stability"),
    *("neighbour-sufficiency", "input-invariance", "focus", "implementation-invariance", "linearity"),
}
"""Cards whose measurements are not made yet; the set is to become empty."""


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """All that a run of everything measures of one explainer, on faces of which everything is known."""
    mark = np.zeros((36, SIDE, SIDE), np.float32)
    mark[:, 5:7, 0:2] = 1
    faces = replace(acting_faces(36), evidence={"mark": mark, "displacement": mark})
    subject, explainer = parts_subject(), registered()["integrated-gradients"]
    measurements = Request(subject, faces, (explainer,), (), SMALL, everything=True).measurements()
    bench = Bench(make_case(subject, faces), measurements, RunFolder(tmp_path_factory.mktemp("run")))
    return bench.measured(explainer).scores


def measured(scores: pd.DataFrame) -> set[str]:
    """Metrics that hold at least one number for the map itself."""
    return set(scores[(scores["variant"] == "map") & scores["value"].notna()]["metric"])


def missing(scores: pd.DataFrame) -> set[str]:
    return set(metric_cards()) - measured(scores) - set(NOT_SCORES)


def test_every_card_is_measured_or_listed(scores: pd.DataFrame) -> None:
    assert missing(scores) - PENDING == set()


def test_nothing_that_is_measured_is_listed_as_not(scores: pd.DataFrame) -> None:
    assert measured(scores) & (set(NOT_SCORES) | PENDING) == set()


def test_what_is_listed_has_a_card() -> None:
    assert set(NOT_SCORES) | PENDING <= set(metric_cards())


def test_a_metric_that_is_no_longer_measured_is_missed(scores: pd.DataFrame) -> None:
    assert missing(scores[scores["metric"] != "sensitivity-n"]) - PENDING == {"sensitivity-n"}
