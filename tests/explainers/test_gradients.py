import numpy as np
import pytest
import torch
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    InternalInfluence,
    LayerConductance,
    Saliency,
)
from double_cases import EQUAL, SINGLE, network, pictures, subject
from explainer_cases import error, quiet, target_logits
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers.cam import enlarged

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
LAYER = "5"


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def case(request: pytest.FixtureRequest) -> tuple:
    channels = request.param
    return subject(network(channels=channels), LAYER, channels), pictures(channels=channels), TARGETS


def test_gradient_equals_captums_unsigned_off_summed(case: tuple) -> None:
    of, images, targets = case
    with quiet():
        reference = Saliency(of.network).attribute(images.clone(), target=targets, abs=False).sum(1)
    assert error(EXPLAINERS["gradient"](of, images, targets), reference) < EQUAL


def test_saliency_equals_captums_largest_over_channels(case: tuple) -> None:
    of, images, targets = case
    with quiet():
        reference = Saliency(of.network).attribute(images.clone(), target=targets).amax(1)
    assert error(EXPLAINERS["saliency"](of, images, targets), reference) < EQUAL


def test_input_x_gradient_equals_captums(case: tuple) -> None:
    of, images, targets = case
    with quiet():
        reference = InputXGradient(of.network).attribute(images.clone(), target=targets).sum(1)
    assert error(EXPLAINERS["input-x-gradient"](of, images, targets), reference) < EQUAL


def test_integrated_gradients_equal_captums(case: tuple) -> None:
    of, images, targets = case
    reference = IntegratedGradients(of.network).attribute(images, target=targets, n_steps=32).sum(1)
    assert error(EXPLAINERS["integrated-gradients"](of, images, targets), reference) < SINGLE


def test_internal_influence_equals_captums(case: tuple) -> None:
    of, images, targets = case
    reference = InternalInfluence(of.network, of.layer(LAYER)).attribute(images, target=targets, n_steps=16).sum(1)
    found = EXPLAINERS["internal-influence"](of, images, targets)
    assert error(found, enlarged(reference.detach(), images)) < EQUAL


def test_conductance_equals_captums_at_many_steps(case: tuple) -> None:
    of, images, targets = case
    captum = LayerConductance(of.network, of.layer(LAYER))
    reference = captum.attribute(images, target=targets, n_steps=800, method="riemann_trapezoid").sum(1)
    found = EXPLAINERS["conductance"](of, images, targets, steps=200)
    assert error(found, enlarged(reference.detach(), images)) < EQUAL


def test_conductance_adds_up_better_than_captums_at_the_same_steps() -> None:
    of, images = subject(network(), LAYER), pictures()
    rise = target_logits(of, images, TARGETS) - target_logits(of, torch.zeros_like(images), TARGETS)
    captum = LayerConductance(of.network, of.layer(LAYER)).attribute(images, target=TARGETS, n_steps=16)
    # Enlarging by a whole factor multiplies a sum by its square.
    ours = EXPLAINERS["conductance"](of, images, TARGETS).sum((1, 2)) / (16 / 8) ** 2
    assert (ours - rise).abs().max() < (captum.sum((1, 2, 3)) - rise).abs().max()


def test_integrated_gradients_add_up_to_the_logits_rise() -> None:
    of, images = subject(network(activation=nn.Tanh)), pictures()
    rise = target_logits(of, images, TARGETS) - target_logits(of, torch.zeros_like(images), TARGETS)
    assert error(EXPLAINERS["integrated-gradients"](of, images, TARGETS).sum((1, 2)), rise) < EQUAL


def test_gradient_of_a_linear_network_is_its_weights() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(256, 5))
    found = EXPLAINERS["gradient"](subject(linear, "1"), pictures(), TARGETS)
    assert torch.equal(found, linear[1].weight[TARGETS].view(3, 16, 16).detach())


def test_one_backward_serves_gradient_saliency_and_input_x_gradient() -> None:
    of, images = subject(network()), pictures()
    for name in ("gradient", "saliency", "input-x-gradient"):
        EXPLAINERS[name](of, images, TARGETS)
    assert (of.passes.forward, of.passes.backward) == (3, 3)


def test_every_image_is_explained_for_its_own_target() -> None:
    of, images = subject(network()), pictures(2)
    swapped: Tensor = EXPLAINERS["gradient"](of, images, torch.tensor([1, 0]))
    straight: Tensor = EXPLAINERS["gradient"](of, images, torch.tensor([0, 1]))
    assert not np.allclose(swapped, straight)
