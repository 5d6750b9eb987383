"""Completion by the shell, of commands, options and names: ``eval "$(register-python-argcomplete harness)"``."""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator

from harness.cli.listing import LISTS

ASKED = "_ARGCOMPLETE"
"""The variable by which a shell asks for what can follow."""
LISTED = {"explainer": "explainers", "check": "checks", "subject": "subjects", "faces": "faces"}
"""What an option takes the names of, by its destination."""


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end the process, where it is the shell that asks and argcomplete is installed."""
    if ASKED not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    for action in actions(parser):
        if action.dest in LISTED:
            action.completer = _names(LISTED[action.dest])  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield every option of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)


def _names(what: str) -> Callable[..., Iterable[str]]:
    """Return what gives the names that ``harness list`` prints."""
    return lambda **kwargs: [str(row["name"]) for row in LISTS[what]()]
