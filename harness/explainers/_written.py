"""Activations that a network writes out, past the rules of activations; and bounds that are none.

``x * sigmoid(x)`` is an activation of which a rule meets a part alone. It is known by its form: two values of one shape
are put together, value by value, and what both were made of went through a bend on one of the ways. A gate that was
pooled, or made by a layer, is no such thing: it has another shape, or shares nothing value by value.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from torch import Tensor

from harness.errors import UsageError
from harness.explainers._interception import ACTIVATIONS, MOVES, POOLS, Call, names

BOUNDS = names("clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clip clip_ hardtanh hardtanh_")
"""Names of activations that may also keep a picture, or what is divided by, within bounds."""

BENDS = names(
    """acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh cos cosh erf erf_ erfc erfc_ erfinv
    exp exp2 exp_ expm1 expm1_ log1p log1p_ log_ndtr logaddexp logaddexp2 logit ndtr sin sin_ sinc sinh tan"""
)
"""Names of functions of each value by itself that serve for activations and have no rule."""

OTHER_BENDS = names(
    """__floordiv__ __rdiv__ __rpow__ ceil eq fix floor fmod frac ge gt heaviside le log log10 log2 logical_not lt ne
    pow pow_ reciprocal reciprocal_ remainder round rsqrt rsqrt_ sgn sign sqrt sqrt_ square square_ trunc"""
)
"""The same, which serve for much else, such as norms and masks."""

PUT_TOGETHER = names(
    """__rsub__ add add_ addcdiv addcmul div div_ divide fmax fmin lerp maximum minimum mul mul_ multiply rsub sub sub_
    subtract true_divide where"""
)
"""Names of functions that put two values or more together, each with those at its place."""

ALIKE = names("__invert__ bool clone contiguous detach double float half int long neg neg_ positive to type_as")
"""Names of functions that act on each value of their first argument and bend nothing."""

AS_READ = MOVES | POOLS | BOUNDS | names("avg_pool2d adaptive_avg_pool2d batch_norm interpolate") | PUT_TOGETHER | ALIKE
"""Names of functions by which a network reads its picture before anything is made of it."""

NOT_NEGATIVE = names(
    "abs exp linalg_norm linalg_vector_norm norm relu relu6 relu_ sigmoid softmax softplus sqrt square std var"
)
"""Names of functions that give nothing below 0."""


class Written:
    """Refuses what may be an activation that is written out, while a network runs; as `following` of `Rewriting`."""

    def __init__(self) -> None:
        self._ways: dict[int, tuple[Tensor, int, dict[int, bool]]] = {}
        self._picture, self._positive, self._numbers = set[Any](), set[Any](), count()

    # ------------------------------------------------------------------ bounds

    def bounds(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call of an activation bounds the picture, or keeps from 0 what cannot be negative."""
        if name not in BOUNDS:
            return False
        low = kwargs.get("min", args[1] if len(args) > 1 and not name.startswith("clamp_max") else None)
        above = kwargs.get("max", args[2] if len(args) > 2 else None)
        guards = isinstance(low, int | float) and low >= 0 and above is None and args[0].grad_fn in self._positive
        return guards or self._of_picture(args[0])

    def _of_picture(self, x: Tensor) -> bool:
        """Whether a value is the picture's, at most moved about, scaled, shifted, pooled and bounded."""
        return x.is_leaf if x.grad_fn is None else x.grad_fn in self._picture

    # ------------------------------------------------------------------ activations

    def __call__(self, function: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[Any], None]:
        """Take what a function reads, before it runs; return what takes its output."""
        name = getattr(function, "__name__", "")
        name = name if name in ACTIVATIONS else name.removeprefix("special_")
        tensors = [each for part in args for each in (part if isinstance(part, tuple | list) else (part,))]
        read = [each for each in tensors if isinstance(each, Tensor) and self._computed(each)]
        ways = [(each.shape, self._of(each)) for each in read]
        as_read = name in AS_READ and all(self._of_picture(each) for each in read if each.requires_grad)
        positive = name in NOT_NEGATIVE or self._stays_positive(name, args)

        def after(output: Any) -> None:
            parts = output if isinstance(output, tuple | list) else (output,)
            made = [part for part in parts if isinstance(part, Tensor) and ways]
            self._picture.update(part.grad_fn for part in made if as_read and part.requires_grad)
            self._positive.update(part.grad_fn for part in made if positive and part.requires_grad)
            if made and made[0] is output:
                self._put_together(name, output, [found for shape, found in ways if shape == output.shape])

        return after

    def _put_together(self, name: str, output: Tensor, ways: Sequence[dict[int, bool]]) -> None:
        """Note by which ways, bent or not, a value was made of others at its place; refuse two that part and meet."""
        bends = name in BENDS | OTHER_BENDS | ACTIVATIONS
        if output.requires_grad and name in BENDS:
            raise self._refusal(name)
        if not (bends or name in PUT_TOGETHER or name in ALIKE):
            return
        if name not in PUT_TOGETHER:
            ways = ways[:1]
        if output.requires_grad and any(_meet(one, other) for i, one in enumerate(ways) for other in ways[:i]):
            raise self._refusal(name)
        merged: dict[int, bool] = {}
        for way in ways:
            merged.update({root: bent or bends or merged.get(root, False) for root, bent in way.items()})
        self._hold(output, merged)

    def _computed(self, x: Tensor) -> bool:
        """Whether a value was computed, as a mask is too."""
        return x.requires_grad or id(x) in self._ways

    def _of(self, x: Tensor) -> dict[int, bool]:
        """Return the numbers of the values that a value was made of, itself with them, and whether each was bent."""
        held, version, ways = self._ways.get(id(x), (None, 0, {}))
        if held is not x or version != x._version:
            ways = self._hold(x, {})
        return ways

    def _hold(self, x: Tensor, ways: dict[int, bool]) -> dict[int, bool]:
        """Note how a value was made, and return it with the value itself."""
        # Values are held for the pass, so that none takes another's place in memory.
        ways = {**ways, next(self._numbers): False}
        self._ways[id(x)] = x, x._version, ways
        return ways

    def _stays_positive(self, name: str, args: Sequence[Any]) -> bool:
        """Whether a function gives nothing below 0 because of what it reads."""
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if first is None:
            return False
        square = name in ("mul", "multiply") and args[1] is first
        even = name == "pow" and len(args) > 1 and args[1] in (2, 2.0, 4, 4.0)
        kept = name in (MOVES - {"pad"}) | {"mean", "sum", "clamp", "clip", "clamp_min"}
        return square or even or (kept and first.grad_fn in self._positive)

    @staticmethod
    def _refusal(name: str) -> UsageError:
        """Return the refusal of a call."""
        return UsageError(
            f"the network may have written out an activation, with {name!r}, which this method's rules do not meet; "
            "use another explainer, or write it as one of torch's activations"
        )


def _meet(one: Mapping[int, bool], other: Mapping[int, bool]) -> bool:
    """Whether the last value that two were both made of was bent on the way to one of them."""
    shared = one.keys() & other.keys()
    last = max(shared, default=None)
    return last is not None and (one[last] or other[last])
