"""Layer-wise relevance propagation through a transformer: rules for attention and normalisation beside those of layers.

Attention is met where torch computes it. What torch computes in one step, fused products or a layer of heads, is
spelled out, so that each product, softmax and dense layer in it meets its own rule.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers._interception import Call, Rewriting, Rule, with_backward
from harness.explainers.attention import along, check_heads, products
from harness.explainers.base import explainer
from harness.explainers.relevance import (
    STABILIZER,
    epsilon_rule,
    gamma_rule,
    handed_back,
    passed_back,
    propagation,
    scaled,
    stabilized,
)
from harness.subject import Subject

PRODUCTS = ("matmul", "__matmul__", "__rmatmul__", "bmm")
ATTENDS = frozenset(("softmax", "scaled_dot_product_attention", "multi_head_attention_forward"))


@explainer(name="attn-lrp", family="attention", reference="Achtibat et al. 2024", cost="1 backward")
def attn_lrp(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, gamma: float = 0.0
) -> Float[Tensor, "n h w"]:
    """Return relevance of each pixel by rules for attention, signed, summed over channels.

    Layers share under the epsilon rule. A product of two computed matrices hands half to each, shared by contribution;
    a product value by value hands half to each. A softmax s of x hands back x (R - s sum R), the first term of its
    Taylor series, whose rest is kept: so relevance does not add up to the logit. A normalisation of layers shares by
    contribution at the spread that it divided by, one by the root mean square hands back what it got. What biases, the
    class token and the positions contribute is theirs and in no pixel.

    Parameters
    ----------
    gamma
        How much positive contributions are favoured in convolutions and dense layers; 0 is the epsilon rule. The paper
        searches it for each vision transformer.

    Raises
    ------
    UsageError
        Where the network attends to nothing, or runs a function that has no rule.
    """
    made: list[Rewriting] = []

    def rules() -> Rewriting:
        made.append(attention_rules(gamma))
        return made[-1]

    found = handed_back(subject, images, targets, rules)
    if not made[0].met & ATTENDS:
        raise UsageError(f"{subject.name!r} computes no attention that could be followed; use lrp-epsilon")
    return found


def attention_rules(gamma: float) -> Rewriting:
    """Return the rules of one forward pass."""
    rule = gamma_rule(gamma) if gamma else epsilon_rule(STABILIZER)
    further: dict[str, Rule] = {
        **dict.fromkeys(PRODUCTS, _multiplied),
        **dict.fromkeys(("mul", "mul_"), _by_value),
        "softmax": _softmax,
        "layer_norm": _normalized,
        "rms_norm": passed_back,
        "scaled_dot_product_attention": lambda _function, args, kwargs: _attended(made, args, kwargs),
        "multi_head_attention_forward": lambda function, args, kwargs: _by_heads(made, function, args, kwargs),
    }
    made = propagation(lambda _step: rule, further, known=frozenset(("masked_fill",)))
    return made


# ---------------------------------------------------------------------- rules


class _SharedProduct(torch.autograd.Function):
    """Multiplies two matrices and hands relevance to both, or to the one that was computed, by contribution."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        """Multiply."""
        ctx.factors = first.clone(), second.clone()
        ctx.total = first @ second
        return ctx.total.clone()  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *relevances: Tensor) -> tuple[Tensor, Tensor]:
        """Share out: each factor's value times what flows back to it."""
        per_unit = relevances[0] / stabilized(sum(ctx.needs_input_grad) * ctx.total)
        with torch.enable_grad():
            factors = [factor.requires_grad_() for factor in ctx.factors]
            slopes = torch.autograd.grad(factors[0] @ factors[1], factors, per_unit)
        first, second = (factor.detach() * slope for factor, slope in zip(factors, slopes, strict=True))
        return first, second


class _HalvedProduct(torch.autograd.Function):
    """Multiplies value by value and hands half of the relevance to each factor."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        """Multiply."""
        ctx.shapes = first.shape, second.shape
        return first * second

    @staticmethod
    def backward(ctx: Any, *relevances: Tensor) -> tuple[Tensor, Tensor]:
        """Halve; a factor that was broadcast collects what its copies got."""
        first, second = ((relevances[0] / 2).sum_to_size(shape) for shape in ctx.shapes)
        return first, second


def _multiplied(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Multiply two matrices."""
    factors = [*args, *kwargs.values()]
    if function.__name__ == "__rmatmul__":
        factors.reverse()
    product: Tensor = _SharedProduct.apply(*factors)  # type: ignore[no-untyped-call]
    return product


def _by_value(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Multiply value by value; of two computed factors each gets half."""
    if sum(isinstance(arg, Tensor) and arg.requires_grad for arg in args) < 2:
        return scaled(function, args, kwargs)
    if function.__name__ == "mul_":
        raise UsageError("the network multiplies what it computed in place by what it computed, which has no rule")
    product: Tensor = _HalvedProduct.apply(*args[:2])  # type: ignore[no-untyped-call]
    return product


def _softmax(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Take the softmax; a score of minus infinity, which a mask put there, gets nothing."""
    axis = along(args, kwargs)
    if axis is None:
        raise UsageError("the network takes a softmax along no stated axis, which has no rule of relevance")
    scores = args[0].detach().clone()
    weights = function(scores, *args[1:], **kwargs)
    held = torch.where(torch.isinf(scores), torch.zeros_like(scores), scores)
    return with_backward(
        args[0],
        lambda x: function(x, *args[1:], **kwargs),
        lambda relevance: held * (relevance - weights * relevance.sum(axis, keepdim=True)),
    )


def _normalized(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Normalise over a token's values; relevance is shared as if the spread were a constant."""
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    given = {"weight": None, "bias": None, "eps": 1e-5, **dict(zip(names, args, strict=False)), **kwargs}
    held = given["input"].detach().clone()
    axes = tuple(range(-len(given["normalized_shape"]), 0))
    spread = (held.var(axes, unbiased=False, keepdim=True) + given["eps"]).sqrt()

    def shared(relevance: Tensor) -> Tensor:
        with torch.enable_grad():
            x = held.clone().requires_grad_()
            output = (x - x.mean(axes, keepdim=True)) / spread
            output = output if given["weight"] is None else output * given["weight"]
            output = output if given["bias"] is None else output + given["bias"]
            (slope,) = torch.autograd.grad(output, x, relevance / stabilized(output.detach()))
        shares: Tensor = held * slope
        return shares

    return with_backward(args[0], lambda x: function(x, *args[1:], **kwargs), shared)


# ---------------------------------------------------------------------- what torch computes in one step


def _attended(rules: Rewriting, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Spell out fused products."""
    with rules:
        weights, values = products(*args, **kwargs)
        return weights @ values


def _by_heads(
    rules: Rewriting, function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """Spell out torch's own layer of heads, which reads tokens (t, n, width)."""
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    check_heads(given, ("attn_mask", "key_padding_mask", "is_causal"))
    weights, biases = given["in_proj_weight"].chunk(3), (None,) * 3
    if given["in_proj_bias"] is not None:
        biases = given["in_proj_bias"].chunk(3)
    heads = given["num_heads"]
    with rules:
        query, key, value = (
            functional.linear(tokens, weight, bias).view(*tokens.shape[:2], heads, -1).permute(1, 2, 0, 3)
            for tokens, weight, bias in zip(
                (given["query"], given["key"], given["value"]), weights, biases, strict=True
            )
        )
        attention, values = products(query, key, value)
        mixed = (attention @ values).permute(2, 0, 1, 3).flatten(2)
        made = functional.linear(mixed, given["out_proj_weight"], given["out_proj_bias"])
    return made, attention.mean(1).detach() if given.get("need_weights", True) else None
