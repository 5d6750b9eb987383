"""Explainers on networks whose attributions are known exactly: sums, a maximum, gates, a product, a constant."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.explainers.gradient import gradient, input_x_gradient
from harness.explainers.paths import integrated_gradients_black
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

A, B = (0, 0), (2, 3)  # the two pixels that a network reads
Function = Callable[[Tensor, Tensor], Tensor]


class OfTwoPixels(nn.Module):
    """A function of two pixels as the logit of class 0; class 1 is a constant."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function, self.passes_on = function, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        x = self.passes_on(images)[:, 0]
        found = self.function(x[:, *A], x[:, *B])
        return torch.stack([found, 0 * found + 3], dim=1)


FUNCTIONS: dict[str, Function] = {
    "linear": lambda a, b: 2 * a - 3 * b,
    "maximum": torch.maximum,
    "or": lambda a, b: 1 - (1 - a - b).relu(),
    "and": lambda a, b: (a + b - 1).relu(),
    "product": lambda a, b: a * b,
    "constant": lambda a, b: 0 * (a + b) + 1,
}

# Pixel values, then what the gradient, input x gradient and integrated gradients from black are worth at each pixel.
KNOWN = {
    "linear": ((0.5, 0.25), (2, -3), (1, -0.75), (1, -0.75)),
    "maximum": ((0.5, 0.25), (1, 0), (0.5, 0), (0.5, 0)),
    # An OR of two ones is flat there: only the path from nothing shows that each does half.
    "or": ((1, 1), (0, 0), (0, 0), (0.5, 0.5)),
    "and": ((1, 1), (1, 1), (1, 1), (0.5, 0.5)),
    # Input x gradient gives the product away twice, the path once.
    "product": ((0.5, 0.25), (0.25, 0.5), (0.125, 0.125), (0.0625, 0.0625)),
    "constant": ((0.5, 0.25), (0, 0), (0, 0), (0, 0)),
}
EXPLAINERS = (gradient, input_x_gradient, integrated_gradients_black)
CASES = [(name, place) for name in KNOWN for place in range(len(EXPLAINERS))]


def maps_of(name: str, place: int, target: int) -> Tensor:
    spec = InputSpec(4, 5, mean=(0.0,), std=(1.0,))
    subject = Subject(OfTwoPixels(FUNCTIONS[name]), name=name, classes=("f", "constant"), spec=spec)
    images = torch.full((1, 1, 4, 5), 0.7, dtype=torch.float64)
    images[0, 0, *A], images[0, 0, *B] = KNOWN[name][0]
    return EXPLAINERS[place](subject, images, torch.tensor([target]))[0]


@pytest.mark.parametrize(("name", "place"), CASES)
def test_known_attributions_are_found_exactly(name: str, place: int) -> None:
    expected = torch.zeros(4, 5, dtype=torch.float64)
    expected[*A], expected[*B] = KNOWN[name][1 + place]
    # The quadrature adds 32 shares of a value of at most 3.
    close = rounding(torch.float64, 2 * 32, scale=3.0)
    torch.testing.assert_close(maps_of(name, place, 0), expected, atol=close, rtol=0)


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_class_that_is_constant_is_explained_by_nothing(name: str, place: int) -> None:
    assert not maps_of(name, place, 1).any()
