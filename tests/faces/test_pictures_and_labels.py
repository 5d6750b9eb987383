"""Pixels and labels by every way in: right, or refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import UsageError
from harness.faces.arrays import from_dataset
from harness.faces.faceset import EXPRESSIONS, FaceSet
from harness.faces.folders import load_folder
from harness.faces.loading import load_faces
from harness.faces.naming import places_by_name
from harness.faces.pictures import picture_pixels, pixels

SHAPES = ("circle", "square", "star")
RED = (200, 30, 60)


def plain(mode: str) -> Image.Image:
    """A picture of one red, in a mode."""
    return Image.new("RGB", (5, 4), RED).convert(mode)


# ---------------------------------------------------------------------- modes of pictures


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "P"])
def test_a_colour_is_the_same_in_every_mode(mode: str) -> None:
    # CMYK keeps 255 - c exactly; YCbCr and HSV round to whole levels of their own; the palette of the web has levels 51
    # apart, and what one pixel lacks its neighbours are given.
    atol = {"YCbCr": 2, "HSV": 3, "P": 51}.get(mode, 0)
    found = picture_pixels(plain(mode), "it").astype(int)
    np.testing.assert_allclose(found, np.broadcast_to(RED, (4, 5, 3)), atol=atol)


def test_a_palette_of_its_own_is_looked_up_exactly() -> None:
    indexed = plain("RGB").quantize(4)
    assert indexed.mode == "P"
    np.testing.assert_array_equal(picture_pixels(indexed, "it"), np.broadcast_to(RED, (4, 5, 3)))


@pytest.mark.parametrize(("mode", "white"), [("1", 1), ("L", 255), ("LA", (255, 255))])
def test_grey_modes_are_grey(mode: str, white: Any) -> None:
    np.testing.assert_array_equal(picture_pixels(Image.new(mode, (5, 4), white), "it"), np.full((4, 5), 255))


SEE_THROUGH = {
    "RGBA": Image.new("RGBA", (3, 3), (9, 9, 9, 254)),
    "LA": Image.new("LA", (3, 3), (9, 0)),
    "PA": Image.new("RGBA", (3, 3), (9, 9, 9, 0)).convert("PA"),
}


@pytest.mark.parametrize("mode", SEE_THROUGH)
def test_see_through_pixels_are_refused(mode: str) -> None:
    with pytest.raises(UsageError, match="see-through pixels"):
        picture_pixels(SEE_THROUGH[mode], "it")


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_more_than_eight_bits_are_refused(mode: str) -> None:
    with pytest.raises(UsageError, match="more than 8 bits"):
        picture_pixels(Image.new(mode, (3, 3)), "it")


def test_a_mode_without_rgb_is_refused() -> None:
    with pytest.raises(UsageError, match="mode LAB"):
        picture_pixels(Image.new("LAB", (3, 3)), "it")


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV", "RGBA"])
def test_a_dataset_and_a_folder_read_a_mode_alike(mode: str, tmp_path: Path) -> None:
    made = plain(mode)
    (tmp_path / "set" / "star").mkdir(parents=True)
    picture_file = tmp_path / "set" / "star" / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    if mode == "HSV":  # which no file holds
        made.convert("RGB").save(picture_file)
    else:
        made.save(picture_file)
    # A tif may hold YCbCr as RGB, which rounds.
    np.testing.assert_allclose(
        from_dataset([made], "d").images.astype(int), load_folder(tmp_path / "set").images.astype(int), atol=3
    )


# ---------------------------------------------------------------------- arrays


def test_fractions_given_to_a_face_set_are_refused() -> None:
    with pytest.raises(UsageError, match="float64; give whole numbers 0 to 255"):
        FaceSet("f", np.full((2, 4, 4), 0.5), SHAPES)


@pytest.mark.parametrize("channels", [2, 5, 16])
def test_any_number_of_channels_is_kept(channels: int) -> None:
    assert pixels(np.full((3, 20, 21, channels), 9), "it").shape == (3, 20, 21, channels)


def test_channels_may_stand_first() -> None:
    last = np.arange(2 * 6 * 7 * 3, dtype=np.uint8).reshape(2, 6, 7, 3)
    np.testing.assert_array_equal(pixels(last.transpose(0, 3, 1, 2), "it"), last)
    np.testing.assert_array_equal(pixels(last[..., :1].transpose(0, 3, 1, 2), "it"), last[..., 0])


# ---------------------------------------------------------------------- folders


def files(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 10 * (number + 2)).save(root / name, format="JPEG")
    return root


def test_every_picture_below_a_class_folder_is_read(tmp_path: Path) -> None:
    made = files(tmp_path, "star/1.jpg", "star/2.jfif", "star/more/3.jpg", "star/4", "circle/1.JPE")
    faces = load_folder(made)
    assert (len(faces), faces.notes) == (5, ())


def test_files_that_are_no_pictures_are_counted(tmp_path: Path) -> None:
    made = files(tmp_path, "star/1.jpg", "circle/1.jpg")
    (made / "star/notes.txt").write_text("words")
    (made / "list.csv").write_text("words")
    assert "2 files" in load_folder(made).notes[0]
    assert "notes.txt" in load_folder(made).notes[0] or "list.csv" in load_folder(made).notes[0]


def test_pictures_beside_class_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 pictures beside them, such as lost\.jpg"):
        load_folder(files(tmp_path, "star/1.jpg", "lost.jpg"))


def test_a_class_folder_of_folders_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no pictures of its own, only in .*monday"):
        load_folder(files(tmp_path, "star/monday/1.jpg"))


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("names", [("C#", "C++"), ("v1.0", "v10"), ("a b", "A_B"), ("<5", ">5")])
def test_names_that_differ_in_punctuation_or_case_are_told_apart(names: tuple[str, str]) -> None:
    assert places_by_name(names[::-1], names).tolist() == [1, 0]


def test_a_name_that_may_be_two_classes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'c' may be class 'C#' or 'C\+\+'"):
        places_by_name(["c"], ["C#", "C++"])


def test_two_names_of_one_class_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'C#' and 'C\+\+' would both be class 'c'"):
        places_by_name(["C#", "C++"], ["c", "d"])


# ---------------------------------------------------------------------- labels


def labelled(label: Callable[[int], Any]) -> list[tuple[np.ndarray, Any]]:
    return [(np.full((4, 4), 50 + i, np.uint8), label(i % 3)) for i in range(6)]


LABELS: dict[str, Callable[[int], Any]] = {
    "numbers": lambda k: k,
    "zero-dimensional": lambda k: torch.tensor(k),
    "names": lambda k: SHAPES[k],
    "one-hot": lambda k: torch.eye(3)[k],
}


@pytest.mark.parametrize("how", LABELS)
def test_a_datasets_labels_are_understood(how: str) -> None:
    faces = from_dataset(labelled(LABELS[how]), "d", subject_classes=SHAPES)
    assert faces.labels is not None
    assert (faces.classes, faces.labels.tolist()) == (SHAPES, [0, 1, 2, 0, 1, 2])


def test_more_values_and_dictionaries_are_understood() -> None:
    three = [(picture, label, "a.png") for picture, label in labelled(lambda k: k)]
    named = [{"image": picture, "label": label} for picture, label in labelled(lambda k: k)]
    for made in (three, named):
        labels = from_dataset(made, "d", subject_classes=SHAPES).labels
        assert labels is not None
        assert labels.tolist() == [0, 1, 2, 0, 1, 2]


UNLIKE: dict[str, tuple[Callable[[int], Any], str]] = {
    "some without": (lambda k: k or None, "item 1 has no label|item 0 has no label"),
    "an unknown name": (lambda k: "oval", "item 0 is labelled 'oval'"),
    "several classes": (lambda k: [1, 1, 0], "item 0 has a label"),
    "a fraction": (lambda k: 0.5, "item 0 has a label 0.5"),
}


@pytest.mark.parametrize("how", UNLIKE)
def test_labels_that_are_not_understood_name_their_item(how: str) -> None:
    with pytest.raises(UsageError, match=UNLIKE[how][1]):
        from_dataset(labelled(UNLIKE[how][0]), "d", subject_classes=SHAPES)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_numbers_index_the_subjects_own_classes(kind: str, tmp_path: Path) -> None:
    digits, path = tuple("0123456789"), tmp_path / f"d.{kind}"
    if kind == "csv":
        path.write_text("label,feature\n9,1 2 3 40\n8,5 6 7 80\n")
    else:
        np.savez(path, images=np.full((2, 2, 2), 9, np.uint8), labels=np.array([9, 8]))
    faces = load_faces(str(path), digits)
    assert faces.labels is not None
    assert (faces.classes, faces.labels.tolist()) == (digits, [9, 8])


def test_numbers_stay_fer2013s_where_the_subject_orders_expressions_anew(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("label,feature\n3,1 2 3 40\n")
    faces = load_faces(str(path), EXPRESSIONS[::-1])
    assert faces.labels is not None
    assert faces.classes[faces.labels[0]] == "Happy"


def test_pictures_of_any_length_fit_a_table(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"label,feature\n3,{' '.join(['200'] * 224 * 224)}\n")
    assert load_faces(str(path)).images.shape == (1, 224, 224)
