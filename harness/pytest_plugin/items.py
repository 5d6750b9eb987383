"""One item: a clause that an explainer owes, or a check of one explainer."""

from dataclasses import dataclass
from typing import NoReturn

import pandas as pd
import pytest

from harness.checks import EVERYTHING, Check, Verdict
from harness.checks.contract import Clause, unmet
from harness.checks.ladder import NOBODY
from harness.errors import HarnessError
from harness.explainers import Explainer
from harness.pytest_plugin.findings import Finding
from harness.pytest_plugin.session import Session
from harness.report import claims


@dataclass(frozen=True)
class Owed:
    """One clause of the contract that an explainer owes."""

    session: Session
    explainer: Explainer
    clause: Clause

    @property
    def id(self) -> str:
        """The item's name."""
        return f"{self.explainer.name}-{self.clause.name}"

    def settle(self) -> None:
        """Pass or fail as the clause was kept; skip where the explainer refuses, or another clause bars the look."""
        gate, name = self.session.gate, self.explainer.name
        if name in self.session.ended:
            _ended(self.session, name)
        try:
            found = gate.examination(self.explainer)
        except HarnessError as error:
            pytest.exit(f"harness: {error}", returncode=2)
        what = found.broken.get(self.clause.name)
        if what is not None:
            self.session.named.add(name)
            said = f"{name} breaks its contract: {self.clause.name}, {what}"
            pytest.fail(f"{said} (owed: {self.clause.claim})", pytrace=False)
        if found.refusal:
            _unsettled(self.session, f"refuses: {found.reason}")
        causes = unmet(self.clause, found.broken)
        if causes:
            pytest.skip(f"not looked into, since {name} breaks {causes[0]}")


@dataclass(frozen=True)
class Claim:
    """One check of one explainer, for all images or one class."""

    session: Session
    explainer: str
    check: Check
    kind: str
    finding: Finding | None

    @property
    def id(self) -> str:
        """The item's name."""
        return "-".join([self.explainer, self.check.name, *([] if self.kind == EVERYTHING else [self.kind])])

    def settle(self) -> None:
        """Pass, fail, skip or expectedly fail, as the verdict says.

        A known failure is an expected one; where it passes it fails, since then what is written down is wrong. It is
        declared of all images: a class may well pass. Where the explainer gave no maps that can be judged, its first
        item fails, be it a clause of the contract or a claim, and the others are skipped with the reason. A check of
        somebody else that breaks down fails with what it did.
        """
        run = self.session.evaluated()
        fault = {about.name: about.reason for about in run.record.explainers}[self.explainer]
        if fault and self._refused():
            _unsettled(self.session, f"refuses: {fault}")
        if fault and self.explainer in self.session.named:
            pytest.skip(f"not judged: {fault}")
        if fault:
            self.session.named.add(self.explainer)
            pytest.fail(f"{fault}: no score was computed", pytrace=False)
        broken = {about.name: about.fault for about in run.record.checks}[self.check.name]
        if broken:
            pytest.fail(broken, pytrace=False)
        if self.kind != EVERYTHING and self.kind not in set(run.scores["target"]):
            _unsettled(self.session, f"not applicable: {NOBODY}")
        row = self._row(run.verdicts)
        verdict, said = Verdict(row["verdict"]), claims.said(run, row)
        if verdict is Verdict.PASS and self.finding is not None and self.kind == EVERYTHING:
            pytest.fail(f"unexpected pass (declared: {self.finding.reason}); {said}", pytrace=False)
        elif verdict is Verdict.FAIL and self.finding is not None:
            pytest.xfail(self.finding.reason)
        elif verdict is Verdict.FAIL:
            pytest.fail(said, pytrace=False)
        elif verdict is not Verdict.PASS:
            why = f"{verdict.value}: {row['reason']}"
            _unsettled(self.session, f"{why}; {said}" if row["n"] else why)

    def _refused(self) -> bool:
        """Whether the explainer says itself that it cannot explain this network."""
        gate = self.session.gate
        if self.explainer in self.session.ended:
            return False
        (explainer,) = (made for made in self.session.request.explainers if made.name == self.explainer)
        return bool(gate.examination(explainer).refusal)

    def _row(self, verdicts: pd.DataFrame) -> pd.Series:
        """Return this claim's verdict; a class without one of its own shares that over all images."""
        mine = verdicts[(verdicts["explainer"] == self.explainer) & (verdicts["check"] == self.check.name)]
        of_class = mine[mine["class"] == self.kind]
        return (of_class if len(of_class) else mine).iloc[0]


def _ended(session: Session, name: str) -> NoReturn:
    """Fail once, and skip from then on, for an explainer that ended its process."""
    if name in session.named:
        pytest.skip(f"not looked into: {session.ended[name]}")
    session.named.add(name)
    pytest.fail(session.ended[name], pytrace=False)


def _unsettled(session: Session, reason: str) -> None:
    """Skip with the reason, or fail with it under pytest's own --strict."""
    if session.config.option.strict:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def owed(request: pytest.FixtureRequest) -> Owed:
    """One clause that one explainer owes."""
    given: Owed = request.param
    return given


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Claim:
    """One check of one explainer."""
    given: Claim = request.param
    return given
