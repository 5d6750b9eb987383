"""What one call of pytest asks for, and the run once it is made."""

import argparse
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.api.parametrized import own_folder
from harness.checks import CHECKS
from harness.checks.contract import ContractGate
from harness.cli import asked_request, default_folder, shown_progress, write_report
from harness.engines import RAY
from harness.errors import HarnessError
from harness.evaluation import Request, evaluate, hands_for, prepared
from harness.evaluation.met import contract_jobs
from harness.explainers import Explainer
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
    owing
        Explainers that are put to the contract.
    ended
        How those ended whose process did not live to be asked what they do, by name: they are not asked here.
    """

    config: pytest.Config
    request: Request
    folder: Path
    run: RunFolder | None = None
    named: set[str] = field(default_factory=set)
    owing: tuple[Explainer, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def gate(self) -> ContractGate:
        """The contract, with what the run folder remembers of it."""
        request = self.request
        folder = prepared(request, self.kept)
        gate = ContractGate(request.subject, request.faces, request.seed, folder.remembered)
        if self.workers > 1 or self.where["engine"] == RAY or self.where["isolate"]:
            with self._uncaptured(), hands_for(request.subject, **self.where) as hands:
                jobs = contract_jobs(gate, self.owing)
                faults, _ = hands.run(jobs, shown_progress, folder, request)
                self.ended = {name: said for name, said in faults.items() if name not in gate.behaviours}
        return gate

    def evaluated(self) -> RunFolder:
        """Return the run, made on the first call."""
        if self.run is None:
            command = shlex.join(["pytest", *(str(word) for word in self.config.invocation_params.args)])
            try:
                with self._uncaptured():
                    self.run = evaluate(self.request, self.kept, shown_progress, command, **self.where)
                    list(write_report(self.run))
            except HarnessError as error:
                pytest.exit(f"harness: {error}", returncode=2)
        return self.run

    @cached_property
    def kept(self) -> RunFolder:
        """The run folder, before there is a run."""
        return RunFolder(self.folder) if self.config.option.no_store else RunFolder.sharing(self.folder)

    @property
    def workers(self) -> int:
        """How many processes work side by side; 0 leaves everything to this one."""
        return int(self.config.option.workers)

    @property
    def where(self) -> dict[str, Any]:
        """Who does the jobs, as :func:`harness.evaluation.evaluate` takes it."""
        option = self.config.option
        return {"workers": self.workers, **{name: getattr(option, name) for name in ("engine", "address", "isolate")}}

    def _uncaptured(self) -> AbstractContextManager[None]:
        """Let progress be seen meanwhile."""
        manager: Any = self.config.pluginmanager.getplugin("capturemanager")
        shown: AbstractContextManager[None] = manager.global_and_fixture_disabled()
        return shown


SESSION = pytest.StashKey[Session]()
WRONG_USE = pytest.StashKey[str]()
"""What is wrong with what was asked for."""


def session_of(config: pytest.Config) -> Session:
    """Return what the options ask for, read once."""
    if SESSION not in config.stash:
        load_entry_points()
        request = _request(config.option).with_controls()
        folder = own_folder(config.option.out or default_folder(request, config.option.profile))
        # As the run will be made: the contract's pieces are those of its arithmetic.
        if config.option.workers or config.option.isolate or config.option.engine == RAY:
            torch.set_num_threads(1)
        config.stash[SESSION] = Session(config, request, folder)
    return config.stash[SESSION]


def _request(options: argparse.Namespace) -> Request:
    """Return the evaluation that the options ask for; the contract alone is one without checks."""
    named = [name for name in options.check or () if name != CONTRACT]
    request = asked_request(
        argparse.Namespace(**{**vars(options), "check": named or None}), options.per_class, strict=True
    )
    by_default = tuple(check for check in request.checks if check.name in BY_DEFAULT)
    asked = by_default if not options.check else request.checks if named else ()
    # What no check is judged by has no item: `harness run` measures it.
    return replace(request, checks=asked, everything=False)
