"""What can go wrong, said in one line."""

import difflib
from collections.abc import Iterable

from harness.names import printable


class HarnessError(Exception):
    """The base of every error that this package raises on purpose; its text is safe on a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(HarnessError):
    """The user asked for something that cannot be done; the message says what, where and how to mend it."""


class ExplainerFault(HarnessError):  # noqa: N818
    """An explainer broke its contract; its scores are not computed and the other explainers go on."""


class MetricFault(HarnessError):  # noqa: N818
    """A metric of somebody else broke down; its scores are not computed and the others go on."""


class CheckFault(HarnessError):  # noqa: N818
    """A check of somebody else broke down; it says nothing of anybody and the others go on."""


class DefinitionError(HarnessError):
    """Two things were registered under one name, or a name does not exist."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for the nearest of the known names, or nothing where none is near.

    Examples
    --------
    >>> closest("rendred", ["rendered", "orl"])
    " (did you mean 'rendered'?)"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
