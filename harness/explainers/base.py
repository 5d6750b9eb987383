"""What an explainer is, how one is registered, and how it is run so that a bad one is named."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.containment import OverTimeError, global_hooks_kept, kept_state, no_exit
from harness.digest import digest, underlying
from harness.errors import DefinitionError, ExplainerFault, UsageError
from harness.explainers._randomness import global_generators_seeded, seeds
from harness.identity import Content, Reads, content, reads_of, same_content, watched
from harness.names import explainer_name_fault, printable
from harness.origin import said_origin, same_code
from harness.subject import Subject, copied

FAMILIES = ("gradient", "backprop", "cam", "attention", "perturbation", "surrogate", "user", "control", "oracle")
"""In the order in which tables show them."""

MapFunction = Callable[..., Any]
"""``f(subject, images, targets, **settings)`` with images (n, c, h, w), targets (n,) -> maps (n, h, w)."""

Baselines = Callable[..., Iterable[Float[Tensor, "n c h w"]]]
"""``f(subject, images, *, seed, **settings)`` -> pictures (n, c, h, w), one set after another."""

COMPLETENESS = "completeness"
"""The axiom that a map adds up to the fall of the target's logit from the image to the mean over baselines."""


@dataclass(frozen=True)
class Facts:
    """What a table says of an explainer beside its name.

    Attributes
    ----------
    family
        One of :data:`FAMILIES`, or a word of your own.
    reference
        The paper, as authors and year.
    cost
        Network passes an image, in words.
    target_free
        Whether its map is the same for every target, by design.
    axioms
        Axioms that it claims to satisfy, as the metrics of that family are called. Who claims one of
        :data:`harness.checks.axioms.CHANGES` answers what a small change would do, not what counted.
    baselines
        Makes the pictures from which it explains each image, where it claims completeness.
    fixed
        Whether its maps are known for the images of one run alone, so that it cannot be asked again.
    """

    family: str = "user"
    reference: str = ""
    cost: str = "unknown"
    target_free: bool = False
    axioms: frozenset[str] = frozenset()
    baselines: Baselines | None = None
    fixed: bool = False


@dataclass(frozen=True)
class Explainer:
    """A named way of making an attribution map for (image, target class).

    Attributes
    ----------
    name
        What tables and the command line call it.
    function
        Makes the maps.
    settings
        Keyword arguments of the function, as resolved.
    facts
        Family, reference and cost.
    origin
        Where it was defined.
    """

    name: str
    function: MapFunction
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Facts = Facts()
    origin: str = ""

    @property
    def is_control(self) -> bool:
        """Whether it is a stand-in and no method: one that cannot be faithful, or one made of the true causes."""
        return self.facts.family in ("control", "oracle")

    @property
    def is_seeded(self) -> bool:
        """Whether it takes a seed."""
        return "seed" in inspect.signature(self.function).parameters

    @cached_property
    def content(self) -> Content:
        """What code, what it holds and the settings are together, as they were when this was first asked for."""
        return content((self.function, dict(self.settings), self.facts))

    @cached_property
    def digest(self) -> str:
        """Name of all that its maps depend on, as far as code tells."""
        return digest(self.name, self.content.digest)

    @property
    def reads(self) -> Reads:
        """The files that it has read so far, or that what it shares code with has."""
        return reads_of(*self._readers)

    def watched(self) -> AbstractContextManager[None]:
        """Note what is read meanwhile as read by this explainer."""
        return watched(*self._readers)

    @property
    def _readers(self) -> tuple[str, ...]:
        """Under which names its reading is noted: those of its source files, which share what they have read."""
        return tuple(self.content.files) or (self.origin,)

    def __call__(self, subject: Subject, images: Tensor, targets: Tensor, **settings: Any) -> Any:
        """Call the bare function, so that a decorated function is used like any other."""
        return self.function(subject, images, targets, **{**self.settings, **settings})

    def maps(
        self, subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], seed: int
    ) -> Float[np.ndarray, "n h w"]:
        """Return one signed float32 map an image.

        Numbers that the function draws from global generators depend on the seed and the images, and the generators
        and a network that it changed are put back, so that it cannot touch what others find.

        Raises
        ------
        ExplainerFault
            Where the function raises, returns something else than n finite maps of the image's size, or
            changes the network or its input; the message names the explainer and what it did.
        """
        pictures, network, before = images.clone(), copied(subject.network), subject.state_digest()
        try:
            with global_hooks_kept():
                found = self._called(subject, images, targets, seed)
        except ExplainerFault:
            raise
        except Exception as error:  # whatever a user's function raises must not end the run
            first = printable((str(error).strip().splitlines() or [""])[0])
            raise ExplainerFault(f"{self.name} raised {type(error).__name__}: {first}") from error
        finally:
            changed = subject.state_digest() != before
            if changed:
                subject.put_back(network)
        if changed:
            raise ExplainerFault(
                f"{self.name} changed the network (weights, mode, gradients, hooks, modules or what they hold); "
                "put it back as it was"
            )
        if not torch.equal(pictures, images):
            raise ExplainerFault(f"{self.name} changed its input images; work on a copy")
        return self._checked(found, (len(images), *images.shape[-2:]))

    def called(self, subject: Subject, images: Tensor, targets: Tensor, **seeded: int) -> Any:
        """Return what the function returns, kept from ending the process, from taking for ever and from all settings.

        Raises
        ------
        ExplainerFault
            Where it tries to exit, takes too long, or changes what belongs to the whole process or to the subject,
            which is put back.
        """
        try:
            with (
                kept_state() as changed,
                subject.kept(changed),
                no_exit(),
                subject.limit.held(len(images), self.name),
                torch.enable_grad(),
                self.watched(),
            ):
                found = self.function(subject, images, targets, **self.settings, **seeded)
        except OverTimeError as late:
            raise ExplainerFault(f"{self.name} {late} for {len(images)} images; --time-limit gives it more") from None
        except SystemExit as leaving:
            raise ExplainerFault(f"{self.name} raised SystemExit: {printable(str(leaving))}") from None
        if changed:
            what = ", ".join(dict.fromkeys(changed))
            raise ExplainerFault(
                f"{self.name} changed {what} for everybody; put it back, or where an import does it, import at the top "
                "of your file"
            )
        return found

    def baselines(
        self, subject: Subject, images: Float[Tensor, "n c h w"], seed: int
    ) -> Iterable[Float[Tensor, "n c h w"]]:
        """Return the pictures from which it explains each image, one set after another; none where it names none."""
        if self.facts.baselines is None:
            return ()
        return self.facts.baselines(subject, images, **self.settings, seed=seed)

    def refuse_sameness(
        self,
        maps: Float[np.ndarray, "n h w"],
        subject: Subject,
        images: Float[Tensor, "n c h w"],
        targets: Int[Tensor, " n"],
    ) -> None:
        """Check that the maps of all images of a run are not one map.

        Only a control's may be, and those of a network that answers all of them by one slope: a linear one has one
        gradient a class.

        Raises
        ------
        ExplainerFault
            Where they are.
        """
        same = len(maps) > 1 and not self.is_control and (maps == maps[0]).all()
        if same and not one_slope(subject, images, targets):
            raise ExplainerFault(f"{self.name} returned the same map for every image")

    def _called(self, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> np.ndarray:
        """Return what the function returns, as an array."""
        seeded = {"seed": seed} if self.is_seeded else {}
        with global_generators_seeded(seeds(images[:1], seed)[0]):
            found = self.called(subject, images, targets, **seeded)
        if isinstance(found, np.ma.MaskedArray):
            raise ExplainerFault(f"{self.name} returned a masked array; fill what is masked (.filled(0))")
        return found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)

    def _checked(self, array: np.ndarray, shape: tuple[int, ...]) -> Float[np.ndarray, "n h w"]:
        """Return the maps in single precision, or say what is wrong with them."""
        if array.dtype == object and array.ndim == 0:
            what = "nothing" if array.item() is None else f"a {type(array.item()).__name__}"
            raise ExplainerFault(f"{self.name} returned {what}; return one (h, w) map an image, {shape}")
        if array.shape != shape:
            raise ExplainerFault(f"{self.name} returned shape {array.shape}; return one (h, w) map an image, {shape}")
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise ExplainerFault(f"{self.name} returned {array.dtype} values; return real numbers")
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=np.float32)
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))
        if len(bad):
            raise ExplainerFault(
                f"{self.name} returned NaN or infinity for {len(bad)} of {len(array)} images (first: number {bad[0]})"
            )
        return array


SLOPES_APART = 2.0**-16
"""Gradients nearer than this share of the largest are one: sums of some thousands in single precision, with room."""


def one_slope(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> bool:
    """Whether the network's gradient for each image's target is the same for all of them, as a linear network's is.

    False where it has no gradient.
    """
    try:
        slopes = subject.gradients(images, targets)
    except (RuntimeError, UsageError):
        return False
    apart = (slopes - slopes[:1]).abs().amax()
    return bool(apart <= SLOPES_APART * slopes.abs().amax())


_registered: dict[str, Explainer] = {}


@overload
def explainer(function: MapFunction) -> Explainer: ...


@overload
def explainer(
    *,
    name: str | None = None,
    family: str = "user",
    reference: str = "",
    cost: str = "unknown",
    target_free: bool = False,
    axioms: Collection[str] = (),
    baselines: Baselines | None = None,
) -> Callable[[MapFunction], Explainer]: ...


def explainer(
    function: MapFunction | None = None,
    *,
    name: str | None = None,
    family: str = "user",
    reference: str = "",
    cost: str = "unknown",
    target_free: bool = False,
    axioms: Collection[str] = (),
    baselines: Baselines | None = None,
) -> Any:
    """Register a function as an explainer; usable bare or with arguments.

    Parameters
    ----------
    function
        ``f(subject, images, targets, *, setting=default, ...)``: images (n, c, h, w) in the subject's input
        units, targets (n,) -> maps (n, h, w). A keyword called ``seed`` receives the run's seed.
    name
        By default the function's name with dashes for underscores.
    family, reference, cost, target_free, axioms, baselines
        For tables and for checks of what it claims; see :class:`Facts`.

    Returns
    -------
    Explainer
        Callable like the function it wraps.

    Raises
    ------
    DefinitionError
        Where another explainer has the name already, or where completeness is claimed from no baselines.
    """
    if function is None:
        return functools.partial(
            explainer,
            name=name,
            family=family,
            reference=reference,
            cost=cost,
            target_free=target_free,
            axioms=axioms,
            baselines=baselines,
        )
    facts = Facts(family, reference, cost, target_free, frozenset(axioms), baselines)
    made = wrapped(function, name=name, facts=facts)
    if COMPLETENESS in facts.axioms and baselines is None:
        raise DefinitionError(
            f"explainer {made.name!r} claims {COMPLETENESS} but names no baselines; give @explainer both or neither"
        )
    register(made)
    return made


def wrapped(function: MapFunction, *, name: str | None = None, facts: Facts = Facts()) -> Explainer:
    """Return a plain function as an explainer without registering it."""
    settings = {
        key: parameter.default
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and key != "seed"
        and parameter.default is not inspect.Parameter.empty
    }
    plain = underlying(function)
    origin = f"{plain.__module__}:{plain.__qualname__}"
    return Explainer(name or plain.__name__.replace("_", "-"), function, settings, facts, origin)


def register(made: Explainer) -> None:
    """Add an explainer to those that can be asked for by name.

    Raises
    ------
    DefinitionError
        Where another explainer has the name already; the message says where that one was defined.
    """
    check_name(made)
    held = _registered.get(made.name)
    if held is not None and not alike(held, made):
        mine, theirs = said_origin(made.origin), said_origin(held.origin)
        raise DefinitionError(f"explainer {made.name!r} of {mine} has the name of {theirs}; choose another")
    _registered[made.name] = made


def alike(one: Explainer, other: Explainer) -> bool:
    """Whether two explainers of one name are the same one."""
    same = one.function is other.function or same_code(one.function, other.function)
    if one is other or (same and same_content(one.settings, other.settings)):
        return True
    return one.digest == other.digest


def check_name(made: Explainer) -> None:
    """Refuse a name that tables cannot show or use themselves."""
    fault = explainer_name_fault(made.name)
    if fault:
        raise DefinitionError(f"the name {made.name!r:.60} of {said_origin(made.origin):.200} is {fault}")


def registered() -> dict[str, Explainer]:
    """Return the registered explainers by name, in the order of :data:`FAMILIES` and then of registration."""
    families = [*FAMILIES, *(made.facts.family for made in _registered.values())]
    return dict(sorted(_registered.items(), key=lambda item: families.index(item[1].facts.family)))
