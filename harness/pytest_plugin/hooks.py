"""pytest's hooks: options, items and the summary at the end."""

from collections.abc import Sequence

import pytest

from harness.checks import EVERYTHING, Check, Verdict
from harness.checks.base import CLASSES
from harness.checks.contract import contract_clauses
from harness.checks.record import RECORDED, write_record
from harness.cli import add_run_options
from harness.errors import HarnessError, UsageError
from harness.explainers import Explainer, registered
from harness.explainers.asked import asked_explainers
from harness.pytest_plugin.findings import FINDINGS, known_findings
from harness.pytest_plugin.items import Claim, Owed
from harness.pytest_plugin.session import CONTRACT, SESSION, WRONG_USE, Session, session_of
from harness.report import ladder, rendering, tables


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the words of ``harness run``; its ``--strict`` is pytest's own."""
    group = parser.getgroup("harness", "what is judged")
    add_run_options(group)
    group.addoption(
        "--check",
        metavar="C",
        action="append",
        help="a check, a family, contract, all or file.py:function (default: what decides)",
    )
    group.addoption("--findings", action="store_true", help=f"failures declared in {FINDINGS} are expected ones")
    group.addoption("--record", action="store_true", help="note who keeps the contract, for `harness list explainers`")
    group.addoption("--each-class", action="store_true", help="one item more for each class")
    group.addoption("--per-class", metavar="N", type=int, help="images of each predicted class (as the profile says)")


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
    """Return what explainers owe: those that are judged, or all there are where the contract itself is asked for."""
    options, session = test.config.option, session_of(test.config)
    if options.record and session.request.subject.name not in RECORDED:
        raise UsageError(f"--record is kept for {' and '.join(RECORDED)}, not for {session.request.subject.name!r}")
    itself = bool({CONTRACT, "all"} & set(options.check or ()))
    if options.check and not itself:
        return []
    explainers = session.owing = asked_explainers(options.explainer or (("all",) if itself or options.record else ()))
    return [Owed(session, explainer, clause) for explainer in explainers for clause in contract_clauses().values()]


def _claims(test: pytest.Function) -> list[Claim]:
    """Return what a test is to settle, in the order of explainers."""
    mark = test.get_closest_marker("family")
    if mark is None:
        raise UsageError(f"{test.nodeid} asks for a claim but has no mark family(name); give it one")
    session = session_of(test.config)
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
    asked = session_of(config)
    owing = {given.explainer.name: given.explainer for item in session.items if isinstance(given := _given(item), Owed)}
    shipped = [made for made in owing.values() if made.origin.startswith("harness.explainers")]
    found = [(made, asked.gate.examination(made)) for made in shipped]
    file = write_record(asked.request.faces.name, found)
    print(f"\n{len(found)} explainers on {asked.request.subject.name}: recorded in {file}")


def _judged(session: Session) -> Sequence[Explainer]:
    """Return the explainers that get items: those asked for, or the default ones with their controls."""
    return asked_explainers(session.config.option.explainer)


def _kinds(session: Session, check: Check) -> tuple[str, ...]:
    """Return "all", and with --each-class each class where the check judges classes."""
    if session.config.option.each_class and check.unit != CLASSES:
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
            terminalreporter.write_line(rendering.render(table, "text"))
    if any(check.decides for check in checks):
        terminalreporter.section("how far each explainer can be believed")
        for line in [rendering.render(ladder.ladder_table(run), "text"), *ladder.lines(run)]:
            terminalreporter.write_line(line)
    counts = run.verdicts[run.verdicts["class"] == EVERYTHING]["verdict"].value_counts()
    terminalreporter.write_line(", ".join(f"{counts.get(verdict.value, 0)} {verdict.value}" for verdict in Verdict))
    terminalreporter.write_line(f"run: {run.path}   page: {run.path / 'report.html'}")
