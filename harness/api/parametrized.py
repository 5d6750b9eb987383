"""Checks in somebody else's own tests, in the words of scikit-learn's ``parametrize_with_checks``."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from torch import nn

from harness.api.evaluating import asked, explainers_of, made
from harness.api.inputs import as_checks, as_profile
from harness.api.judging import CONTRACT, ClaimFailed, Judgement, judgements
from harness.arithmetic import AUTO
from harness.checks import CHECKS, Check, Verdict
from harness.errors import HarnessError, UsageError, closest
from harness.explainers import Explainer
from harness.faces.faceset import FaceSet
from harness.profiles import Profile
from harness.subject import InputSpec, Subject

Reasons: TypeAlias = Mapping[str, str]
"""By the name of a check, why it is expected to fail."""
Expected: TypeAlias = Reasons | Mapping[str, Reasons] | Callable[[Explainer], Reasons]


def parametrize_with_checks(
    explainers: Any,
    *,
    subject: Any,
    images: Any,
    labels: Any = None,
    checks: str | Check | Iterable[str | Check] | None = None,
    expected_failed_checks: Expected | None = None,
    xfail_strict: bool | None = None,
    profile: str | Profile = "quick",
    per_class: int | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    device: str = "auto",
    feed: str = AUTO,
    out: Path | str | None = None,
) -> pytest.MarkDecorator:
    """Parametrize a test over explainers and checks: ``def test_mine(explainer, check): check(explainer)``.

    The evaluation is made once, when the first of the tests runs, and serves all of them; under xdist each worker makes
    its own. What is inconclusive, cannot be judged, or is refused by the explainer is skipped with the reason.

    Parameters
    ----------
    explainers
        Names, families, functions (subject, images, targets) -> maps, or explainers.
    subject, images
        As :func:`harness.evaluate` takes them, or functions without arguments that return them, which are called when
        the first test runs.
    labels, profile, per_class, seed, classes, spec, device, feed
        As :func:`harness.evaluate` takes them.
    checks
        Names or families; by default those on which a rung of the ladder rests. The contract is always looked at.
    expected_failed_checks
        ``{check: reason}`` for all explainers, ``{explainer: {check: reason}}``, or a function of an explainer that
        returns the former. Such a test is an expected failure; "contract" may be among them, and then nothing else is
        judged of that explainer.
    xfail_strict
        Whether an expected failure that passes is a failure; None does as pytest's option ``xfail_strict`` says.
    out
        Folder of the run; a worker of xdist takes a folder of its own in it. By default a temporary one.

    Returns
    -------
    pytest.MarkDecorator
        For a test with the parameters ``explainer`` and ``check``; ids are as ``grad-cam-contract`` and
        ``grad-cam-cells-edges``.

    Raises
    ------
    UsageError
        While tests are collected, where an explainer, a check or an expected failure does not exist.
    """
    chosen = explainers_of(explainers)
    judged = as_checks(checks, images if isinstance(images, FaceSet) else None, "decides")
    expected = {made.name: _expected(made, expected_failed_checks) for made in chosen}
    _refuse_misspelt(expected_failed_checks, expected, judged)
    ask = {
        "labels": labels, "explainers": list(chosen), "checks": judged, "default": "decides", "classes": classes,
        "profile": as_profile(profile, per_class), "seed": seed, "spec": spec, "device": device, "feed": feed,
    }  # fmt: skip
    broken = frozenset(name for name, reasons in expected.items() if CONTRACT in reasons)
    shared = _Shared(subject, images, ask, None if out is None else own_folder(Path(out)), broken)
    params = [
        pytest.param(made, _CheckOf(name, shared), id=f"{made.name}-{name}", marks=_marks(reasons, name, xfail_strict))
        for made, reasons in ((made, expected[made.name]) for made in chosen)
        for name in (CONTRACT, *(check.name for check in judged if check.control != made.name))
    ]
    return pytest.mark.parametrize(("explainer", "check"), params)


def own_folder(folder: Path) -> Path:
    """Return a run's folder; of a worker of pytest-xdist one of its own, since two may not write one run at a time."""
    return folder / os.environ.get("PYTEST_XDIST_WORKER", "")


@dataclass
class _Shared:
    """The evaluation of one decorator, made when it is first asked for.

    Attributes
    ----------
    broken
        Explainers that are expected to break their contract.
    """

    subject: Any
    images: Any
    ask: Mapping[str, Any]
    out: Path | None
    broken: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def _found(self) -> Mapping[tuple[str, str], Judgement] | Exception:
        """What came of every check, or why nothing did: that is found out once too."""
        try:
            request = asked(_called(self.subject), _called(self.images), **self.ask)
            # The run lives as long as its judgements.
            self.run = made(request, self.out, command="harness.parametrize_with_checks")
            return judgements(request, self.run, stays=self.out is not None)
        except Exception as error:  # whatever the user's network or faces raise: it is not tried again for each test
            return error

    def judgement(self, explainer: str, check: str) -> Judgement:
        """Return what came of one check of one explainer."""
        found = self._found
        if isinstance(found, HarnessError):
            pytest.fail(f"harness: {found}", pytrace=False)
        if isinstance(found, Exception):
            raise found
        return found[explainer, check]


@dataclass(frozen=True)
class _CheckOf:
    """One check of a decorator, which a test calls with an explainer."""

    name: str
    shared: _Shared

    def __repr__(self) -> str:
        return f"check {self.name!r}"

    def __call__(self, explainer: Explainer) -> None:
        """Pass, raise ClaimFailed, or skip, as the explainer was judged."""
        __tracebackhide__ = True
        found = self.shared.judgement(explainer.name, self.name)
        if found.verdict is Verdict.FAIL:
            raise ClaimFailed(found.said)
        if found.verdict is Verdict.PASS:
            return
        owed = self.shared.judgement(explainer.name, CONTRACT)
        # A test alone, as -k or --lf run it, must not be green because the fault is another's.
        if owed.verdict is Verdict.FAIL and explainer.name not in self.shared.broken:
            raise ClaimFailed(found.said)
        pytest.skip(found.said)


def _called(given: Any) -> Any:
    """Return what a function without arguments makes; what is no function stands for itself."""
    return given() if callable(given) and not isinstance(given, Subject | nn.Module | type) else given


def _marks(reasons: Reasons, check: str, strict: bool | None) -> tuple[pytest.MarkDecorator, ...]:
    """Return the mark of an expected failure: a claim that fails, and no other error."""
    if check not in reasons:
        return ()
    words = {} if strict is None else {"strict": strict}
    return (pytest.mark.xfail(reason=reasons[check], raises=ClaimFailed, **words),)


# ---------------------------------------------------------------------- what is expected


def _expected(explainer: Explainer, given: Expected | None) -> Reasons:
    """Return the expected failures of one explainer."""
    if given is None:
        return {}
    if callable(given):
        return given(explainer)
    if all(isinstance(value, Mapping) for value in given.values()):
        of_one = given.get(explainer.name, {})
        return of_one if isinstance(of_one, Mapping) else {}
    return {name: reason for name, reason in given.items() if isinstance(reason, str)}


def _refuse_misspelt(given: Expected | None, expected: Mapping[str, Reasons], judged: Sequence[Check]) -> None:
    """Refuse expected failures that no test can meet: they would be ignored in silence."""
    where = "expected_failed_checks"
    if isinstance(given, Mapping):
        kinds = {isinstance(value, Mapping) for value in given.values()}
        if len(kinds) > 1 or not all(isinstance(value, Mapping | str) for value in given.values()):
            raise UsageError(f"{where}: give {{check: reason}}, or {{explainer: {{check: reason}}}} for all of them")
        for name in given if kinds == {True} else ():
            if name not in expected:
                known = ", ".join(expected)
                raise UsageError(f"{where} names explainer {name!r}{closest(name, expected)}; there is {known}")
    names = [CONTRACT, *(check.name for check in judged)]
    for explainer, reasons in expected.items():
        for name, reason in reasons.items():
            if name not in names:
                what = "is not among the checks asked for" if name in CHECKS else "does not exist"
                raise UsageError(
                    f"{where} of {explainer} names check {name!r}, which {what}{closest(name, names)}; "
                    f"there is {', '.join(names)}"
                )
            if not isinstance(reason, str) or not reason.strip():
                raise UsageError(f"{where} of {explainer}: say in words why {name} fails, not {reason!r}")
