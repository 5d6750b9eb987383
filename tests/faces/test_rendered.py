from pathlib import Path

import numpy as np
import pytest

from harness.errors import UsageError
from harness.faces.loading import load_faces
from harness.faces.rendered import read_rendered

Arrays = dict[str, np.ndarray]


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(0)

    def pictures(*shape: int) -> np.ndarray:
        return rng.integers(0, 256, (*shape, 6, 5), dtype=np.uint8)

    return {
        "images": pictures(4),
        "labels": np.array([3, 0, 6, 3]),
        "persons": np.array([7, 7, 8, 8]),
        "parts": pictures(4) % 3,
        "part_names": np.array(["skin", "mouth", "other"]),
        "displacement": pictures(4),
        "displacement_scale": np.array(1 / 255, np.float32),
        "family": np.array([1, 3]),
        "groups": np.array(["brows", "mouth", "all"]),
        "at_rest": pictures(2, 3),
        "alone": pictures(2, 2),
    }


def written(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "rendered.npz", **arrays)  # type: ignore[arg-type]
    return folder / "rendered.npz"


def test_pictures_labels_and_people_are_read(arrays: Arrays, tmp_path: Path) -> None:
    faces = read_rendered(written(tmp_path, arrays), "rendered")
    assert np.array_equal(faces.images, arrays["images"])
    assert faces.labels is not None
    assert faces.labels.tolist() == [3, 0, 6, 3]
    assert faces.persons is not None
    assert faces.persons.tolist() == [7, 7, 8, 8]


def test_displacement_is_in_its_stated_units(arrays: Arrays, tmp_path: Path) -> None:
    displacement = read_rendered(written(tmp_path, arrays), "rendered").evidence["displacement"]
    assert displacement.dtype == np.float32
    assert np.array_equal(displacement, arrays["displacement"].astype(np.float32) * np.float32(1 / 255))


def test_regions_keep_their_names(arrays: Arrays, tmp_path: Path) -> None:
    faces = read_rendered(written(tmp_path, arrays), "rendered")
    assert faces.part_names == ("skin", "mouth", "other")
    assert faces.parts is not None
    assert np.array_equal(faces.parts, arrays["parts"])


def test_counterfactuals_point_at_their_faces(arrays: Arrays, tmp_path: Path) -> None:
    known = read_rendered(written(tmp_path, arrays), "rendered").counterfactuals
    assert known is not None
    assert known.faces.tolist() == [1, 3]
    assert known.groups == ("brows", "mouth", "all")
    assert known.at_rest.shape == (2, 3, 6, 5)
    assert known.alone.shape == (2, 2, 6, 5)


def test_a_mark_becomes_evidence(arrays: Arrays, tmp_path: Path) -> None:
    marked = {"images": arrays["images"], "labels": arrays["labels"], "mark": arrays["parts"] == 1}
    evidence = read_rendered(written(tmp_path, marked), "rendered-shortcut").evidence
    assert np.array_equal(evidence["mark"], marked["mark"].astype(np.float32))


def test_faces_taken_from_another_set_keep_their_places_there(arrays: Arrays, tmp_path: Path) -> None:
    path = written(tmp_path, arrays | {"source": np.array([8, 6, 4, 2])})
    assert read_rendered(path, "rendered-shortcut").ids.tolist() == [8, 6, 4, 2]


def test_a_file_without_pictures_is_refused_in_one_line(arrays: Arrays, tmp_path: Path) -> None:
    del arrays["images"]
    with pytest.raises(UsageError, match=r"rendered\.npz is not a file of rendered faces \('images'\)") as caught:
        read_rendered(written(tmp_path, arrays), "rendered")
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused_in_one_line(arrays: Arrays, tmp_path: Path) -> None:
    path = written(tmp_path, arrays)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UsageError, match="is not a file of rendered faces"):
        read_rendered(path, "rendered")


def test_the_bundled_faces_have_labels_people_regions_and_counterfactuals() -> None:
    faces = load_faces("rendered")
    assert faces.labels is not None
    assert faces.persons is not None
    assert faces.parts is not None
    assert faces.counterfactuals is not None
    assert np.bincount(faces.labels).min() == np.bincount(faces.labels).max()
    assert faces.counterfactuals.at_rest.shape[1] == len(faces.counterfactuals.groups)


def test_the_bundled_marked_faces_have_a_mark_each() -> None:
    assert load_faces("rendered-shortcut").evidence["mark"].any((1, 2)).all()
