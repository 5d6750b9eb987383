"""What rounding may do to a map is told from what an explainer does, in either precision."""

import numpy as np
import pytest
import torch
from explainer_cases import CLASSES, network, pictures, subject
from test_planted_faults import is_picture, on_a_copy_in_single
from torch import Tensor, nn

from harness.checks.contract import contract_images, contract_targets, examined
from harness.checks.contract.calls import ContractSession, gap, same
from harness.explainers import registered
from harness.explainers.base import wrapped
from harness.faces.faceset import FaceSet
from harness.subject import InputSpec, Subject

TARGETS = torch.tensor([0, 3, 4])
UNIT = 16 * float(np.finfo(np.float32).eps)
"""Within what rounding does to a sum in single precision, and far beyond it in double."""
EDGES = subject(network()).logits(pictures())[:, 0].double()


def jumps_with_the_size_of_a_batch(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """The gradient, a hundredth larger where a logit lies beyond an edge that sixteen last places reach."""
    edge = torch.stack([EDGES[number] for image in images for number in range(3) if is_picture(image[None], number)])
    beyond = of.logits(images)[:, 0].double() + len(images) * UNIT * edge.abs() > edge + 1.5 * UNIT * edge.abs()
    return of.gradients(images, targets).sum(1) * (1 + 0.01 * beyond.to(images.dtype)[:, None, None])


def test_a_jump_within_rounding_is_forgiven_in_single_precision_and_caught_in_double() -> None:
    single, double = (
        examined(wrapped(function), subject(network()), pictures(), TARGETS, 0).broken
        for function in (on_a_copy_in_single(jumps_with_the_size_of_a_batch), jumps_with_the_size_of_a_batch)
    )
    assert (list(single), list(double)) == ([], ["batch-invariant"])


def test_a_true_dependence_larger_than_the_jumps_is_caught_in_single_precision() -> None:
    def dependent(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return jumps_with_the_size_of_a_batch(of, images, targets) / images.max()

    found = examined(wrapped(on_a_copy_in_single(dependent)), subject(network()), pictures(), TARGETS, 0).broken
    assert list(found) == ["batch-invariant"]


@pytest.mark.parametrize("name", ["gradient", "guided-backprop", "lrp-epsilon", "full-grad"])
def test_rounding_of_a_sound_explainer_in_double_is_below_what_counts_as_equal(name: str) -> None:
    session = ContractSession(registered()[name], subject(network(activation=nn.Tanh)), pictures(), TARGETS, 0)
    assert session.compared.dtype == torch.float64
    assert 0 < session.rounding(session.compared) < same(session.together)


def test_what_differs_by_itself_is_not_taken_for_rounding() -> None:
    calls: list[int] = []

    def counting(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        return of.gradients(images, targets).sum(1) * len(calls)

    session = ContractSession(wrapped(counting), subject(network()), pictures(), TARGETS, 0)
    assert session.rounding(session.compared) == 0


def test_a_network_that_cannot_run_in_double_is_explained_as_it_is() -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.under = network()

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.under(images + torch.zeros(1).to(images))
            if logits.dtype != torch.float32:
                raise TypeError("single precision alone")
            return logits

    of = subject(Single(), "under.4")
    session = ContractSession(registered()["gradient"], of, pictures(), TARGETS, 0)
    assert session.compared is of
    assert examined(registered()["gradient"], of, pictures(), TARGETS, 0).reason == ""


def test_a_subject_in_double_is_explained_as_it_is() -> None:
    of = subject(network().double())
    session = ContractSession(registered()["gradient"], of, pictures().double(), TARGETS, 0)
    assert session.compared is of
    assert session.together is session.first.maps
    assert examined(registered()["rise"], of, pictures().double(), TARGETS, 0).reason == ""


def test_gap_is_a_share_of_the_larger_norm() -> None:
    assert gap(np.array([3.0, 4.0]), np.array([0.0, 0.0])) == 1
    assert gap(np.array([0.0]), np.array([0.0])) == 0
    assert gap(np.zeros(2), np.zeros(3)) == np.inf
    assert gap(np.array([1e8, np.nan]), np.array([1e8 + 1, np.nan])) == pytest.approx(1e-8)


# ---------------------------------------------------------------------- pictures


@pytest.fixture
def flat() -> FaceSet:
    """Two pictures, black but for a white square, and white but for a black one."""
    images = np.zeros((2, 16, 16), np.uint8)
    images[0, 4:9, 4:9] = 255
    images[1] = 255 - images[0]
    return FaceSet(name="flat", images=images, labels=np.array([0, 1]), classes=CLASSES)


def test_pictures_of_the_contract_are_flat_nowhere_and_differ_by_a_grey_level_at_most(flat: FaceSet) -> None:
    of = Subject(network(), name="small", classes=CLASSES, spec=InputSpec(16, 16, mean=(0.3,), std=(0.2,)))
    found, given = contract_images(of, flat), of.prepare(flat.images)
    assert (found.diff(dim=-1) != 0).all()
    assert (found.diff(dim=-2) != 0).all()
    assert found.min() >= of.spec.low
    assert found.max() <= of.spec.high
    assert (found - given).abs().max() <= (of.spec.high - of.spec.low) / 256 * (1 + 1e-5)
    assert torch.equal(found, contract_images(of, flat))


def test_explainers_keep_the_contract_on_flat_pictures(flat: FaceSet) -> None:
    of = subject(network())
    images = contract_images(of, flat)
    for name in ("gradient", "deeplift", "conductance", "integrated-gradients"):
        assert examined(registered()[name], of, images, contract_targets(of, images), 0).reason == ""
