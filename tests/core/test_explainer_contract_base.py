"""What an explainer must give, and how one that does not is named and kept from touching the others."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import SIDE, named
from torch import Tensor, nn

from harness.errors import ExplainerFault
from harness.explainers.base import wrapped
from harness.subject import InputSpec, Subject


def good(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0]


@pytest.fixture
def targets(images: Tensor) -> Tensor:
    return torch.zeros(len(images), dtype=torch.int64)


def maps(
    function: Callable[..., object], subject: Subject, images: Tensor, targets: Tensor, seed: int = 0
) -> np.ndarray:
    return named("mine", function).maps(subject, images, targets, seed)


# ---------------------------------------------------------------------- what is given


RETURNED = {
    "a tensor": lambda images: images[:, 0],
    "a tensor with a gradient": lambda images: images.clone().requires_grad_()[:, 0],
    "an array": lambda images: images[:, 0].numpy(),
    "doubles": lambda images: images[:, 0].double(),
    "half precision": lambda images: images[:, 0].half(),
    "whole numbers": lambda images: (100 * images[:, 0]).long(),
    "a list": lambda images: [image[0].tolist() for image in images],
}


@pytest.mark.parametrize("kind", RETURNED)
def test_any_real_numbers_become_float32_maps(kind: str, subject: Subject, images: Tensor, targets: Tensor) -> None:
    found = maps(lambda _s, given, _t: RETURNED[kind](given), subject, images, targets)
    assert (found.dtype, found.shape) == (np.float32, (len(images), SIDE, SIDE))


def test_settings_are_passed_as_resolved(subject: Subject, images: Tensor, targets: Tensor) -> None:
    def scaled(subject: Subject, images: Tensor, targets: Tensor, *, factor: float = 2.0) -> Tensor:
        return factor * images[:, 0]

    made = replace(wrapped(scaled), settings={"factor": 3.0})
    np.testing.assert_array_equal(made.maps(subject, images, targets, 0), 3 * images[:, 0].numpy())


def test_a_seed_is_given_to_what_takes_one(subject: Subject, images: Tensor, targets: Tensor) -> None:
    def seeded(subject: Subject, images: Tensor, targets: Tensor, *, seed: int = 0) -> Tensor:
        return images[:, 0] + seed

    np.testing.assert_array_equal(maps(seeded, subject, images, targets, 5), images[:, 0].numpy() + 5)


def test_an_explainer_is_called_like_its_function(subject: Subject, images: Tensor, targets: Tensor) -> None:
    assert torch.equal(named("mine", good)(subject, images, targets), images[:, 0])


def test_gradients_are_on_while_an_explainer_runs(subject: Subject, images: Tensor, targets: Tensor) -> None:
    with torch.no_grad():
        found = maps(lambda s, x, t: s.gradients(x, t)[:, 0] * torch.is_grad_enabled(), subject, images, targets)
    assert np.abs(found).max() > 0


# ---------------------------------------------------------------------- faults


def raises(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise ValueError("the first line\nthe second line")


def raises_without_words(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise AssertionError


def nothing(subject: Subject, images: Tensor, targets: Tensor) -> None:
    return None


def too_small(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0, ::2]


def with_channels(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images


def ragged(subject: Subject, images: Tensor, targets: Tensor) -> list[list[int]]:
    return [[1], [1, 2]]


def words(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
    return np.full((len(images), SIDE, SIDE), "high")


def imaginary(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0] + 1j


def one_nan(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    maps = images[:, 0].clone()
    maps[4, 0, 0] = torch.nan
    return maps


def too_large_for_float32(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0].double() * 1e300


def paints_the_input(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    maps = images[:, 0].clone()
    images[0] = 0
    return maps


def changes_a_weight(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[0].weight.data.mul_(2)
    return images[:, 0]


def swaps_a_layer(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[1] = torch.nn.Tanh()
    subject.network[0].weight.data.mul_(2)
    return images[:, 0]


def leaves_a_hook(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[0].register_forward_hook(lambda _m, _i, output: 2 * output)
    return images[:, 0]


def pools_otherwise(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[2].kernel_size, subject.network[2].padding = 3, 1  # of as many places
    return images[:, 0]


def replaces_a_forward(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[1].forward = torch.abs
    return images[:, 0]


def trains(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network.train()
    return images[:, 0]


def accumulates_gradients(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network.requires_grad_()
    subject.model(images).sum().backward()
    return images[:, 0]


def changes_a_weight_and_raises(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network[0].weight.data.mul_(2)
    raise ValueError("too late")


CHANGED = r"mine changed the network \(weights, mode, gradients, hooks, modules or what they hold\)"
FAULTS = {
    raises: "mine raised ValueError: the first line$",
    raises_without_words: "mine raised AssertionError: $",
    nothing: r"mine returned nothing; return one \(h, w\) map an image, \(18, 12, 12\)",
    too_small: r"mine returned shape \(18, 6, 12\)",
    with_channels: r"mine returned shape \(18, 1, 12, 12\)",
    ragged: "mine raised ValueError",
    words: "mine returned <U4 values; return real numbers",
    imaginary: "mine returned complex64 values; return real numbers",
    one_nan: r"mine returned NaN or infinity for 1 of 18 images \(first: number 4\)",
    too_large_for_float32: "mine returned NaN or infinity for 18 of 18 images",
    paints_the_input: "mine changed its input images; work on a copy",
    changes_a_weight: CHANGED,
    swaps_a_layer: CHANGED,
    leaves_a_hook: CHANGED,
    pools_otherwise: CHANGED,
    replaces_a_forward: CHANGED,
    trains: CHANGED,
    accumulates_gradients: CHANGED,
    changes_a_weight_and_raises: "mine raised ValueError: too late",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_is_named_in_one_line(
    fault: Callable[..., object], subject: Subject, images: Tensor, targets: Tensor
) -> None:
    with pytest.raises(ExplainerFault, match=FAULTS[fault]) as caught:
        maps(fault, subject, images, targets)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_fault_changes_what_the_network_answers(
    fault: Callable[..., object], subject: Subject, images: Tensor, targets: Tensor
) -> None:
    before, answers, asked = subject.state_digest(), subject.logits(images), images.clone()
    with pytest.raises(ExplainerFault):
        maps(fault, subject, images, targets)
    assert subject.state_digest() == before
    assert torch.equal(subject.logits(asked), answers)


def test_a_network_is_put_back_even_when_the_run_is_stopped(subject: Subject, images: Tensor, targets: Tensor) -> None:
    def stopped(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        subject.network[0].weight.data.mul_(2)
        raise KeyboardInterrupt

    before = subject.state_digest()
    with pytest.raises(KeyboardInterrupt):
        maps(stopped, subject, images, targets)
    assert subject.state_digest() == before


def test_turning_gradients_off_ends_with_the_explainer(subject: Subject, images: Tensor, targets: Tensor) -> None:
    def turns_off(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        torch.set_grad_enabled(False)
        return images[:, 0]

    maps(turns_off, subject, images, targets)
    assert torch.is_grad_enabled()


# ---------------------------------------------------------------------- global generators


def global_noise(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return torch.randn(len(images), SIDE, SIDE) + random.random() + float(np.random.rand())


@pytest.mark.usefixtures("unchecked")  # checking annotations draws from Python's generator
def test_global_generators_are_as_they_were(subject: Subject, images: Tensor, targets: Tensor) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    maps(global_noise, subject, images, targets)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_numbers_from_global_generators_follow_the_runs_seed(subject: Subject, images: Tensor, targets: Tensor) -> None:
    one, again, other = (maps(global_noise, subject, images, targets, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()


# ---------------------------------------------------------------------- sameness


class Curved(nn.Module):
    """Not linear: each image has a slope of its own."""

    def forward(self, images: Tensor) -> Tensor:
        return (images**2).mean((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0])


class Straight(nn.Module):
    """Linear: one slope a class."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0])


def refuse(maps: np.ndarray, network: nn.Module, targets: Sequence[int] = (0, 0, 0), family: str = "user") -> None:
    """Look whether maps are too much alike."""
    subject = Subject(network, name="small", classes=("a", "b"), spec=InputSpec(4, 4))
    images = torch.rand(len(maps), 1, 4, 4, generator=torch.Generator().manual_seed(0))
    asked = torch.tensor(targets[: len(maps)])
    named("mine", good, family=family).refuse_sameness(maps, subject, images, asked)


def test_one_map_for_every_image_is_refused() -> None:
    with pytest.raises(ExplainerFault, match="mine returned the same map for every image"):
        refuse(np.ones((3, 4, 4), np.float32), Curved())


def test_of_a_linear_network_one_map_may_be_right_for_one_class_alone() -> None:
    refuse(np.ones((3, 4, 4), np.float32), Straight())
    with pytest.raises(ExplainerFault, match="mine returned the same map for every image"):
        refuse(np.ones((3, 4, 4), np.float32), Straight(), targets=(0, 1, 0))


def test_a_single_image_and_differing_maps_are_not() -> None:
    differing = np.ones((3, 4, 4), np.float32)
    differing[2, 0, 0] = 2
    for held in (differing, differing[:1]):
        refuse(held, Curved())


def test_a_control_may_be_constant() -> None:
    refuse(np.ones((3, 4, 4), np.float32), Curved(), family="control")
