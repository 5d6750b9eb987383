"""The calls of an explainer that the contract looks at, each made once, and what rounding alone makes of a map.

Sums differ in their last digits with the size of a batch, the layout of its memory, the threads and the processor. A
rectifier whose input is next to zero, or a maximum of two values next to equal, falls to either side with them, and
the map jumps. That is arithmetic and no fault of the explainer. So maps are compared as they come from a copy of the
network in double precision, where nothing lies so near a kink by chance. Where the network cannot be had in double, or
the explainer raises with it, they are compared as they are. What still differs, as where an explainer makes a copy in
single precision of its own, is held beside what rounding alone does to the map on this machine: the same call with
every sum of the network moved by what rounding may move it. A dependence smaller than that cannot be told from it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.containment import global_hook_tables, global_hooks_kept
from harness.explainers._randomness import global_generators_seeded
from harness.explainers.base import Explainer
from harness.subject import Subject

TOGETHER = 2
"""Images of a batch, with a target each; with the others given they are asked together once more, as a crowd."""

REPEATS = 3
"""Calls in a row within which a leak must show."""

DRAWS = 4
"""Draws of what rounding may do, of which the largest counts."""

REACH = 32
"""Units in the last place of its largest value by which a sum is moved.

The error of a sum of n terms grows as the square root of n: 32 are what sums of a thousand terms differ by, as those of
a convolution. It is also what lets a few draws tell: within one unit few calls meet a kink in single precision, within
so many every call meets some.
"""

SUMS = frozenset(
    {"linear", "bilinear", "matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "einsum", "mean", "sum"}
    | {f"{kind}{axes}d" for kind in ("conv", "conv_transpose", "avg_pool", "adaptive_avg_pool") for axes in (1, 2, 3)}
    | {"batch_norm", "layer_norm", "group_norm", "instance_norm", "scaled_dot_product_attention"}
)
"""Names of torch's functions that add up many terms."""

Answer: TypeAlias = Float[np.ndarray, "..."]
Question: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of images, and a target for each."""


@dataclass(frozen=True)
class Watched:
    """What one call returned, and what it did beside."""

    maps: Answer
    modes_kept: bool
    gradients: bool
    state_kept: bool
    generators: tuple[str, ...]
    input_kept: bool
    input_records: bool


class ContractSession:
    """One explainer before its clauses: makes the calls that they look at, and no call twice.

    Parameters
    ----------
    explainer
        Whose bare function is called.
    subject
        Left alone: calls run on copies.
    images
        Two or more; the first two are a batch.
    targets
        Those of the first two should differ.
    seed
        Given to an explainer that takes one.
    """

    def __init__(
        self,
        explainer: Explainer,
        subject: Subject,
        images: Float[Tensor, "n c h w"],
        targets: Int[Tensor, " n"],
        seed: int,
    ) -> None:
        self.explainer, self.subject, self.images, self.seed = explainer, subject, images, seed
        self.targets = tuple(targets.tolist())
        self._answers: dict[Question, Answer | Exception] = {}
        self._rounding: dict[tuple[torch.dtype, Question], float] = {}

    @property
    def batch(self) -> tuple[int, ...]:
        """Numbers of the images that are explained together."""
        return tuple(range(min(TOGETHER, len(self.images))))

    @property
    def _together(self) -> Question:
        return self.batch, self.targets[: len(self.batch)]

    @property
    def crowd(self) -> Question:
        """All images given, the first half for the first target and the others for the second.

        So many share a target, and the last one's is another than that of any image which stands where the last one
        does in a smaller chunk: who keeps maps by target, or takes a chunk's targets from the front, gets it wrong.
        """
        half = len(self.images) // 2
        return self.everyone, (self.targets[0],) * half + (self.targets[1],) * (len(self.images) - half)

    @property
    def _one(self) -> Question:
        return self.batch[:1], self.targets[:1]

    @property
    def everyone(self) -> tuple[int, ...]:
        """Numbers of all images given."""
        return tuple(range(len(self.images)))

    # ------------------------------------------------------------------ on the subject as it is

    @cached_property
    def first(self) -> Watched:
        """The batch, each image for its own target, on a copy of the subject that is looked at before and after."""
        return self._watched(self._together, 1)

    @cached_property
    def in_a_row(self) -> tuple[list[Answer], list[int]]:
        """Maps of the first image alone from several calls on one copy, and how many hooks there are after each."""
        twin, maps, hooks = self._twin(self.subject), [], []
        with global_hooks_kept(), global_generators_seeded(1):
            for _ in range(REPEATS):
                maps.append(self.called(twin, *self.given(twin, *self._one)))
                hooks.append(_hooks(twin))
        return maps, hooks

    @cached_property
    def again(self) -> Watched:
        """The first image alone, after other calls and with other states of the global generators.

        Where one image alone raises, it is the batch.
        """
        with suppress(Exception):  # whatever a user's function raises is said where it is asked for
            self.maps(self.batch[-1:], self._together[1][-1:])
        try:
            return self._watched(self._one, 2)
        except Exception:  # likewise
            return self._watched(self._together, 2)

    @cached_property
    def for_another_target(self) -> Answer:
        """The first image alone for the target of the batch's last image."""
        return self._asked(self.subject, self.batch[:1], self._together[1][-1:])

    def repeats(self, found: Answer, wanted: Answer) -> float:
        """Return :meth:`apart` of maps of equal calls on the subject as it is, where sums come out alike."""
        return self._apart(self.subject, found, wanted)

    # ------------------------------------------------------------------ where maps are compared

    @cached_property
    def compared(self) -> Subject:
        """The subject on which unlike calls are compared: in double precision, where it and the explainer can."""
        if self.subject.dtype == torch.float64:
            return self.subject
        try:
            precise = self.subject.in_double()
            self._answers[self._together] = self._asked(precise, *self._together)
        except Exception:  # whatever a network or a user's function says to doubles
            return self.subject
        return precise

    @cached_property
    def together(self) -> Answer:
        """Maps of the batch, each image for its own target."""
        return self.first.maps if self.compared is self.subject else self.maps(*self._together)

    def maps(self, numbers: Sequence[int], targets: Sequence[int]) -> Answer:
        """Return the maps of some images for some targets; what the call raised is raised again."""
        subject, question = self.compared, (tuple(numbers), tuple(targets))
        if question not in self._answers:
            try:
                self._answers[question] = self._asked(subject, *question)
            except Exception as error:  # whatever a user's function raises
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def groups(self) -> Iterator[tuple[Question, Answer, tuple[int, ...]]]:
        """Yield what was asked together, the maps, and which of its images are looked at alone too.

        The batch, of which all are; and where more images are given the crowd, of which those at its ends are and the
        last of those for the first target.
        """
        yield self._together, self.together, self.batch
        if len(self.images) > len(self.batch):
            looked = {*self.of_one_target, len(self.images) - 1}
            yield self.crowd, self.maps(*self.crowd), tuple(sorted(looked))

    @property
    def of_one_target(self) -> tuple[int, int]:
        """The first and the last image of the crowd that are for the first target; one image where it has no two."""
        return 0, len(self.images) // 2 - 1

    def maps_by(self, function: Callable[..., Tensor]) -> Answer:
        """Return the maps that another function makes of the batch."""
        twin = self._twin(self.compared)
        return function(twin, *self.given(twin, *self._together)).cpu().numpy()

    def on_another(self, subject: Subject) -> Answer:
        """Return the map that the explainer makes of the first image with another network."""
        with global_generators_seeded(1), global_hooks_kept():
            return self.called(subject, *self.given(subject, *self._one))

    def apart(self, found: Answer, wanted: Answer, asked: Question | None = None) -> float:
        """Return by what share of its norm the map differs that differs most, 0 where rounding may do as much.

        Two sets of maps of the same images, or two maps; `asked` says which images were asked together, where it was
        not the batch.
        """
        return self._apart(self.compared, found, wanted, asked)

    # ------------------------------------------------------------------ rounding

    def _apart(self, subject: Subject, found: Answer, wanted: Answer, asked: Question | None = None) -> float:
        pairs = zip(found, wanted, strict=True) if found.ndim > 2 and found.shape == wanted.shape else [(found, wanted)]
        largest = max(gap(*pair) for pair in pairs)
        return 0.0 if largest <= same(found) or largest <= self.rounding(subject, asked) else largest

    def rounding(self, subject: Subject, asked: Question | None = None) -> float:
        """Return by how much rounding alone may set two maps of one image apart, as a share of their norm.

        Twice by how much a map of the batch, or of what was `asked`, moves with its sums, since either of the two may
        have moved as far. It is 0 where a call and its repetition differ as well, however rounded: that is no rounding.
        """
        key = subject.dtype, asked or self._together
        if key not in self._rounding:
            self._rounding[key] = self._measured_rounding(subject, key[1])
        return self._rounding[key]

    def _measured_rounding(self, subject: Subject, asked: Question) -> float:
        try:
            plain, *moved, repeated = (self._asked(subject, *asked, draw) for draw in (None, *range(DRAWS), None))
        except Exception:  # whatever a user's function raises, on a later call
            return 0.0
        if any(gap(*pair) > same(plain) for pair in zip(plain, repeated, strict=True)):
            return 0.0
        return 2 * max(gap(*pair) for maps in moved for pair in zip(plain, maps, strict=True))

    # ------------------------------------------------------------------ one call

    def called(self, subject: Subject, images: Tensor, targets: Tensor) -> Answer:
        """Return what the bare function returns, as an array."""
        seeded = {"seed": self.seed} if self.explainer.is_seeded else {}
        found = self.explainer.called(subject, images, targets, **seeded)
        return found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)

    def given(self, subject: Subject, numbers: Sequence[int], targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return copies of some images in a subject's precision, with some targets."""
        images = self.images[list(numbers)].clone().to(subject.dtype)
        return images, torch.tensor(targets, device=self.subject.device)

    def _asked(
        self, subject: Subject, numbers: Sequence[int], targets: Sequence[int], draw: int | None = None
    ) -> Answer:
        """Call the explainer on a copy of a subject, whose sums are moved where a draw is given."""
        twin = self._twin(subject)
        with global_generators_seeded(1), global_hooks_kept():
            if draw is None:
                return self.called(twin, *self.given(twin, numbers, targets))
            with _SumsMoved(draw):
                return self.called(twin, *self.given(twin, numbers, targets))

    def _watched(self, question: Question, state_of_generators: int) -> Watched:
        """Call the explainer on a copy of the subject and look at what it did beside."""
        twin = self._twin(self.subject)
        images, targets = self.given(twin, *question)
        given, classes, state = images.clone(), targets.clone(), twin.state_digest()
        modes = [module.training for module in twin.network.modules()]
        with global_generators_seeded(state_of_generators), global_hooks_kept():
            before = _generator_states()
            maps = self.called(twin, given, classes)
            moved = tuple(name for name, after in _generator_states().items() if after != before[name])
        return Watched(
            maps,
            modes_kept=[module.training for module in twin.network.modules()] == modes,
            gradients=any(parameter.grad is not None for parameter in twin.network.parameters()),
            state_kept=twin.state_digest() == state,
            generators=moved,
            input_kept=torch.equal(given, images) and torch.equal(classes, targets),
            input_records=given.requires_grad or given.grad is not None,
        )

    def _twin(self, subject: Subject) -> Subject:
        """Return a copy that shares nothing with a subject but its counter: no memory, no damage."""
        return subject.with_network(subject.network, subject.name)


class _SumsMoved(TorchFunctionMode):
    """While entered, every sum comes out up to `REACH` units in the last place of its largest value away.

    Each sum in its own precision, so that what an explainer computes in single precision by itself is moved as far as
    single precision rounds. It is the sums that are moved and not the image, from whose content explainers may draw.
    """

    def __init__(self, draw: int) -> None:
        super().__init__()
        self._source = torch.Generator().manual_seed(draw)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function and move what it adds up."""
        output = function(*args, **kwargs or {})
        if getattr(function, "__name__", "") not in SUMS or not isinstance(output, Tensor):
            return output
        if not output.is_floating_point() or not output.numel():
            return output
        unit = torch.finfo(output.dtype).eps * output.detach().abs().amax()
        noise = torch.rand(output.shape, generator=self._source) * 2 - 1
        return output + REACH * unit * noise.to(output.device, output.dtype)


def same(maps: Answer) -> float:
    """Return the largest difference of maps that count as equal, as a share of their norm: the root of their epsilon.

    It is 1.5e-8 for maps in double and 3.5e-4 in single precision. Of the digits half are left to sums that cancel.
    What a dependence on batch, target or state does to a map is a matter of its first digits.
    """
    kind = maps.dtype if np.issubdtype(maps.dtype, np.floating) else np.dtype(np.float32)
    return float(np.sqrt(np.finfo(kind).eps))


def gap(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the norm of the difference as a share of the larger norm; what is not finite in both alike is equal."""
    if found.shape != wanted.shape:
        return np.inf
    found, wanted = (np.nan_to_num(np.asarray(part, np.float64)) for part in (found, wanted))
    size = max(float(np.linalg.norm(found)), float(np.linalg.norm(wanted)))
    return float(np.linalg.norm(found - wanted)) / size if size else 0.0


def _generator_states() -> dict[str, Any]:
    """Return the states of the global generators in a form that can be compared."""
    name, keys, *rest = np.random.get_state()
    return {
        "Python": random.getstate(),
        "NumPy": (name, bytes(np.asarray(keys)), *rest),
        "torch": bytes(torch.get_rng_state().numpy()),
    }


def _hooks(subject: Subject) -> int:
    """Return how many hooks there are on the network, on its wrapper, on its weights and on all modules."""
    tables = [
        table
        for module in subject.model.modules()
        for name, table in vars(module).items()
        if name.endswith("_hooks") and isinstance(table, dict)
    ]
    tables += [table for parameter in subject.network.parameters() if (table := parameter._backward_hooks)]
    return sum(map(len, tables + global_hook_tables()))
