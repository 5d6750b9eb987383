"""The metrics of somebody else that a user asks for in words, or that installed packages offer."""

import importlib.metadata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.errors import DefinitionError, MetricFault, UsageError, closest
from harness.importing import load_object
from harness.measurements.own import asked_for, measurement_of
from harness.metrics.cards import USER, MetricCard, card, metric_cards, register

ENTRY_POINTS = "harness.metrics"
"""Group of entry points under which other packages offer metrics."""


@dataclass(frozen=True)
class AskedMetrics:
    """Metrics to be measured, and why others cannot be: a line each."""

    cards: tuple[MetricCard, ...]
    refused: tuple[str, ...]


def asked_metrics(texts: Sequence[str], *, everything: bool = False) -> AskedMetrics:
    """Return the metrics that `texts` name, each once; one that cannot be measured does not keep the others back.

    Parameters
    ----------
    texts
        ``file.py:function``, or the name of a metric that an installed package offers.
    everything
        Whether all that are offered, or defined in a file that was read, are meant too.

    Raises
    ------
    UsageError
        Where nothing is called so, or the file cannot be read.
    """
    refused = _load_entry_points()
    found: dict[str, MetricCard] = {}
    for text in texts:
        try:
            made = _asked(text)
            found[made.name] = made
        except (DefinitionError, MetricFault) as error:
            refused.append(f"{error} (--metric {text})")
    if everything:
        found |= {name: made for name, made in metric_cards().items() if made.family == USER}
    return _measurable(AskedMetrics(tuple(found.values()), tuple(refused)))


def with_needed(asked: AskedMetrics, measurements: Collection[str]) -> AskedMetrics:
    """Return the metrics that are asked for and those that checks need, by the names of their measurements."""
    held = {made.name for made in asked.cards}
    needed = tuple(
        made
        for made in metric_cards().values()
        if made.family == USER and made.name not in held and measurement_of(made.name) in measurements
    )
    more = _measurable(AskedMetrics(needed, ()))
    return AskedMetrics(asked.cards + more.cards, asked.refused + more.refused)


def _measurable(asked: AskedMetrics) -> AskedMetrics:
    """Return the metrics without those that ask for what is not given, and why."""
    kept, refused = [], list(asked.refused)
    for made in asked.cards:
        try:
            asked_for(made)
            kept.append(made)
        except MetricFault as error:
            refused.append(str(error))
    return AskedMetrics(tuple(kept), tuple(refused))


def _load_entry_points() -> list[str]:
    """Register the metrics that installed packages offer, and return why others could not be."""
    refused = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            _registered(point.load(), point.name)
        except Exception as error:  # another package's mistake must not end the run
            said = " ".join(str(error).split())
            refused.append(f"entry point {point.name} = {point.value} offers no metric: {said}")
    return refused


def _asked(text: str) -> MetricCard:
    """Return the metric that one word names."""
    cards = metric_cards()
    if text in cards and cards[text].family != USER:
        raise UsageError(f"--metric {text}: that one is measured by itself; name one of yours as file.py:function")
    if text in cards:
        return cards[text]
    if ":" not in text:
        own = [name for name, made in cards.items() if made.family == USER]
        raise UsageError(f"no metric is called {text!r}{closest(text, own)}; name yours as file.py:function")
    try:
        function = load_object(text)
    except UsageError as error:
        # Its file defines something under the name of another: the file is at fault, not who asks for it.
        if isinstance(error.__cause__, DefinitionError):
            raise DefinitionError(" ".join(str(error.__cause__).split())) from error
        raise
    return _registered(function, text)


def _registered(function: object, text: str) -> MetricCard:
    """Return the card of a decorated function, or of a plain one by its name alone."""
    for held in metric_cards().values():
        if held.function is function:
            return held
    if not callable(function):
        raise UsageError(f"{text} is a {type(function).__name__}; name a function (maps, ...) -> one number a map")
    made = card(function)
    register(made)
    return made
