"""What a result depends on is its key: whatever is edited, the same command on the same folder tells the new truth."""

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import SMALL, bright_patch_faces, make_case, no_progress

from harness.checks import CHECKS
from harness.checks.contract import ContractGate
from harness.errors import DefinitionError
from harness.evaluation import Request, Runner, answers, evaluate, prepared
from harness.evaluation.recognition import Recognised
from harness.explainers.asked import asked_explainers
from harness.explainers.base import Explainer, wrapped
from harness.models.loading import load_subject
from harness.store import RunFolder, SharedPieces
from harness.subject import Subject

pytestmark = pytest.mark.usefixtures("unchecked")

NETWORK = """
import torch
from torch import nn
from tiny import CLASSES, PATCHES, SPEC, PatchNetwork, tiny_network
from harness.subject import Subject
from pathlib import Path

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = tiny_network()
        self.scale = 1.0
    def forward(self, images):
        return self.scale * self.inner(images) * 1.0

class Reading(Scaled):
    def forward(self, images):
        return float(Path(__file__).with_name("scale.txt").read_text()) * self.inner(images)

def make():
    return Subject(Scaled(), name="net", classes=CLASSES, spec=SPEC, cam_layer="inner.3")

def reading():
    return Subject(Reading(), name="net", classes=CLASSES, spec=SPEC)
"""
EXPLAINER = """
from pathlib import Path
import numpy as np
import torch
from helper import sharpened

TABLE = None

def mine(subject, images, targets):
    factor = float(np.load(Path(__file__).with_name("data.npy")))
    return sharpened(subject.gradients(images, targets)[:, 0], factor)

def once(subject, images, targets):
    global TABLE
    if TABLE is None:
        TABLE = float(np.load(Path(__file__).with_name("data.npy")))
    return sharpened(subject.gradients(images, targets)[:, 0], TABLE)

def lazily(subject, images, targets):
    import later
    return later.sharpened(subject.gradients(images, targets)[:, 0])

def middle(subject, images, targets):
    shown = subject.activations(images, [subject.cam_layer])[subject.cam_layer].mean(1, keepdim=True)
    return torch.nn.functional.interpolate(shown, size=images.shape[-2:])[:, 0] * (1 + targets[:, None, None])

def hidden(subject, images, targets):
    factor = np.fromfile(str(Path(__file__).with_name("hidden.bin")))[0]
    return sharpened(subject.gradients(images, targets)[:, 0], factor)
"""
HELPER = "def sharpened(maps, factor): return maps.sign() * maps.abs() ** factor\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own with a network, an explainer, a helper and data."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "explain.py").write_text(EXPLAINER)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "later.py").write_text("def sharpened(maps): return maps\n")
    (tmp_path / "scale.txt").write_text("1.0")
    np.save(tmp_path / "data.npy", 1.0)
    np.full(1, 1.0).tofile(tmp_path / "hidden.bin")
    yield tmp_path
    _forget(tmp_path)


def _forget(folder: Path) -> None:
    """Let go of what was imported from a folder, as the next command would find it."""
    sys.path_importer_cache.clear()
    for name, module in list(sys.modules.items()):
        if str(folder) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


class Commands:
    """Runs one command again and again in one folder, each as a new process would, and keeps what it says."""

    def __init__(self, world: Path) -> None:
        self.world = world
        self.said: list[str] = []
        self.shared: SharedPieces | None = None

    def __call__(self, subject: str = "make", explainer: str = "mine", folder: str = "run") -> np.ndarray:
        _forget(self.world)
        (asked,) = asked_explainers([f"{self.world}/explain.py:{explainer}"])
        return self.of(load_subject(f"{self.world}/net.py:{subject}"), asked, folder)

    def of(self, subject: Subject, explainer: Explainer, folder: str = "run") -> np.ndarray:
        """The maps, as an evaluation gets them."""
        request = asked(subject, explainer)
        held = prepared(request, RunFolder(self.world / folder, shared=self.shared))
        recognised = Recognised(request, held, answers(subject, request.faces, held))
        recognised.tell(self.said.append)
        gate = ContractGate(subject, request.faces, 0, held.remembered)
        runner = Runner(make_case(subject, request.faces), (), held, gate.behaviour)
        assert not gate.examination(explainer).reason
        maps = runner.maps(explainer)
        recognised.note(gate.behaviours, self.said.append)
        return maps


def asked(subject: Subject, *explainers: Explainer) -> Request:
    checks, profile = (CHECKS["deletion-spectrum"],), replace(SMALL, controls=())
    return Request(subject, bright_patch_faces(9), explainers, checks, profile, feed="contiguous:64")


@pytest.fixture
def command(world: Path) -> Commands:
    return Commands(world)


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def forward(world: Path) -> None:
    edited(world / "net.py", "self.inner(images) * 1.0", "self.inner(images.flip(3)) * 1.0")


def attribute(world: Path) -> None:
    edited(world / "net.py", "self.scale = 1.0", "self.scale = 3.0")


def cam_layer(world: Path) -> None:
    edited(world / "net.py", 'cam_layer="inner.3"', 'cam_layer="inner.0"')


def helper(world: Path) -> None:
    edited(world / "helper.py", "** factor", "** (factor + 2)")


def late_helper(world: Path) -> None:
    edited(world / "later.py", "return maps", "return maps ** 3")


def data(world: Path) -> None:
    np.save(world / "data.npy", 3.0)


def hidden_data(world: Path) -> None:
    np.full(1, 3.0).tofile(world / "hidden.bin")


def data_of_the_network(world: Path) -> None:
    (world / "scale.txt").write_text("3.0")


EDITS = [
    (forward, "make", "mine", "net.py changed"),
    (attribute, "make", "mine", "net.py changed"),
    (cam_layer, "make", "middle", "net.py changed"),
    (helper, "make", "mine", "mine .helper.py changed"),
    (late_helper, "make", "lazily", "lazily .later.py"),
    (data, "make", "mine", "mine .data.npy, which it reads, changed"),
    (data, "make", "once", "once .data.npy, which it reads, changed"),
    (hidden_data, "make", "hidden", "hidden"),
    (data_of_the_network, "reading", "mine", "net changed .scale.txt changed"),
]


@pytest.mark.parametrize(("edit", "subject", "explainer", "why"), EDITS, ids=lambda part: getattr(part, "__name__", ""))
def test_an_edit_is_seen_and_told(
    edit: Callable[[Path], None], subject: str, explainer: str, why: str, command: Commands
) -> None:
    before = command(subject, explainer)
    edit(command.world)
    after = command(subject, explainer)
    fresh = command(subject, explainer, "fresh")
    np.testing.assert_array_equal(after, fresh)
    assert not np.array_equal(before, after)
    (line,) = command.said
    assert "made again" in line
    assert re.search(why, line)


@pytest.mark.parametrize(("edit", "subject", "explainer", "why"), EDITS, ids=lambda part: getattr(part, "__name__", ""))
def test_an_edit_is_seen_by_a_run_that_shares_pieces(
    edit: Callable[[Path], None], subject: str, explainer: str, why: str, command: Commands
) -> None:
    command.shared = SharedPieces(command.world / "store")
    before = command(subject, explainer, "one")
    edit(command.world)
    after = command(subject, explainer, "two")
    command.shared = None
    np.testing.assert_array_equal(after, command(subject, explainer, "fresh"))
    assert not np.array_equal(before, after)


def test_what_did_not_change_is_used_again_and_that_is_told(command: Commands) -> None:
    before = command()
    pieces = {file: file.stat().st_mtime_ns for file in (command.world / "run" / "cache").rglob("*.npz")}
    np.testing.assert_array_equal(command(), before)
    assert {file: file.stat().st_mtime_ns for file in (command.world / "run" / "cache").rglob("*.npz")} == pieces
    assert command.said == [f"{command.world}/run: what is there of the network and 1 explainers is used again"]


# ---------------------------------------------------------------------- from Python


def powers(power: float) -> Explainer:
    def powered(subject: Subject, images: object, targets: object) -> object:
        return subject.gradients(images, targets)[:, 0] ** power

    return wrapped(powered)


class Powers:
    """An explainer that is an object."""

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, subject: Subject, images: object, targets: object) -> object:
        return subject.gradients(images, targets)[:, 0] ** self.power


@pytest.mark.parametrize("make", [powers, lambda power: wrapped(Powers(power), name="powered")])
def test_another_closure_or_object_of_one_name_is_seen(make: Callable[[float], Explainer], command: Commands) -> None:
    subject = load_subject(f"{command.world}/net.py:make")
    before, after = (command.of(subject, make(power)) for power in (1.0, 3.0))
    np.testing.assert_array_equal(after, command.of(subject, make(3.0), "fresh"))
    assert not np.array_equal(before, after)
    assert "powered (what it holds changed" in command.said[0]


def test_two_of_one_factory_are_never_taken_for_one() -> None:
    one, other = powers(1.0), powers(3.0)
    assert one.digest != other.digest
    with pytest.raises(DefinitionError, match="has the name of"):
        asked_explainers([one, other])
    named = [replace(one, name="one"), replace(other, name="other")]
    assert [made.name for made in asked_explainers(named)] == ["one", "other"]


def test_maps_that_changed_while_nothing_else_did_are_made_again(command: Commands) -> None:
    counter = itertools.count(1)

    class Untold(Powers):
        def __digest__(self) -> str:
            return "always the same"

    subject = load_subject(f"{command.world}/net.py:make")
    before, after = (command.of(subject, wrapped(Untold(2.0 * next(counter) - 1), name="untold")) for _ in "ab")
    assert not np.array_equal(before, after)
    assert command.said[1:] == [
        "untold was made again: its maps of the same pictures changed, though nothing else did",
    ]


def test_a_network_that_was_changed_in_place_is_another(command: Commands) -> None:
    subject = load_subject(f"{command.world}/net.py:make")
    before = subject.digest
    subject.network.scale = 3.0
    assert subject.renewed().digest != before


def test_a_damaged_note_of_the_last_start_is_as_none(command: Commands) -> None:
    before = command()
    (command.world / "run" / "cache" / "known.json").write_text("{")
    np.testing.assert_array_equal(command(), before)
    assert command.said == []


def test_an_evaluation_tells_it_and_judges_by_what_is(command: Commands) -> None:
    said: list[str] = []

    def scores(folder: str) -> pd.DataFrame:
        _forget(command.world)
        explainers = asked_explainers([f"{command.world}/explain.py:mine"])
        request = asked(load_subject(f"{command.world}/net.py:make"), *explainers)
        return evaluate(request, RunFolder(command.world / folder), no_progress, "", said.append).scores

    before = scores("run")
    helper(command.world)
    after = scores("run")
    pd.testing.assert_frame_equal(after, scores("fresh"))
    assert not before.equals(after)
    assert len(said) == 1
    assert "made again: mine (helper.py changed)" in said[0]
