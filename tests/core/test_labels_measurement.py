"""A twin that learned nonsense: what looks the same under it does not tell of what was learned."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import CLASSES, EXACT, SPEC, bright_patch_faces, make_case, names_in, tiny_network
from torch import Tensor

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.evaluation_set import EvaluationSet
from harness.explainers.gradient import gradient
from harness.measurements import Attributions, LabelRandomization, Measured
from harness.metrics.similarity import spearman_similarity
from harness.subject import Subject

PER_CLASS = 12


@pytest.fixture
def case(subject: Subject) -> EvaluationSet:
    return make_case(subject, bright_patch_faces(60))


@pytest.fixture
def twin() -> Subject:
    return Subject(tiny_network(seed=1), name="twin", classes=CLASSES, spec=SPEC)


def measured(case: EvaluationSet, explain: Callable[..., Tensor], twin: Subject | None) -> Measured:
    def again(images, targets, subject=None):
        return np.asarray(explain(subject or case.subject, images, torch.from_numpy(targets)), dtype=np.float32)

    return LabelRandomization(twin, PER_CLASS).measure(Attributions(case, again(case.images, case.targets), again))


def values(found: Measured, metric: str, variant: str) -> np.ndarray:
    held = found.scores[(names_in(found.scores) == metric) & (found.scores["variant"] == variant)]
    return held["value"].to_numpy()


def judgement(case: EvaluationSet, found: Measured) -> pd.Series:
    evidence = Evidence(found.scores.assign(explainer="e"), found.matrices, case.subject.classes, 0)
    table = judged([CHECKS["randomization-labels"]], evidence, ["e"])
    return table[table["class"] == "all"].iloc[0]


def picture(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Ignores the network."""
    return images[:, 0]


def test_a_map_that_ignores_the_network_is_the_twins_and_fails(case: EvaluationSet, twin: Subject) -> None:
    found = measured(case, picture, twin)
    np.testing.assert_allclose(values(found, "randomization-labels", "map"), 1, rtol=0, atol=EXACT)
    assert judgement(case, found)["verdict"] == Verdict.FAIL


def test_the_gradient_of_another_network_is_another_map(case: EvaluationSet, twin: Subject) -> None:
    found = measured(case, gradient, twin)
    some = case.some(PER_CLASS)
    images, targets = case.images[torch.from_numpy(some)], torch.from_numpy(case.targets[some])
    maps = [np.asarray(gradient(each, images, targets)) for each in (case.subject, twin)]
    np.testing.assert_array_equal(values(found, "randomization-labels", "map"), spearman_similarity(*maps))
    assert abs(values(found, "randomization-labels", "map").mean()) < 0.2
    excess = values(found, "randomization-labels", "map") - values(found, "randomization-labels", "transplant-null")
    np.testing.assert_array_equal(values(found, "randomization-labels-excess", "transplant-null"), excess)


def test_a_twin_that_learned_the_same_fails_the_gradient(case: EvaluationSet) -> None:
    found = measured(case, gradient, Subject(tiny_network(), name="copy", classes=CLASSES, spec=SPEC))
    assert values(found, "randomization-labels", "map") == pytest.approx(1, abs=EXACT)


def test_without_a_twin_the_claim_is_not_applicable_and_says_what_to_give(case: EvaluationSet) -> None:
    found = measured(case, picture, None)
    assert found.scores.loc[found.scores["variant"] == "map", "value"].isna().all()
    verdict = judgement(case, found)
    assert verdict["verdict"] == Verdict.NOT_APPLICABLE
    assert "--random-labels" in verdict["reason"]


def test_the_twins_passes_count_as_the_subjects(case: EvaluationSet, twin: Subject) -> None:
    before = case.subject.passes.backward
    measured(case, gradient, twin)
    assert case.subject.passes.backward - before == len(case.targets) + len(case.some(PER_CLASS))
    assert twin.passes.forward == 0


def test_the_measurement_is_named_by_the_twins_weights(twin: Subject) -> None:
    same = Subject(tiny_network(seed=1), name="twin", classes=CLASSES, spec=SPEC)
    other = Subject(tiny_network(seed=2), name="twin", classes=CLASSES, spec=SPEC)
    named = [repr(LabelRandomization(each, PER_CLASS)) for each in (twin, same, other, None)]
    assert named[0] == named[1]
    assert len(set(named)) == 3
