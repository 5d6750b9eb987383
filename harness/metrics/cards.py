"""What each metric is: stated once, by ``@metric`` beside its function, and read by everything else."""

import functools
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from harness.errors import DefinitionError
from harness.metrics.parity import LARGEST_DIFFERENCE
from harness.metrics.score import EXCESS, GAIN, SCORE, Score, excess_of, gain_of
from harness.origin import said_origin, same_code

FAMILIES = (
    "faithfulness",
    "randomization",
    "localization",
    "robustness",
    "complexity",
    "axioms",
    "similarity",
    "parts",
    "cells",
    "constructed",
    "confusion",
)
"""Files and folders of this package that hold metrics, in the order in which tables show them."""
USER = "user"
"""Family of a metric of somebody else."""

UNBOUNDED = (-math.inf, math.inf)
NEVER = "never"
"""What a card says of a metric that is defined for every map with an order."""
NULL_SCORE = "its null maps' score"
NO_PASSES = "none"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class MetricCard:
    """What a table, a reader or a check needs to know of a metric.

    Attributes
    ----------
    name
        What the command line and tables call it.
    family
        The file it lives in; :data:`USER` for anybody else's.
    function
        The metric itself.
    low, high
        Range of the score; infinite where there is no bound. For outputs that are probabilities.
    higher_is_better
        None where no direction is a virtue.
    meaning
        What the number is, in a few words.
    undefined
        When the score is NaN; "never", or "" where nothing is said.
    chance
        The score of a map that knows nothing, or how to find it.
    cost
        Images passed through the network for one map, in words.
    reference
        The paper.
    compared_with
        The independent implementation, "" where there is none.
    differs
        Where it differs from that implementation on purpose.
    gain
        What its gain over a null map is, where that can be said better than by its name.
    variants
        Other names under which a run scores the function (another output, fill or likeness, or other pixels known to
        matter), each with its meaning. ``{}`` in a name and its meaning stands for a kind of evidence.
    unbounded
        Those of the variants that follow an output without bounds, a logit.
    origin
        Where it was defined.
    """

    name: str
    family: str
    function: Callable[..., Any]
    low: float
    high: float
    higher_is_better: bool | None
    meaning: str = ""
    undefined: str = ""
    chance: str = ""
    cost: str = NO_PASSES
    reference: str = ""
    compared_with: str = ""
    differs: str = ""
    gain: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    unbounded: Collection[str] = ()
    origin: str = ""

    @property
    def largest_difference(self) -> float | None:
        """The largest absolute difference from what it was compared with; None where the two are not comparable."""
        return LARGEST_DIFFERENCE.get(self.name)

    def undefined_beside(self, *others: str) -> str:
        """Return when the score is NaN, after what else makes it so where it is used.

        Examples
        --------
        >>> metric_cards()["road"].undefined_beside("constant map")
        'constant map'
        """
        own = "" if self.undefined == NEVER else self.undefined
        return ", or ".join(said for said in (*others, own) if said)


@dataclass(frozen=True)
class ScoreFacts:
    """What a reader needs to know of one metric of a run's scores, as ``run.json`` keeps it.

    Attributes
    ----------
    metric, output, fill, kind
        As in the scores; see :class:`harness.metrics.score.Score`.
    card
        Name of the card.
    higher_is_better
        None where no direction is a virtue.
    low, high
        Range; None where there is no bound.
    meaning, undefined, reference
        As on the card.
    """

    metric: str
    output: str
    fill: str
    kind: str
    card: str
    higher_is_better: bool | None
    low: float | None
    high: float | None
    meaning: str
    undefined: str
    reference: str


_cards: dict[str, MetricCard] = {}


@overload
def metric(function: F) -> F: ...


@overload
def metric(
    *,
    name: str | None = None,
    higher_is_better: bool | None = None,
    range: tuple[float, float] = UNBOUNDED,
    meaning: str = "",
    undefined: str = "",
    chance: str = "",
    cost: str = NO_PASSES,
    reference: str = "",
    compared_with: str = "",
    differs: str = "",
    gain: str = "",
    variants: Mapping[str, str] | None = None,
    unbounded: Collection[str] = (),
) -> Callable[[F], F]: ...


def metric(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    range: tuple[float, float] = UNBOUNDED,
    **said: Any,
) -> Any:
    """Register a function as a metric; usable bare or with arguments, and the function stays what it was.

    Parameters
    ----------
    function
        ``f(maps, ...) -> (n,)``, one number an image, NaN where undefined.
    name
        By default the function's name with dashes for underscores.
    range
        Lowest and highest score.
    **said
        Whatever else a :class:`MetricCard` says: ``higher_is_better``, ``undefined``, ``meaning``, ``reference``,
        ``cost``, ``chance``, ``compared_with``, ``differs``, ``gain``, ``variants``,
        ``unbounded``.

    Raises
    ------
    DefinitionError
        Where another metric has the name, or one of the variants', already, or the range is none.

    Examples
    --------
    >>> metric_cards()["deletion-auc"].higher_is_better, metric_cards()["sparseness"].higher_is_better
    (False, None)
    """
    if function is None:
        return functools.partial(metric, name=name, range=range, **said)
    register(card(function, name=name, range=range, **said))
    return function


def card(
    function: Callable[..., Any], *, name: str | None = None, range: tuple[float, float] = UNBOUNDED, **said: Any
) -> MetricCard:
    """Return a function's card without registering it; arguments as for :func:`metric`.

    Raises
    ------
    DefinitionError
        Where the range is none.
    """
    plain = _plain(function)
    called = name or plain.__name__.replace("_", "-")
    low, high = range
    if not low < high:
        raise DefinitionError(f"metric {called!r} has the range {low:g} to {high:g}; give (lowest, highest)")
    package, _, within = plain.__module__.partition("harness.metrics.")
    family = within.split(".")[0] if within and not package else USER
    origin = f"{plain.__module__}:{plain.__qualname__}"
    held = {key: value for key, value in said.items() if value is not None}
    held.setdefault("higher_is_better", None)
    return MetricCard(called, family, function, float(low), float(high), origin=origin, **held)


def register(made: MetricCard) -> None:
    """Add a metric to those that can be told of by name.

    Raises
    ------
    DefinitionError
        Where another has one of its names already; the message says where that one was defined.
    """
    known = named()
    for name in names_of(made):
        held = known.get(name)
        if held is not None and not _same(held, made):
            raise DefinitionError(
                f"metric {name!r} of {said_origin(made.origin)} has the name of {said_origin(held.origin)}; "
                'choose another: @metric(name="...")'
            )
    _cards[made.name] = made


def metric_cards() -> dict[str, MetricCard]:
    """Return every metric's card by name, in the order of :data:`FAMILIES` and then of definition.

    Examples
    --------
    >>> metric_cards()["sparseness"].family
    'complexity'
    """
    return dict(sorted(_cards.items(), key=lambda item: [*FAMILIES, USER].index(item[1].family)))


def names_of(made: MetricCard, evidence: Collection[str] = ()) -> dict[str, tuple[str, str, str]]:
    """Return every name under which a run may hold scores of a metric, each with the plain name, kind and meaning.

    Parameters
    ----------
    made
        Its card.
    evidence
        Kinds of evidence that the faces have.
    """
    told = {made.name: made.meaning or made.name}
    for name, meaning in made.variants.items():
        told |= {name.format(kind): meaning.format(kind) for kind in evidence} if "{}" in name else {name: meaning}
    found = {}
    for name, meaning in told.items():
        better = made.gain if made.gain and name == made.name else f"how much better than that of the null map: {name}"
        found[name] = (name, SCORE, meaning)
        found[gain_of(name)] = (name, GAIN, better)
        found[excess_of(name)] = (name, EXCESS, f"{meaning}, beyond that of the null map")
    # What is said by name stands before what evidence of that name would say.
    return found | {name: (name, SCORE, made.variants[name]) for name in made.variants if "{}" not in name}


def named() -> dict[str, MetricCard]:
    """Return the card behind every name under which a run may hold scores, kinds of evidence left out."""
    return {name: made for made in _cards.values() for name in names_of(made)}


def card_of(name: str) -> MetricCard:
    """Return the card of a metric, or of a variant of one.

    Raises
    ------
    DefinitionError
        Where nothing is called so.

    Examples
    --------
    >>> card_of("deletion-auc-logit").name
    'deletion-auc'
    """
    try:
        return named()[name]
    except KeyError:
        raise DefinitionError(f"no metric is called {name!r}; state it with @metric beside its function") from None


def described(scores: Iterable[Score], evidence: Collection[str] = ()) -> dict[str, ScoreFacts]:
    """Return what a reader needs to know of each of a run's scores whose metric has a card, by the score's name.

    Parameters
    ----------
    scores
        As in the run.
    evidence
        Kinds of evidence that the faces have.

    Examples
    --------
    >>> described([Score("deletion-auc", output="logit").gain])["deletion-gain-logit"].meaning
    'how much better than that of the null map: deletion-auc-logit'
    """
    known = {
        name: (made, plain, meaning)
        for made in _cards.values()
        for name, (plain, _, meaning) in names_of(made, evidence).items()
    }
    return {score.name: _facts(score, *known[score.name]) for score in scores if score.name in known}


def _facts(score: Score, made: MetricCard, plain: str, meaning: str) -> ScoreFacts:
    """Return what is known of one kind of score; a gain is better the higher it is, whatever its metric's direction."""
    better = made.higher_is_better
    low, high = UNBOUNDED if plain in made.unbounded else (made.low, made.high)
    if score.kind != SCORE:
        low, high = low - high, high - low
    if score.kind == GAIN and better is not None:
        better = True
    low_end, high_end = (None if math.isinf(end) else end for end in (low, high))
    return ScoreFacts(
        **vars(score),
        card=made.name,
        higher_is_better=better,
        low=low_end,
        high=high_end,
        meaning=meaning,
        undefined=made.undefined,
        reference=made.reference,
    )


def _plain(function: Callable[..., Any]) -> Any:
    """Return the function or class whose code runs, behind decorators, partials and objects that can be called."""
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        return _plain(function.func)
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function)


def _same(held: MetricCard, made: MetricCard) -> bool:
    """Whether a name is given again to the same code, as where a module is read twice."""
    first, second = (getattr(_plain(each.function), "__code__", each.function) for each in (held, made))
    again = held.origin == made.origin and first == second
    return held.name == made.name and (again or same_code(held.function, made.function))
