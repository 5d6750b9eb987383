"""Axioms over several networks: what reads answers keeps them, what reads weights does not, others are not asked."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import CLASSES, SIDE, SPEC, bright_patch_faces, make_case, names_in
from torch import Tensor, nn

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.evaluation_set import EvaluationSet
from harness.explainers import registered
from harness.explainers.gradient import gradient
from harness.measurements import Attributions, Invariance, Measured
from harness.networks.random import randomized
from harness.subject import Subject

BOTH = frozenset({"implementation-invariance", "linearity"})
TEST = Invariance(per_class=30)


@pytest.fixture
def case(subject: Subject) -> EvaluationSet:
    return make_case(subject, bright_patch_faces(30))


def measured(case: EvaluationSet, explain: Callable[..., Tensor], axioms: frozenset[str] = BOTH) -> Measured:
    def again(images, targets, subject=None, seed=None):
        return np.asarray(explain(subject or case.subject, images, torch.from_numpy(targets)), dtype=np.float32)

    def random_network(layers, draw):
        return randomized(case.subject, layers, seed=draw, images=case.images)

    return TEST.measure(Attributions(case, again(case.images, case.targets), again, random_network, axioms=axioms))


def values(found: Measured, axiom: str) -> np.ndarray:
    return found.scores[names_in(found.scores) == axiom]["value"].to_numpy()


def verdict(case: EvaluationSet, found: Measured, check: str) -> tuple[Verdict, str]:
    evidence = Evidence(found.scores.assign(explainer="e"), found.matrices, case.subject.classes, 0)
    row = judged([CHECKS[check]], evidence, ["e"]).iloc[0]
    return Verdict(row["verdict"]), row["reason"]


def reads_weights(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """The gradient, weighed by the first weight of the network whatever it does."""
    first = next(subject.network.parameters())
    return gradient(subject, images, targets) + first.flatten()[0].abs() * images[:, 0]


def squared(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return gradient(subject, images, targets) ** 2


def test_the_gradient_keeps_both(case: EvaluationSet) -> None:
    found = measured(case, gradient)
    for axiom in BOTH:
        # Rounding in another order, as the twin adds its channels.
        assert values(found, axiom).max() < 1e-4
        assert verdict(case, found, axiom)[0] is Verdict.PASS


def test_a_map_that_reads_weights_fails_implementation_invariance(case: EvaluationSet) -> None:
    assert verdict(case, measured(case, reads_weights), "implementation-invariance")[0] is Verdict.FAIL


def test_the_squared_gradient_is_invariant_and_not_linear(case: EvaluationSet) -> None:
    found = measured(case, squared)
    assert verdict(case, found, "implementation-invariance")[0] is Verdict.PASS
    assert verdict(case, found, "linearity")[0] is Verdict.FAIL


def test_axioms_that_are_not_claimed_have_no_rows_and_no_verdict(case: EvaluationSet) -> None:
    found = measured(case, squared, frozenset({"completeness"}))
    assert len(found.scores) == 0
    assert verdict(case, found, "linearity") == (Verdict.NOT_APPLICABLE, "does not claim linearity")


def test_one_claim_is_measured_alone(case: EvaluationSet) -> None:
    found = measured(case, squared, frozenset({"implementation-invariance"}))
    assert set(names_in(found.scores)) == {"implementation-invariance"}


def test_without_a_network_of_equal_answers_nothing_is_said() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 3))
    case = make_case(Subject(network, name="dense", classes=CLASSES, spec=SPEC), bright_patch_faces())
    found = measured(case, gradient)
    assert np.isnan(values(found, "implementation-invariance")).all()
    assert verdict(case, found, "implementation-invariance")[0] is Verdict.NOT_APPLICABLE
    assert np.isfinite(values(found, "linearity")).all()


def test_those_of_the_gradient_family_that_claim_an_axiom_are_known() -> None:
    claimed = {axiom: {name for name, e in registered().items() if axiom in e.facts.axioms} for axiom in BOTH}
    assert {"gradient", "input-x-gradient", "integrated-gradients"} <= claimed["linearity"]
    assert claimed["implementation-invariance"] - claimed["linearity"] == {"saliency", "guided-ig"}
    assert "edges" not in claimed["implementation-invariance"]
