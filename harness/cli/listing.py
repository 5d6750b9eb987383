"""``harness list``: what there is."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from harness.checks import all_checks
from harness.checks.asked import load_check_points
from harness.checks.record import contract_states
from harness.cli.asked import asked_device
from harness.cli.progress import shown_progress
from harness.cli.status import DONE
from harness.errors import UsageError
from harness.evaluation import Request, examine
from harness.explainers import registered
from harness.explainers.asked import DEFAULT
from harness.faces.loading import FACES, load_faces
from harness.metrics.cards import MetricCard, metric_cards
from harness.models.bundled import SUBJECTS
from harness.models.loading import load_subject
from harness.profiles import PROFILES
from harness.store import RunFolder


def list_command(options: argparse.Namespace) -> int:
    """Print what there is."""
    rows = _examined_metrics(options) if options.examined else LISTS[options.what]()
    if options.json:
        print(json.dumps(rows, indent=2))
        return DONE
    from tabulate import tabulate

    widths = [None if key in ("name", "family") else 60 for key in rows[0]]
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows]
    print(tabulate(shown, headers="keys", maxcolwidths=widths))
    return DONE


def _cell(value: Any) -> Any:
    """Return a value as a table shows it: of several under their names, the names where they differ."""
    if not isinstance(value, dict):
        return value
    return (
        value[next(iter(value))] if len(set(value.values())) == 1 else "; ".join(f"{k}: {v}" for k, v in value.items())
    )


def _listed_explainers() -> list[dict[str, Any]]:
    """Say what each explainer is."""
    return [
        {
            "name": explainer.name,
            "family": explainer.facts.family,
            "default": explainer.name in DEFAULT,
            "cost": explainer.facts.cost,
            "reference": explainer.facts.reference,
            "contract": contract_states(explainer),
        }
        for explainer in registered().values()
    ]


def _listed_checks() -> list[dict[str, Any]]:
    """Say what each check claims; what a package offers and cannot be used is named on standard error."""
    for line in load_check_points():
        print(f"harness: {line}", file=sys.stderr)
    return [
        {
            "name": check.name,
            "family": check.family,
            "claim": check.claim,
            "control": check.control,
            "margin": check.margin,
            "margin_reason": check.margin_reason,
            "reference": check.reference,
        }
        for check in all_checks().values()
    ]


def _listed_metrics() -> list[dict[str, Any]]:
    """Say what each metric measures."""
    return [_listed_metric(card) for card in metric_cards().values()]


LISTED_OF_METRICS = (
    *("name", "family", "low", "high", "higher_is_better", "meaning", "chance", "cost", "undefined", "reference"),
    *("compared_with", "largest_difference", "differs"),
)


def _listed_metric(card: MetricCard) -> dict[str, Any]:
    """Say what one metric measures; a range without bound is null."""
    about = {key: getattr(card, key) for key in LISTED_OF_METRICS}
    return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in about.items()}


def _examined_metrics(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Say of each metric whether it tells truth from noise on a subject."""
    if options.what != "metrics":
        raise UsageError(f"--examined goes with metrics: harness list metrics --examined {options.examined}")
    subject = load_subject(options.examined, asked_device("auto"))
    faces = load_faces(options.faces, subject.classes)
    request = Request(subject, faces, (), (), PROFILES["quick"])
    folder = RunFolder.sharing(Path("results") / f"examination-{subject.name}-{faces.name}")
    table = examine(request, folder, shown_progress)
    found = {str(row["metric"]): {str(k): v for k, v in row.items()} for row in table.to_dict("records")}
    return [_examined_metric(card, found.get(card.name)) for card in metric_cards().values()]


def _examined_metric(card: MetricCard, row: dict[str, Any] | None) -> dict[str, Any]:
    """Say what came of one metric's examination, or why there was none."""
    why = "no direction is a virtue" if card.higher_is_better is None else "no oracle can be asked what it asks for"
    nothing = {"n": 0, "discrimination": None, "low": None, "high": None, "verdict": "not examined", "reason": why}
    held = nothing if row is None else {key: _known(row[key]) for key in nothing}
    return {"name": card.name, "family": card.family, **held}


def _known(value: Any) -> Any:
    """Return a value with None for what is undefined."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _listed_subjects() -> list[dict[str, Any]]:
    """Say what each bundled network is."""
    return [{"name": s.name, "what": s.what, "licence": s.licence, "reference": s.reference} for s in SUBJECTS.values()]


def _listed_faces() -> list[dict[str, Any]]:
    """Say what each bundled face set is."""
    return [{"name": f.name, "what": f.what, "licence": f.licence} for f in FACES.values()]


LISTS = {
    "explainers": _listed_explainers,
    "checks": _listed_checks,
    "metrics": _listed_metrics,
    "subjects": _listed_subjects,
    "faces": _listed_faces,
}
