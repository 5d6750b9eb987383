from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import fan_ins

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.models.loading import load_subject
from harness.models.training import Held, TrainedNetwork, _TrainedForm, class_weights, held_out, train
from harness.rounding import rounding

CLASSES = ("left", "right", "neither")


def bright_sides(n: int, seed: int = 0, persons: bool = False) -> FaceSet:
    """Pictures whose upper or lower half is bright, or neither; anyone can learn them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(0, 60, (n, 48, 48), dtype=np.uint8)
    images[labels == 0, :24] += 150
    images[labels == 1, 24:] += 150
    people = np.arange(n) // 9 if persons else None
    return FaceSet("sides", images, CLASSES, labels=labels, persons=people, ids=np.arange(n) + 100)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return train(bright_sides(192), seed=0, epochs=2)


def test_it_learns_what_can_be_learnt(trained: TrainedNetwork) -> None:
    fresh = bright_sides(30, seed=1)
    subject = trained.subject()
    predicted = subject.logits(subject.prepare(fresh.images)).argmax(1).numpy()
    assert fresh.labels is not None
    assert (predicted == fresh.labels).mean() > 0.9  # 1.0 measured


def test_its_figures_are_those_of_the_network_it_returns(trained: TrainedNetwork) -> None:
    faces, subject = bright_sides(192), trained.subject()
    kept = faces.take(trained.held.ids - 100)
    predicted = subject.logits(subject.prepare(kept.images)).argmax(1).numpy()
    assert kept.labels is not None
    counts = np.zeros((3, 3), np.int64)
    np.add.at(counts, (kept.labels, predicted), 1)
    assert np.array_equal(trained.held.confusion, counts)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    one, again, other = (train(bright_sides(24), seed=seed, epochs=1).subject().digest for seed in (0, 0, 1))
    assert one == again != other


def test_global_generators_are_left_as_they_were() -> None:
    before = torch.get_rng_state(), str(np.random.get_state())
    train(bright_sides(12), seed=5, epochs=1)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == str(np.random.get_state())


def test_it_stops_early_once_nothing_gets_better() -> None:
    assert train(bright_sides(24), seed=0, epochs=40, patience=1).ran < 40


def test_folding_keeps_what_the_network_computes() -> None:
    torch.manual_seed(0)
    form = _TrainedForm(3)
    form(torch.randn(16, 1, 48, 48))  # moves the running statistics
    form.eval().double()
    images = torch.randn(4, 1, 48, 48).double()
    with torch.no_grad():
        apart = (form(images) - form.folded()(images)).abs().max()
    assert apart < rounding("float64", fan_ins(form), conditioning=100.0)


def test_a_saved_network_is_taken_back(trained: TrainedNetwork, tmp_path: Path) -> None:
    trained.save(tmp_path / "w.safetensors")
    subject = load_subject(str(tmp_path / "w.safetensors"))
    images = torch.rand(5, 1, 48, 48)
    assert subject.classes == CLASSES
    assert subject.name == "w"
    assert torch.equal(subject.logits(images), trained.subject().logits(images))


def test_whole_people_are_held_out() -> None:
    faces = bright_sides(90, persons=True)
    held = held_out(faces, 0.2, seed=0)
    assert faces.persons is not None
    assert len(np.unique(faces.persons[held])) == 2
    assert not set(faces.persons[held]) & set(faces.persons[~held])


def test_without_people_a_share_of_every_class_is_held_out() -> None:
    faces = bright_sides(90)
    assert faces.labels is not None
    assert np.bincount(faces.labels[held_out(faces, 0.2, seed=0)]).tolist() == [6, 6, 6]


def test_a_rare_class_weighs_more() -> None:
    weights = class_weights(np.array([0] * 90 + [1] * 10), 2)
    assert weights[1] / weights[0] == pytest.approx(3.0)


def test_recall_of_a_class_without_faces_is_undefined() -> None:
    recall = Held(np.arange(4), np.array([[1, 1], [0, 0]])).recall
    assert recall[0] == 0.5
    assert np.isnan(recall[1])


def test_unlabelled_faces_are_refused() -> None:
    with pytest.raises(UsageError, match="has no labels to learn"):
        train(FaceSet("plain", np.zeros((4, 48, 48), np.uint8), CLASSES), seed=0)


def test_one_class_alone_is_refused() -> None:
    faces = FaceSet("one", np.zeros((4, 48, 48), np.uint8), CLASSES, labels=np.zeros(4, np.int64))
    with pytest.raises(UsageError, match="has one class alone"):
        train(faces, seed=0)


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(UsageError, match="too few to hold any out"):
        train(bright_sides(3), seed=0)


def test_no_epochs_are_refused() -> None:
    with pytest.raises(UsageError, match="give 1 or more"):
        train(bright_sides(12), seed=0, epochs=0)


@pytest.mark.parametrize("name", ["w.pt", "absent/w.safetensors"])
def test_a_name_that_cannot_be_written_is_refused(name: str, trained: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name a file ending in \.safetensors in a folder that exists"):
        trained.save(tmp_path / name)


def test_somebody_elses_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(
        UsageError, match=r"was not written by harness train .*file\.py:factory@w\.safetensors"
    ) as caught:
        load_subject(str(tmp_path / "w.safetensors"))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="was not written by harness train"):
        load_subject(str(tmp_path / "w.safetensors"))


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was not written by harness train"):
        load_subject(str(tmp_path / "absent.safetensors"))
