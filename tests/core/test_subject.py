"""The subject answers as bare torch does, counts what it passes, and leaves the caller's network alone."""

import copy
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    CLASSES,
    SIDE,
    SPEC,
    tiny_network,
)
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.subject import Feed, InputSpec, Passes, Subject
from harness.subject.state import checksum

FEEDS = [
    Feed(last, forward, backward) for last, (forward, backward) in itertools.product((False, True), ((1, 5), (7, 64)))
]
# Sums are taken in another order for another layout and batch; logits are of order 1.
CLOSE = {"rtol": AGAIN, "atol": AGAIN}


@pytest.fixture(params=FEEDS, ids=str)
def fed(request: pytest.FixtureRequest, subject: Subject) -> Subject:
    subject.feed = request.param
    return subject


@pytest.fixture
def targets(images: Tensor) -> Tensor:
    return torch.arange(len(images)) % 3


def gradient_by_hand(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    network(leaf).gather(1, targets[:, None]).sum().backward()
    return leaf.grad


# ---------------------------------------------------------------------- answers


def test_logits_are_those_of_bare_torch_for_any_feed(fed: Subject, network: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(fed.logits(images), network.eval()(images), **CLOSE)


def test_gradients_are_those_of_bare_torch_for_any_feed(
    fed: Subject, network: nn.Module, images: Tensor, targets: Tensor
) -> None:
    torch.testing.assert_close(fed.gradients(images, targets), gradient_by_hand(network, images, targets), **CLOSE)


def test_probabilities_add_up_to_one(subject: Subject, images: Tensor) -> None:
    # Rounding of three float32 numbers.
    torch.testing.assert_close(subject.probabilities(images).sum(1), torch.ones(len(images)), atol=AGAIN, rtol=0)


def test_activations_are_a_layers_output_for_any_feed(fed: Subject, network: nn.Sequential, images: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(fed.activations(images, ["3"])["3"], network[:4](images), **CLOSE)


def test_spreads_are_the_deviation_of_a_layers_output(subject: Subject, network: nn.Sequential, images: Tensor) -> None:
    with torch.no_grad():
        expected = network[:4](images).double().std(correction=0)
    # Summed in batches, in double precision, of float32 values.
    assert subject.spreads(images, ["3"])["3"] == pytest.approx(float(expected), rel=AGAIN)


def test_layer_gradients_are_the_output_and_its_gradient_for_any_feed(
    fed: Subject, network: nn.Sequential, images: Tensor, targets: Tensor
) -> None:
    output = network[:4](images).detach().requires_grad_()
    network[4:](output).gather(1, targets[:, None]).sum().backward()
    found, gradient = fed.layer_gradients(images, targets, "3")
    torch.testing.assert_close(found, output.detach(), **CLOSE)
    torch.testing.assert_close(gradient, output.grad, **CLOSE)


def test_a_layer_followed_by_an_operation_in_place_is_still_that_layer(images: Tensor, targets: Tensor) -> None:
    plain, in_place = tiny_network(), tiny_network()
    in_place[4] = nn.ReLU(inplace=True)
    made = [Subject(network, name="s", classes=CLASSES, spec=SPEC) for network in (plain, in_place)]
    for one, other in zip(*(subject.layer_gradients(images, targets, "3") for subject in made), strict=True):
        assert torch.equal(one, other)


def test_questions_take_no_part_in_the_callers_graph(subject: Subject, images: Tensor, targets: Tensor) -> None:
    leaf = images.clone().requires_grad_()
    answers = (subject.logits(leaf), subject.gradients(leaf, targets), *subject.layer_gradients(leaf, targets, "3"))
    assert not any(answer.requires_grad for answer in answers)


# ---------------------------------------------------------------------- counting


def test_every_image_forward_is_counted_once_for_any_feed(fed: Subject, images: Tensor) -> None:
    fed.logits(images)
    assert fed.passes == Passes(len(images), 0)


def test_every_image_backward_is_counted_once_for_any_feed(fed: Subject, images: Tensor, targets: Tensor) -> None:
    fed.gradients(images, targets)
    fed.layer_gradients(images, targets, "3")
    assert fed.passes == Passes(2 * len(images), 2 * len(images))


def test_libraries_that_call_the_model_are_counted_too(subject: Subject, images: Tensor) -> None:
    subject.model(images.requires_grad_())[:, 0].sum().backward()
    assert subject.passes == Passes(len(images), len(images))


def test_two_backward_passes_through_one_forward_are_two(subject: Subject, images: Tensor) -> None:
    leaf = images.requires_grad_()
    logits = subject.model(leaf)
    for k in (0, 1):
        torch.autograd.grad(logits[:, k].sum(), leaf, retain_graph=True)
    assert subject.passes == Passes(len(images), 2 * len(images))


def test_making_and_tuning_a_subject_counts_nothing(subject: Subject) -> None:
    assert subject.tuned(0.001).passes == Passes(0, 0)


def test_a_variant_counts_into_the_same_passes(subject: Subject, images: Tensor) -> None:
    subject.with_network(tiny_network(1), "other").logits(images)
    assert subject.passes.forward == len(images)


# ---------------------------------------------------------------------- what is left alone


def test_in_double_everything_is_double_and_answers_the_same(
    fed: Subject, images: Tensor, targets: Tensor, faces: FaceSet
) -> None:
    before, precise = fed.state_digest(), fed.in_double()
    state = precise.network.state_dict()
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float64}
    assert (precise.dtype, precise.prepare(faces.images).dtype) == (torch.float64, torch.float64)
    assert (fed.dtype, fed.prepare(faces.images).dtype, fed.state_digest()) == (torch.float32, torch.float32, before)
    assert precise.logits(images.double()).dtype == torch.float64
    torch.testing.assert_close(precise.logits(images.double()).float(), fed.logits(images), **CLOSE)
    assert precise.gradients(images.double(), targets).dtype == torch.float64
    assert torch.equal(precise.logits(images), precise.logits(images.double()))
    assert precise.gradients(images, targets).dtype == torch.float32
    assert precise.passes is fed.passes
    assert (precise.cam_layer, precise.layers, precise.classes) == (fed.cam_layer, fed.layers, fed.classes)


def test_statistics_are_double_too_and_a_double_subject_stays_one() -> None:
    norm = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * (SIDE - 2) ** 2, 3))
    precise = Subject(norm.double(), name="norm", classes=CLASSES, spec=SPEC).in_double()
    assert {buffer.dtype for buffer in precise.network.buffers()} == {torch.float64, torch.int64}
    assert precise.in_double().digest == precise.digest


def test_a_network_that_computes_in_single_precision_alone_is_refused_in_double(network: nn.Sequential) -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.under = network

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.under(images.float())
            return logits

    with pytest.raises(UsageError, match="does not run on"):
        Subject(Single(), name="single", classes=CLASSES, spec=SPEC).in_double()


def test_the_callers_network_is_untouched(network: nn.Sequential, images: Tensor, targets: Tensor) -> None:
    network.train()
    network[0].register_forward_hook(lambda *_: None)
    before = copy.deepcopy(network.state_dict())
    made = Subject(network, name="s", classes=CLASSES, spec=SPEC).tuned(0.001)
    made.gradients(images, targets)
    made.activations(images, ["0"])
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert network.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert len(network[0]._forward_hooks) == 1


def test_asking_leaves_the_subjects_own_network_as_it_was(subject: Subject, images: Tensor, targets: Tensor) -> None:
    before = subject.state_digest()
    subject.gradients(images, targets)
    subject.layer_gradients(images, targets, "3")
    subject.activations(images, ["0", "3"])
    subject.spreads(images, ["0"])
    assert subject.state_digest() == before


def change_weight(subject: Subject) -> None:
    subject.network[0].weight.data[0, 0, 0, 0] += 1


def change_mode(subject: Subject) -> None:
    subject.network[1].train()


def ask_for_gradients(subject: Subject) -> None:
    subject.network.requires_grad_()


def leave_gradients(subject: Subject) -> None:
    subject.network[0].weight.grad = torch.zeros_like(subject.network[0].weight)


def leave_hook(subject: Subject) -> None:
    subject.network[3].register_forward_hook(lambda *_: None)


def leave_hook_on_the_model(subject: Subject) -> None:
    subject.model.register_forward_pre_hook(lambda *_: None)


def change_attribute(subject: Subject) -> None:
    subject.network[0].padding = (0, 0)


def replace_forward(subject: Subject) -> None:
    subject.network[1].forward = torch.abs


def replace_the_models_forward(subject: Subject) -> None:
    subject.model.forward = subject.network.forward


def swap_a_module(subject: Subject) -> None:
    subject.network[1] = torch.nn.Softplus().eval()


def swap_two_modules(subject: Subject) -> None:
    parts = subject.network._modules
    parts["2"], parts["4"] = parts["4"], parts["2"]


def stand_before_a_class(subject: Subject) -> None:
    subject.network[0].extra_repr = str


CHANGES = [change_weight, change_mode, ask_for_gradients, leave_gradients, leave_hook, leave_hook_on_the_model]
CHANGES += [change_attribute, replace_forward, replace_the_models_forward, swap_a_module, swap_two_modules]
CHANGES += [stand_before_a_class]


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_changes_the_state_digest(change, subject: Subject) -> None:
    before, kept = subject.state_digest(), copy.deepcopy(subject.network)
    change(subject)
    assert subject.state_digest() != before
    subject.put_back(kept)
    assert subject.state_digest() == before


class Holds(torch.nn.Module):
    """A linear network that holds what networks hold, and notes things as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.read = torch.nn.Linear(SIDE * SIDE, len(CLASSES))
        self.scale, self.sizes, self.named = 4.0, [1, [2, 3]], {"by": {"how much": 2}}
        self.mean, self.table = torch.tensor([0.5]), np.arange(3)
        self.squash: object = functools.partial(torch.clamp, min=0)
        self.calls, self.last, self.largest = 0, None, -1.0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        self.last = images.detach()
        self.largest = max(self.largest, float(self.last.max()))
        return self.read((images - self.mean).flatten(1)) * self.scale


def put(name: str, value: object) -> Callable[[Holds], None]:
    return lambda network: setattr(network, name, value)


HELD: dict[str, Callable[[Holds], None]] = {
    "number": put("scale", -4.0),
    "inner list": lambda network: network.sizes[1].append(4),
    "inner dictionary": lambda network: network.named["by"].update({"how much": 3}),
    "tensor": lambda network: network.mean.mul_(2),
    "tensor behind its back": lambda network: network.mean.data.mul_(2),
    "array": lambda network: network.table.__setitem__(0, 7),
    "function's setting": put("squash", functools.partial(torch.clamp, min=1)),
    "function": put("squash", torch.clamp),
}


@pytest.mark.parametrize("what", HELD)
def test_what_a_module_holds_is_part_of_the_state(what: str) -> None:
    subject = Subject(Holds(), name="holds", classes=CLASSES, spec=SPEC)
    before, kept = subject.state_digest(), copy.deepcopy(subject.network)
    HELD[what](subject.network)
    assert subject.state_digest() != before
    subject.put_back(kept)
    assert subject.state_digest() == before


@pytest.mark.parametrize("seen", [False, True], ids=["fresh", "ran before"])
def test_what_passes_change_themselves_is_no_part_of_the_state(seen: bool, images: Tensor, targets: Tensor) -> None:
    network = Holds()
    if seen:
        network(images[:1])
    root = Subject(network, name="holds", classes=CLASSES, spec=SPEC)
    for subject in (root, root.with_network(root.network, "twin"), root.in_double()):
        before, noted = subject.state_digest(), subject.network.calls
        subject.gradients(3 * images, targets)
        subject.activations(images[:2], ["read"])
        assert subject.network.calls > noted, "it did run"
        assert subject.state_digest() == before


def test_what_nobody_reads_is_no_part_of_the_state(subject: Subject, images: Tensor) -> None:
    before = subject.state_digest()
    subject.network[0].seen = images
    assert subject.state_digest() == before


def test_looking_for_what_passes_change_is_heard_by_nobody(images: Tensor) -> None:
    heard: list[int] = []
    network = Holds()
    network.read.register_forward_hook(lambda *_: heard.append(1))
    subject, state = Subject(network, name="holds", classes=CLASSES, spec=SPEC), torch.get_rng_state()
    heard.clear()
    passes = subject.passes.total()
    assert "calls" not in subject.lasting[Holds]
    assert {"scale", "mean"} <= subject.lasting[Holds]
    assert (heard, subject.passes.total()) == ([], passes)
    assert torch.equal(torch.get_rng_state(), state)


MEDDLED: dict[str, Callable[[Tensor], object]] = {
    "one value, by its last digit": lambda values: values.view(-1)[7].mul_(1 + torch.finfo(values.dtype).eps),
    "one sign": lambda values: values.view(-1)[7].neg_(),
    "two signs of one column": lambda values: values[:2, 7].neg_(),
    "two rows change places": lambda values: values.copy_(values[[1, 0, *range(2, len(values))]]),
    "all signs": lambda values: values.neg_(),
    "the last value": lambda values: values.view(-1)[-1].add_(1),
}


@pytest.mark.parametrize("shape", [(40, 9), (300, 200), (301, 199)], ids=str)
@pytest.mark.parametrize("what", MEDDLED)
def test_a_checksum_tells_of_every_change(what: str, shape: tuple[int, int]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, kept = checksum(values), values.clone()
    MEDDLED[what](values.data)
    assert checksum(values) != before
    assert checksum(kept) == before


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.bool, torch.complex64, torch.int8], ids=str)
def test_a_checksum_reads_values_of_every_kind_and_layout(kind: torch.dtype) -> None:
    values = torch.randn(3, 4, 50, 70, generator=torch.Generator().manual_seed(0)).mul(9).to(kind)
    last = values.to(memory_format=torch.channels_last)
    for held in (values, last, values[:, :, ::2], values.view(-1)[1:], values[0, 0, 0, 0], values[:0]):
        assert checksum(held) == checksum(held.clone(memory_format=torch.preserve_format))
    before = checksum(last)
    last[1, 2, 3, 4] = last[1, 2, 3, 4] == 0
    assert checksum(last) != before


def test_a_network_that_was_put_back_still_counts(subject: Subject, images: Tensor) -> None:
    subject.put_back(copy.deepcopy(subject.network))
    subject.logits(images)
    assert subject.passes.forward == len(images)


# ---------------------------------------------------------------------- names


def test_equal_networks_have_equal_digests() -> None:
    one, other = (Subject(tiny_network(), name=name, classes=CLASSES, spec=SPEC) for name in "ab")
    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("seed", "classes", "spec"),
    [(1, CLASSES, SPEC), (0, CLASSES[::-1], SPEC), (0, CLASSES, InputSpec(SIDE, SIDE, (0.4,), (0.5,)))],
    ids=["weights", "classes", "units"],
)
def test_another_network_has_another_digest(
    seed: int, classes: tuple[str, ...], spec: InputSpec, subject: Subject
) -> None:
    assert Subject(tiny_network(seed), name="tiny", classes=classes, spec=spec).digest != subject.digest


def test_the_layout_is_not_part_of_the_digest(subject: Subject) -> None:
    other = Subject(tiny_network().to(memory_format=torch.channels_last), name="tiny", classes=CLASSES, spec=SPEC)
    assert other.digest == subject.digest


def test_layers_are_named_in_running_order() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 3), nn.Conv2d(1, 1, 3, stride=5)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.first(images).flatten(1))

    assert Subject(Backwards(), name="s", classes=CLASSES, spec=SPEC).layers == ("first", "last")


def test_the_map_layer_is_the_last_activation_over_places(subject: Subject) -> None:
    assert subject.cam_layer == "4"


# ---------------------------------------------------------------------- wrong use


class Raises(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError


class Unused(nn.Module):
    """Has a layer that does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.auxiliary = tiny_network(), nn.Conv2d(1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


WRONG = {
    "another size": (
        tiny_network,
        {"spec": InputSpec(16, 16)},
        r"does not run on a \(1, 1, 16, 16\) input .*InputSpec",
    ),
    "another colour": (tiny_network, {"spec": InputSpec(12, 12, (0.5,) * 3, (0.5,) * 3)}, r"\(1, 3, 12, 12\) input"),
    "an error without words": (Raises, {}, "AssertionError"),
    "too few classes": (tiny_network, {"classes": ("a", "b")}, r"returns \(1, 3\) for one image, not \(1, 2\)"),
    "no logits": (nn.Identity, {}, r"returns \(1, 1, 12, 12\)"),
    "a class twice": (tiny_network, {"classes": ("a", "b", "a")}, "class 'a'"),
    "a class like the total": (tiny_network, {"classes": ("a", "b", "all")}, "class 'all'"),
    "no such layer": (tiny_network, {"cam_layer": "9"}, "no layer '9' that runs; it has 0, 1, 2"),
    "a layer that does not run": (Unused, {"cam_layer": "auxiliary"}, "no layer 'auxiliary' that runs"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_use_is_one_clear_line(mistake: str) -> None:
    make, words, said = WRONG[mistake]
    with pytest.raises(UsageError, match=said) as caught:
        Subject(make(), **{"name": "s", "classes": CLASSES, "spec": SPEC, **words})
    assert "\n" not in str(caught.value)


def test_a_layer_that_does_not_exist_is_named(subject: Subject, images: Tensor) -> None:
    with pytest.raises(UsageError, match="subject 'tiny' has no layer 'conv9'; it has 0, 1"):
        subject.activations(images, ["conv9"])


UNITS = {
    "fewer means than stds": ({"mean": (0.5,), "std": (0.5, 0.5)}, "as many means as stds"),
    "no channel": ({"mean": (), "std": ()}, "1 to 16 channels"),
    "too many channels": ({"mean": (0.5,) * 17, "std": (0.5,) * 17}, "1 to 16 channels"),
    "units of bytes": ({"mean": (127.5,), "std": (127.5,)}, "divide by 255"),
    "a std of bytes": ({"mean": (0.0,), "std": (64.0,)}, "divide by 255"),
    "a std of zero": ({"mean": (0.5,), "std": (0.0,)}, "stds above 0"),
    "a std below zero": ({"mean": (0.5,), "std": (-0.5,)}, "stds above 0"),
    "no number": ({"mean": (float("nan"),), "std": (0.5,)}, "within 0 to 1"),
    "no side": ({"height": 0}, "whole numbers above 0"),
}


@pytest.mark.parametrize("mistake", UNITS)
def test_units_that_cannot_be_meant_are_refused(mistake: str) -> None:
    words, said = UNITS[mistake]
    given: dict[str, Any] = {"height": 12, "width": 12, **words}
    with pytest.raises(UsageError, match=said):
        InputSpec(**given)


@pytest.mark.parametrize("channels", [2, 3, 5, 16])
def test_channels_other_than_the_networks_are_refused(channels: int) -> None:
    pictures = np.zeros((1, 20, 20, 4), np.uint8)
    with pytest.raises(UsageError, match=f"have 4 channels, but the network reads {channels}"):
        InputSpec(20, 20, (0.5,) * channels, (0.5,) * channels).prepare(pictures)


def test_as_many_channels_as_the_network_reads_are_kept() -> None:
    pictures = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    prepared = InputSpec(3, 4, (0.0,) * 5, (1.0,) * 5).prepare(pictures)
    np.testing.assert_allclose(prepared.numpy(), pictures.transpose(0, 3, 1, 2) / 255, atol=AGAIN, rtol=0)


# ---------------------------------------------------------------------- preparing pictures


def test_a_picture_of_the_right_size_is_only_rescaled(faces: FaceSet) -> None:
    prepared = InputSpec(SIDE, SIDE, (0.5,), (0.25,)).prepare(faces.images)
    # Rounding of float32 numbers of order 1.
    np.testing.assert_allclose(prepared[:, 0], (faces.images / 255 - 0.5) / 0.25, atol=AGAIN)


def test_prepared_pixels_lie_between_low_and_high() -> None:
    spec = InputSpec(1, 2, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    prepared = spec.prepare(np.array([[[[0] * 3, [255] * 3]]], dtype=np.uint8))
    assert (float(prepared.min()), float(prepared.max())) == pytest.approx((spec.low, spec.high), rel=AGAIN)


def test_a_grey_picture_is_repeated_for_a_colour_network(faces: FaceSet) -> None:
    prepared = InputSpec(SIDE, SIDE, (0.5,) * 3, (0.5,) * 3).prepare(faces.images)
    assert torch.equal(prepared[:, 0], prepared[:, 2])


def test_a_colour_picture_becomes_luma_for_a_grey_network() -> None:
    green = np.zeros((1, 4, 4, 3), np.uint8)
    green[..., 1] = 255
    # ITU-R BT.601 gives green .587 of the light.
    assert float(InputSpec(4, 4, (0.0,), (1.0,)).prepare(green).mean()) == pytest.approx(0.587, abs=AGAIN)


def test_a_picture_of_another_size_is_resized_bilinearly(faces: FaceSet) -> None:
    expected = functional.interpolate(torch.tensor(faces.images)[:, None].float(), (8, 9), mode="bilinear")
    torch.testing.assert_close(InputSpec(8, 9).prepare(faces.images), expected / 127.5 - 1, **CLOSE)


def test_grey_undoes_preparing(faces: FaceSet) -> None:
    spec = InputSpec(SIDE, SIDE, (0.4,), (0.3,))
    np.testing.assert_allclose(spec.to_grey(spec.prepare(faces.images)), faces.images / 255, atol=AGAIN)


# ---------------------------------------------------------------------- a layer that gives no one output an image


class Twice(nn.Module):
    """A residual block whose one ReLU runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.read = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.one(images))
        return self.read(self.relu(x + self.two(x)).mean((2, 3)))


def test_a_layer_that_runs_several_times_is_counted_and_not_read(images: Tensor, targets: Tensor) -> None:
    made = Subject(Twice(), name="twice", classes=CLASSES, spec=SPEC)
    assert (made.runs["relu"], made.runs["two"]) == (2, 1)
    said = "layer 'relu' of 'twice' runs 2 times a pass"
    with pytest.raises(UsageError, match=said):
        made.activations(images, ["two", "relu"])
    with pytest.raises(UsageError, match=said):
        made.layer_gradients(images, targets, "relu")
    assert made.activations(images, ["two"])["two"].shape == (len(images), 4, 12, 12)


def test_a_network_around_another_reads_the_same_layer_in_its_own_spec(subject: Subject, images: Tensor) -> None:
    class Halved(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, large: Tensor) -> Tensor:
            return self.network(large[:, :, ::2, ::2])

    made = subject.around(Halved(subject.network), "halved", InputSpec(24, 24))
    assert (made.cam_layer, made.spec.height) == (f"network.{subject.cam_layer}", 24)
    made.logits(torch.zeros(2, 1, 24, 24))
    assert subject.passes.forward == 2
