"""What a network writes past a method's rules is refused in a line; what is written otherwise has the same map."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.base import Explainer, ExplainerFault
from harness.explainers.deeplift import _require_complete
from harness.explainers.settings import read_settings, with_settings
from harness.subject import InputSpec, Subject

CLASSES, SPEC = ("a", "b", "c"), InputSpec(12, 12, (0.5,), (0.25,))
TARGETS = torch.tensor([0, 1, 2])
RULED = ("deeplift", "lrp-epsilon", "lrp-z-plus", "rap", "guided-backprop", "deconvnet")
GUIDED = ("guided-backprop", "deconvnet", "guided-grad-cam")
NEAR = 1e-4
"""Maps of one function, spelt in two ways: single precision over some hundred terms, 2**-24 each, with room."""


class OwnRelu(torch.autograd.Function):
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * (ctx.saved_tensors[0] > 0)


def set_item(x: Tensor) -> Tensor:
    x = x.clone()
    x[x < 0] = 0
    return x


PAST_THE_RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "a function of one's own": OwnRelu.apply,
    "where": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "max of two by name": lambda x: torch.max(x, other=torch.zeros_like(x)),
    "max of two": lambda x: torch.max(x, torch.zeros_like(x)),
    "a filled mask": lambda x: x.masked_fill(x < 0, 0),
    "set": set_item,
    "sizes": lambda x: (x + x.abs()) / 2,
}
SPELT_OTHERWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "clip": lambda x: x.clip(min=0),
    "threshold": lambda x: functional.threshold(x, 0.0, 0.0),
    "leaky without a leak": lambda x: functional.leaky_relu(x, 0.0),
    "by name": lambda x: torch.relu(input=x),
    "a bound by name": lambda x: torch.clamp(input=x, min=0),
}


class Net(nn.Module):
    """Two convolutions, of which the first has a plain ReLU and the second another spelling of it."""

    def __init__(self, second: Callable[[Tensor], Tensor] = functional.relu, around: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.dense = nn.Conv2d(1, 5, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1), nn.Linear(6, 3)
        self.second, self.around = second, around

    def body(self, x: Tensor) -> Tensor:
        x = functional.avg_pool2d(functional.relu(self.one(x)), 2)
        return self.dense(self.second(self.two(x)).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        if self.around == "joined":
            one, other = self.body(torch.cat([x, x * 0.5])).chunk(2)
            return (one + other) / 2
        if self.around == "cut":
            return torch.cat([self.body(part) for part in x.split(1)])
        if self.around == "twice":
            return (self.body(x) + self.body(x)) / 2
        return self.body(x)


def subject(*given: object) -> Subject:
    return Subject(Net(*given), name="net", classes=CLASSES, spec=SPEC, cam_layer="two")  # type: ignore[arg-type]


def images() -> Tensor:
    return torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def maps(name: str, of: Subject) -> np.ndarray:
    made: Explainer = registered()[name]
    return np.asarray(torch.as_tensor(made.called(of, images(), TARGETS)).detach(), dtype=np.float64)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(one).max())


@pytest.mark.parametrize("spelling", PAST_THE_RULES)
@pytest.mark.parametrize("name", [*RULED, "crp", "guided-grad-cam"])
def test_an_activation_that_no_rule_meets_is_refused(name: str, spelling: str) -> None:
    with pytest.raises(UsageError, match="use another explainer"):
        maps(name, subject(PAST_THE_RULES[spelling]))


@pytest.mark.parametrize("name", ["deeplift", *GUIDED])
def test_a_product_with_a_mask_is_refused_where_it_would_count_as_a_constant(name: str) -> None:
    with pytest.raises(UsageError, match="use another explainer"):
        maps(name, subject(lambda x: x * (x > 0)))


@pytest.mark.parametrize("spelling", SPELT_OTHERWISE)
@pytest.mark.parametrize("name", RULED)
def test_an_activation_that_is_spelt_otherwise_has_the_same_map(name: str, spelling: str) -> None:
    assert apart(maps(name, subject()), maps(name, subject(SPELT_OTHERWISE[spelling]))) < NEAR


class ByName(Net):
    """Gives its second convolution all that it reads by name."""

    def __init__(self) -> None:
        super().__init__()
        self.two = ConvolvedByName(5, 6, 3, padding=1)
        self.load_state_dict(Net().state_dict())


class ConvolvedByName(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(input=x, weight=self.weight, bias=self.bias, padding=1)


@pytest.mark.parametrize("name", [*RULED, "full-grad", "lrp-gamma", "crp"])
def test_a_layer_whose_input_is_given_by_name_has_the_same_map(name: str) -> None:
    named = Subject(ByName(), name="net", classes=CLASSES, spec=SPEC, cam_layer="two")
    assert np.array_equal(maps(name, subject()), maps(name, named))


@pytest.mark.parametrize("around", ["joined", "cut"])
def test_deeplift_refuses_a_network_that_parts_images_from_their_baselines(around: str) -> None:
    with pytest.raises(UsageError, match="use another explainer"):
        maps("deeplift", subject(functional.relu, around))


def test_a_logit_that_rounds_is_no_fault_of_a_picture_that_is_its_own_baseline() -> None:
    """Two rows of one batch may be summed in another order."""
    far, bits = torch.tensor([1e4, 3.0]), torch.tensor([1e4 + 0.02, 3.0 + 1e-6])
    _require_complete(subject(), torch.zeros(2, 12, 12), bits, far)
    with pytest.raises(UsageError, match="add up to 0 where the logit rises by"):
        _require_complete(subject(), torch.zeros(2, 12, 12), torch.tensor([1e4, 3.3]), far)


@pytest.mark.parametrize("name", ["lrp-epsilon", "lrp-epsilon-gamma-box", "lrp-epsilon-plus-flat"])
def test_every_layer_that_reads_the_picture_has_the_pictures_rule(name: str) -> None:
    """The mean of a network with itself is the network."""
    assert apart(maps(name, subject()), maps(name, subject(functional.relu, "twice"))) < NEAR


@pytest.mark.parametrize(
    "words", ["integrated-gradients:steps=0", "lime:samples=-1", "kernel-shap:samples=0", "lrp-epsilon:epsilon=-1",
              "occlusion:stride=-1", "smoothgrad:spread=-0.1", "smoothgrad:spread=nan"],
)  # fmt: skip
def test_a_setting_without_sense_is_refused_where_it_is_read(words: str) -> None:
    name, text = words.split(":")
    with pytest.raises(UsageError, match=f"^{name}: "):
        read_settings(registered()[name], text)


def test_a_baseline_may_lie_below_zero_and_a_size_may_be_zero() -> None:
    assert read_settings(registered()["integrated-gradients"], "baseline=-1").settings["baseline"] == -1
    assert with_settings(registered()["smoothgrad"], spread=0.0).settings["spread"] == 0


def test_a_masked_array_is_no_map() -> None:
    hidden = Explainer("hidden", lambda subject, images, targets: np.ma.masked_less(np.zeros((3, 12, 12)), 1.0))
    with pytest.raises(ExplainerFault, match="returned a masked array"):
        hidden.maps(subject(), images(), TARGETS, 0)
