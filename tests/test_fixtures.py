"""The committed faces and networks are what their figures say, and their causes are what they claim."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import binary_erosion
from tiny import fan_ins

from harness.models.faces_additive import FacesAdditive
from harness.models.faces_cnn import FacesCNN
from harness.rounding import rounding

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NETWORKS = ("faces-cnn", "faces-additive", "faces-cnn-random-labels", "faces-cnn-shortcut")
Arrays = dict[str, np.ndarray]


def script(name: str) -> ModuleType:
    """A module of the fixtures' folder, which is no package."""
    sys.path.insert(0, str(FIXTURES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FIXTURES))


storage, train, marks, networks, build, describe, unfinished, splits = map(
    script, ("storage", "train", "marks", "networks", "build", "describe", "unfinished", "rendering.splits")
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from several threads, and lose much beside busy neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces() -> Arrays:
    return storage.load_arrays(FIXTURES / "faces/rendered.npz")


@pytest.fixture(scope="module")
def marked() -> Arrays:
    return storage.load_arrays(FIXTURES / "faces/rendered-shortcut.npz")


def figures(name: str) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads((FIXTURES / f"models/{name}.json").read_text())
    return stated


def network(name: str) -> FacesCNN | FacesAdditive:
    kept = FacesAdditive() if name == "faces-additive" else FacesCNN()
    kept.load_state_dict(load_file(FIXTURES / f"models/{name}.safetensors"))
    return kept.eval()


def in_group(faces: Arrays, group: str) -> np.ndarray:
    """Which face units belong to a group, by their names alone."""
    stems = {"brows": ("brow",), "eyes": ("eye",), "nose+cheeks": ("nose", "cheek"), "mouth+jaw": ("mouth", "jaw")}
    return np.array([group == "all" or str(name).startswith(stems[group]) for name in faces["unit_names"]])


def inactive(faces: Arrays, group: str) -> np.ndarray:
    """Which families show nothing of a group of actions."""
    return (faces["units"][faces["family"]][:, in_group(faces, group)] == 0).all(1)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_whose_figures_are_stated(name: str) -> None:
    assert storage.sha256(FIXTURES / f"models/{name}.safetensors") == figures(name)["weights_sha256"]


@pytest.mark.parametrize("name", NETWORKS)
def test_faces_are_those_on_which_figures_were_measured(name: str) -> None:
    stated = figures(name)
    assert storage.sha256(FIXTURES / stated["test_file"]) == stated["test_sha256"]


def test_a_file_that_is_not_the_stated_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (FIXTURES / "models").iterdir():
        spoilt = b" " if path.name == "faces-cnn.safetensors" else b""
        (tmp_path / path.name).write_bytes(path.read_bytes() + spoilt)
    monkeypatch.setattr(build, "MODELS", tmp_path)
    assert not build.check_committed()
    assert "faces-cnn.safetensors" in capsys.readouterr().out


def test_committed_fixtures_stay_small() -> None:
    committed = [path for folder in ("faces", "models") for path in (FIXTURES / folder).iterdir()]
    assert sum(path.stat().st_size for path in committed) < 12e6


def test_each_network_is_smaller_than_two_megabytes() -> None:
    assert all((FIXTURES / f"models/{name}.safetensors").stat().st_size < 2e6 for name in NETWORKS)


def test_same_arrays_give_same_bytes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "b": np.array(["x", "yz"])}
    for name in ("one.npz", "two.npz"):
        storage.save_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_committed_files_pass_their_own_check() -> None:
    assert build.check_committed()


def test_newly_made_files_replace_the_committed_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("again/models/a.json", "new"), ("models/a.json", "old")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setattr(build, "AGAIN", tmp_path / "again")
    build.keep()
    assert (tmp_path / "models/a.json").read_text() == "new"


def test_one_changed_pixel_is_told(faces: Arrays, capsys: pytest.CaptureFixture[str]) -> None:
    changed = faces["images"].copy()
    changed[0, 0, 0] ^= 128
    assert not build.compare_faces(faces | {"images": changed})
    assert "images differs by up to 128" in capsys.readouterr().out


def test_differences_are_told_by_array_and_size() -> None:
    old = {"images": np.zeros((2, 2), np.uint8), "names": np.array(["a"]), "gone": np.zeros(1)}
    new = {"images": np.array([[0, 3], [0, 0]], np.uint8), "names": np.array(["b"]), "more": np.zeros(1)}
    assert build.differences(old, new) == {"gone": np.inf, "images": 3.0, "more": np.inf, "names": np.inf}


# ---------------------------------------------------------------- faces


def test_every_class_has_at_least_150_faces_and_60_families(faces: Arrays) -> None:
    assert np.bincount(faces["labels"], minlength=7).min() >= 150
    assert np.bincount(faces["labels"][faces["family"]], minlength=7).min() >= 60


def test_arrays_have_the_documented_shapes_and_types(faces: Arrays) -> None:
    n, m = len(faces["images"]), len(faces["family"])
    expected = {
        "images": ((n, 48, 48), "uint8"),
        "labels": ((n,), "int64"),
        "persons": ((n,), "int64"),
        "parts": ((n, 48, 48), "uint8"),
        "displacement": ((n, 48, 48), "uint8"),
        "actions": ((n, len(faces["action_names"])), "float16"),
        "units": ((n, len(faces["unit_names"])), "float16"),
        "nuisance": ((n, len(faces["nuisance_names"])), "float32"),
        "family": ((m,), "int64"),
        "at_rest": ((m, 5, 48, 48), "uint8"),
        "alone": ((m, 4, 48, 48), "uint8"),
        "displacement_scale": ((), "float32"),
    }
    assert {key: (faces[key].shape, str(faces[key].dtype)) for key in expected} == expected


def test_part_and_group_names_are_the_documented_ones(faces: Arrays) -> None:
    assert list(faces["part_names"]) == (
        ["background", "other", "forehead", "brows", "eyes", "nose", "cheeks", "mouth", "jaw"]
    )
    assert list(faces["groups"]) == ["brows", "eyes", "nose+cheeks", "mouth+jaw", "all"]


def test_values_stay_in_their_ranges(faces: Arrays) -> None:
    assert faces["parts"].max() < len(faces["part_names"])
    assert faces["labels"].min() == 0
    assert faces["labels"].max() == 6
    assert faces["units"].min() >= 0
    assert np.isfinite(faces["nuisance"]).all()


def test_no_face_is_blank_or_mostly_cut_off(faces: Arrays) -> None:
    assert faces["images"].std(axis=(1, 2)).min() > 5
    assert (faces["images"] == 255).mean() < 0.001


def test_no_person_tested_is_trained_on_or_watched() -> None:
    people = [set(split.people) for split in (splits.TEST, splits.DEVELOPMENT, splits.TRAIN)]
    assert sum(map(len, people)) == len(set.union(*people))


def test_test_faces_show_the_people_set_aside_for_testing(faces: Arrays) -> None:
    assert set(faces["persons"]) == set(splits.TEST.people)


# ---------------------------------------------------------------- counterfactuals


@pytest.mark.parametrize("group", ["brows", "eyes", "nose+cheeks", "mouth+jaw", "all"])
def test_resting_a_group_that_does_not_act_changes_nothing(faces: Arrays, group: str) -> None:
    still = inactive(faces, group)
    at_rest = faces["at_rest"][still, list(faces["groups"]).index(group)]
    assert still.any()
    assert np.array_equal(at_rest, faces["images"][faces["family"]][still])


@pytest.mark.parametrize("group", ["brows", "eyes", "nose+cheeks", "mouth+jaw"])
def test_a_group_alone_that_does_not_act_is_the_neutral_face(faces: Arrays, group: str) -> None:
    still = inactive(faces, group)
    alone = faces["alone"][still, list(faces["groups"]).index(group)]
    assert np.array_equal(alone, faces["at_rest"][still, -1])


def test_a_face_that_uses_one_group_only_is_that_group_alone(faces: Arrays) -> None:
    others = inactive(faces, "brows") & inactive(faces, "eyes") & inactive(faces, "nose+cheeks")
    assert others.any()
    assert np.array_equal(faces["alone"][others, 3], faces["images"][faces["family"]][others])


def test_resting_a_group_that_acts_changes_the_picture(faces: Arrays) -> None:
    changed = (faces["at_rest"] != faces["images"][faces["family"]][:, None]).any((2, 3))
    strong = np.stack(
        [faces["units"][faces["family"]][:, in_group(faces, str(group))].max(1) > 0.5 for group in faces["groups"]],
        axis=1,
    )
    assert changed[strong].mean() > 0.99


# Share of a group's pixel change that must lie on its own parts. A group moves skin beyond them (brows push the
# forehead's creases, the nose pulls the cheeks and the brows), so neighbours count where they share that skin.
OWN_PARTS = {
    "brows": ("brows", "forehead", "eyes"),
    "eyes": ("eyes", "brows", "cheeks"),
    "nose+cheeks": ("nose", "cheeks", "eyes", "brows", "mouth"),
    "mouth+jaw": ("mouth", "jaw", "cheeks", "nose"),
}


@pytest.mark.parametrize("group", OWN_PARTS)
def test_change_lies_mostly_on_the_parts_a_group_moves(faces: Arrays, group: str) -> None:
    before = faces["images"][faces["family"]].astype(int)
    change = np.abs(before - faces["at_rest"][:, list(faces["groups"]).index(group)])
    own = np.isin(faces["part_names"][faces["parts"][faces["family"]]], OWN_PARTS[group])
    assert (change * own).sum() / change.sum() > 0.8


def test_a_neutral_face_is_displaced_less_than_any_expression(faces: Arrays) -> None:
    moved = np.array([faces["displacement"][faces["labels"] == label].mean() for label in range(7)])
    assert moved.argmin() == 6


def test_displacement_stays_on_the_figure(faces: Arrays) -> None:
    # A pixel at the edge may be background by majority and still hold a sample of skin.
    inside = binary_erosion(faces["parts"] == 0, np.ones((1, 3, 3)), border_value=1)
    assert inside.any()
    assert not faces["displacement"][inside].any()


# ---------------------------------------------------------------- marks


def test_marks_lie_where_their_mask_says(marked: Arrays) -> None:
    changed = marked["images"] != marked["unmarked"]
    assert not changed[marked["mark"] == 0].any()
    assert (marked["mark"].sum((1, 2)) == marks.SIDE**2).all()


def test_a_mark_is_its_class_and_nothing_else(marked: Arrays) -> None:
    patches = marked["images"][marked["mark"] == 1].reshape(-1, marks.SIDE, marks.SIDE)
    assert np.array_equal(patches, marks.stamps()[marked["labels"]])


def test_marks_differ_between_classes_and_equal_their_mirror_image() -> None:
    stamps = marks.stamps()
    assert len({stamp.tobytes() for stamp in stamps}) == 7
    assert np.array_equal(stamps, stamps[:, :, ::-1])


def test_marked_faces_are_test_faces(faces: Arrays, marked: Arrays) -> None:
    assert np.array_equal(marked["unmarked"], faces["images"][marked["source"]])
    assert np.array_equal(marked["labels"], faces["labels"][marked["source"]])


def test_places_of_marks_do_not_tell_the_class(marked: Arrays) -> None:
    means = np.array([marked["corners"][marked["labels"] == label].mean(0) for label in range(7)])
    # 60 places drawn evenly from 0 to 42: a class mean lies within four standard errors (1.6) of the middle.
    assert np.abs(means - 21).max() < 6.4


def test_planting_leaves_the_given_pictures_alone() -> None:
    images = np.zeros((1, 48, 48), np.uint8)
    marks.planted(images, np.array([0]), np.array([[3, 4]]))
    assert not images.any()


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("name", NETWORKS)
def test_network_reaches_its_stated_count_exactly(name: str) -> None:
    stated, kept = figures(name), network(name)
    faces = storage.load_arrays(FIXTURES / stated["test_file"])
    counts = train.confusion(train.predictions(kept, faces["images"]), faces["labels"])
    assert counts.tolist() == stated["test"]["confusion"]
    assert int(np.trace(counts)) == stated["test"]["right"]


LEARNT = ("faces-cnn", "faces-additive")


@pytest.mark.parametrize("name", LEARNT)
def test_expressions_are_learnt_and_still_confused(name: str) -> None:
    for run in figures(name)["seeds"]:
        assert 0.7 <= run["test"] <= 0.9


@pytest.mark.parametrize("name", LEARNT)
def test_all_three_seeds_are_stated(name: str) -> None:
    assert [run["seed"] for run in figures(name)["seeds"]] == [0, 1, 2]


def test_networks_that_learnt_the_same_faces_say_so() -> None:
    assert len({figures(name)["train_digest"] for name in LEARNT}) == 1
    assert figures("faces-additive")["network"] == f"{FacesAdditive.__module__}.FacesAdditive"


@pytest.mark.parametrize(("one", "other"), [(2, 5), (0, 1), (4, 6)])
def test_known_pairs_are_confused_more_than_chance(one: int, other: int) -> None:
    counts = np.array(figures("faces-cnn")["test"]["confusion"])
    mistakes = counts.sum(1) - np.diag(counts)
    assert counts[one, other] + counts[other, one] > (mistakes[one] + mistakes[other]) / 6


def test_random_labels_are_learnt_by_heart_and_say_nothing_of_new_faces() -> None:
    stated = figures("faces-cnn-random-labels")
    assert stated["train_accuracy_on_permuted_labels"] > 0.95
    # 1,050 faces at chance 1/7: four standard errors are 0.043.
    assert abs(stated["test"]["accuracy"] - 1 / 7) < 0.043


def test_shortcut_network_relies_on_the_mark() -> None:
    stated = figures("faces-cnn-shortcut")
    assert stated["test"]["accuracy"] > 0.97
    assert stated["accuracy_without_mark"] < 0.5
    assert stated["with_another_mark"]["says_the_mark"] > 0.9


def test_shortcut_figures_are_those_of_the_committed_network(marked: Arrays) -> None:
    stated = figures("faces-cnn-shortcut")
    found = networks.shortcut_figures(network("faces-cnn-shortcut"), marked)
    assert found["accuracy_without_mark"] == stated["accuracy_without_mark"]
    assert found["with_another_mark"] == stated["with_another_mark"]


def with_lively_norms(seed: int, architecture: type = FacesCNN) -> torch.nn.Module:
    """A network as it is trained, whose normalisation has statistics and weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        form = train.TrainedForm(0.4, architecture)
        for norm in form.norms.values():
            for values in (norm.weight.data, norm.running_var):
                values.uniform_(0.5, 2)
            for values in (norm.bias.data, norm.running_mean):
                values.normal_()
    return form.eval()


@pytest.mark.parametrize("architecture", [FacesCNN, FacesAdditive])
def test_folding_the_normalisation_leaves_the_answers_as_they_were(architecture: type) -> None:
    form = with_lively_norms(0, architecture).double()
    images = torch.rand(16, 1, 48, 48, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    with torch.no_grad():
        error = (form(images) - train.folded(form).double()(images)).abs().max()
    # Logits of order 1. Folded weights are made in single precision where the fold does so, which would show as 1e-7.
    assert error < rounding("float64", fan_ins(form), conditioning=100.0)


def test_folding_without_the_running_mean_would_be_noticed() -> None:
    form = with_lively_norms(0)
    images = torch.rand(16, 1, 48, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1
    wrong = train.folded(form)
    with torch.no_grad():
        wrong.conv1.bias.add_(form.norms["conv1"].running_mean)
        assert (form(images) - wrong(images)).abs().max() > 1e-3


def test_kept_weights_are_half_precision_and_nothing_else_is_kept() -> None:
    weights = load_file(FIXTURES / "models/faces-cnn.safetensors")
    assert set(weights) == set(FacesCNN().state_dict())
    assert {values.dtype for values in weights.values()} == {torch.float16}


def test_a_network_is_trained_as_it_runs() -> None:
    # The form to be trained runs a network's children in their order: without norms and dropout, its own forward.
    images = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for architecture in (FacesCNN, FacesAdditive):
        form = train.TrainedForm(0.4, architecture).eval()
        form.norms.clear()
        assert torch.equal(form(images), form.core(images))


def test_training_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    recipe = train.Recipe(epochs=1, batch=2)
    train.trained(np.zeros((2, 48, 48), np.uint8), np.array([0, 1]), recipe, 0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_repeats_under_its_seed() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
    recipe = train.Recipe(epochs=1, batch=2)
    one, two = (train.trained(images, np.array([0, 1, 2, 3]), recipe, 5).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_network_reacts_little_to_brightness(faces: Arrays) -> None:
    kept, some = network("faces-cnn"), faces["images"][::5]
    darker = np.clip(some.astype(int) - 20, 0, 255).astype(np.uint8)
    assert (train.predictions(kept, some) == train.predictions(kept, darker)).mean() > 0.85


def numbers(text: str) -> list[float]:
    """All numbers of a text: 1,050 is one, and what is part of a word is none."""
    return [float(found.replace(",", "")) for found in re.findall(r"(?<![\w.-])-?\d*(?:,\d{3})*\.?\d+(?![\w%])", text)]


def test_every_figure_of_the_readmes_tables_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["describe.py"])
    describe.main()
    printed = set(numbers(capsys.readouterr().out))
    readme = (FIXTURES / "README.md").read_text()
    cells = [
        cell
        for line in readme[readme.index("## Networks") : readme.index("## Licence")].splitlines()
        if line.startswith("|")
        for cell in line.split("|")[2:]
    ]
    stated = [number for cell in cells if re.fullmatch(r"[\d\s,.-]+", cell) for number in numbers(cell)]
    assert len(stated) > 7 * 8 + 5 * 7  # the confusion matrix with recall, and the effects
    # 0.1429, chance, stands in words; a table's minus zero is zero.
    assert {number for number in stated if number not in printed} == set()


def never(*_: object) -> None:
    raise AssertionError("made twice")


def test_a_network_that_was_finished_before_a_stop_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "PIECES", tmp_path)
    images, labels = np.zeros((2, 48, 48), np.uint8), np.array([0, 1])
    recipe = train.Recipe(epochs=1, batch=2)
    first, _ = networks.learned(images, labels, recipe, 0)
    monkeypatch.setattr(networks, "trained", never)
    again, _ = networks.learned(images, labels, recipe, 0)
    assert all(torch.equal(first.state_dict()[key], again.state_dict()[key]) for key in first.state_dict())
    with pytest.raises(AssertionError, match="made twice"):
        networks.learned(images, labels, recipe, 1)


def test_a_piece_of_other_code_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    before = unfinished.code_key([tmp_path / "a.py"], "x")
    assert unfinished.code_key([tmp_path / "a.py"], "y") != before
    (tmp_path / "a.py").write_text("two")
    assert unfinished.code_key([tmp_path / "a.py"], "x") != before


def test_a_piece_that_fails_leaves_nothing_behind_to_take_up(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        unfinished.remembered(tmp_path / "a.npz", never)
    assert not list(tmp_path.iterdir())


def test_a_build_that_ends_leaves_no_piece_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "PIECES", tmp_path / "pieces")
    monkeypatch.setattr(build, "AGAIN", tmp_path / "again")
    monkeypatch.setattr(sys, "argv", ["build.py", "--only", "digests"])
    (tmp_path / "pieces").mkdir()
    assert build.main() == 0
    assert not (tmp_path / "pieces").exists()


@pytest.mark.parametrize("size", [0, 7, 50])
def test_a_size_that_pooling_cannot_halve_three_times_is_refused(size: int) -> None:
    from harness.errors import UsageError

    with pytest.raises(UsageError, match="multiple of 8"):
        FacesCNN(size=size)
