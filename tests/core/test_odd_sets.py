"""Sets that nobody had in mind are judged to the end: two classes, one that occurs, 16 channels, no square."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SMALL, no_progress
from torch import nn

from harness.checks import CHECKS
from harness.errors import UsageError
from harness.evaluation import Request, evaluate
from harness.explainers.gradient import gradient
from harness.faces.faceset import FaceSet
from harness.report import page, queries, tables
from harness.store import RunFolder
from harness.subject import InputSpec, Subject

NAMES = ("wet", "dry", "ice")
ASKED = ("cells-edges", "deletion-spectrum", "randomization-full", "targets-differ", "blind", "planted", "tile-ranks")

pytestmark = pytest.mark.usefixtures("unchecked")


def judged(place: Path, size: tuple[int, int], channels: int, labels: list[int], classes: int) -> RunFolder:
    """A run over noise, and its page, of an untrained network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        read = nn.Linear(3 * size[0] * size[1], classes)
        network = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), read)
    spec = InputSpec(*size, (0.5,) * channels, (0.5,) * channels)
    subject = Subject(network, name="odd", classes=NAMES[:classes], spec=spec)
    shape = (len(labels), *size, channels) if channels > 1 else (len(labels), *size)
    pictures = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    faces = FaceSet("odd", pictures, subject.classes, np.array(labels))
    checks = tuple(CHECKS[name] for name in ASKED)
    run = evaluate(Request(subject, faces, (gradient,), checks, SMALL), RunFolder(place / "run"), no_progress)
    tables.write_tables(run)
    page.write_page(run)
    return run


def sound(run: RunFolder) -> None:
    """The explainer was judged on every image, each claim has an answer or a reason, and the page is there."""
    scores = run.scores.query("explainer == 'gradient' and metric == 'settled-pairs' and variant == 'map'")
    assert len(scores) == sum(run.record.chosen.values()) > 0
    assert not (run.scores["status"] == "failed").any()
    verdicts = run.verdicts.query("explainer == 'gradient' and `class` == 'all'").set_index("check")
    assert set(ASKED) <= set(verdicts.index)
    silent = verdicts.query("verdict == 'not applicable'")["reason"]
    assert (silent.str.len() > 0).all()
    assert all(name in (run.path / "report.html").read_text(encoding="utf-8") for name in queries.classes(run))


def test_two_classes_of_sixteen_channels_that_are_no_square(tmp_path: Path) -> None:
    run = judged(tmp_path, (6, 14), 16, [0, 1] * 5, classes=2)
    sound(run)
    assert queries.classes(run) == ["wet", "dry"]


def test_one_class_that_occurs_of_three(tmp_path: Path) -> None:
    run = judged(tmp_path, (8, 8), 1, [2] * 8, classes=3)
    sound(run)
    labelled = run.matrices.query("matrix == 'confusion'").groupby("row")["value"].sum()
    assert labelled.to_dict() == {"wet": 0, "dry": 0, "ice": 8}


def test_one_picture_alone_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="images 'odd' are 1; an explainer's contract needs two to compare"):
        judged(tmp_path, (8, 8), 1, [0], classes=2)
