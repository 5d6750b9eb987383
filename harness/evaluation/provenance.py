"""What ``run.json`` says: what is needed to make the run again, and what it cost."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TypedDict, Unpack

import pandas as pd

from harness.arithmetic import LIBRARIES, arithmetic, package_version
from harness.checks import ALPHA, CONFIDENCE, Check
from harness.checks.ladder import RUNGS
from harness.evaluation.request import Request
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer
from harness.explainers.baselines import in_pixels
from harness.faces.naming import mean_name
from harness.measurements import (
    Measured,
)
from harness.metrics.cards import ScoreFacts, described
from harness.metrics.score import Score
from harness.names import MEAN_FACE
from harness.networks.random import layer_groups
from harness.store import (
    IDENTITY,
    CheckRecord,
    Cost,
    ExplainerRecord,
    FacesRecord,
    PassesRecord,
    RungRecord,
    RunRecord,
    SubjectRecord,
)
from harness.subject import Subject
from harness.subject.counting import Passes


class Found(TypedDict):
    """What a run came to, beside what was asked for; see :class:`RunRecord`."""

    command: str
    notes: tuple[str, ...]
    explainers: tuple[ExplainerRecord, ...]
    metrics: dict[str, ScoreFacts]
    shared_cost: Cost
    passes: PassesRecord
    seconds: float


PACKAGES = ("explanation-harness", "torch", "numpy", *LIBRARIES)


def about_explainer(explainer: Explainer, runner: Runner, faults: dict[str, str]) -> ExplainerRecord:
    """Return what ``run.json`` says of an explainer."""
    return ExplainerRecord(
        name=explainer.name,
        family=explainer.facts.family,
        control=explainer.is_control,
        reference=explainer.facts.reference,
        origin=explainer.origin,
        settings=_settings(explainer, runner.case.subject),
        digest=explainer.digest,
        status="failed" if explainer.name in faults else "ok",
        reason=faults.get(explainer.name, ""),
        cost=runner.cost(explainer),
    )


def _settings(explainer: Explainer, subject: Subject) -> dict[str, str]:
    """Return an explainer's settings in words; a baseline in input units as the pixel that it is, too."""
    said = {key: repr(value) for key, value in explainer.settings.items()}
    baseline = explainer.settings.get("baseline")
    if isinstance(baseline, float | int):
        said["baseline"] += f" ({in_pixels(subject.spec, baseline)})"
    return said


def about_metrics(request: Request, found: Measured) -> dict[str, ScoreFacts]:
    """Return what ``run.json`` says of each metric that was measured, so that a reader needs nothing else."""
    held = found.scores[list(IDENTITY)].drop_duplicates()
    scores = [Score(*map(str, row)) for row in held.itertuples(index=False)]
    return described(scores, tuple(request.faces.evidence))


def passes_of(before: int, costs: Sequence[Cost | Passes]) -> PassesRecord:
    """Return the images passed for the run, however often it was stopped: those before any map, and the costs'."""
    return PassesRecord(before + sum(cost.forward for cost in costs), sum(cost.backward for cost in costs))


def seconds_before(runner: Runner, costs: Sequence[Cost]) -> float:
    """Return the seconds spent on this run before it was stopped."""
    return max(0.0, sum(cost.seconds for cost in costs) - runner.seconds_made())


def provenance(
    request: Request,
    case: EvaluationSet,
    broken: Mapping[str, str],
    **found: Unpack[Found],
) -> RunRecord:
    """Return what is needed to make the run again, and to tell whether two runs may be compared.

    Parameters
    ----------
    request, case
        What was asked for, and the images that were chosen.
    broken
        Why checks of somebody else broke down.
    found
        What came of it, as :class:`RunRecord` has it.
    """
    subject, faces, profile = request.subject, request.faces, request.profile
    chosen = pd.Series(case.target_names).value_counts()
    return RunRecord(
        subject=SubjectRecord(
            name=subject.name,
            digest=subject.digest,
            classes=tuple(subject.classes),
            judged=tuple(case.classes),
            cam_layer=subject.cam_layer,
        ),
        faces=FacesRecord(faces.name, faces.digest, len(faces), faces.labels is not None, faces.licence),
        evaluation_set=case.digest,
        chosen={name: int(chosen.get(name, 0)) for name in case.classes},
        profile=asdict(profile),
        seed=request.seed,
        rungs=tuple(RungRecord(**asdict(rung)) for rung in RUNGS),
        alpha=ALPHA,
        confidence=CONFIDENCE,
        checks=tuple(_about_check(check, subject, broken.get(check.name, "")) for check in request.checks),
        random_labels=repr(request.random_labels) if request.random_labels else None,
        cascade=tuple(map(tuple, layer_groups(subject, profile.cascade_stages))),
        device=str(subject.device),
        arithmetic=arithmetic(subject),
        versions={"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
        **found,
    )


def _about_check(check: Check, subject: Subject, fault: str) -> CheckRecord:
    """Return what ``run.json`` says of a check; `fault` is "" where it did not break down."""
    stated = {one.name: getattr(check, one.name) for one in fields(CheckRecord) if one.name not in ("needs", "fault")}
    stated["control"] = mean_name(subject.classes) if check.control == MEAN_FACE else check.control
    return CheckRecord(**stated, needs=tuple(sorted(check.needs)), fault=fault)
