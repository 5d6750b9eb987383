"""Attention of a transformer, followed from its head down to the patches of the picture.

Attention is met where torch computes it, as a softmax of scores or as scaled dot products, so that no layer has to be
named. The matrices of all layers are multiplied up to say what each token is made of; read is what those tokens are
made of that the head reads: the class token, or all tokens' mean where there is none, or that of the patches where it
reads those beside a class token. The map has one value a patch and is enlarged bilinearly.

Attention over all tokens of one picture at a time is what can be followed: a network that attends within windows, to
tokens that it has pooled, or not at all is refused.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers._interception import Call, Rewriting, leaves
from harness.explainers.base import explainer
from harness.explainers.cam import enlarged
from harness.subject import Subject, order_fault, token_grid
from harness.subject.passing import noise, spread

Matrices = list[Tensor]
"""What each token attends to, layer by layer, each (n, heads, t, t); rows add up to 1."""


@explainer(
    name="attention-rollout",
    family="attention",
    reference="Abnar and Zuidema 2020",
    cost="1 forward",
    target_free=True,
)
def attention_rollout(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return what the class token is made of, heads averaged and each layer halved with what goes around it.

    Where the head reads patches beside a class token it is what those are made of.

    Never negative; targets do not matter.

    Raises
    ------
    UsageError
        Where the network has no attention over all tokens of a picture.
    """

    def halved(matrices: Matrices, _chosen: Tensor) -> Iterator[Tensor]:
        for weights in matrices:
            mean = weights.mean(1)
            yield (mean + torch.eye(mean.shape[-1]).to(mean)) / 2

    return _followed(subject, images, targets, halved)


@explainer(
    name="attention-relevance",
    family="attention",
    reference="Chefer, Gur and Wolf 2021 (generic attention-model explainability)",
    cost="1 backward",
)
def attention_relevance(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return what the class token is made of by attention that speaks for the target, never negative.

    A layer's attention counts as the mean over heads of what is positive in attention x its gradient, beside what goes
    around it whole.

    Raises
    ------
    UsageError
        Where the network has no attention over all tokens of a picture.
    """

    def for_target(matrices: Matrices, chosen: Tensor) -> Iterator[Tensor]:
        gradients = torch.autograd.grad(chosen, matrices, allow_unused=True)
        for weights, gradient in zip(matrices, gradients, strict=True):
            said = torch.zeros_like(weights) if gradient is None else weights * gradient
            speaks = said.relu().mean(1)
            yield speaks + torch.eye(speaks.shape[-1]).to(speaks)

    return _followed(subject, images, targets, for_target)


def _followed(
    subject: Subject,
    images: Tensor,
    targets: Tensor,
    layers: Callable[[Matrices, Tensor], Iterator[Tensor]],
) -> Float[Tensor, "n h w"]:
    """Return what the class token is made of, where `layers` says what a layer makes of each token."""
    found = []
    for leaf, classes in leaves(subject, images, targets):
        met: Matrices = []
        with attending(met):
            logits = subject.model(leaf)
        check_attention(subject, met, len(leaf))
        chosen = logits.gather(1, classes[:, None]).sum()
        made_of = torch.eye(met[0].shape[-1]).to(met[0]).expand(len(leaf), -1, -1)
        for layer in layers(met, chosen):
            made_of = layer.detach() @ made_of
        found.append(_on_patches(subject, made_of, leaf))
    return torch.cat(found)


def _on_patches(subject: Subject, made_of: Float[Tensor, "n t t"], images: Tensor) -> Float[Tensor, "n h w"]:
    """Return the row that the head reads over the patches, enlarged."""
    tokens = made_of.shape[-1]
    rows, columns = patch_grid(subject, tokens)
    patches = rows * columns
    row = _read(subject, made_of, tokens - patches) if patches < tokens else made_of.mean(1)
    return enlarged(row[:, tokens - patches :].view(-1, rows, columns), images)


def _read(subject: Subject, made_of: Float[Tensor, "n t t"], before: int) -> Float[Tensor, "n t"]:
    """Return the rows that the head reads of tokens of which some are no patches: the class token's as a rule.

    Where the gradient reaches others too, each token before the patches weighs by what reaches it, and the patches
    evenly by what reaches all of them.
    """
    weights = _reaching(subject, made_of.shape[-1])
    if float(weights[1:].sum()) <= _NOTHING * float(weights.sum()):
        return made_of[:, 0]
    if float(weights[:-before].sum()) <= _NOTHING * float(weights.sum()):
        raise UsageError(
            f"the head of {subject.name!r} reads the last of its tokens alone, where a patch would be; "
            "use another explainer"
        )
    even = weights[before:].mean().expand(len(weights) - before)
    shares = torch.cat([weights[:before], even]) / weights.sum()
    return (shares.to(made_of)[None, :, None] * made_of).sum(1)


_NOTHING = 1e-6
"""Share of the gradient that counts as none."""

_known: WeakKeyDictionary[Subject, dict[int, Tensor]] = WeakKeyDictionary()


def _reaching(subject: Subject, tokens: int) -> Float[Tensor, " t"]:
    """Return how much gradient of the logits reaches each token's attention in the last layer, known once a network."""
    known = _known.setdefault(subject, {})
    if tokens not in known:
        met: Matrices = []
        # It is asked for all logits, of pictures of noise: what the head reads depends on neither.
        with attending(met), torch.enable_grad():
            value = spread(subject.network(noise(subject).clone()))
        (gradient,) = torch.autograd.grad(value, met[-1], allow_unused=True)
        reached = torch.zeros_like(met[-1]) if gradient is None else gradient
        known[tokens] = reached.double().norm(dim=(1, 3)).mean(0)
    return known[tokens]


def patch_grid(subject: Subject, tokens: int) -> tuple[int, int]:
    """Return rows and columns of the patches, which are the last tokens.

    Raises
    ------
    UsageError
        Where the tokens fill no grid, or not row by row.
    """
    grid = token_grid(tokens, subject.spec)
    if fault := order_fault(subject, tokens):
        raise UsageError(f"{fault}; use another explainer")
    if grid is None:
        raise UsageError(
            f"the {tokens} tokens that {subject.name!r} attends to fill no grid over its picture; use another explainer"
        )
    return grid


def check_attention(subject: Subject, met: Matrices, rows: int) -> None:
    """Refuse attention that cannot be followed from token to token: none, within windows, or to pooled tokens."""
    if not met:
        raise UsageError(f"{subject.name!r} computes no attention that could be followed; use another explainer")
    shapes = {tuple(weights.shape[0::2]) if weights.ndim == 4 else (0, 0) for weights in met}
    square = all(weights.ndim == 4 and weights.shape[-1] == weights.shape[-2] for weights in met)
    if not square or shapes != {(rows, met[0].shape[-1])}:
        raise UsageError(
            f"{subject.name!r} attends within windows, or to tokens that it has pooled: what its tokens are made of "
            "cannot be followed; use another explainer"
        )
    if met[0].shape[-1] not in _token_numbers(subject):
        raise UsageError(
            f"{subject.name!r} attends to {met[0].shape[-1]} things, and no layer of it gives as many tokens: it "
            "attends to channels, or along rows, which tells nothing of patches; use another explainer"
        )


_counted: WeakKeyDictionary[Subject, set[int]] = WeakKeyDictionary()


def _token_numbers(subject: Subject) -> set[int]:
    """Return how many tokens or places the layers of a network give, known once a network."""
    if subject not in _counted:
        pictures, found = noise(subject).detach(), set[int]()

        def note(_name: str, output: Tensor) -> None:
            if output.ndim == 3 and len(output) == len(pictures):
                found.add(output.shape[1])
            elif output.ndim == 3 and output.shape[1] == len(pictures):
                found.add(output.shape[0])  # tokens first, as torch's own layers may have them
            elif output.ndim == 4 and len(output) == len(pictures):
                found.update((output.shape[2] * output.shape[3], output.shape[1] * output.shape[2]))

        with torch.no_grad(), subject.listening([name for name in subject.runs if name], note):
            subject.network(pictures)
        _counted[subject] = found
    return _counted[subject]


# ---------------------------------------------------------------------- where attention is computed


def attending(met: Matrices) -> Rewriting:
    """Return what notes every matrix of attention while it is entered."""

    def of_scores(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        weights: Tensor = function(*args, **kwargs)
        # Of three axes it may be of heads and pictures in one, or of windows; other softmaxes are none of attention.
        square = weights.ndim in (3, 4) and weights.shape[-1] == weights.shape[-2]
        if (square or weights.ndim == 4) and along(args, kwargs) in (-1, weights.ndim - 1):
            weights = weights.clone()  # what follows may work in place
            met.append(weights)
        return weights

    def of_products(_function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        weights, values = products(*args, **kwargs)
        met.append(weights)
        return weights @ values

    def of_heads(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        weights, mixed = _heads(function, given)
        met.append(weights)
        return mixed, weights.mean(1) if given.get("need_weights", True) else None

    rules = {"softmax": of_scores, "scaled_dot_product_attention": of_products}
    return Rewriting({**rules, "multi_head_attention_forward": of_heads})


def _heads(function: Call, given: Mapping[str, Any]) -> tuple[Float[Tensor, "n heads t s"], Float[Tensor, "t n e"]]:
    """Return the attention of a call of torch's own layer, and its output made of that attention.

    The layer does not compute its output from the attention that it hands out, so that no gradient reaches that.
    """
    check_heads(given)
    _, weights = function(**{**given, "need_weights": True, "average_attn_weights": False})
    value, width = given["value"], given["embed_dim_to_check"]
    of_values = slice(2 * width, None)
    bias = given["in_proj_bias"]
    values = functional.linear(value, given["in_proj_weight"][of_values], None if bias is None else bias[of_values])
    n, heads = weights.shape[:2]
    by_head = values.view(len(values), n, heads, -1).permute(1, 2, 0, 3)
    mixed = (weights @ by_head).permute(2, 0, 1, 3).reshape(-1, n, width)
    return weights, functional.linear(mixed, given["out_proj_weight"], given["out_proj_bias"])


def check_heads(given: Mapping[str, Any], further: Sequence[str] = ()) -> None:
    """Refuse a call of torch's own layer that does more than attend, such as what `further` names of its arguments."""
    extras = ("bias_k", "bias_v", "add_zero_attn", "use_separate_proj_weight")
    odd = [name for name in (*extras, *further) if given.get(name) is not None and given[name] is not False]
    if odd or (given.get("dropout_p") and given.get("training", True)):
        raise UsageError(f"attention with {', '.join(odd) or 'dropout'} cannot be followed; use another explainer")


def along(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """Return the axis along which a softmax adds up to 1."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return axis if isinstance(axis, int) else None


def products(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the attention of :func:`torch.nn.functional.scaled_dot_product_attention`, and what it is spent on."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(-1), value
