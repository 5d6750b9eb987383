"""What the words of a command line ask for."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from harness.checks.asked import asked_checks, unmeasured
from harness.errors import UsageError
from harness.evaluation import Request
from harness.evaluation.request import has_evidence
from harness.explainers.asked import asked_explainers
from harness.faces.loading import load_faces
from harness.importing import reason
from harness.measurements.asked import asked_metrics, with_needed
from harness.models.loading import load_subject, load_twin
from harness.profiles import PROFILES


def default_folder(request: Request, profile: str) -> Path:
    """Return the run folder used where none is asked for; the same evaluation finds its own again."""
    return Path("results") / f"{request.subject.name}-{request.faces.name}-{profile}"


def asked_request(options: argparse.Namespace, per_class: int | None = None, *, strict: bool = False) -> Request:
    """Return the evaluation that the options ask for.

    A check or metric of somebody else that cannot be used is named in a line on standard error, and the others go on.

    Raises
    ------
    UsageError
        Where nothing is called as asked; and for a check that cannot be used where it was the only one, or `strict`.
    """
    profile = PROFILES[options.profile].with_per_class(per_class)
    explainers = asked_explainers(options.explainer)
    everything = not options.check or "all" in options.check
    metrics = asked_metrics(options.metric or (), everything=everything)
    asked = asked_checks(options.check)
    subject = load_subject(options.subject, asked_device(options.device))
    faces = load_faces(options.faces, subject.classes, groups=options.groups)
    checks = tuple(check for check in asked.checks if options.check or has_evidence(check, faces))
    needed = frozenset[str]().union(*(check.needs for check in checks))
    metrics = with_needed(metrics, needed)
    twin = load_twin(options.random_labels, subject, options.subject)
    request = Request(
        subject,
        faces,
        explainers,
        checks,
        profile,
        options.seed,
        everything,
        twin,
        options.feed,
        metrics.cards,
        options.time_limit,
        options.memory_limit,
    )
    request, unmeasurable = _measurable(request)
    refused = (*asked.refused, *unmeasurable)
    if refused and (strict or not request.checks):
        raise UsageError(refused[0])
    for line in (*metrics.refused, *asked.not_offered, *refused):
        print(f"harness: {line}; the others go on", file=sys.stderr)
    return request


def _measurable(request: Request) -> tuple[Request, list[str]]:
    """Return the request without the checks of somebody else that need what does not exist, and a line for each."""
    if not any(check.origin for check in request.checks):
        return request, []
    names = [measurement.name for measurement in request.known_measurements()]
    lines = {check.name: unmeasured(check, names) for check in request.checks if check.origin}
    kept = tuple(check for check in request.checks if not lines.get(check.name))
    return replace(request, checks=kept), [line for line in lines.values() if line]


def asked_device(name: str) -> torch.device:
    """Return the device called `name`; auto takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this machine shows no CUDA device; use --device cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # whatever a backend raises that is not there
        raise UsageError(f"--device {name}: it cannot be used here ({reason(error)}); use --device cpu") from error
    return device
