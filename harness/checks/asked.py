"""The checks that a user asks for in words, or that installed packages offer."""

import importlib.metadata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from harness.checks.base import Check
from harness.checks.own import OwnJudge, sound
from harness.checks.registry import CHECKS, USER, all_checks, register
from harness.errors import DefinitionError, UsageError, closest
from harness.importing import load_object
from harness.origin import said_origin

ENTRY_POINTS = "harness.checks"
"""Group of entry points under which other packages offer checks."""


@dataclass(frozen=True)
class AskedChecks:
    """Checks to be judged, and why others cannot be: a line each.

    Attributes
    ----------
    checks
        As asked for.
    refused
        Of those that were asked for.
    not_offered
        Of those that a package meant to offer, whoever asked.
    """

    checks: tuple[Check, ...]
    refused: tuple[str, ...]
    not_offered: tuple[str, ...]


def asked_checks(texts: Sequence[str] | None) -> AskedChecks:
    """Return the checks that `texts` name, each once; all there are where there are none.

    Parameters
    ----------
    texts
        Names, families, ``all``, or ``file.py:check`` for one of yours. All includes what packages offer, and what
        a file that was read defines.

    Raises
    ------
    UsageError
        Where nothing is called so, or a file cannot be read.
    """
    not_offered = load_check_points()
    refused: list[str] = []
    found: dict[str, Check] = {}
    for text in texts or ("all",):
        try:
            found |= {made.name: made for made in _asked(text)}
        except DefinitionError as error:
            refused.append(f"{error} (--check {text})")
    if not texts or "all" in texts:
        found = all_checks() | found  # in the order of tables, whatever else was named
    return AskedChecks(tuple(found.values()), tuple(refused), tuple(not_offered))


def load_check_points() -> list[str]:
    """Register the checks that installed packages offer, and return why others could not be."""
    refused = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            _registered(point.load(), point.value)
        except Exception as error:  # another package's mistake must not end the run
            said = " ".join(str(error).split())
            refused.append(f"entry point {point.name} = {point.value} offers no check: {said}")
    return refused


def unmeasured(check: Check, measurements: Collection[str]) -> str:
    """Return which measurement a check needs that does not exist, as one line; "" where all do."""
    lacking = sorted(check.needs - set(measurements))
    if not lacking:
        return ""
    whose = f"check {check.name!r}" + (f" of {said_origin(check.origin)}" if check.origin else "")
    return (
        f"{whose} needs the measurement {lacking[0]!r}, which does not exist{closest(lacking[0], measurements)}; "
        f"there is {', '.join(measurements)}"
    )


def _asked(text: str) -> tuple[Check, ...]:
    """Return the checks that one word names."""
    known = all_checks()
    held = tuple(made for made in known.values() if text in ("all", made.name, made.family))
    if held:
        return held
    if ":" not in text:
        names = [*known, *dict.fromkeys(made.family for made in CHECKS.values())]
        raise UsageError(
            f"no check or family is called {text!r}{closest(text, names)}; there is {', '.join(names)} and all, and "
            "file.py:function names your own"
        )
    try:
        made = load_object(text)
    except UsageError as error:
        # Its file states something that cannot be: the file is at fault, not who asks for it.
        if isinstance(error.__cause__, DefinitionError):
            raise DefinitionError(" ".join(str(error.__cause__).split())) from error
        raise
    return (_registered(made, text),)


def _registered(made: object, text: str) -> Check:
    """Return the check that a function was made by ``@check``, or a check that was written out."""
    if isinstance(made, Check):
        own = sound(replace(made, family=USER, origin=made.origin or text))
        register(own)
        return own
    for held in all_checks().values():
        if isinstance(held.judge, OwnJudge) and held.judge.function is made:
            return held
    what = "a function without @check" if callable(made) else f"a {type(made).__name__}"
    raise UsageError(f"{text} is {what}; state its claim: @check(metric=..., claim=..., control=..., margin=...)")
