"""Each fault that the contract names, planted in an otherwise decent explainer, is caught by its own clause alone."""

import copy
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from explainer_cases import Functional, network, pictures, quiet, subject
from torch import Tensor, nn

from harness.checks.contract import contract_clauses, examined
from harness.errors import UsageError
from harness.explainers.base import Facts, wrapped
from harness.subject import Subject

TARGETS = torch.tensor([0, 3, 4])
Fault = Callable[..., Any]


def decent(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """The gradient, which keeps every clause."""
    return of.gradients(images, targets).sum(1)


def nan_for_one_image(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    found[is_picture(images, 1)] = torch.nan
    return found


def is_picture(images: Tensor, number: int) -> Tensor:
    """Which images are one of the pictures: by content, so that it is the same one alone as among others."""
    return (images.float() == pictures()[number]).all((1, 2, 3))


def wrong_shape(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return of.gradients(images, targets)


def one_map_for_all(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return torch.linspace(0, 1, images.shape[-1]).expand(len(images), *images.shape[-2:])


def one_value_an_image(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, targets).mean((1, 2), keepdim=True).expand(-1, *images.shape[-2:])


def draws_unseeded(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    state = np.random.get_state()
    noise = torch.from_numpy(np.random.randn(*images.shape[-2:])).float()
    np.random.set_state(state)
    return decent(of, images, targets) * noise


def draws_unseeded_for_each_image(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, targets) * (
        1 + torch.rand(len(images), 1, 1, generator=torch.Generator().manual_seed(drawn()))
    )


def drawn() -> int:
    """A number from NumPy's global generator, which is put back."""
    state = np.random.get_state()
    number = int(np.random.randint(2**31))
    np.random.set_state(state)
    return number


def seeds_the_global_generator(of: Subject, images: Tensor, targets: Tensor, *, seed: int) -> Tensor:
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)
    return decent(of, images, targets) * torch.from_numpy(np.random.rand(*images.shape[-2:]) + 1).float()


def depends_on_the_batch(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, targets) * (images - images.mean(0)).abs().sum(1)


def divides_by_the_batchs_mean(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    return found / found.abs().mean()


def divides_by_the_batchs_largest(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    return found / found.abs().max()


def divides_by_the_largest_pixel(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, targets) / images.max()


def shares_out_by_the_batch(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    return found * found.abs().sum((1, 2), keepdim=True).softmax(0)


def keeps_a_count() -> Fault:
    calls: list[int] = []

    def later_maps_are_larger(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        return decent(of, images, targets) * (1 + 0.1 * len(calls))

    return later_maps_are_larger


def keeps_a_running_mean() -> Fault:
    kept: list[Tensor] = []

    def less_the_mean_of_maps_so_far(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        found = decent(of, images, targets)
        kept.append(found.double().mean(0))
        return found - torch.stack(kept).mean(0).to(found)

    return less_the_mean_of_maps_so_far


def alternates() -> Fault:
    calls: list[int] = []

    def every_second_map_is_its_size(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        found = decent(of, images, targets)
        return found if len(calls) % 2 else found.abs()

    return every_second_map_is_its_size


def one_target_for_the_batch(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, targets[:1].expand(len(images)).clone())


def targets_of_the_first_chunk(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Chunks that all take their targets from the front."""
    return torch.cat([decent(of, chunk, targets[: len(chunk)]) for chunk in images.split(2)])


def keeps_maps_by_target() -> Fault:
    kept: dict[int, Tensor] = {}

    def the_first_map_of_each_target(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        alone = zip(images.split(1), targets.split(1), strict=True)
        return torch.cat([kept.setdefault(int(target), decent(of, image, target)) for image, target in alone])

    return the_first_map_of_each_target


def one_map_a_target(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Maps kept by target within a call: who comes second gets the map of who came first."""
    found: Tensor = keeps_maps_by_target()(of, images, targets)
    return found


def ignores_its_target(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return decent(of, images, of.logits(images).argmax(1))


def leaves_dropout_on(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    of.network.train()
    return found


def leaves_gradients_on_the_weights(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    weight = next(of.network.parameters())
    weight.requires_grad_()
    of.model(images).sum().backward()
    weight.requires_grad_(False)
    return decent(of, images, targets)


def changes_weights(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    with torch.no_grad():
        next(of.network.parameters()).add_(1e-3)
    return found


def changes_an_attribute(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    of.network[1].eps = 0.5
    return found


def replaces_a_forward(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    of.network[2].forward = torch.abs
    return found


def swaps_a_module(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    of.network[2] = nn.Softplus().eval()
    return found


def leaves_a_hook(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    # Once, so that nothing grows.
    if not of.network[0]._forward_hooks:
        of.network[0].register_forward_hook(lambda *_: None)
    return decent(of, images, targets)


def changes_its_input(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    found = decent(of, images, targets)
    images.mul_(0.5)
    return found


def leaves_its_input_recording(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    images.requires_grad_()
    return decent(of, images, targets)


def piles_hooks_slowly() -> Fault:
    calls: dict[int, int] = {}

    def every_third_call(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        calls[id(of)] = calls.get(id(of), 0) + 1
        if calls[id(of)] % 3 == 0:
            of.network[0].register_forward_hook(lambda *_: None)
        return decent(of, images, targets)

    return every_third_call


def piles_hooks_on_all_modules(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    nn.modules.module.register_module_forward_hook(lambda *_: None)
    return decent(of, images, targets)


def raises_on_an_image_alone(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    if len(images) < 2:
        raise IndexError("too few")
    return decent(of, images, targets)


def in_single(function: Fault) -> Fault:
    """Cast the images to single precision, which a network in double refuses."""

    @functools.wraps(function)
    def cast(of: Subject, images: Tensor, targets: Tensor, **seed: int) -> Tensor:
        return function(of, images.float(), targets, **seed)

    return cast


def on_a_copy_in_single(function: Fault) -> Fault:
    """Ask a copy of the network in single precision, whatever is given."""

    @functools.wraps(function)
    def copied(of: Subject, images: Tensor, targets: Tensor, **seed: int) -> Tensor:
        single = of.with_network(copy.deepcopy(of.network).float(), of.name)
        return function(single, images.float(), targets, **seed)

    return copied


def raises(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise ValueError("no\nmore")


def hooked_guided_backprop(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Guided backpropagation by hooks on modules, which a ReLU written as a function escapes."""

    def clip(_module: nn.Module, gradients: tuple[Tensor, ...], _outputs: Any) -> tuple[Tensor, ...]:
        return tuple(gradient.clamp(min=0) for gradient in gradients)

    handles = [m.register_full_backward_hook(clip) for m in of.network.modules() if isinstance(m, nn.ReLU)]
    try:
        with quiet():
            return decent(of, images, targets)
    finally:
        for handle in handles:
            handle.remove()


def hooked_once_a_module(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Guided backpropagation that acts at a module's last use alone: right until one is used twice."""
    met: set[int] = set()

    def listen(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        def clip(gradient: Tensor) -> Tensor:
            first, _ = id(module) not in met, met.add(id(module))
            return gradient.clamp(min=0) if first else gradient

        output.register_hook(clip)

    return _listened(of, images, targets, listen, functions=True)


def hooked_by_its_input(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Guided backpropagation that reads a ReLU's input after it ran: in place, the input is the output by then."""

    def listen(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before = inputs[0].detach()
        output.register_hook(lambda gradient: gradient.clamp(min=0) * (before.min() < 0))

    return _listened(of, images, targets, listen, functions=True)


def _listened(of: Subject, images: Tensor, targets: Tensor, listen: Callable[..., None], functions: bool) -> Tensor:
    """Run with a forward hook on each ReLU module; refuse a network whose ReLU are functions."""
    relus = [m for m in of.network.modules() if isinstance(m, nn.ReLU)]
    if functions and not relus:
        raise NotImplementedError("no ReLU modules")
    handles = [m.register_forward_hook(listen) for m in relus]
    try:
        return decent(of, images, targets)
    finally:
        for handle in handles:
            handle.remove()


CAUGHT: dict[str, tuple[Fault, str]] = {
    "raises": (raises, "runs"),
    "wrong shape": (wrong_shape, "shape"),
    "NaN for one image": (nan_for_one_image, "finite"),
    "draws from a global generator": (draws_unseeded, "deterministic"),
    "seeds a global generator": (seeds_the_global_generator, "generators"),
    "draws for each image from a global generator": (draws_unseeded_for_each_image, "deterministic"),
    "raises on an image alone": (raises_on_an_image_alone, "batch-invariant"),
    "output depends on the batch": (depends_on_the_batch, "batch-invariant"),
    "divides by the mean of the batch": (divides_by_the_batchs_mean, "batch-invariant"),
    "divides by the largest value of the batch": (divides_by_the_batchs_largest, "batch-invariant"),
    "divides by the largest pixel of the batch": (divides_by_the_largest_pixel, "batch-invariant"),
    "shares out by the batch": (shares_out_by_the_batch, "batch-invariant"),
    "counts its calls": (keeps_a_count(), "deterministic"),
    "keeps a running mean": (keeps_a_running_mean(), "deterministic"),
    "every second call differs": (alternates(), "deterministic"),
    "one target for the batch": (one_target_for_the_batch, "targets"),
    "targets of the first chunk": (targets_of_the_first_chunk, "targets"),
    "maps kept by target": (one_map_a_target, "batch-invariant"),
    "predicted class instead of the target": (ignores_its_target, "targets"),
    "dropout left on": (leaves_dropout_on, "network"),
    "gradient left on weights": (leaves_gradients_on_the_weights, "network"),
    "weights changed": (changes_weights, "network"),
    "attribute changed": (changes_an_attribute, "network"),
    "forward replaced": (replaces_a_forward, "network"),
    "module swapped": (swaps_a_module, "network"),
    "hook left behind": (leaves_a_hook, "network"),
    "constant map": (one_map_for_all, "images"),
    "one value for every pixel": (one_value_an_image, "images"),
    "input changed in place": (changes_its_input, "input"),
    "input left recording": (leaves_its_input_recording, "input"),
    "hooks pile up slowly": (piles_hooks_slowly(), "growth"),
    "hooks pile up on all modules": (piles_hooks_on_all_modules, "growth"),
}


@pytest.mark.parametrize("fault", CAUGHT)
def test_fault_is_caught_by_its_own_clause_alone(fault: str) -> None:
    function, clause = CAUGHT[fault]
    found = examined(wrapped(function), subject(network()), pictures(), TARGETS, 0).broken
    assert list(found) == [clause], found


@pytest.mark.parametrize("size", [3, 4, 7])
def test_a_chunk_of_any_size_that_takes_its_targets_from_the_front_is_caught(size: int) -> None:
    def chunked(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return torch.cat([decent(of, chunk, targets[: len(chunk)]) for chunk in images.split(size)])

    predicted = torch.tensor([0, 3, *[0] * 6])
    assert list(examined(wrapped(chunked), subject(network()), pictures(8), predicted, 0).broken) == ["targets"]


def test_maps_kept_by_target_between_calls_are_caught() -> None:
    predicted = torch.tensor([0, 3, *[0] * 6])
    found = examined(wrapped(keeps_maps_by_target()), subject(network()), pictures(8), predicted, 0).broken
    assert list(found) == ["images"], found


def test_one_map_for_all_images_of_a_target_is_no_fault_below_a_linear_head() -> None:
    def of_the_head(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        slopes = of.layer("9").weight[targets].detach().unflatten(1, (8, images.shape[-2] // 4, -1))
        return slopes.sum(1).repeat_interleave(4, 1).repeat_interleave(4, 2)

    predicted = torch.tensor([0, 3, *[0] * 6])
    assert examined(wrapped(of_the_head), subject(network()), pictures(8), predicted, 0).broken == {}


OF_MAPS = [name for name, (_, clause) in CAUGHT.items() if clause in ("deterministic", "batch-invariant", "targets")]
"""Faults that show where maps are compared."""


@pytest.mark.parametrize("narrow", [in_single, on_a_copy_in_single], ids=["cast", "copy"])
@pytest.mark.parametrize("fault", OF_MAPS)
def test_fault_does_not_hide_in_single_precision(fault: str, narrow: Callable[[Fault], Fault]) -> None:
    function, clause = CAUGHT[fault]
    found = examined(wrapped(narrow(function)), subject(network()), pictures(), TARGETS, 0).broken
    assert list(found) == [clause], found


@pytest.mark.parametrize("narrow", [in_single, on_a_copy_in_single], ids=["cast", "copy"])
def test_single_precision_is_no_fault(narrow: Callable[[Fault], Fault]) -> None:
    assert examined(wrapped(narrow(decent)), subject(network()), pictures(), TARGETS, 0).broken == {}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (hooked_guided_backprop, "functions"),
        (hooked_once_a_module, "used twice"),
        (hooked_by_its_input, "in place"),
    ],
    ids=["inert under functions", "reused", "in place"],
)
def test_rule_that_depends_on_how_a_relu_is_written_is_caught(fault: Fault, says: str) -> None:
    guided = wrapped(fault, facts=Facts("backprop"))
    found = examined(guided, subject(network()), pictures(), TARGETS, 0).broken
    assert list(found) == ["hooks"]
    assert says in found["hooks"]


def test_inert_hooks_are_caught_on_a_network_that_they_cannot_reach() -> None:
    guided = wrapped(hooked_guided_backprop, facts=Facts("backprop"))
    found = examined(guided, subject(Functional(network()), "layers.4"), pictures(), TARGETS, 0).broken
    assert list(found) == ["hooks"]
    assert "plain gradient" in found["hooks"]


def test_decent_explainer_keeps_every_clause() -> None:
    assert examined(wrapped(decent), subject(network()), pictures(), TARGETS, 0).broken == {}


def test_every_clause_is_planted_once_at_least() -> None:
    assert {clause for _, clause in CAUGHT.values()} | {"hooks"} == set(contract_clauses())


def test_finding_is_one_line() -> None:
    assert (
        examined(wrapped(raises), subject(network()), pictures(), TARGETS, 0).broken["runs"] == "raised ValueError: no"
    )


def test_refusal_is_no_broken_clause() -> None:
    def refuses(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        raise UsageError("needs an average; use grad-cam")

    found = examined(wrapped(refuses), subject(network()), pictures(), TARGETS, 0)
    assert (found.broken, found.reason) == ({}, "refuses does not explain small: needs an average; use grad-cam")


def test_maps_that_are_zero_for_some_images_alone_break_nothing() -> None:
    def rectified(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return decent(of, images, targets) * is_picture(images, 2)[:, None, None]

    assert examined(wrapped(rectified), subject(network()), pictures(), TARGETS, 0).broken == {}


def test_no_call_is_made_twice_and_few_are_made() -> None:
    calls: list[tuple[int, ...]] = []

    def counted(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        calls.append((len(images), *targets.tolist()))
        return decent(of, images, targets)

    examined(wrapped(counted), subject(network()), pictures(), TARGETS, 0)
    # The batch, the first image three times, once more and for another target; in double the batch and its two images;
    # all three images and the third alone; four probes.
    assert sum(images for images, *_ in calls) == 2 + 5 + 2 * 2 + (3 + 1) + 4


def test_what_a_first_call_imports_may_draw() -> None:
    calls: list[int] = []

    def imports(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
        if not calls:
            random.random()
        calls.append(1)
        return decent(of, images, targets)

    assert examined(wrapped(imports), subject(network()), pictures(), TARGETS, 0).broken == {}
