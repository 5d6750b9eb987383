from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import UsageError
from harness.faces.arrays import from_dataset
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.faces.loading import BundledFaces, load_faces

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


def saved(folder: Path, **arrays: Any) -> str:
    np.savez_compressed(folder / "mine.npz", **arrays)
    return str(folder / "mine.npz")


def test_images_and_labels_are_read(tmp_path: Path) -> None:
    faces = load_faces(saved(tmp_path, images=IMAGES, labels=[6, 0, 3], persons=[1, 1, 2], ids=[10, 20, 30]))
    assert np.array_equal(faces.images, IMAGES)
    assert [known.tolist() for known in (faces.labels, faces.persons, faces.ids) if known is not None] == [
        [6, 0, 3],
        [1, 1, 2],
        [10, 20, 30],
    ]


def test_labels_may_be_names(tmp_path: Path) -> None:
    faces = load_faces(saved(tmp_path, images=IMAGES, labels=["sad", "Happy", "anger"]))
    assert faces.labels is not None
    assert faces.labels.tolist() == [4, 3, 0]


def test_the_files_own_order_of_classes_is_matched_by_name(tmp_path: Path) -> None:
    classes = sorted(EXPRESSIONS)
    faces = load_faces(saved(tmp_path, images=IMAGES, labels=[0, 6, 5], classes=classes), EXPRESSIONS)
    assert faces.labels is not None
    assert [EXPRESSIONS[label] for label in faces.labels] == ["Angry", "Surprise", "Sad"]


@pytest.mark.parametrize("images", [IMAGES[..., None], IMAGES.astype(np.int64)], ids=["one channel", "wide integers"])
def test_another_way_to_hold_the_same_pictures_gives_the_same_faces(images: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(load_faces(saved(tmp_path, images=images)).images, IMAGES)


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"x": IMAGES}, "has no array 'images'; it has x"),
    "fractions": ({"images": IMAGES / 255}, "images are float64; give whole numbers"),
    "outside": ({"images": IMAGES.astype(int) + 1}, "image 0 has a pixel 256|image . has a pixel 256"),
    "no axis of channels": (
        {"images": np.zeros((2, 20, 18, 17), np.uint8)},
        r"have shape \(2, 20, 18, 17\); give \(n, h, w\)",
    ),
    "yes and no": ({"images": np.ones((2, 8, 8), bool)}, "images are bool; give whole numbers"),
    "twelve bits": ({"images": np.full((2, 8, 8), 4095, np.uint16)}, "has a pixel 4095"),
    "labels too few": ({"images": IMAGES, "labels": [0]}, "has 3 images but 1 labels"),
    "names too few": ({"images": IMAGES, "labels": ["sad"]}, "has 3 images but 1 labels"),
    "people too many": ({"images": IMAGES, "persons": [0, 1, 2, 3]}, "has 3 images but 4 persons"),
    "label out of range": ({"images": IMAGES, "labels": [0, 7, 0]}, "image 1 has label 7"),
    "labels of fractions": ({"images": IMAGES, "labels": [0.0, 1.0, 2.0]}, "labels are float64 of shape"),
    "unknown name": ({"images": IMAGES, "labels": ["a", "b", "c"], "classes": ["a", "b"]}, "label 2 is 'c'"),
    "empty": ({"images": IMAGES[:0]}, "has no images"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_each_damage_is_one_clear_line(what: str, tmp_path: Path) -> None:
    arrays, said = DAMAGED[what]
    images = arrays.get("images")
    if what == "outside" and isinstance(images, np.ndarray):
        images[0, 0, 0] = 256
    with pytest.raises(UsageError, match=said) as caught:
        load_faces(saved(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, images=np.array([object()], dtype=object))
    with pytest.raises(UsageError, match=r"cannot be read as \.npz"):
        load_faces(path)


class Items(torch.utils.data.Dataset[tuple[Any, int]]):
    """Three faces, as a dataset gives them."""

    def __init__(self, pictures: list[Any], classes: list[str] | None = None) -> None:
        self.pictures = pictures
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return self.pictures[number], number


@pytest.mark.parametrize(
    "pictures",
    [
        list(IMAGES),
        [Image.fromarray(image) for image in IMAGES],
        [torch.from_numpy(image)[None] for image in IMAGES],
        [torch.from_numpy(image)[None] / 255 for image in IMAGES],
        [torch.from_numpy(image) / 255 for image in IMAGES],
    ],
    ids=["arrays", "PIL", "byte tensors", "unit tensors", "tensors without channel"],
)
def test_a_datasets_pictures_are_kept_exactly(pictures: list[Any]) -> None:
    assert np.array_equal(from_dataset(Items(pictures), "mine").images, IMAGES)


def test_a_datasets_own_classes_are_matched_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "class Items(list):\n    classes = ['neutral', 'angry']\n"
        "def make():\n    return Items((np.zeros((4, 4), np.uint8), k) for k in (0, 1))\n"
    )
    faces = load_faces(f"{tmp_path}/mine.py:make", EXPRESSIONS)
    assert faces.labels is not None
    assert [EXPRESSIONS[label] for label in faces.labels] == ["Neutral", "Angry"]


def test_a_normalised_dataset_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"item 1 has values outside 0 to 1, from -1 to -1; give them .*take Normalize out"
    ):
        from_dataset(Items([torch.zeros(1, 4, 4), torch.ones(1, 4, 4) * -1]), "mine")


def test_a_dataset_of_mixed_sizes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"item 1 has shape \(5, 5\), but item 0 has \(4, 4\)"):
        from_dataset(Items([np.zeros((4, 4), np.uint8), np.zeros((5, 5), np.uint8)]), "mine")


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(UsageError, match="is empty"):
        from_dataset(Items([]), "mine")


def test_unknown_faces_are_told_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"called 'renderd' \(did you mean 'rendered'\?\)"):
        load_faces("renderd")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faces.xlsx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"is no table of images; give \.csv, \.npz or a folder"):
        load_faces(str(tmp_path / "faces.xlsx"))


def test_arrays_have_no_splits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no splits"):
        load_faces(saved(tmp_path, images=IMAGES) + "#test")


def test_bundled_faces_follow_the_subjects_order_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = FaceSet("rendered", IMAGES, EXPRESSIONS, labels=np.array([6, 0, 3]))
    monkeypatch.setattr(f"{load_faces.__module__}.FACES", {"rendered": BundledFaces("rendered", lambda: made, "", "")})
    faces = load_faces("rendered", EXPRESSIONS[::-1])
    assert faces.labels is not None
    assert faces.labels.tolist() == [0, 6, 3]


def test_arrays_that_are_not_read_are_said(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    notes = load_faces(saved(tmp_path, images=images, label=np.arange(3), person=np.arange(3)), ("a", "b", "c")).notes
    assert len(notes) == 1
    assert "label, person is not read; arrays are called images, labels, classes, persons, ids, names" in notes[0]


def test_label_numbers_without_names_are_told_what_they_are_taken_for(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((3, 4, 4), np.uint8), "labels": np.arange(3)}
    nobody = load_faces(saved(tmp_path, **arrays), training=True)
    assert any("taken for 0 Angry, 1 Disgust" in note for note in nobody.notes)
    named = load_faces(saved(tmp_path, **arrays, classes=np.array(["x", "y", "z"])), training=True)
    assert named.notes == ()


@pytest.mark.parametrize(("value", "said"), [(np.nan, "holds NaN or infinity"), (200.0, "from 0 to 200; give them")])
def test_a_picture_that_is_no_fraction_says_what_it_holds(value: float, said: str) -> None:
    picture = torch.zeros(1, 4, 4)
    picture[0, 0, 0] = value
    with pytest.raises(UsageError, match=said):
        from_dataset([(picture, 0)], "one")
