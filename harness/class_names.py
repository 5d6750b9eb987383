"""Names of classes in the order of their numbers, no two of which look alike."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import UsageError
from harness.names import name_fault


def seen(name: str) -> str:
    r"""Return what is seen of a name: its letters however they are coded, without what has no width, spaces as one.

    Examples
    --------
    >>> seen("cafe\u0301  au lait ") == seen("caf\u00e9 au\u200b lait")
    True
    """
    letters = (letter for letter in unicodedata.normalize("NFC", name) if unicodedata.category(letter) != "Cf")
    return re.sub(r"\s+", " ", "".join(letters)).strip()


def class_names(given: object, whose: str) -> tuple[str, ...]:
    """Return names of classes in the order of their numbers.

    Parameters
    ----------
    given
        Names in order, or a mapping of names to numbers or of numbers to names, the numbers being 0, 1, 2, ...
    whose
        Whose classes they are, for a message.

    Raises
    ------
    UsageError
        Where nothing tells their order, one is no name, or two look alike.

    Examples
    --------
    >>> class_names({"dog": 1, "cat": 0}, "it")
    ('cat', 'dog')
    """
    names = in_order(given, whose)
    known: dict[str, str] = {}
    for name in names:
        if name_fault(name):
            raise UsageError(f"{whose}: its class {name!r:.60} is {name_fault(name)}")
        other = known.get(seen(name))
        known[seen(name)] = name
        if other is not None:
            what = f"{name!r} twice" if other == name else f"{other!r} and {name!r}, which look alike"
            raise UsageError(f"{whose} has a class {what}: tables would mix them up; give each class a name of its own")
    return names


def in_order(given: Any, whose: str) -> tuple[Any, ...]:
    """Return what is given for names of classes in the order of their numbers, whatever it is.

    Raises
    ------
    UsageError
        Where nothing tells their order.
    """
    if isinstance(given, Mapping):
        return _numbered(given, whose)
    if isinstance(given, bytes | set | frozenset) or not isinstance(given, Iterable):
        raise UsageError(f"{whose}: its classes are a {type(given).__name__}; give a list of their names in order")
    return tuple(given)


def _numbered(given: Mapping[Any, Any], whose: str) -> tuple[Any, ...]:
    """Return what a mapping from numbers, or to numbers, orders."""
    count = range(len(given))
    for numbers, names in ((list(given), list(given.values())), (list(given.values()), list(given))):
        if all(number in numbers for number in count):
            return tuple(names[numbers.index(number)] for number in count)
    raise UsageError(
        f"{whose}: its classes are a mapping whose numbers are not 0 to {len(given) - 1}; give a list of their names "
        "in order"
    )
