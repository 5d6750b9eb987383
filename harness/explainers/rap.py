"""Relative attributing propagation: relevance shared by the size of influence, then lowered evenly to what it was.

Relevance is handed to positive influence whole, and again to negative influence by its share of all; the surplus is
taken from all units of a layer alike, so that what is less relevant than others becomes negative.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers._interception import leaves, require_reached
from harness.explainers.base import explainer
from harness.explainers.relevance import (
    Composite,
    LayerRule,
    LinearStep,
    Piece,
    negative_pieces,
    positive_pieces,
    propagation,
    shared,
)
from harness.subject import Subject


@explainer(name="rap", family="backprop", reference="Nam et al. 2020", cost="1 backward")
def rap(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return relevance shared by influence and lowered evenly in each layer, signed, summed over channels.

    The last layer shares the target logit by contribution and makes what each unit got absolute, keeping the sum. The
    layers below share relevance R among positive contributions, and again R N / (P + N) among negative ones, P and N
    being the sizes of both; negative relevance goes to negative contributions alone in convolutions, which get all of
    it and that share again. Then the units that got anything lose or gain the same, until they add up to what came.
    Pixels share as between the least and the largest value of their picture (the box rule). Biases get nothing below
    the last layer, and batch normalisations are merged into convolutions. Sums, means and maxima share as in LRP.

    As in the authors' code, but for inputs of both signs, each of whose two signs is handed all relevance there: here
    their contributions are shared together, so that layers conserve.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    # Below the last layer relevance of either sign is shared in its own way, so that it has to be in logits from the
    # start; and what cancels is divided by, as in LRP.
    precise, exact, found = subject.in_double(), images.double(), list[Tensor]()
    for leaf, classes in leaves(precise, exact, targets):
        with propagation(_composite()):
            logits = precise.model(leaf)
        require_reached(precise, logits)
        chosen = logits.gather(1, classes[:, None])
        found.append(torch.autograd.grad(chosen, leaf, chosen.detach())[0].sum(1))
    return torch.cat(found).to(images.dtype)


def _composite() -> Composite:
    """Return the rules of one pass: which layer is the last shows when relevance is handed to it first."""
    begun: list[LinearStep] = []

    def choose(step: LinearStep) -> LayerRule:
        def rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
            first = not begun
            begun.append(step)
            if first:
                return last_layer_rule(step, x, relevance)
            return picture_rule(step, x, relevance) if step.of_picture else influence_rule(step, x, relevance)

        return rule

    return choose


def last_layer_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share by contribution, the bias going with them; then take absolute values and keep the sum of each image."""
    got = shared(step, [(x, step.weight, None)], lambda z: _over(relevance, z))
    axes = tuple(range(1, got.ndim))
    return got.abs() * _over(got.sum(axes, keepdim=True), got.abs().sum(axes, keepdim=True))


def influence_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share by the size of positive and of negative contributions, and lower all alike to the sum that came."""
    bare = LinearStep(step.run, step.weight, None, step.of_picture, step.dense)
    positive, negative = positive_pieces(bare, x), negative_pieces(bare, x)
    above, below = _total(bare, positive), -_total(bare, negative)

    def by(pieces: list[Piece], share: Tensor, sign: float) -> Tensor:
        return sign * shared(bare, pieces, lambda _: share)

    through = relevance if step.dense else relevance.clamp(min=0)
    got = by(positive, _over(through, above), 1.0) + by(negative, _over(relevance, above + below), -1.0)
    if not step.dense:
        got = got + by(negative, _over(relevance.clamp(max=0), below), -1.0)
    axes = tuple(range(1, got.ndim))
    reached = (got != 0).to(got)
    surplus = got.sum(axes, keepdim=True) - relevance.sum(tuple(range(1, relevance.ndim))).view(-1, *[1] * len(axes))
    return got - reached * _over(surplus, reached.sum(axes, keepdim=True))


def picture_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share among pixels by what they add to the least, or take from the largest, value of their picture."""
    axes = tuple(range(1, x.ndim))
    low, high = (edge(x, axes, keepdim=True).expand_as(x) for edge in (torch.amin, torch.amax))
    pieces = [(x, step.weight, None), (low, step.weight.clamp(min=0), None), (high, step.weight.clamp(max=0), None)]
    return shared(step, pieces, lambda z: _over(relevance, z), signs=(1, -1, -1))


def _total(step: LinearStep, pieces: list[Piece]) -> Tensor:
    """Return what pieces contribute together."""
    return torch.stack([step.run(*piece) for piece in pieces]).sum(0)


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """Return the quotient, and 0 where the whole is 0: where nothing contributes nothing is shared."""
    return torch.where(
        whole == 0, torch.zeros_like(part), part / torch.where(whole == 0, torch.ones_like(whole), whole)
    )
