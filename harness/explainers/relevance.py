"""Layer-wise relevance propagation: the target logit is handed back layer by layer, by a rule for each.

A batch normalisation that follows a convolution is merged into it, a sum hands back to its terms by their share, a mean
to its values by theirs, a maximum to the largest, and activations hand back what they got. A function without a rule is
an error, never a gradient in disguise. A constant that is added before any layer, as where a picture is normalised, is
part of how the picture is read: pixels keep all that they get.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.errors import UsageError
from harness.explainers._interception import (
    ACTIVATIONS,
    LINEAR,
    MOVES,
    POOLS,
    Call,
    Rewriting,
    Rule,
    rewritten_gradients,
    scale_and_shift,
    steps_back,
    with_backward,
)
from harness.explainers._limits import Followed, Limits
from harness.explainers.base import explainer
from harness.subject import Subject

STABILIZER = 1e-6
"""Keeps denominators from zero, away from it in the direction of their sign."""


@dataclass(frozen=True)
class LinearStep:
    """A layer that multiplies by weights and adds a bias.

    Attributes
    ----------
    run
        ``run(input, weight, bias)`` -> output.
    weight, bias
        As the network has them, batch normalisation merged in; the bias may be None.
    of_picture
        Whether it reads the picture, which was at most moved about, scaled and shifted before.
    dense
        Whether it is a dense layer and no convolution.
    limits
        Of what it reads, where it reads the picture and limits are followed.
    """

    run: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    of_picture: bool
    dense: bool
    limits: Limits | None = None


LayerRule: TypeAlias = Callable[[LinearStep, Tensor, Tensor], Tensor]
"""``rule(step, input, relevance of the output) -> relevance of the input``."""

Composite: TypeAlias = Callable[[LinearStep], LayerRule]
"""Chooses the rule of each layer."""

Piece: TypeAlias = tuple[Tensor, Tensor, Tensor | None]
"""An input, a weight and a bias that stand in for a layer's own."""


def epsilon_rule(epsilon: float) -> LayerRule:
    """Return the rule that shares relevance by contribution, absorbed by `epsilon` where contributions cancel."""

    def rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
        return shared(step, [(x, step.weight, step.bias)], lambda z: relevance / stabilized(z, epsilon))

    return rule


def z_plus_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share relevance by positive contribution alone."""
    return shared(step, positive_pieces(step, x), lambda z: relevance / stabilized(z))


def gamma_rule(gamma: float) -> LayerRule:
    """Return the rule that favours positive contributions by `gamma`, and negative ones where the output is negative.

    For inputs of either sign (Andéol et al. 2021); for inputs that are not negative it is Montavon et al. 2019.
    """

    def rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
        output = step.run(x, step.weight, step.bias)
        more = step.weight + gamma * step.weight.clamp(min=0)
        less = step.weight + gamma * step.weight.clamp(max=0)
        up, down = (
            None if step.bias is None else step.bias + gamma * part
            for part in ((step.bias.clamp(min=0), step.bias.clamp(max=0)) if step.bias is not None else (0, 0))
        )
        rises = [(x.clamp(min=0), more, up), (x.clamp(max=0), less, None)]
        falls = [(x.clamp(min=0), less, down), (x.clamp(max=0), more, None)]
        return shared(step, rises, lambda z: (output > 0) * relevance / stabilized(z)) + shared(
            step, falls, lambda z: (output < 0) * relevance / stabilized(z)
        )

    return rule


def alpha_beta_rule(alpha: float) -> LayerRule:
    """Return the rule that weighs positive contributions by `alpha` and negative ones by `alpha` - 1."""

    def rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
        positive = shared(step, positive_pieces(step, x), lambda z: relevance / stabilized(z))
        negative = shared(step, negative_pieces(step, x), lambda z: relevance / stabilized(z))
        return alpha * positive - (alpha - 1) * negative

    return rule


def flat_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share relevance evenly over all that reaches the output, whatever its value."""
    even = LinearStep(step.run, torch.ones_like(step.weight), None, step.of_picture, step.dense)
    ones = torch.ones_like(x)
    return shared(even, [(ones, even.weight, None)], lambda z: relevance / stabilized(z))


def box_rule(step: LinearStep, x: Tensor, relevance: Tensor) -> Tensor:
    """Share relevance by what a value adds to the lowest, or takes from the highest, that the layer can read there."""
    if step.limits is None:
        raise UsageError(
            "what a layer reads of the picture has no limits that the box rule could follow; use lrp-gamma"
        )
    (low, high), weight, bias = step.limits, step.weight, step.bias
    up, down = (None, None) if bias is None else (bias.clamp(min=0), bias.clamp(max=0))
    pieces = [(x, weight, bias), (low, weight.clamp(min=0), up), (high, weight.clamp(max=0), down)]
    return shared(step, pieces, lambda z: relevance / stabilized(z), signs=(1, -1, -1))


@explainer(name="lrp-epsilon", family="backprop", reference="Bach et al. 2015", cost="1 backward")
def lrp_epsilon(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, epsilon: float = 1e-3
) -> Float[Tensor, "n h w"]:
    """Return relevance under the epsilon rule in every layer, signed, summed over channels.

    Parameters
    ----------
    epsilon
        In units of a layer's output; larger absorbs more.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return relevances(subject, images, targets, lambda _step: epsilon_rule(epsilon))


@explainer(name="lrp-z-plus", family="backprop", reference="Montavon et al. 2017", cost="1 backward")
def lrp_z_plus(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return relevance under the z-plus rule in convolutions and the epsilon rule in dense layers.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return relevances(subject, images, targets, dense_epsilon_else(z_plus_rule))


@explainer(name="lrp-gamma", family="backprop", reference="Montavon et al. 2019", cost="1 backward")
def lrp_gamma(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, gamma: float = 0.25
) -> Float[Tensor, "n h w"]:
    """Return relevance under the gamma rule in convolutions and the epsilon rule in dense layers.

    Parameters
    ----------
    gamma
        How much positive contributions are favoured.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return relevances(subject, images, targets, dense_epsilon_else(gamma_rule(gamma)))


@explainer(name="lrp-epsilon-gamma-box", family="backprop", reference="Montavon et al. 2019", cost="1 backward")
def lrp_epsilon_gamma_box(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, gamma: float = 0.25
) -> Float[Tensor, "n h w"]:
    """Return relevance: box rule at the pixels, gamma in other convolutions, epsilon in dense layers.

    The box's limits are what the network makes of a black and of a white picture before its first layer.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    composite = first_layer(box_rule, dense_epsilon_else(gamma_rule(gamma)))
    return handed_back(subject, images, targets, lambda: propagation(composite, limits=Followed(subject.spec)))


@explainer(name="lrp-epsilon-plus-flat", family="backprop", reference="Lapuschkin et al. 2019", cost="1 backward")
def lrp_epsilon_plus_flat(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return relevance: flat rule at the pixels, z-plus in other convolutions, epsilon in dense layers.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return relevances(subject, images, targets, first_layer(flat_rule, dense_epsilon_else(z_plus_rule)))


@explainer(name="lrp-alpha2-beta1", family="backprop", reference="Bach et al. 2015", cost="1 backward")
def lrp_alpha2_beta1(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return relevance under the alpha 2, beta 1 rule in convolutions and the epsilon rule in dense layers.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return relevances(subject, images, targets, dense_epsilon_else(alpha_beta_rule(2.0)))


def relevances(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], composite: Composite
) -> Float[Tensor, "n h w"]:
    """Return the relevance of each pixel, channels summed, the target logit being handed out under `composite`.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    return handed_back(subject, images, targets, lambda: propagation(composite))


def handed_back(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], rules: Callable[[], Rewriting]
) -> Float[Tensor, "n h w"]:
    """Return the relevance of each pixel, channels summed, under the rules that `rules` makes anew for each pass.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    # Where a sum cancels, relevance is divided by next to nothing: in single precision the rounding of a batch's size
    # alone moves the map of a network with shortcuts by more than rounding.
    precise, exact = subject.in_double(), images.double()
    logits = precise.logits(exact).gather(1, targets.to(subject.device)[:, None])[:, :, None]
    # The gradient of a logit is 1, so relevance is found an image as a share of the logit and scaled by it.
    shares = rewritten_gradients(precise, exact, targets, rules, LINEAR).sum(1)
    return (shares * logits).to(images.dtype)


def propagation(
    composite: Composite,
    further: Mapping[str, Rule] = MappingProxyType({}),
    known: frozenset[str] = frozenset(),
    limits: Followed | None = None,
) -> Rewriting:
    """Return the rules of one forward pass; they remember which output came from which layer, to merge batch norms.

    Parameters
    ----------
    composite
        Chooses the rule of each layer.
    further
        Rules of other functions by their name, or in place of those here.
    known
        Further functions that may run as they are.
    limits
        What follows the limits of what layers read of the picture, where rules need them.
    """
    steps: list[tuple[Tensor, int, Tensor, LinearStep]] = []
    outputs = set[Any]()  # of every layer, as steps of the way back

    def of_picture(x: Tensor) -> bool:
        return not any(node in outputs for node in steps_back(x))

    def linear(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        x, weight, bias, rest, named = _operands(args, kwargs)
        step = LinearStep(
            lambda i, w, b: function(i, w, b, *rest, **named),
            weight,
            bias,
            of_picture(x),
            function.__name__ == "linear",
            None if limits is None else limits.of(x),
        )
        return keep(x, step, step)

    def batch_norm(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        for output, version, x, step in steps:
            if output is args[0] and output._version == version and _of_channels(output, step):
                scale, shift = scale_and_shift(args, kwargs)
                weight = step.weight * scale.reshape(-1, *[1] * (step.weight.ndim - 1))
                bias = shift if step.bias is None else step.bias * scale + shift
                return keep(x, replace(step, weight=weight, bias=bias), None)
        return passed_back(function, args, kwargs)

    def keep(x: Tensor, step: LinearStep, made: LinearStep | None) -> Tensor:
        rule = composite(step)
        held = x.detach().clone()
        output = with_backward(x, lambda i: step.run(i, step.weight, step.bias), lambda r: rule(step, held, r))
        outputs.add(output.grad_fn)
        if made is not None:
            steps.append((output, output._version, x, made))
        return output

    def added(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        computed = [place for place, term in enumerate(args[:2]) if isinstance(term, Tensor) and term.requires_grad]
        if len(computed) == 1 and not kwargs and of_picture(args[computed[0]]):
            return _shifted(function, args, computed[0])
        return _added(function, args, kwargs)

    def as_layer(rule: Rule) -> Rule:
        def run(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
            made = rule(function, args, kwargs)
            outputs.update(each.grad_fn for each in (made if isinstance(made, tuple) else (made,)) if each is not None)
            return made

        return run

    rules = {
        **dict.fromkeys(LINEAR, linear),
        **dict.fromkeys(ACTIVATIONS, passed_back),
        **dict.fromkeys(("add", "add_", "sub", "sub_"), added),
        **dict.fromkeys(("mul", "mul_", "div", "div_"), scaled),
        **dict.fromkeys(("mean", "sum", "avg_pool2d", "adaptive_avg_pool2d"), _averaged),
        "batch_norm": batch_norm,
    }
    own = {name: rule if name in rules else as_layer(rule) for name, rule in further.items()}
    return Rewriting({**rules, **own}, MOVES | POOLS | known, following=limits)


def _of_channels(output: Tensor, step: LinearStep) -> bool:
    """Whether a normalisation of a layer's output, which is by its second axis, is by what the layer's weights make."""
    return not step.dense or output.ndim == 2


def _operands(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor | None, Any, Any]:
    """Return a layer's input, weight, bias, and what else it was called with."""
    named = dict(kwargs)
    x = args[0]
    weight = args[1] if len(args) > 1 else named.pop("weight")
    bias = args[2] if len(args) > 2 else named.pop("bias", None)
    return x, weight, bias, args[3:], named


def passed_back(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Run a function that acts on each value by itself and hand its relevance to its input."""
    return with_backward(args[0], lambda x: function(x, *args[1:], **kwargs), lambda relevance: relevance)


class _SharedSum(torch.autograd.Function):
    """Adds two terms and hands relevance to them by their share of the sum."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, run: Callable[[Tensor, Tensor], Tensor], sign: int) -> Tensor:
        """Run the sum, which may work in place."""
        ctx.terms = first.clone(), sign * second
        total = run(first, second)
        ctx.total = total.clone()
        if total is first:
            ctx.mark_dirty(first)
        return total

    @staticmethod
    def backward(ctx: Any, *relevances: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Share out; a term that was broadcast collects what its copies got."""
        unit = relevances[0] / stabilized(ctx.total)
        first, second = ((unit * term).sum_to_size(term.shape) for term in ctx.terms)
        return first, second, None, None


def _added(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Add or subtract, and hand relevance to the terms by their share; a constant keeps its own."""
    if kwargs:
        raise UsageError(f"the network calls {function.__name__!r} with {', '.join(kwargs)}, which has no rule")
    terms = [term if isinstance(term, Tensor) else torch.tensor(float(term)) for term in args[:2]]
    sign = -1 if function.__name__.startswith("sub") else 1
    total: Tensor = _SharedSum.apply(*terms, function, sign)  # type: ignore[no-untyped-call]
    return total


def _shifted(function: Call, args: Sequence[Any], carrier: int) -> Tensor:
    """Add to, or subtract from, what is at `carrier` alone, which keeps all relevance."""
    return with_backward(
        args[carrier],
        lambda x: function(*args[:carrier], x, *args[carrier + 1 :]),
        lambda relevance: relevance.sum_to_size(args[carrier].shape),
    )


def scaled(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Multiply or divide by a constant; relevance is blind to units, and what is multiplied by 0 gets none."""
    if sum(isinstance(arg, Tensor) and arg.requires_grad for arg in args) > 1:
        raise UsageError("the network multiplies what it computes by what it computes, which has no rule of relevance")
    carrier = 0 if isinstance(args[0], Tensor) and args[0].requires_grad else 1
    passing: Any = 1
    if function.__name__.startswith("mul"):
        passing = (args[1 - carrier] if len(args) > 1 else kwargs["other"]) != 0
    return with_backward(
        args[carrier],
        lambda x: function(*args[:carrier], x, *args[carrier + 1 :], **kwargs),
        lambda relevance: (relevance * passing).sum_to_size(args[carrier].shape),
    )


def _averaged(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Average, and hand relevance to the values by their share of the sum."""
    held = args[0].detach().clone()

    def by_share(relevance: Tensor) -> Tensor:
        with torch.enable_grad():
            x = held.clone().requires_grad_()
            z = function(x, *args[1:], **kwargs)
            (gradient,) = torch.autograd.grad(z, x, relevance / stabilized(z.detach()))
            shares: Tensor = held * gradient
        return shares

    return with_backward(args[0], lambda x: function(x, *args[1:], **kwargs), by_share)


def shared(
    step: LinearStep,
    pieces: Sequence[Piece],
    per_output: Callable[[Tensor], Tensor],
    signs: Sequence[int] | None = None,
) -> Tensor:
    """Return each piece's input times what flows back to it, added up: relevance shared by contribution.

    `per_output` turns the pieces' common output z into relevance for each unit of it.
    """
    signs = signs or [1] * len(pieces)
    with torch.enable_grad():
        inputs = [x.detach().requires_grad_() for x, _, _ in pieces]
        z: Tensor = torch.stack(
            [sign * step.run(x, w, b) for sign, x, (_, w, b) in zip(signs, inputs, pieces, strict=True)]
        ).sum(0)
        gradients = torch.autograd.grad(z, inputs, per_output(z.detach()))
    return torch.stack([x.detach() * g for x, g in zip(inputs, gradients, strict=True)]).sum(0)


def positive_pieces(step: LinearStep, x: Tensor) -> list[Piece]:
    """Return what contributes positively, the bias's positive part with it."""
    bias = None if step.bias is None else step.bias.clamp(min=0)
    return [(x.clamp(min=0), step.weight.clamp(min=0), bias), (x.clamp(max=0), step.weight.clamp(max=0), None)]


def negative_pieces(step: LinearStep, x: Tensor) -> list[Piece]:
    """Return what contributes negatively, the bias's negative part with it."""
    bias = None if step.bias is None else step.bias.clamp(max=0)
    return [(x.clamp(min=0), step.weight.clamp(max=0), bias), (x.clamp(max=0), step.weight.clamp(min=0), None)]


def stabilized(z: Tensor, epsilon: float = STABILIZER) -> Tensor:
    """Return z moved away from zero by `epsilon`; zero itself counts as positive."""
    return z + torch.where(z < 0, -epsilon, epsilon)


def dense_epsilon_else(rule: LayerRule) -> Composite:
    """Return a composite: the epsilon rule for dense layers, `rule` for convolutions."""
    return lambda step: epsilon_rule(STABILIZER) if step.dense else rule


def first_layer(rule: LayerRule, others: Composite) -> Composite:
    """Return a composite: `rule` for layers that read the pixels, `others` for the rest."""
    return lambda step: rule if step.of_picture else others(step)
