"""Activations that are written out are refused where a rule would meet a part of them; gates and norms are not."""

import math
from collections.abc import Callable

import pytest
import torch
from double_cases import EQUAL, network, pictures, subject
from explainer_cases import error
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers import registered

EXPLAINERS = registered()
GUIDED = ("guided-backprop", "deconvnet")
TARGETS = torch.tensor([0, 3, 4])

WRITTEN: dict[str, Callable[[Tensor], Tensor]] = {
    "swish": lambda x: x * torch.sigmoid(x),
    "swish as a quotient": lambda x: x / (1 + torch.exp(-x)),
    "gelu by tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu by erf": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu by a special erf": lambda x: 0.5 * x * (1 + torch.special.erf(x / math.sqrt(2))),
    "hard swish": lambda x: x * functional.relu6(x + 3) / 6,
    "mish": lambda x: x * torch.tanh(functional.softplus(x)),
    "relu as a rest": lambda x: x - torch.clamp(x, max=0),
    "relu by a mask of numbers": lambda x: x * (x > 0).float(),
    "relu by a mask of its type": lambda x: torch.gt(x, 0).type_as(x).mul(x),
    "relu by signs": lambda x: x * (1 + torch.sign(x)) / 2,
    "relu by roots": lambda x: (x + (x * x).sqrt()) / 2,
    "leaky by bounds": lambda x: x.clamp(min=0) + 0.1 * x.clamp(max=0),
    "swish in place": lambda x: x.clone().mul_(torch.sigmoid(x)),
    "swish of what is detached": lambda x: x * torch.sigmoid(x.detach()),
    "softplus": lambda x: torch.log1p(torch.exp(x)),
    "sine": torch.sin,
}


class Around(nn.Module):
    """The small network with something between its two convolutions and before its dense layer."""

    def __init__(
        self, between: nn.Module | Callable[[Tensor], Tensor], last: Callable[[Tensor], Tensor] = Tensor.clone
    ):
        super().__init__()
        self.layers, self.between, self.last = network(), between, last

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers[9](self.last(self.layers[4:9](self.between(self.layers[:4](x)))))
        return logits


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("name", GUIDED)
def test_an_activation_that_is_written_out_is_refused(name: str, written: str) -> None:
    with pytest.raises(UsageError, match="use another explainer"):
        EXPLAINERS[name](subject(Around(WRITTEN[written]), "layers.4"), pictures(), TARGETS)


class Gate(nn.Module):
    """A gate that a convolution makes."""

    def __init__(self, width: int, pooled: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.gate, self.pooled = nn.Conv2d(6, width, 1), pooled

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3), keepdim=True) if self.pooled else x).sigmoid()


def attended(x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    return ((tokens @ tokens.transpose(1, 2) / 3).softmax(-1) @ tokens).transpose(1, 2).view_as(x) + x


def normalised(x: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.pow(2).mean(1, keepdim=True) + 1e-3).sqrt()


def global_response(x: Tensor) -> Tensor:
    sizes = x.norm(dim=(2, 3), keepdim=True)
    return x * (sizes / (sizes.mean(1, keepdim=True) + 1e-3)) + x


def branches(x: Tensor) -> Tensor:
    """Return what two ways around one activation give together."""
    x = x.relu()
    return (x + functional.avg_pool2d(x, 3, 1, 1)) + (x + functional.max_pool2d(x, 3, 1, 1))


def squared(x: Tensor) -> Tensor:
    x = x.relu()
    return x * x


def halves(x: Tensor) -> Tensor:
    one, other = x.chunk(2, 1)
    return torch.cat([one * other.sigmoid()] * 2, 1)


NOT_WRITTEN: dict[str, Callable[[], nn.Module | Callable[[Tensor], Tensor]]] = {
    "squeeze and excitation": lambda: Gate(6, pooled=True),
    "a gate by place": lambda: Gate(1, pooled=False),
    "a gate by value": lambda: Gate(6, pooled=False),
    "a gate of the other half": lambda: halves,
    "attention": lambda: attended,
    "a norm over channels": lambda: normalised,
    "a global response": lambda: global_response,
    "branches": lambda: branches,
    "a square": lambda: squared,
}


@pytest.mark.parametrize("kind", NOT_WRITTEN)
@pytest.mark.parametrize("name", GUIDED)
def test_gates_norms_and_branches_are_not_refused(name: str, kind: str) -> None:
    found = EXPLAINERS[name](subject(Around(NOT_WRITTEN[kind]()), "layers.4"), pictures(), TARGETS)
    assert torch.isfinite(found).all()


SAME: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "expit": (torch.sigmoid, torch.special.expit),
    "a bound from above": (lambda x: x.clamp(max=0.5), lambda x: x.clamp_max(0.5)),
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("name", GUIDED)
def test_another_name_of_an_activation_has_the_same_map(name: str, kind: str) -> None:
    one, other = (EXPLAINERS[name](subject(Around(way), "layers.4"), pictures(), TARGETS) for way in SAME[kind])
    assert error(one, other) < EQUAL


def test_a_bound_on_the_picture_is_no_activation() -> None:
    class Bounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layers(((x * 2).clamp(-2, 2) - 0.0) / 2)
            return out

    for name in GUIDED:
        found, expected = (
            EXPLAINERS[name](subject(made, layer), pictures(), TARGETS)
            for made, layer in ((Bounded(), "layers.4"), (network(), "4"))
        )
        assert error(found, expected) < EQUAL


@pytest.mark.parametrize(
    "norm",
    [
        lambda x: x.norm(dim=1, keepdim=True).clamp(min=1e-3),
        lambda x: x.pow(2).sum(1, keepdim=True).clamp_min(1e-3).sqrt(),
        lambda x: torch.clamp(input=(x * x).sum(1, keepdim=True).sqrt(), min=1e-3),
    ],
    ids=["norm", "squares", "by name"],
)
@pytest.mark.parametrize("name", GUIDED)
def test_a_bound_that_keeps_a_norm_from_nothing_is_no_activation(name: str, norm: Callable[[Tensor], Tensor]) -> None:
    found, expected = (
        EXPLAINERS[name](subject(Around(Tensor.clone, last), "layers.4"), pictures(), TARGETS)
        for last in (lambda x: x / norm(x), lambda x: x / x.norm(dim=1, keepdim=True))
    )
    assert error(found, expected) < EQUAL


def test_a_bound_on_the_picture_alone_is_no_activation_that_was_reached() -> None:
    made = nn.Sequential(nn.Hardtanh(), nn.Flatten(), nn.Linear(256, 5))
    with pytest.raises(UsageError, match="none of the activations"):
        EXPLAINERS["guided-backprop"](subject(made, "2"), pictures(), TARGETS)
