"""A conformance suite for explanations of image classifiers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.checks.own import check
    from harness.explainers.base import explainer
    from harness.faces.faceset import FaceSet
    from harness.metrics.cards import metric
    from harness.subject import InputSpec, Subject

__all__ = ["FaceSet", "InputSpec", "Subject", "check", "explainer", "metric"]
__version__ = "0.1.0"

_HOMES = {
    "FaceSet": "harness.faces.faceset",
    "InputSpec": "harness.subject",
    "Subject": "harness.subject",
    "check": "harness.checks.own",
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
