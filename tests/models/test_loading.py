from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.errors import UsageError
from harness.models import bundled
from harness.models.bundled import SUBJECTS
from harness.models.faces_cnn import FacesCNN
from harness.models.loading import load_subject, load_twin

MINE = """
import torch
from torch import nn
from harness.subject import InputSpec, Subject

def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))

def as_subject():
    return Subject(network(), name="mine", classes=["a", "b"], spec=InputSpec(8, 8))

def as_module():
    made = network()
    made.classes, made.spec = ("a", "b"), InputSpec(8, 8)
    return made

class AsClass(nn.Sequential):
    classes, spec, cam_layer = ["a", "b"], InputSpec(8, 8), "1"
    def __init__(self):
        super().__init__(*network())

ready = as_subject()
number = 3
plain = network

def wrong_classes():
    made = as_module()
    made.classes = ("a", "b", "c")
    return made

def raises():
    return {}["weights"]

def wants_more(path):
    return as_subject()

def forgets():
    as_subject()
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize("name", ["as_subject", "as_module", "AsClass", "ready"])
def test_a_users_network_is_loaded(name: str, mine: Path) -> None:
    subject = load_subject(f"{mine}:{name}")
    assert subject.classes == ("a", "b")
    assert subject.logits(torch.zeros(3, 1, 8, 8)).shape == (3, 2)


def test_a_module_may_state_its_cam_layer(mine: Path) -> None:
    assert load_subject(f"{mine}:AsClass").cam_layer == "1"


def test_a_subject_made_elsewhere_is_moved_to_the_device(mine: Path) -> None:
    moved = load_subject(f"{mine}:ready", "cpu:0")
    assert moved.device == torch.device("cpu:0")
    assert moved.digest == load_subject(f"{mine}:ready").digest


MISTAKES = {
    "faces-cn": r"is called 'faces-cn' \(did you mean 'faces-cnn'\?\); there is faces-cnn.*file\.py:factory",
    "{mine}:absent": "has no 'absent'",
    "{mine}x.py:f": "there is no file",
    "{mine}:number": "gives an object of type int; make it return a Subject or a torch module",
    "{mine}:plain": r"without `classes` \(names\) and `spec` \(InputSpec\); set them, or return Subject\(",
    "{mine}:wrong_classes": r"returns \(1, 2\) for one image, not \(1, 3\)",
    "{mine}:raises": "raised KeyError: 'weights'; mend it",
    "{mine}:wants_more": "raised TypeError: .*missing 1 required positional argument.*called without arguments",
    "{mine}:forgets": "gives None; make it return a Subject or a torch module",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_one_clear_line(text: str, mine: Path) -> None:
    with pytest.raises(UsageError, match=MISTAKES[text]) as caught:
        load_subject(text.format(mine=mine))
    assert "\n" not in str(caught.value)


def test_the_names_that_the_command_line_promises_are_there() -> None:
    assert set(SUBJECTS) == {
        "faces-cnn",
        "faces-additive",
        "faces-cnn-shortcut",
        "faces-cnn-random-labels",
        "fer2013-minixception",
    }


def test_a_bundled_network_has_the_weights_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FacesCNN().eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    monkeypatch.setattr(bundled, "fixture", lambda _relative: tmp_path / "w.safetensors")
    images = torch.rand(2, 1, 48, 48)
    subject = load_subject("faces-cnn")
    assert torch.equal(subject.logits(images), network(images))
    assert subject.cam_layer == "act4"


def test_minixception_that_was_not_fetched_says_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="bring it once with: harness fetch fer2013-minixception"):
        load_subject("fer2013-minixception")


@pytest.mark.parametrize("name", [name for name in SUBJECTS if name.startswith("faces-cnn")])
def test_the_bundled_networks_load(name: str) -> None:
    assert load_subject(name).logits(torch.zeros(1, 1, 48, 48)).shape == (1, 7)


# ---------------------------------------------------------------------- its twin on permuted labels


def test_a_bundled_subjects_twin_is_known() -> None:
    twin = load_twin(None, load_subject("faces-cnn"), "faces-cnn")
    assert twin is not None
    assert twin.digest == load_subject("faces-cnn-random-labels").digest


def test_a_twin_that_is_the_network_itself_is_refused() -> None:
    subject = load_subject("faces-cnn")
    with pytest.raises(UsageError, match="has the weights of faces-cnn itself"):
        load_twin("faces-cnn", subject, "faces-cnn")


@pytest.mark.parametrize("name", ["faces-cnn-shortcut", "faces-cnn-random-labels"])
def test_other_subjects_have_no_twin_but_the_one_given(name: str) -> None:
    subject = load_subject(name)
    assert load_twin(None, subject, name) is None
    given = load_twin("faces-cnn", subject, name)
    assert given is not None
    assert given.name == "faces-cnn"


def test_a_users_network_of_a_bundled_name_has_no_twin(mine: Path) -> None:
    assert load_twin(None, load_subject("faces-cnn"), f"{mine}:as_subject") is None


def test_a_twin_of_another_architecture_is_refused(mine: Path) -> None:
    with pytest.raises(UsageError, match=r"--random-labels mine: its weights are not shaped as those of faces-cnn"):
        load_twin(f"{mine}:as_subject", load_subject("faces-cnn"), "faces-cnn")


def test_a_twin_of_other_classes_is_refused(tmp_path: Path, mine: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(MINE.replace('["a", "b"]', '["b", "a"]'))
    with pytest.raises(UsageError, match=r"--random-labels mine: its classes or input are not those of mine"):
        load_twin(f"{other}:as_subject", load_subject(f"{mine}:as_subject"), f"{mine}:as_subject")
