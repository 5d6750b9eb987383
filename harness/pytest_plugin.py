"""Runs an evaluation under pytest: one item for each explainer and check, and the matrix of verdicts at the end.

:mod:`harness.pytest_entry` registers it where suites are asked for. Tests ask for the fixture `claim` and carry the
mark ``family``; the evaluation is made once, when the first of them runs. A test that asks for the fixture `owed` is
run before, for each explainer and clause of the contract.
"""

import argparse
import shlex
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd
import pytest

from harness.api.parametrized import own_folder
from harness.checks import CHECKS, EVERYTHING, Check, Verdict
from harness.checks.contract import Clause, ContractGate, contract_clauses, unmet
from harness.checks.record import RECORDED, write_record
from harness.cli import add_run_options, asked_request, default_folder, shown_progress, write_report
from harness.errors import HarnessError, UsageError
from harness.evaluation import Request, evaluate, prepared
from harness.explainers import Explainer, registered
from harness.explainers.asked import asked_explainers, load_entry_points
from harness.report import claims, ladder, tables
from harness.store import RunFolder

FINDINGS = "findings.toml"
"""Beside the test files: failures that are known and why."""
BY_DEFAULT = tuple(check.name for check in CHECKS.values() if check.decides)
"""What is claimed where no check is asked for: all that decides a rung."""
CONTRACT = "contract"
"""What ``--check`` calls the clauses, which are no checks of maps: they come first and gate them."""

# ---------------------------------------------------------------------- what is known to fail


@dataclass(frozen=True)
class Finding:
    """A claim that is known not to hold, and why."""

    subject: str
    explainer: str
    check: str
    reason: str


def known_findings(file: Path, explainers: Collection[str]) -> dict[tuple[str, str, str], Finding]:
    """Return the declared failures of a TOML file by subject, explainer and check; none where there is no file.

    Parameters
    ----------
    file
        Tables ``[[finding]]``, each with ``subjects``, ``explainers``, ``checks`` and ``reason``.
    explainers
        Names that an explainer can have.

    Raises
    ------
    UsageError
        Where an entry is incomplete or doubled, or names a check or explainer that does not exist: what nothing can
        meet would be ignored in silence.
    """
    if not file.is_file():
        return {}
    try:
        entries = tomllib.loads(file.read_text()).get("finding", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: {error}") from error
    known: dict[tuple[str, str, str], Finding] = {}
    for number, entry in enumerate(entries, start=1):
        for finding in _declared(entry, f"{file}: finding {number}", explainers):
            key = (finding.subject, finding.explainer, finding.check)
            if key in known:
                raise UsageError(f"{file}: {' / '.join(key)} is declared twice")
            known[key] = finding
    return known


def _declared(entry: dict[str, object], where: str, explainers: Collection[str]) -> list[Finding]:
    """Return the findings of one entry, which may name several subjects, explainers and checks."""
    if set(entry) != {"subjects", "explainers", "checks", "reason"}:
        raise UsageError(f"{where} needs exactly subjects, explainers, checks and reason")
    names = {key: [str(name) for name in _as_list(entry[key])] for key in ("subjects", "explainers", "checks")}
    for key, existing in (("explainers", explainers), ("checks", CHECKS)):
        for name in names[key]:
            if name not in existing:
                raise UsageError(f"{where} names {key.removesuffix('s')} {name!r}, which does not exist")
    return [
        Finding(subject, explainer, check, str(entry["reason"]))
        for subject in names["subjects"]
        for explainer in names["explainers"]
        for check in names["checks"]
    ]


def _as_list(value: object) -> list[object]:
    """Return a TOML value as a list."""
    return value if isinstance(value, list) else [value]


# ---------------------------------------------------------------------- the session


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


def _session(config: pytest.Config) -> Session:
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
    request = asked_request(argparse.Namespace(**{**vars(options), "check": named or None}))
    by_default = tuple(check for check in request.checks if check.name in BY_DEFAULT)
    asked = by_default if not options.check else request.checks if named else ()
    # What no check is judged by has no item: `harness run` measures it.
    return replace(request, checks=asked, everything=False)


# ---------------------------------------------------------------------- one item


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
        try:
            found = self.session.gate.examination(self.explainer)
        except HarnessError as error:
            pytest.exit(f"harness: {error}", returncode=2)
        what = found.broken.get(self.clause.name)
        if what is not None:
            self.session.named.add(self.explainer.name)
            said = f"{self.explainer.name} breaks its contract: {self.clause.name}, {what}"
            pytest.fail(f"{said} (owed: {self.clause.claim})", pytrace=False)
        if found.refusal:
            _unsettled(self.session, f"refuses: {found.reason}")
        causes = unmet(self.clause, found.broken)
        if causes:
            pytest.skip(f"not looked into, since {self.explainer.name} breaks {causes[0]}")


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
        item fails, be it a clause of the contract or a claim, and the others are skipped with the reason.
        """
        run = self.session.evaluated()
        fault = {about["name"]: about["reason"] for about in run.info["explainers"]}[self.explainer]
        if fault and self._refused():
            _unsettled(self.session, f"refuses: {fault}")
        if fault and self.explainer in self.session.named:
            pytest.skip(f"not judged: {fault}")
        if fault:
            self.session.named.add(self.explainer)
            pytest.fail(f"{fault}: no score was computed", pytrace=False)
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
        (explainer,) = (made for made in self.session.request.explainers if made.name == self.explainer)
        return bool(self.session.gate.examination(explainer).refusal)

    def _row(self, verdicts: pd.DataFrame) -> pd.Series:
        """Return this claim's verdict; a class without one of its own shares that over all images."""
        mine = verdicts[(verdicts["explainer"] == self.explainer) & (verdicts["check"] == self.check.name)]
        of_class = mine[mine["class"] == self.kind]
        return (of_class if len(of_class) else mine).iloc[0]


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


# ---------------------------------------------------------------------- hooks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the words of ``harness run``; its ``--strict`` is pytest's own."""
    group = parser.getgroup("harness", "what is judged")
    add_run_options(group)
    group.addoption(
        "--check", metavar="C", action="append", help="a check, a family, contract or all (default: what decides)"
    )
    group.addoption("--findings", action="store_true", help=f"failures declared in {FINDINGS} are expected ones")
    group.addoption("--record", action="store_true", help="note who keeps the contract, for `harness list explainers`")
    group.addoption("--per-class", dest="each_class", action="store_true", help="one item more for each class")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "family(name): the family of checks that a test puts to every explainer")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item for each explainer and check of the family, or clause of the contract."""
    for fixture, made in (("owed", _owed), ("claim", _claims)):
        if fixture not in metafunc.fixturenames:
            continue
        given: Sequence[Owed | Claim] = ()
        try:
            given = () if WRONG_USE in metafunc.config.stash else made(metafunc.definition)
        except HarnessError as error:
            # Raised here it would be shown once a file, with the way that it took.
            metafunc.config.stash[WRONG_USE] = str(error)
        metafunc.parametrize(fixture, given, ids=[each.id for each in given], indirect=True)


def _owed(test: pytest.Function) -> list[Owed]:
    """Return what explainers owe: those asked for, or all that there are."""
    options, session = test.config.option, _session(test.config)
    if options.record and session.request.subject.name not in RECORDED:
        raise UsageError(f"--record is kept for {' and '.join(RECORDED)}, not for {session.request.subject.name!r}")
    if options.check and not {CONTRACT, "all"} & set(options.check):
        return []
    explainers = asked_explainers(options.explainer or ("all",))
    return [Owed(session, explainer, clause) for explainer in explainers for clause in contract_clauses().values()]


def _claims(test: pytest.Function) -> list[Claim]:
    """Return what a test is to settle, in the order of explainers."""
    mark = test.get_closest_marker("family")
    if mark is None:
        raise UsageError(f"{test.nodeid} asks for a claim but has no mark family(name); give it one")
    session = _session(test.config)
    names = {*registered(), *(explainer.name for explainer in session.request.explainers)}
    # What is known of bundled subjects is no answer to a user's question.
    known = known_findings(test.path.parent / FINDINGS, names) if test.config.option.findings else {}
    subject = session.request.subject.name
    return [
        Claim(session, explainer.name, check, kind, known.get((subject, explainer.name, check.name)))
        for explainer in _judged(session)
        for check in session.request.checks
        if check.family == mark.args[0] and check.control != explainer.name
        for kind in _kinds(session, check)
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the contract first, and take out the tests of families that have no check here.

    Those are families that were not asked for, or that need evidence which the faces lack.

    Raises
    ------
    pytest.UsageError
        Where what was asked for cannot be judged.
    """
    if WRONG_USE in config.stash:
        raise pytest.UsageError(f"harness: {config.stash[WRONG_USE]}")
    empty = {item for item in items if {"claim", "owed"} & set(getattr(item, "fixturenames", ())) and not _given(item)}
    items[:] = sorted(
        (item for item in items if item not in empty), key=lambda item: not isinstance(_given(item), Owed)
    )
    if empty:
        config.hook.pytest_deselected(items=list(empty))


def _given(item: pytest.Item) -> Owed | Claim | None:
    """Return the claim or clause that an item was given."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    given = params.get("owed", params.get("claim"))
    return given if isinstance(given, Owed | Claim) else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the record where it was asked for."""
    config = session.config
    if not config.option.record or config.option.collectonly:
        return
    asked = _session(config)
    owing = {given.explainer.name: given.explainer for item in session.items if isinstance(given := _given(item), Owed)}
    shipped = [made for made in owing.values() if made.origin.startswith("harness.explainers")]
    found = [(made, asked.gate.examination(made)) for made in shipped]
    file = write_record(asked.request.faces.name, found)
    print(f"\n{len(found)} explainers on {asked.request.subject.name}: recorded in {file}")


def _judged(session: Session) -> Sequence[Explainer]:
    """Return the explainers that get items: those asked for, or the default ones with their controls."""
    return asked_explainers(session.config.option.explainer)


def _kinds(session: Session, check: Check) -> tuple[str, ...]:
    """Return "all", and with --per-class each class where the check judges classes."""
    if session.config.option.each_class and check.family != "confusion":
        return (EVERYTHING, *session.request.subject.classes)
    return (EVERYTHING,)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix of verdicts and where the run lies."""
    run = config.stash[SESSION].run if SESSION in config.stash else None
    if run is None:
        return
    checks = config.stash[SESSION].request.checks
    if not all(check.decides for check in checks):
        terminalreporter.section("explainers and checks")
        for table in tables.verdict_tables(run):
            terminalreporter.write_line(tables.render(table, "text"))
    if any(check.decides for check in checks):
        terminalreporter.section("how far each explainer can be believed")
        for line in [tables.render(ladder.ladder_table(run), "text"), *ladder.lines(run)]:
            terminalreporter.write_line(line)
    counts = run.verdicts[run.verdicts["class"] == EVERYTHING]["verdict"].value_counts()
    terminalreporter.write_line(", ".join(f"{counts.get(verdict.value, 0)} {verdict.value}" for verdict in Verdict))
    terminalreporter.write_line(f"run: {run.path}   page: {run.path / 'report.html'}")
