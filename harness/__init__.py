"""A conformance suite for explanations of image classifiers.

Judge explanations of a network
    evaluate                 network, images -> Run: which explainers can be believed, class by class
    Run                      a finished run: ladder, verdicts, scores, curves, table(), plot_maps(), report()
    check                    one explainer: raises ClaimFailed, or returns a Judgement for each check
    ClaimFailed, Judgement   what `check` raises and returns

In your own tests
    parametrize_with_checks  def test_mine(explainer, check): check(explainer)
    harness.suites           pytest --pyargs harness.suites --explainer mine.py:my_method

Describe what is judged
    Subject, InputSpec       a network with its classes, and what it reads
    FaceSet                  pictures with all that is known of them

Add your own
    explainer                makes a function (subject, images, targets) -> maps an explainer
    metric                   makes a function of maps a metric
    harness.checks.check     makes a function of a score a check

On the command line: `harness --help`. docs/python.md shows each of these at work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api.evaluating import evaluate
    from harness.api.judging import ClaimFailed, Judgement, check
    from harness.api.parametrized import parametrize_with_checks
    from harness.api.run import Run
    from harness.explainers.base import explainer
    from harness.faces.faceset import FaceSet
    from harness.metrics.cards import metric
    from harness.subject import InputSpec, Subject

__all__ = [
    "ClaimFailed",
    "FaceSet",
    "InputSpec",
    "Judgement",
    "Run",
    "Subject",
    "check",
    "evaluate",
    "explainer",
    "metric",
    "parametrize_with_checks",
]
__version__ = "0.1.0"

_HOMES = {
    "ClaimFailed": "harness.api.judging",
    "Judgement": "harness.api.judging",
    "check": "harness.api.judging",
    "parametrize_with_checks": "harness.api.parametrized",
    "FaceSet": "harness.faces.faceset",
    "InputSpec": "harness.subject",
    "Run": "harness.api.run",
    "Subject": "harness.subject",
    "evaluate": "harness.api.evaluating",
    "explainer": "harness.explainers.base",
    "metric": "harness.metrics.cards",
}


def __getattr__(name: str) -> Any:
    """Load what is exported when it is first asked for: torch must not be loaded before a command has set it up."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
