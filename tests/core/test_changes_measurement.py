"""What a small change would do: exact on a linear network, seen on a bundled one, and asked of those who claim it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_cells_measurement import GAMES, Linear
from tiny import CLASSES, SIDE, SPEC, make_case
from torch import Tensor, nn

from harness.checks import CHECKS
from harness.checks.axioms import CHANGES
from harness.evaluation_set import EvaluationSet
from harness.explainers import registered
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.measurements import Attributions, SmallChanges
from harness.models.loading import load_subject
from harness.subject import InputSpec, Subject
from harness.truth import cell_sums
from harness.truth.changes import one_grey_level, small_changes
from harness.truth.images import Games

CLAIM = {name: made for name, made in registered().items() if made.facts.axioms & set(CHANGES)}


@pytest.fixture(scope="module")
def linear() -> EvaluationSet:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 255, (12, SIDE, SIDE), dtype=np.uint8)
    return make_case(
        Subject(Linear(), name="linear", classes=CLASSES, spec=SPEC),
        FaceSet("noise", images, CLASSES, np.arange(12) % 3),
    )


@pytest.fixture(scope="module")
def faces_cnn() -> EvaluationSet:
    return make_case(load_subject("faces-cnn"), load_faces("rendered").take(np.arange(0, 1050, 50)))


def share(case: EvaluationSet, name: str, maps: np.ndarray, games: Games = GAMES) -> np.ndarray:
    held = Attributions(case, maps.astype(np.float32), axioms=frozenset({name}))
    scores = SmallChanges(games).measure(held).scores
    assert set(scores["metric"]) == {name}
    return scores["value"].to_numpy()


def gradients(case: EvaluationSet) -> np.ndarray:
    return case.subject.gradients(case.images, case.target_tensor())[:, 0].numpy()


def test_of_a_linear_network_the_change_of_a_cell_is_the_sum_of_its_weights(linear: EvaluationSet) -> None:
    labels = GAMES.games.grids[1].labels(SIDE, SIDE)
    found = small_changes(linear.subject, linear.images, linear.targets, labels, torch.ones_like(linear.images))
    truth = cell_sums(gradients(linear), labels, found.shape[1])
    # Two logits are rounded, each a sum of SIDE * SIDE products in single precision, and divided by two steps.
    terms = np.abs(linear.subject.network.weights.detach().numpy()).sum(axis=1).max() / SIDE
    rounding = 2 * terms * np.finfo(np.float32).eps * SIDE / (2 * one_grey_level(SPEC))
    np.testing.assert_allclose(found, truth, rtol=0, atol=rounding)
    assert np.abs(truth).mean() > 10 * rounding


@pytest.mark.parametrize("name", CHANGES)
def test_of_a_linear_network_the_gradient_is_right_in_every_pair(linear: EvaluationSet, name: str) -> None:
    maps = gradients(linear) if name == CHANGES[0] else np.abs(gradients(linear))
    assert share(linear, name, maps).min() == 1


@pytest.mark.parametrize("name", CLAIM)
def test_who_claims_it_keeps_it_on_a_bundled_network(faces_cnn: EvaluationSet, name: str) -> None:
    made = CLAIM[name]
    maps = made.maps(faces_cnn.subject, faces_cnn.images, faces_cnn.target_tensor(), 0)
    (claim,) = made.facts.axioms & set(CHANGES)
    found = share(faces_cnn, claim, maps)
    assert found.mean() > CHECKS[claim].margin
    for spoiled in (maps.transpose(0, 2, 1), maps[:, :, ::-1], maps[::-1], -maps if claim == CHANGES[0] else maps**8):
        assert share(faces_cnn, claim, spoiled).mean() < CHECKS[claim].margin


def test_a_constant_map_is_undefined_and_who_claims_nothing_has_no_rows(linear: EvaluationSet) -> None:
    assert np.isnan(share(linear, CHANGES[0], np.ones((12, SIDE, SIDE)))).all()
    silent = Attributions(linear, gradients(linear), axioms=frozenset({"completeness"}))
    assert SmallChanges(GAMES).measure(silent).scores.empty


def test_what_no_game_is_played_on_is_not_asked(linear: EvaluationSet) -> None:
    fine = replace(GAMES, games=replace(GAMES.games, grids=tuple(replace(g, split=SIDE) for g in GAMES.games.grids)))
    assert fine.lacking(linear)
    held = Attributions(linear, gradients(linear), axioms=frozenset({CHANGES[0]}))
    scores = SmallChanges(fine).measure(held).scores
    assert scores["value"].isna().all()
    assert set(scores["reason"]) == {fine.lacking(linear)}


def test_changes_below_the_rounding_of_the_answers_are_undefined(linear: EvaluationSet) -> None:
    class Far(Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) + 1e6

    far = Subject(Far(), name="far", classes=CLASSES, spec=SPEC)
    labels = GAMES.games.grids[0].labels(SIDE, SIDE)
    assert np.isnan(small_changes(far, linear.images, linear.targets, labels, torch.ones_like(linear.images))).all()


class Colours(nn.Module):
    """Logits that are sums of weighted pixels: of one channel in even columns, of all three elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.from_numpy(np.random.default_rng(5).normal(size=(len(CLASSES), 3, SIDE, SIDE))).float()
        weights[:, 1:, :, ::2] = 0
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", images, self.weights)


def test_the_largest_gradient_of_the_channels_says_what_its_channel_can_do() -> None:
    spec = InputSpec(SIDE, SIDE, (0.5,) * 3, (0.25,) * 3)
    images = np.random.default_rng(3).integers(0, 255, (6, SIDE, SIDE, 3), dtype=np.uint8)
    faces = FaceSet("noise", images, CLASSES, np.arange(6) % 3)
    case = make_case(Subject(Colours(), name="colours", classes=CLASSES, spec=spec), faces)
    found = registered()["saliency"].maps(case.subject, case.images, case.target_tensor(), 0)
    assert share(case, CHANGES[1], np.asarray(found)).min() == 1
