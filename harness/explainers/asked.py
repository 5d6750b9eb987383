"""The explainers that a user asks for in words."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.errors import DefinitionError, UsageError, closest
from harness.explainers.base import Explainer, alike, check_name, register, registered, wrapped
from harness.explainers.settings import apart, read_settings
from harness.importing import has_signature, load_object
from harness.origin import said_origin

DEFAULT = (
    "gradient",
    "saliency",
    "input-x-gradient",
    "integrated-gradients",
    "grad-cam",
    "occlusion",
    "lime",
    "random",
    "edges",
)
"""What is judged where nothing is asked for: seven well-known methods and two controls."""

ENTRY_POINTS = "harness.explainers"
"""Group of entry points under which other packages offer explainers."""


def load_entry_points() -> None:
    """Register the explainers that installed packages offer.

    Raises
    ------
    UsageError
        Where one cannot be loaded, or has the name of another; the message says whose it is.
    """
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            register(_as_explainer(point.load(), point.name))
        except DefinitionError as error:
            raise UsageError(f"{error} (entry point {point.name} of {point.value})") from error
        except Exception as error:
            raise UsageError(f"entry point {point.name} = {point.value} cannot be loaded: {error}") from error


def asked_explainers(texts: Sequence[Any] | None) -> tuple[Explainer, ...]:
    """Return the explainers that `texts` name, in order and each once; :data:`DEFAULT` where there are none.

    Parameters
    ----------
    texts
        Registered names, families, ``all``, or ``file.py:function``; after a name or function, ``:setting=value,...``
        gives its settings other values than their own. From Python also explainers and plain functions.

    Raises
    ------
    UsageError
        Where nothing is called so.
    DefinitionError
        Where two are called alike.
    """
    found: dict[str, Explainer] = {}
    for text, explainer in [(word, made) for word in texts or DEFAULT for made in _asked(word)]:
        check_name(explainer)
        held = found.get(explainer.name) or registered().get(explainer.name)
        if held is not None and not alike(held, explainer):
            raise DefinitionError(
                f"explainer {explainer.name!r} of {_called(text)} has the name of {said_origin(held.origin)}; "
                'name yours with @explainer(name="...")'
            )
        found[explainer.name] = replace(explainer)  # what it holds now counts, not what it held when it was registered
    return tuple(found.values())


def _called(asked: object) -> str:
    """Return how an explainer was asked for: the word, or where the function was defined."""
    return asked if isinstance(asked, str) else said_origin(_as_explainer(asked, repr(asked)).origin)


def _asked(asked: object) -> tuple[Explainer, ...]:
    """Return the explainers that one word names, with the settings that it gives; a function stands for itself."""
    if not isinstance(asked, str):
        return (_as_explainer(asked, repr(asked)),)
    name, settings = apart(asked)
    found = _named(name)
    if settings and len(found) > 1:
        raise UsageError(f"{name!r} names {len(found)} explainers; give the settings {settings!r} to one by its name")
    return tuple(read_settings(explainer, settings) for explainer in found)


def _named(text: str) -> tuple[Explainer, ...]:
    """Return the explainers of one name, family or place."""
    known = registered()
    if text in known:
        return (known[text],)
    of_family = tuple(made for made in known.values() if text in ("all", made.facts.family))
    if of_family:
        return of_family
    if ":" not in text:
        names = [*known, *dict.fromkeys(made.facts.family for made in known.values())]
        raise UsageError(
            f"no explainer or family is called {text!r}{closest(text, names)}; `harness list explainers` shows what "
            "there is, and file.py:function names your own"
        )
    return (_as_explainer(load_object(text), text),)


def _as_explainer(made: object, text: str) -> Explainer:
    """Return a decorated or plain function as an explainer."""
    if isinstance(made, Explainer):
        return made
    if not callable(made) or not has_signature(made):
        kind = "class" if isinstance(made, type) else type(made).__name__
        raise UsageError(f"{text} is a {kind}; name a function (subject, images, targets) -> maps")
    if getattr(made, "__name__", "") == "<lambda>":
        raise UsageError("a lambda has no name for tables; write it with def, or name it by @explainer(name=...)")
    return wrapped(made)
