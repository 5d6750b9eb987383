"""A subject of more classes than pictures: tables speak of those that occur, and lose nothing by it."""

import numpy as np
import pytest
import torch
from tiny import SMALL, no_progress
from torch import nn

from harness.checks import CHECKS
from harness.evaluation import Request, evaluate
from harness.evaluation_set import FEW_CLASSES, EvaluationSet, evaluation_set
from harness.explainers.gradient import gradient
from harness.faces.faceset import FaceSet
from harness.report import queries
from harness.store import RunFolder
from harness.subject import InputSpec, Subject

MANY = 300
CLASSES = tuple(f"kind {k}" for k in range(MANY))
SIDE = 12

pytestmark = pytest.mark.usefixtures("unchecked")


def many_subject(classes: int = MANY) -> Subject:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * (SIDE - 2) ** 2, classes))
    return Subject(network, name="many", classes=CLASSES[:classes], spec=InputSpec(SIDE, SIDE))


def pictures(count: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


def labelled(subject: Subject) -> tuple[FaceSet, np.ndarray]:
    """Pictures of which every third is labelled with a class that the network does not answer."""
    predicted = subject.probabilities(subject.prepare(pictures())).argmax(1).numpy()
    labels = np.where(np.arange(len(predicted)) % 3 == 0, MANY - 1, predicted)
    return FaceSet("many", pictures(), subject.classes, labels), predicted


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    subject = many_subject()
    checks = tuple(CHECKS[name] for name in ("randomization-full", "confusion-mantel"))
    request = Request(subject, labelled(subject)[0], (gradient,), checks, SMALL)
    return evaluate(request, RunFolder(tmp_path_factory.mktemp("many") / "run"), no_progress)


def test_tables_hold_the_classes_that_occur(run: RunFolder) -> None:
    subject = many_subject()
    faces, predicted = labelled(subject)
    assert faces.labels is not None
    occur = [CLASSES[k] for k in np.union1d(predicted, faces.labels)]
    assert 2 < len(occur) < MANY / 5
    assert queries.classes(run) == occur
    assert set(run.verdicts["class"]) - {"all"} <= set(occur)
    assert set(run.matrices["row"]) == set(run.matrices["column"]) == set(occur)
    assert list(run.record.chosen) == occur
    assert run.record.subject.classes == tuple(CLASSES)


def test_the_confusion_matrix_loses_nothing(run: RunFolder) -> None:
    faces, predicted = labelled(many_subject())
    held = run.matrices[run.matrices["matrix"] == "confusion"]
    square = held.pivot(index="row", columns="column", values="value")
    assert square.to_numpy().sum() == len(faces)
    names = np.array(CLASSES)
    assert faces.labels is not None
    for true, said in zip(names[faces.labels], names[predicted], strict=True):
        assert square.loc[true, said] >= 1
    assert square.loc[CLASSES[-1]].sum() == np.sum(faces.labels == MANY - 1)


def test_it_is_said_how_many_are_left_out(run: RunFolder) -> None:
    assert f"{len(queries.classes(run))} of {MANY} classes occur; tables leave out the others" in run.record.notes


def test_of_few_classes_every_one_has_a_row() -> None:
    subject = many_subject(FEW_CLASSES)
    images = pictures(3)
    probabilities = subject.probabilities(subject.prepare(images)).double().numpy()
    case: EvaluationSet = evaluation_set(subject, FaceSet("few", images, subject.classes), probabilities, None, 0)
    assert case.classes == subject.classes
    assert case.notes == ()
    np.testing.assert_array_equal(case.places(case.targets), case.targets)
