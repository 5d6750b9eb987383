"""What the words of a command line ask for."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from harness.checks import CHECKS, Check
from harness.engines import Job
from harness.errors import UsageError
from harness.evaluation import Request
from harness.explainers.asked import asked_explainers
from harness.faces import FaceSet
from harness.faces.loading import load_faces
from harness.importing import closest
from harness.measurements.asked import asked_metrics
from harness.models.loading import load_subject, load_twin
from harness.profiles import PROFILES


def default_folder(request: Request, profile: str) -> Path:
    """Return the run folder used where none is asked for; the same evaluation finds its own again."""
    return Path("results") / f"{request.subject.name}-{request.faces.name}-{profile}"


def asked_request(options: argparse.Namespace, per_class: int | None = None) -> Request:
    """Return the evaluation that the options ask for."""
    profile = PROFILES[options.profile].with_per_class(per_class)
    names = asked_checks(options.check)
    explainers = asked_explainers(options.explainer)
    subject = load_subject(options.subject, asked_device(options.device))
    faces = load_faces(options.faces, subject.classes, groups=options.groups)
    checks = tuple(CHECKS[name] for name in names if options.check or has_evidence(CHECKS[name], faces))
    everything = not options.check or "all" in options.check
    twin = load_twin(options.random_labels, subject, options.subject)
    asked = asked_metrics(options.metric or (), everything=everything)
    for line in asked.refused:
        print(f"harness: {line}; the others go on", file=sys.stderr)
    feed, own = options.feed, asked.cards
    return Request(subject, faces, explainers, checks, profile, options.seed, everything, twin, feed, own)


def has_evidence(check: Check, faces: FaceSet) -> bool:
    """Whether the faces have what the check needs to know; one that does not mean anything is not made by default."""
    known = {*faces.evidence, *(["counterfactuals"] if faces.counterfactuals is not None else [])}
    return not check.evidence or check.evidence in known


def asked_device(name: str) -> torch.device:
    """Return the device called `name`; auto takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this machine shows no CUDA device; use --device cpu")
    return torch.device(name)


def asked_checks(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the checks asked for; a family's name or "all" stands for its checks."""
    if not names or "all" in names:
        return tuple(CHECKS)
    chosen: list[str] = []
    for name in names:
        held = [check.name for check in CHECKS.values() if name in (check.name, check.family)]
        if not held:
            families = dict.fromkeys(check.family for check in CHECKS.values())
            known = [*CHECKS, *families]
            raise UsageError(
                f"no check or family is called {name!r}{closest(name, known)}; there is {', '.join(known)} and all"
            )
        chosen += held
    return tuple(dict.fromkeys(chosen))


def shown_progress(jobs: Sequence[Job]) -> Iterator[Job]:
    """Pass jobs through under a progress bar on standard error that says what is being done."""
    with tqdm(jobs, unit="job", dynamic_ncols=True, disable=None) as bar:
        for job in bar:
            bar.set_description_str(job.title)
            yield job
