"""What one call of pytest asks for, and the run once it is made."""

import argparse
import shlex
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pytest

from harness.api.parametrized import own_folder
from harness.checks import CHECKS
from harness.checks.contract import ContractGate
from harness.cli import asked_request, default_folder, shown_progress, write_report
from harness.errors import HarnessError
from harness.evaluation import Request, evaluate, prepared
from harness.explainers.asked import load_entry_points
from harness.store import RunFolder

BY_DEFAULT = tuple(check.name for check in CHECKS.values() if check.decides)
"""What is claimed where no check is asked for: all that decides a rung."""
CONTRACT = "contract"
"""What ``--check`` calls the clauses, which are no checks of maps: they come first and gate them."""


@dataclass
class Session:
    """What the command line asked for, and the run once it is made.

    Attributes
    ----------
    named
        Explainers of which an item has failed for a fault that leaves nothing to be judged: one cause, one failure.
    """

    config: pytest.Config
    request: Request
    folder: Path
    run: RunFolder | None = None
    named: set[str] = field(default_factory=set)

    @cached_property
    def gate(self) -> ContractGate:
        """The contract, with what the run folder remembers of it."""
        request = self.request
        folder = prepared(request, RunFolder(self.folder))
        return ContractGate(request.subject, request.faces, request.seed, folder.remembered)

    def evaluated(self) -> RunFolder:
        """Return the run, made on the first call."""
        if self.run is None:
            capture = self.config.pluginmanager.getplugin("capturemanager")
            command = shlex.join(["pytest", *(str(word) for word in self.config.invocation_params.args)])
            try:
                with capture.global_and_fixture_disabled():
                    self.run = evaluate(self.request, RunFolder(self.folder), shown_progress, command)
                    list(write_report(self.run))
            except HarnessError as error:
                pytest.exit(f"harness: {error}", returncode=2)
        return self.run


SESSION = pytest.StashKey[Session]()
WRONG_USE = pytest.StashKey[str]()
"""What is wrong with what was asked for."""


def session_of(config: pytest.Config) -> Session:
    """Return what the options ask for, read once."""
    if SESSION not in config.stash:
        load_entry_points()
        request = _request(config.option).with_controls()
        folder = own_folder(config.option.out or default_folder(request, config.option.profile))
        config.stash[SESSION] = Session(config, request, folder)
    return config.stash[SESSION]


def _request(options: argparse.Namespace) -> Request:
    """Return the evaluation that the options ask for; the contract alone is one without checks."""
    named = [name for name in options.check or () if name != CONTRACT]
    request = asked_request(argparse.Namespace(**{**vars(options), "check": named or None}), strict=True)
    by_default = tuple(check for check in request.checks if check.name in BY_DEFAULT)
    asked = by_default if not options.check else request.checks if named else ()
    # What no check is judged by has no item: `harness run` measures it.
    return replace(request, checks=asked, everything=False)
