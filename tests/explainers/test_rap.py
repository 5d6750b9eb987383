"""Relative attributing propagation against its formulas on matrices written out, and what it conserves."""

from collections.abc import Callable

import pytest
import torch
from double_cases import EQUAL, Residual, network, pictures, subject
from explainer_cases import CLASSES, SIDE, error, target_logits
from torch import Tensor, nn

from harness.explainers.rap import rap

TARGETS = torch.tensor([0, 3, 4])


def chain() -> nn.Sequential:
    """Two convolutions and two dense layers with biases, rectified, so that every rule is met."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(5 * 25, 9), nn.ReLU(), nn.Linear(9, len(CLASSES)),
    )  # fmt: skip


def matrix(layer: nn.Module, x: Tensor) -> Tensor:
    """Return the layer as a matrix of inputs by outputs, without its bias."""
    zero, basis = layer(torch.zeros_like(x)), torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape[1:])
    return (layer(basis) - zero).flatten(1)


def written_out(made: nn.Sequential, image: Tensor, target: int) -> Tensor:
    """Return the map of one image, each contribution of each input to each output being held."""
    x, met = image[None], list[tuple[nn.Module, Tensor]]()
    for layer in made:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            met.append((layer, x))
        x = layer(x)
    last, values = met[-1]
    assert isinstance(last, nn.Linear)
    each = values[0] * last.weight[target]
    each = each * (1 + last.bias[target] / each.sum())
    relevance = each.abs() * each.sum() / each.abs().sum()
    for layer, values in reversed(met[1:-1]):
        contributions = values.flatten()[:, None] * matrix(layer, values)
        relevance = by_influence(contributions, relevance.flatten(), dense=isinstance(layer, nn.Linear))
    first, values = met[0]
    weights = matrix(first, values)
    above = (values.flatten() - values.min())[:, None] * weights.clamp(min=0)
    below = (values.max() - values.flatten())[:, None] * -weights.clamp(max=0)
    z = (above + below).sum(0)
    parts = (
        values.flatten()[:, None] * weights - values.min() * weights.clamp(min=0) - values.max() * weights.clamp(max=0)
    )
    return (parts * (relevance / z)).sum(1).view(SIDE, SIDE).detach()


def by_influence(contributions: Tensor, relevance: Tensor, dense: bool) -> Tensor:
    """Return the relevance of a layer's inputs, unit by unit."""
    got = torch.zeros(len(contributions), dtype=relevance.dtype)
    for parts, amount in zip(contributions.T, relevance, strict=True):
        positive, negative = parts.clamp(min=0), -parts.clamp(max=0)
        both = positive.sum() + negative.sum()
        main = positive if dense or amount > 0 else negative
        if main.sum() > 0:
            got = got + amount * main / main.sum()
        if both > 0:
            got = got + amount * negative / both
    reached = got != 0
    return torch.where(reached, got - (got.sum() - relevance.sum()) / reached.sum(), got)


def test_it_is_the_papers_formula_on_matrices() -> None:
    of, images = subject(chain()), pictures()
    wanted = torch.stack([written_out(of.network, x, int(t)) for x, t in zip(images, TARGETS, strict=True)])
    # The last layer's contributions are divided by what they leave when they cancel.
    assert error(rap(of, images, TARGETS), wanted) < 100 * EQUAL


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "rectified": network,
    "of both signs": lambda: network(activation=nn.LeakyReLU),
    "smooth": lambda: network(activation=nn.Tanh),
    "shortcut": Residual,
}


@pytest.mark.parametrize("what", NETWORKS)
def test_relevance_adds_up_to_the_logit_biases_included(what: str) -> None:
    of, images = subject(NETWORKS[what]()), pictures()
    sums = rap(of, images, TARGETS).sum((1, 2))
    # Exact but for sums and means, whose shares are kept from 0 by a millionth.
    assert error(sums, target_logits(of, images, TARGETS)) < 2e-5


def test_what_is_less_relevant_than_others_is_negative() -> None:
    of, images = subject(chain()), pictures()
    lowest = rap(of, images, TARGETS).amin((1, 2))
    assert bool((lowest < 0).all())
