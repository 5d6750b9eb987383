"""The additive network is a sum over cells: what one cell adds does not depend on what the others show."""

import numpy as np
import pytest
import torch
from tiny import make_case
from torch import nn

from harness.effects import additive_cells, cell_maps
from harness.errors import UsageError
from harness.explainers import registered
from harness.faces.loading import load_faces
from harness.models.faces_additive import FacesAdditive, ToCells, ToPicture
from harness.models.loading import load_subject
from harness.oracles.known import ORACLE, known_maps, oracles, true_causes
from harness.subject import InputSpec, Subject


@pytest.fixture(scope="module")
def subject() -> Subject:
    return load_subject("faces-additive", torch.device("cpu"))


@pytest.fixture(scope="module")
def images(subject: Subject) -> torch.Tensor:
    return subject.prepare(load_faces("rendered", subject.classes).images[:6])


def cell(number: int) -> tuple[object, ...]:
    return (..., slice(16 * (number // 3), 16 * (number // 3 + 1)), slice(16 * (number % 3), 16 * (number % 3 + 1)))


def test_a_cell_adds_the_same_whatever_the_others_show(subject: Subject, images: torch.Tensor) -> None:
    one, other = images[:3], images[3:]
    for number in range(9):
        into_zeros, into_other = torch.zeros_like(one), other.clone()
        into_zeros[cell(number)] = one[cell(number)]
        gone = other.clone()
        gone[cell(number)] = 0
        into_other[cell(number)] = one[cell(number)]
        alone = subject.logits(into_zeros) - subject.logits(torch.zeros_like(one))
        among = subject.logits(into_other) - subject.logits(gone)
        # Logits of size 5 in single precision, four of them, each a sum of some thousand terms: 1e-5.
        torch.testing.assert_close(alone, among, rtol=0, atol=5e-5)


def test_the_gradient_of_a_cells_part_stays_in_the_cell(subject: Subject, images: torch.Tensor) -> None:
    other = images.clone()
    other[cell(4)] = -images[cell(4)]
    targets = torch.zeros(6, dtype=torch.long)
    moved = subject.gradients(images, targets) - subject.gradients(other, targets)
    outside = torch.ones(48, 48, dtype=torch.bool)
    outside[cell(4)] = False
    assert not moved[:, :, outside].any()
    assert moved[:, :, ~outside].any()


def test_maps_of_cells_add_up_to_the_logit_less_that_of_zeros(subject: Subject, images: torch.Tensor) -> None:
    targets = subject.logits(images).argmax(1)
    maps = cell_maps(subject, images, targets.numpy())
    rise = (subject.logits(images) - subject.logits(torch.zeros_like(images))).gather(1, targets[:, None])[:, 0]
    np.testing.assert_allclose(maps.sum((1, 2)), rise, atol=1e-4)
    assert len(np.unique(maps[0])) == 9


def test_integrated_gradients_give_each_cell_its_part(subject: Subject, images: torch.Tensor) -> None:
    targets = subject.logits(images).argmax(1)
    exact = cell_maps(subject, images, targets.numpy())
    found = registered()["integrated-gradients"].maps(subject, images, targets, 0)
    sums = [maps.reshape(6, 3, 16, 3, 16).sum((2, 4)).reshape(6, 9) for maps in (found, exact)]
    # A path of 32 steps through leaky ReLUs: a twentieth of what all cells add without sign.
    assert (np.abs(sums[0] - sums[1]).sum(1) < 0.05 * np.abs(sums[1]).sum(1)).all()


def test_the_oracle_of_its_runs_is_what_its_cells_add(subject: Subject) -> None:
    faces = load_faces("rendered", subject.classes)
    case = make_case(subject, faces.take(np.arange(8)))
    truth = true_causes(case)
    np.testing.assert_array_equal(truth, cell_maps(subject, case.images, case.targets))
    predicted = case.targets
    names = [each.name for each in known_maps(case, case.faces, predicted, lambda _what, make: dict(make()))]
    assert ORACLE in names
    oracle = oracles(case, lambda _what, make: dict(make()))[0]
    np.testing.assert_array_equal(oracle.maps(subject, case.images, case.target_tensor(), 0), truth)


def test_it_says_that_its_answers_add_up_and_other_networks_do_not(subject: Subject) -> None:
    assert additive_cells(subject) == 3
    assert additive_cells(load_subject("faces-cnn", torch.device("cpu"))) == 0


class Boasting(nn.Module):
    """States cells that its answers are no sum over."""

    additive_cells = 2

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Softmax(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.read(images)


def test_a_network_that_states_what_it_is_not_is_refused() -> None:
    made = Subject(Boasting(), name="boasting", classes="abc", spec=InputSpec(8, 8))
    with pytest.raises(UsageError, match="'boasting' states 2x2 cells, but its answers are no sum over them"):
        cell_maps(made, torch.rand(3, 1, 8, 8) * 2 - 1, np.zeros(3, np.int64))


def test_a_network_that_states_nothing_has_no_maps_of_cells() -> None:
    made = load_subject("faces-cnn", torch.device("cpu"))
    with pytest.raises(UsageError, match="states no cells"):
        cell_maps(made, torch.zeros(1, 1, 48, 48), np.zeros(1, np.int64))


def test_cells_are_laid_back_where_they_were() -> None:
    images = torch.rand(2, 3, 12, 12)
    assert torch.equal(ToPicture(3)(ToCells(3)(images)), images)
    assert torch.equal(ToCells(3)(images)[:, 15:18], images[:, :, 4:8, 8:])


def test_the_map_layer_lies_as_the_picture_does(subject: Subject, images: torch.Tensor) -> None:
    other = images.clone()
    other[cell(2)] = 0
    seen, changed = (subject.activations(x, ["places"])["places"] for x in (images, other))
    moved = (seen != changed).any(1).any(0).float()
    assert moved[:4, 8:].any()
    assert not moved[4:].any()
    assert not moved[:, :8].any()


@pytest.mark.parametrize(("size", "side"), [(0, 3), (40, 3), (48, 4), (48, 0)])
def test_a_size_that_cannot_be_cut_is_refused(size: int, side: int) -> None:
    with pytest.raises(UsageError, match="multiple of"):
        FacesAdditive(size=size, side=side)
