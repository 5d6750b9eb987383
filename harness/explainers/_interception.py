"""Rules that stand in for a network's functions while it runs, to change what flows back through them.

Functions are met where torch calls them, so a rule meets a rectifier however it is written: as a module, as a module
used several times, in place, or as a plain function. Nothing is attached to the network, so nothing can be left there.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode, get_testing_overrides

from harness.errors import UsageError
from harness.subject import Subject

Call: TypeAlias = Callable[..., Any]
"""One of torch's functions, such as ``torch.nn.functional.relu``."""

Rule: TypeAlias = Callable[[Call, Sequence[Any], Mapping[str, Any]], Any]
"""``rule(function, arguments, keywords) -> output``: runs the function and arranges what its gradient becomes."""


Following: TypeAlias = Callable[[Call, Sequence[Any], Mapping[str, Any]], Callable[[Any], None]]
"""``following(function, arguments, keywords)``, before it runs, -> what is called with its output."""


def names(words: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(words.split())


ACTIVATIONS = names(
    """_threshold celu celu_ clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clip clip_ elu elu_ gelu hardshrink
    hardsigmoid hardswish hardtanh hardtanh_ leaky_relu leaky_relu_ log_sigmoid mish prelu relu relu_ relu6 selu selu_
    sigmoid sigmoid_ silu softplus softshrink softsign special_expit tanh tanh_ tanhshrink threshold threshold_"""
)
"""Names of functions that act on each value by itself and are not linear."""

CHOOSING = names("__setitem__ abs abs_ fmax fmin masked_fill masked_fill_ maximum minimum rrelu rrelu_ where")
"""Names of functions by which an activation can be written that no rule of activations meets."""

LINEAR = names("conv1d conv2d conv3d linear")
"""Names of functions that multiply by weights."""

POOLS = names("max_pool2d adaptive_max_pool2d")
"""Names of functions that keep the largest value of a window."""

MOVES = names(
    """__get__ __getitem__ __set__ alpha_dropout cat chunk clone contiguous double dropout dropout2d expand
    feature_dropout flatten float movedim narrow pad permute repeat repeat_interleave reshape roll select split squeeze
    stack swapaxes to transpose unbind unflatten unsqueeze view view_as"""
)
"""Names of functions that only move values about; dropout is here because networks are explained in evaluation."""


def may_be_an_activation(name: str, args: Sequence[Any]) -> bool:
    """Whether a call may be an activation that is written past the rules: by choices, masks, sizes or larger values."""
    second = args[1] if len(args) > 1 and isinstance(args[1], Tensor) else None
    by_mask = name in ("mul", "mul_") and any(isinstance(each, Tensor) and each.dtype == torch.bool for each in args)
    return name in CHOOSING or by_mask or (name == "max" and second is not None)


class Rewriting(TorchFunctionMode):
    """While entered, runs a rule in place of every function that has one.

    Parameters
    ----------
    rules
        By the function's name.
    known
        Names of functions that may run as they are on values that carry a gradient, or None where all may but what is
        refused.
    refused
        ``refused(name, arguments)`` -> whether a call may not, where it carries a gradient.
    following
        Sees every call, or None.
    spared
        ``spared(name, arguments, keywords)`` -> whether a call runs as it is although its function has a rule.

    Attributes
    ----------
    met
        Names of the functions that a rule ran for.

    Raises
    ------
    UsageError
        When the network runs a function that is neither in `rules` nor `known`, or is `refused`: its map would be
        wrong.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        known: frozenset[str] | None = None,
        refused: Callable[[str, Sequence[Any]], bool] = lambda name, args: False,
        following: Following | None = None,
        spared: Callable[[str, Sequence[Any], Mapping[str, Any]], bool] = lambda name, args, kwargs: False,
    ) -> None:
        super().__init__()
        self.rules, self.known, self.refused, self.met = rules, known, refused, set[str]()
        self.following, self.spared = following, spared

    def __torch_function__(
        self, function: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function or its rule, what it computes with being given by place."""
        args, kwargs = _by_place(function, args, kwargs or {})
        if self.following is None:
            return self._run(function, args, kwargs)
        after = self.following(function, args, kwargs)
        output = self._run(function, args, kwargs)
        after(output)
        return output

    def _run(self, function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function or its rule."""
        name = getattr(function, "__name__", "")
        # Inside a function of the user's own, gradients are off: its parts are out of reach.
        if name in self.rules and torch.is_grad_enabled() and any(_carries_gradient(a) for a in args):
            if self.spared(name, args, kwargs):
                return function(*args, **kwargs)
            self.met.add(name)
            return self.rules[name](function, args, kwargs)
        if name in self.rules and _carries_gradient(list(kwargs.values())):
            raise UsageError(f"the network calls {name!r} by names that no rule reads; give its input by place")
        output = function(*args, **kwargs)
        unruled = self.refused(name, args) if self.known is None else name not in self.known
        # What changes its first argument in place returns nothing.
        if unruled and _carries_gradient(args[:1] if output is None else output):
            raise UsageError(f"the network runs {name!r}, for which this method has no rule; use another explainer")
        return output


def rewritten_gradients(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    rewriting: Callable[[], Rewriting],
    needed: frozenset[str] = frozenset(),
) -> Float[Tensor, "n c h w"]:
    """Return what flows back from each target logit to its image under rules made anew for each micro-batch.

    Raises
    ------
    UsageError
        Where none of the functions in `needed` was met: the map would be the plain gradient under another name.
    """
    found = []
    for leaf, classes in leaves(subject, images, targets):
        mode = rewriting()
        with mode:
            logits = subject.model(leaf)
        require_reached(subject, logits)
        if needed and not mode.met & needed:
            raise UsageError(
                f"none of the activations of {subject.name!r} could be reached; explain it unscripted, "
                "or use another explainer"
            )
        chosen = logits.gather(1, classes[:, None]).sum()
        found.append(torch.autograd.grad(chosen, leaf)[0].contiguous())
    return torch.cat(found)


def require_reached(subject: Subject, logits: Tensor) -> None:
    """Refuse logits that come by way of a function of the user's own: no rule meets what it runs.

    Raises
    ------
    UsageError
        Naming the function.
    """
    for node in steps_back(logits):
        made_by = getattr(type(node), "_forward_cls", None)  # of functions written in Python
        if made_by is not None and not made_by.__module__.startswith("harness."):
            raise UsageError(
                f"{subject.name!r} runs {made_by.__name__}, a function with a gradient of its own, whose parts are out "
                "of reach for this method; use another explainer"
            )


def steps_back(output: Tensor) -> Iterator[Any]:
    """Yield each step that an output was computed by once, as autograd keeps them, the last one first."""
    waiting, seen = [output.grad_fn], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(before for before, _ in node.next_functions)


def leaves(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], share: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield micro-batches that record gradients, with their targets; `share` divides the size of the subject's feed."""
    size, layout = max(1, subject.feed.backward_batch // share), subject.feed.layout()
    for start in range(0, len(images), size):
        batch = images[start : start + size].to(subject.device).clone(memory_format=layout).requires_grad_()
        yield batch, targets[start : start + size].to(subject.device)


class _Rewritten(torch.autograd.Function):
    """Runs a function forward and something else backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, run: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Tensor:
        """Run the function, which may work in place."""
        ctx.back = back
        output = run(x)
        if output is x:
            ctx.mark_dirty(x)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return what `back` makes of the output's gradient."""
        return ctx.back(gradients[0]), None, None


def with_backward(x: Tensor, run: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``run(x)``, whose gradient g becomes ``back(g)`` at `x`; `run` may work in place."""
    output: Tensor = _Rewritten.apply(x, run, back)  # type: ignore[no-untyped-call]
    return output


OTHERWISE_NAMED = {"input": ("self", "x", "a", "x1"), "other": ("x2",)}
"""What torch takes for a parameter's name besides."""

NAMED = {"max": ("input", "other"), "min": ("input", "other"), "where": ("condition", "input", "other")}
"""Parameters in their order where torch's own table has them otherwise."""


def _by_place(function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return a call's arguments with tensors that were given by name in their places: rules read by place."""
    placed, named = list(args), dict(kwargs)
    for parameter in _parameters(function)[len(args) :] if named else ():
        found = [name for name in (parameter, *OTHERWISE_NAMED.get(parameter, ())) if _of_tensors(named.get(name))]
        if not found:
            break
        placed.append(named.pop(found[0]))
    return placed, named


@cache
def _parameters(function: Call) -> tuple[str, ...]:
    """Return the names of a function's parameters in their order, as far as torch tells; `out` is no place."""
    name = getattr(function, "__name__", "")
    like = _overridable().get(function, function)
    try:
        told = NAMED.get(name) or tuple(inspect.signature(like).parameters)
    except (TypeError, ValueError):  # written in C and in no table
        told = ("input",)
    return told[: told.index("out")] if "out" in told else told


@cache
def _overridable() -> Mapping[Call, Call]:
    """Return a function of the same parameters for each of torch's functions, written in C as most are."""
    return dict(get_testing_overrides())


def _of_tensors(value: Any) -> bool:
    """Say whether a value is a tensor or several."""
    parts = value if isinstance(value, tuple | list) else [value]
    return len(parts) > 0 and all(isinstance(part, Tensor) for part in parts)


def scale_and_shift(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return what a call of a batch normalisation multiplies each channel by, and then adds.

    Raises
    ------
    UsageError
        Where it takes its statistics from the batch.
    """
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = {
        "weight": None,
        "bias": None,
        "training": False,
        "eps": 1e-5,
        **dict(zip(names, args, strict=False)),
        **kwargs,
    }
    if given["training"] or given["running_mean"] is None:
        raise UsageError("a batch normalisation without running statistics has no rule; use another explainer")
    scale = (given["running_var"] + given["eps"]).rsqrt()
    scale = scale if given["weight"] is None else scale * given["weight"]
    shift = -given["running_mean"] * scale
    return scale, shift if given["bias"] is None else shift + given["bias"]


def _carries_gradient(output: Any) -> bool:
    """Say whether a gradient flows back from the output, or from one of several."""
    parts = output if isinstance(output, tuple | list) else [output]
    return any(isinstance(part, Tensor) and part.requires_grad for part in parts)
