"""An explainer with other settings than its own, in words or in Python."""

import inspect
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import UsageError, closest
from harness.explainers.base import Explainer

WITH_SIGN = frozenset({"baseline"})
"""Settings that may be below 0: values of pixels in the network's units."""

TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def with_settings(explainer: Explainer, **settings: Any) -> Explainer:
    """Return an explainer with some of its settings changed; its name says which.

    Parameters
    ----------
    explainer
        Stays as it is.
    settings
        Keyword arguments of its function, other than the seed, which belongs to the run.

    Returns
    -------
    Explainer
        Called as ``name:setting=value,...``, so that both stand in one table.

    Raises
    ------
    UsageError
        Where it has no setting of that name, or the value makes no sense: a count below 1, a size below 0.

    Examples
    --------
    >>> from harness.explainers import registered
    >>> with_settings(registered()["integrated-gradients"], steps=64).name
    'integrated-gradients:steps=64'
    """
    for key in settings:
        if key not in explainer.settings:
            held = ", ".join(f"{name}={value!r}" for name, value in explainer.settings.items())
            raise UsageError(
                f"{explainer.name} has no setting {key!r}{closest(key, explainer.settings)}; "
                + (f"it has {held}" if held else "it has none")
            )
        _require_sense(explainer, key, settings[key])
    said = ",".join(f"{key}={value}" for key, value in settings.items())
    return replace(explainer, name=f"{explainer.name}:{said}", settings={**explainer.settings, **settings})


def _require_sense(explainer: Explainer, key: str, value: Any) -> None:
    """Refuse a count below 1 and a size below 0 of a method that is of this package; others know what theirs mean."""
    usual = explainer.settings[key]
    if not explainer.origin.startswith("harness.explainers") or isinstance(value, bool) or key in WITH_SIGN:
        return
    if isinstance(value, int | float) and not math.isfinite(value):
        raise UsageError(f"{explainer.name}: {key}={value} is not finite; give a number")
    if isinstance(usual, int) and isinstance(value, int) and value < 1:
        raise UsageError(f"{explainer.name}: {key}={value} is no count; give 1 or more")
    if isinstance(usual, float) and isinstance(value, int | float) and value < 0:
        raise UsageError(f"{explainer.name}: {key}={value} is below 0; give 0 or more")


def apart(text: str) -> tuple[str, str]:
    """Return what a text names, and the settings it gives: what follows the last colon, where that holds a "=".

    Examples
    --------
    >>> apart("mine.py:sharper:steps=3,soft=yes"), apart("mine.py:sharper")
    (('mine.py:sharper', 'steps=3,soft=yes'), ('mine.py:sharper', ''))
    """
    name, _, tail = text.rpartition(":")
    return (name, tail) if "=" in tail else (text, "")


def read_settings(explainer: Explainer, text: str) -> Explainer:
    """Return an explainer with the settings of ``key=value,key=value``, each read as its annotation says.

    Raises
    ------
    UsageError
        Where a part is no ``key=value``, a key is given twice, there is no such setting, or the value is of another
        kind.
    """
    if not text:
        return explainer
    given: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{explainer.name}: {part!r} is no setting; write key=value, with commas between them")
        if key in given:
            raise UsageError(f"{explainer.name}: setting {key!r} is given twice; give it once")
        given[key] = value
    with_settings(explainer, **given)  # names what does not exist before any value is read
    kinds = _kinds(explainer)
    return with_settings(explainer, **{key: _read(explainer, key, given[key], kinds[key]) for key in given})


def _kinds(explainer: Explainer) -> Mapping[str, tuple[type, ...]]:
    """Return the kinds that each setting may be of: as annotated, else as its default is."""
    function = inspect.unwrap(explainer.function)
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # annotations may name what is imported for type checkers alone
        hints = {}
    return {key: _members(hints.get(key, type(held))) for key, held in explainer.settings.items()}


def _members(kind: Any) -> tuple[type, ...]:
    """Return the plain types of an annotation, those of a union one by one."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return tuple(member for each in typing.get_args(kind) for member in _members(each))
    return (kind,) if isinstance(kind, type) else ()


def _read(explainer: Explainer, key: str, value: str, kinds: tuple[type, ...]) -> Any:
    """Return a value as the first of the kinds that can be read from it: whole number, number, truth, nothing, word."""
    if bool in kinds and value.lower() in TRUTHS:
        return TRUTHS[value.lower()]
    if types.NoneType in kinds and value.lower() == "none":
        return None
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(value)
            except ValueError:
                pass
    if str in kinds:
        return value
    words = {bool: "yes or no", int: "a whole number", float: "a number", types.NoneType: "none"}
    wanted = " or ".join(word for kind, word in words.items() if kind in kinds)
    if not wanted:
        raise UsageError(f"{explainer.name}: setting {key!r} cannot be given in words; give it in Python")
    raise UsageError(f"{explainer.name}: {key}={value} is not {wanted}, which the setting {key!r} takes")
