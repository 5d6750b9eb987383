"""Completeness: exact where the network is linear, near where it is not, and nothing where it is not claimed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    make_case,
    names_in,
    oracle_of,
)
from torch import Tensor

from harness.checks import CHECKS, Evidence, judged
from harness.errors import DefinitionError
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer, registered
from harness.explainers.base import COMPLETENESS, explainer
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.measurements import Attributions, Completeness, Complexity, Measured
from harness.models.loading import load_subject
from harness.store import RunFolder
from harness.subject import Subject

CLAIM = [name for name, made in registered().items() if COMPLETENESS in made.facts.axioms]


@pytest.fixture
def case(subject: Subject, faces: FaceSet) -> EvaluationSet:
    return make_case(subject, faces)


def attributions(made: Explainer, case: EvaluationSet) -> Attributions:
    maps = made.maps(case.subject, case.images, case.target_tensor(), case.seed)
    baselines = partial(made.baselines, case.subject, seed=case.seed)
    return Attributions(case, maps, axioms=made.facts.axioms, baselines=baselines)


def residuals(made: Explainer, case: EvaluationSet) -> np.ndarray:
    return Completeness().measure(attributions(made, case)).scores["value"].to_numpy()


@pytest.mark.parametrize("name", CLAIM)
def test_on_a_linear_network_the_claim_is_exact(name: str, patch_case: EvaluationSet) -> None:
    assert np.nanmax(residuals(registered()[name], patch_case)) < AGAIN


@pytest.mark.parametrize("name", [name for name in CLAIM if name.startswith(("integrated-gradients", "deeplift"))])
def test_on_a_small_network_of_relus_it_nearly_holds(name: str, case: EvaluationSet) -> None:
    assert np.mean(residuals(registered()[name], case)) < CHECKS[COMPLETENESS].margin


def test_on_a_bundled_network_every_claim_holds_at_its_default_settings() -> None:
    """What the check would say of whoever claims it, on rendered faces; on mini-XCEPTION see suites/findings.toml."""
    subject, faces = load_subject("faces-cnn"), load_faces("rendered").take(np.arange(0, 1050, 88))
    probabilities = subject.probabilities(subject.prepare(faces.images)).double().numpy()
    case = EvaluationSet(subject, faces, probabilities, 0)
    lacking = {name for name in CLAIM if not np.mean(residuals(registered()[name], case)) < CHECKS[COMPLETENESS].margin}
    assert not lacking


def test_draws_and_few_steps_claim_nothing() -> None:
    sampled = {"expected-gradients", "integrated-gradients-noise", "blur-ig", "guided-ig"}
    assert not sampled & set(CLAIM)
    # What they explain from is known nonetheless: the truth that amounts are held against begins there.
    assert all(registered()[name].facts.baselines is not None for name in sampled)


def test_a_map_that_loses_a_tenth_is_off_by_a_tenth(patch_case: EvaluationSet) -> None:
    given = attributions(registered()["integrated-gradients"], patch_case)
    found = Completeness().measure(replace(given, maps=0.9 * given.maps)).scores
    np.testing.assert_allclose(found["value"].mean(), 0.1, atol=AGAIN)


def test_another_baseline_than_the_explainers_own_is_noticed(patch_case: EvaluationSet) -> None:
    given = attributions(registered()["integrated-gradients"], patch_case)
    other = replace(given, baselines=lambda images: [torch.full_like(images, -1.0)])
    assert np.median(Completeness().measure(other).scores["value"]) > 0.3


def test_an_explainer_that_does_not_claim_it_has_no_rows(patch_case: EvaluationSet) -> None:
    assert not len(Completeness().measure(attributions(registered()["saliency"], patch_case)).scores)


def test_one_row_an_image_and_no_null(patch_case: EvaluationSet) -> None:
    scores = Completeness().measure(attributions(registered()["deeplift"], patch_case)).scores
    assert scores["image"].tolist() == patch_case.faces.ids.tolist()
    assert set(scores["variant"]) == {"map"}


def test_an_output_that_does_not_fall_is_undefined_and_says_so(patch_case: EvaluationSet) -> None:
    given = replace(attributions(registered()["deeplift"], patch_case), baselines=lambda images: [images])
    scores = Completeness().measure(given).scores
    assert scores["value"].isna().all()
    assert set(scores["reason"]) == {"no image's output drops"}


def test_the_runner_passes_the_explainers_baselines_on(
    patch_case: EvaluationSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runner = Runner(patch_case, [Completeness()], RunFolder(tmp_path_factory.mktemp("run")))
    found = runner.measured(registered()["deeplift-shap"]).scores
    assert found["value"].max() < AGAIN


def test_completeness_claimed_from_nothing_is_refused(registry: dict[str, Explainer]) -> None:
    def mine(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return images[:, 0]

    with pytest.raises(DefinitionError, match="'mine' claims completeness but names no baselines"):
        explainer(axioms={COMPLETENESS})(mine)
    assert "mine" not in registry


def test_the_check_passes_what_holds_fails_what_does_not_and_leaves_out_what_is_not_claimed(
    patch_case: EvaluationSet,
) -> None:
    given = attributions(registered()["integrated-gradients"], patch_case)
    cases = {
        "holds": given,
        "loses": replace(given, maps=0.7 * given.maps),
        "silent": replace(given, axioms=frozenset()),
    }
    scores = [Completeness().measure(each).scores.assign(explainer=name) for name, each in cases.items()]
    held = Measured.joined([Measured(scores=each) for each in scores]).scores
    verdicts = judged(
        [CHECKS["completeness"]], Evidence(held, Measured().matrices, patch_case.subject.classes, 0), list(cases)
    )
    over_all = verdicts[verdicts["class"] == "all"].set_index("explainer")
    assert dict(over_all["verdict"]) == {"holds": "pass", "loses": "fail", "silent": "not applicable"}
    assert over_all.loc["silent", "reason"] == "does not claim completeness"


# ---------------------------------------------------------------------- complexity


def test_complexity_is_that_of_each_map_and_undefined_for_a_constant_one(patch_case: EvaluationSet) -> None:
    maps = np.zeros_like(patch_case.images[:, 0].numpy())
    maps[1:, 3, 3] = 2.0
    scores = Complexity(1).measure(Attributions(patch_case, maps)).scores
    own = scores[scores["variant"] == "map"]
    table = own.assign(metric=names_in(own)).pivot(index="image", columns="metric", values="value")
    of_values = {"sparseness", "entropy-complexity", "pixels-above-floor", "histogram-entropy"}
    assert set(table) == {*of_values, "mst-compactness"}
    assert table.iloc[0].isna().all()
    assert (table["pixels-above-floor"].iloc[1:] == 1).all()
    assert (table["entropy-complexity"].iloc[1:] == 0).all()
    assert scores[scores["value"].isna()]["reason"].str.len().min() > 0
    assert set(names_in(scores[scores["variant"] != "map"])) == {"mst-compactness", "mst-compactness-gain"}


def test_a_compact_map_gains_over_the_same_values_elsewhere(patch_case: EvaluationSet) -> None:
    scores = Complexity(2).measure(Attributions(patch_case, oracle_of(patch_case))).scores
    gain = scores[(names_in(scores) == "mst-compactness-gain") & (scores["variant"] == "spectrum-null")]["value"]
    assert gain.notna().all()


def test_complexity_costs_no_pass(patch_case: EvaluationSet) -> None:
    before = patch_case.subject.passes.forward
    Complexity(1).measure(Attributions(patch_case, np.random.default_rng(0).random((18, 12, 12), dtype=np.float32)))
    assert patch_case.subject.passes.forward == before
