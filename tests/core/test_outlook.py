"""What a run would take is said before it, near what it then books, and nothing is made meanwhile."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CLASSES, SIDE, SMALL, SPEC, bright_patch_faces, named, no_progress, tiny_network
from torch import Tensor, nn

from harness.checks import CHECKS
from harness.cli import planning
from harness.cli.planning import planned
from harness.errors import UsageError
from harness.evaluation import Request, evaluate, examine
from harness.evaluation.foreseen import NETWORKS
from harness.evaluation.guessing import FEATURES, Guessing, read_off
from harness.evaluation.outlook import Expected, Outlook, outlook
from harness.explainers import registered
from harness.profiles import GLANCE
from harness.rounding import rounding
from harness.store import RunFolder
from harness.store.borrowed import BorrowedPieces
from harness.store.shared import SharedPieces
from harness.subject import Subject

NEAR = 0.1
"""How far expected passes may lie from those that are booked, as a share: what a user reads it for is the order."""
CLAIMS = (
    "cells-edges", "cells-rival", "blind", "planted", "deletion-spectrum", "randomization-full", "targets-differ",
    "seed-stability", "completeness", "linearity",
)  # fmt: skip
METHODS = ("gradient", "saliency", "integrated-gradients")

pytestmark = pytest.mark.usefixtures("registry")


def thrice(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Ask the network three times an image, as nobody but its author knows."""
    found = [subject.logits(images * share).gather(1, targets[:, None]) for share in (0.5, 0.75, 1.0)]
    return images[:, 0] * torch.stack(found).sum(0)[:, :, None]


def broken(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Break down."""
    raise ValueError("it broke")


def several() -> Subject:
    """A network that answers each class about as often."""
    network = tiny_network()
    subject = Subject(network, name="tiny", classes=CLASSES, spec=SPEC)
    logits = subject.logits(subject.prepare(bright_patch_faces(90).images))
    last = network[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias -= logits.mean(0)
    return Subject(network, name="tiny", classes=CLASSES, spec=SPEC)


def asked(per_class: int = 6) -> Request:
    """An evaluation of what grows in different ways, whose sizes are bounded by the images in part."""
    explainers = (*(registered()[name] for name in METHODS), named("thrice", thrice), named("broken", broken))
    profile = replace(
        SMALL, per_class=per_class, cells_per_class=5, parts_per_class=3, rivals_per_class=4, costly_per_class=3
    )
    checks = tuple(CHECKS[name] for name in CLAIMS)
    return Request(several(), bright_patch_faces(90), explainers, checks, profile)


def few(per_class: int = 3) -> Request:
    """An evaluation of little."""
    checks = tuple(CHECKS[name] for name in ("randomization-full", "cells-edges"))
    explainers = registered()["gradient"], named("thrice", thrice)
    return replace(asked(per_class), explainers=explainers, checks=checks)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SharedPieces:
    return SharedPieces(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, store: SharedPieces) -> Outlook:
    place = tmp_path_factory.mktemp("before") / "run"
    found = outlook(asked(), RunFolder(place, shared=store))
    assert not place.exists()
    assert not list(store.path.iterdir())
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return evaluate(asked(), RunFolder(tmp_path_factory.mktemp("run")), no_progress, "harness run")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, store: SharedPieces, before: Outlook) -> RunFolder:
    return evaluate(few(), RunFolder(tmp_path_factory.mktemp("small"), shared=store), no_progress, "harness run")


def by_name(rows: tuple[Expected, ...]) -> dict[str, Expected]:
    return {row.name: row for row in rows}


def test_expected_passes_of_every_explainer_are_near_those_that_a_run_books(before: Outlook, run: RunFolder) -> None:
    expected, networks = by_name(before.explainers), by_name(before.shared)[NETWORKS]
    assert [*expected] == [each.name for each in run.record.explainers]
    first = True
    for each in run.record.explainers:
        forward = expected[each.name].forward + (networks.forward if first else 0.0)  # whoever comes first draws them
        first = False
        # The truth is made of segments, so that it meets a null more than the noise that is counted.
        near = 3 * NEAR if each.name == "truth" else NEAR
        assert forward == pytest.approx(each.cost.forward, rel=near), each.name
        assert expected[each.name].backward == pytest.approx(each.cost.backward, rel=NEAR, abs=5), each.name


def test_what_is_shared_and_all_of_it_are_near_too(before: Outlook, run: RunFolder) -> None:
    passes, total = run.record.passes, before.altogether
    assert total.forward == pytest.approx(passes.forward, rel=NEAR)
    assert before.images == len(run.scores["image"].unique())
    games = by_name(before.shared)["games"]
    assert games.forward == pytest.approx(run.record.shared_cost.forward, rel=2 * NEAR)


def test_measurements_sum_to_what_explainers_and_all_share(before: Outlook) -> None:
    measured = np.array([[row.forward, row.backward] for row in before.measurements]).sum(axis=0)
    explained = np.array([[row.forward, row.backward] for row in before.explainers]).sum(axis=0)
    banks = by_name(before.shared)["banks and answers of measurements"]
    own = explained + np.array([banks.forward, banks.backward]) - measured
    # What is left are the maps of the images themselves, of which no measurement is the reason.
    assert 0 <= own[0] < 0.2 * explained[0]


def test_one_at_fault_is_named_and_takes_nothing(before: Outlook) -> None:
    row = by_name(before.explainers)["broken"]
    assert (row.forward, row.backward, row.reason) == (0.0, 0.0, "broken raised ValueError: it broke")


def test_what_is_there_takes_nothing_in_the_same_folder_and_in_another(
    small: RunFolder, store: SharedPieces, tmp_path: Path
) -> None:
    for folder in (RunFolder(small.path), RunFolder(tmp_path / "other", shared=store)):
        for row in outlook(few(), folder).explainers:
            assert row.made == row.pieces, row
            assert row.forward == row.backward == 0
    assert not (tmp_path / "other").exists()


def test_one_explainer_more_costs_what_is_its_own_and_the_finished_run_stays(small: RunFolder) -> None:
    held = {file: file.stat().st_mtime_ns for file in small.path.rglob("*") if file.is_file()}
    more = replace(few(), explainers=(*few().explainers, registered()["input-x-gradient"]))
    rows = by_name(outlook(more, RunFolder(small.path)).explainers)
    assert rows["gradient"].forward == 0
    assert rows["input-x-gradient"].forward > 0
    assert rows["input-x-gradient"].made == 0
    assert {file: file.stat().st_mtime_ns for file in small.path.rglob("*") if file.is_file()} == held


def test_a_plan_is_told_in_tables_and_as_json(tmp_path: Path) -> None:
    text = planned(few(), RunFolder(tmp_path / "run"))
    assert "what it would take, by explainer" in text
    assert "what it would take, by measurement" in text
    assert text.splitlines()[-1].endswith("nothing was made.")
    told = json.loads(planned(few(), RunFolder(tmp_path / "run"), as_json=True))
    assert {row["name"] for row in told["explainers"]} >= {"gradient", "random"}
    assert not (tmp_path / "run").exists()


def test_a_plan_of_hours_names_the_profile_that_takes_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "LONG", 0.0)
    said = "--profile glance takes less"
    assert said in planned(few(), RunFolder(tmp_path / "run")).splitlines()[-1]
    assert said not in planned(replace(few(), profile=GLANCE.with_per_class(1)), RunFolder(tmp_path / "run"))


def test_one_image_of_a_class_can_be_foreseen(tmp_path: Path) -> None:
    found = outlook(few(1), RunFolder(tmp_path / "run"))
    assert found.images == len(CLASSES)
    assert by_name(found.explainers)["gradient"].backward > 0


def test_a_subject_with_a_constructor_of_its_own_is_foreseen(tmp_path: Path) -> None:
    class Mine(Subject):
        def __init__(self) -> None:
            super().__init__(several().network, name="mine", classes=CLASSES, spec=SPEC)

    found = outlook(replace(few(1), subject=Mine()), RunFolder(tmp_path / "run"))
    assert found.altogether.forward > 0


def test_networks_of_equal_answers_are_guessed_alike() -> None:
    subject = Guessing.of(Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC))
    images = subject.prepare(bright_patch_faces(6).images)
    other = subject.with_network(tiny_network(1), "other")
    torch.testing.assert_close(subject.logits(images), other.logits(images))
    shown, said = read_off(images[0].numel(), len(CLASSES))
    added = ((images.abs() + 0.1).flatten(1) @ shown.abs() @ said.abs()).max()  # over all pixels, then over features
    summed = rounding("float32", SIDE**2 + FEATURES, scale=float(added))
    torch.testing.assert_close(subject.logits(images), subject.logits(images + 0.1), atol=summed, rtol=0)
    assert subject.passes.forward == 24


def test_borrowed_pieces_are_copied_and_nothing_is_given(tmp_path: Path) -> None:
    made = RunFolder(tmp_path / "run", shared=SharedPieces(tmp_path / "store"))
    made.remembered("0123", lambda: {"numbers": np.arange(3)})
    borrowed = BorrowedPieces(tmp_path / "elsewhere", store=SharedPieces(tmp_path / "store"))
    looking = RunFolder(tmp_path / "own", shared=borrowed)
    assert borrowed.holds(looking.piece("0123"))
    found = looking.remembered("0123", lambda: {"numbers": np.zeros(0)})
    np.testing.assert_array_equal(found["numbers"], np.arange(3))
    looking.remembered("4567", lambda: {"numbers": np.arange(2)})
    assert not borrowed.holds(looking.piece("4567"))


@pytest.mark.parametrize("look", [outlook, lambda request, folder: examine(request, folder, no_progress)])
def test_a_network_that_would_be_refused_is_refused_before_anything_is_foreseen_or_examined(
    look: Callable[[Request, RunFolder], object], tmp_path: Path
) -> None:
    network = nn.Sequential(several().network, nn.Softmax(1))
    request = replace(few(1), subject=Subject(network, name="soft", classes=CLASSES, spec=SPEC))
    with pytest.raises(UsageError, match="probabilities"):
        look(request, RunFolder(tmp_path / "run"))
