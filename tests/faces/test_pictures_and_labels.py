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
from harness.faces.naming import aligned, places_by_name
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
    with pytest.raises(UsageError, match=r"'ab' may be class 'A-B' or 'A\.B'"):
        places_by_name(["ab"], ["A-B", "A.B"])


def test_two_names_of_one_class_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'A-B' and 'A\.B' would both be class 'ab'"):
        places_by_name(["A-B", "A.B"], ["ab", "d"])


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *[
            ("A+", "A-"),
            ("-1", "1"),
            ("<5", ">5"),
            ("1.5", "15"),
            ("2 1", "21"),
            ("C#", "C"),
            ("mood \U0001f600", "mood"),
        ],
        *[("cafe\u0301", "cafe"), ("\u0915\u0940", "\u0915\u093e")],  # an accent, and two vowels of one consonant
    ],
)
def test_a_sign_a_digit_or_an_accent_makes_another_name(name: str, known: str) -> None:
    assert places_by_name([name], [known]).tolist() == [-1]


@pytest.mark.parametrize(
    ("name", "known"),
    [("cafe\u0301", "caf\u00e9"), ("ICE-CREAM", "ice cream"), ("Dr. Who", "dr_who"), ("top\u200b", "top")],
)
def test_a_name_is_known_however_it_is_written(name: str, known: str) -> None:
    assert places_by_name([name], ["other", known]).tolist() == [1]


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


# ---------------------------------------------------------------------- what a dataset states, however it is wrapped


class Shapes(list[Any]):
    """Pictures numbered in another order than the subject's, which says so in some way."""

    def __init__(self, **stated: Any) -> None:
        super().__init__(labelled(lambda k: k))
        vars(self).update(stated)


class Named:
    names = ("star", "square", "circle")


TURNED = ["star", "square", "circle"]
STATED: dict[str, Callable[[], Any]] = {
    "names": lambda: Shapes(classes=TURNED),
    "a mapping": lambda: Shapes(class_to_idx={"circle": 2, "square": 1, "star": 0}),
    "a feature": lambda: Shapes(features={"label": Named()}),
    "a part": lambda: torch.utils.data.Subset(Shapes(classes=TURNED), range(6)),
    "parts of a part": lambda: torch.utils.data.Subset(
        torch.utils.data.ConcatDataset([Shapes(classes=TURNED), Shapes(class_to_idx=dict(zip(TURNED, range(3))))]),  # noqa: B905
        range(3, 9),
    ),
}


@pytest.mark.parametrize("how", STATED)
def test_numbers_index_what_a_dataset_states(how: str) -> None:
    faces = aligned(from_dataset(STATED[how](), "d", subject_classes=SHAPES), SHAPES)
    assert faces.labels is not None
    assert faces.labels.tolist() == [2, 1, 0, 2, 1, 0]


def test_parts_that_state_different_classes_are_refused() -> None:
    joined = torch.utils.data.ConcatDataset([Shapes(classes=TURNED), Shapes(classes=TURNED[::-1])])
    with pytest.raises(UsageError, match="joins parts of different classes"):
        from_dataset(joined, "d", subject_classes=SHAPES)


def test_numbers_of_a_dataset_that_states_nothing_are_the_subjects_own() -> None:
    faces = from_dataset(labelled(lambda k: k), "d", subject_classes=EXPRESSIONS[::-1])
    assert (faces.classes, faces.notes) == (EXPRESSIONS[::-1], ())


def test_dictionaries_call_pictures_and_labels_in_several_ways() -> None:
    items = [{"img": picture, "labels": label} for picture, label in labelled(lambda k: k)]
    labels = from_dataset(items, "d", subject_classes=SHAPES).labels
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_labels_that_go_by_another_word_are_noted() -> None:
    items = [{"image": picture, "kind": label} for picture, label in labelled(lambda k: k)]
    faces = from_dataset(items, "d", subject_classes=SHAPES)
    assert faces.labels is None
    assert faces.notes == ("items without a label: there is kind, but none of label, labels, target, class",)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_tensor_of_any_precision_is_read(dtype: torch.dtype) -> None:
    made = torch.tensor([[0.0, 0.5], [1.0, 0.25]], dtype=dtype)  # which each of them holds exactly
    assert from_dataset([made], "d").images[0].tolist() == [[0, 128], [255, 64]]


def test_a_tensor_may_have_its_channels_last() -> None:
    made = torch.arange(4 * 5 * 3, dtype=torch.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(from_dataset([made], "d").images[0], made.numpy())


# ---------------------------------------------------------------------- numbers as names


def counted(path: Path, *labels: object) -> str:
    path.write_text("label,feature\n" + "".join(f"{label},1 2 3 40\n" for label in labels))
    return str(path)


def test_a_number_that_may_be_a_name_or_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"row 0, column label: 1 may be the class called '1' or the one .* '2'"):
        load_faces(counted(tmp_path / "d.csv", 1, 2), ("1", "2", "3"))


@pytest.mark.parametrize(
    ("labels", "classes", "places"),
    [
        ((1, 3), ("1", "2", "3"), [0, 2]),  # no place is 3
        ((0, 2), ("1", "2", "3"), [0, 2]),  # no name is 0
        ((1, 2), ("0", "1", "2"), [1, 2]),  # either way the same
        (("02", "10"), ("02", "10"), [0, 1]),
        ((20, 10), ("10", "20"), [1, 0]),
    ],
)
def test_numbers_that_can_be_read_one_way_are(
    labels: tuple[object, ...], classes: tuple[str, ...], places: list[int], tmp_path: Path
) -> None:
    faces = load_faces(counted(tmp_path / "d.csv", *labels), classes)
    assert faces.labels is not None
    assert faces.labels.tolist() == places


def test_a_number_among_names_is_a_name(tmp_path: Path) -> None:
    files(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "d.csv").write_text("path,label\na.jpg,1\nb.jpg,star\n")
    with pytest.raises(UsageError, match="1 images of classes that the subject lacks, such as '1'"):
        load_faces(str(tmp_path / "d.csv"), SHAPES)


def test_python_s_own_ways_to_write_a_number_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'1_0' is not a number"):
        load_faces(counted(tmp_path / "d.csv", "1_0"), tuple("abcdefghijkl"))


# ---------------------------------------------------------------------- what is said of what is not read


def test_numbers_in_fer2013s_order_are_said_where_the_subjects_is_another(tmp_path: Path) -> None:
    turned = load_faces(counted(tmp_path / "d.csv", 3), EXPRESSIONS[::-1])
    assert turned.notes[0].startswith("label numbers are FER2013's (0 Angry, 1 Disgust")
    assert load_faces(counted(tmp_path / "d.csv", 3), EXPRESSIONS).notes == ()
    assert load_faces(counted(tmp_path / "d.csv", "happy"), EXPRESSIONS[::-1]).notes == ()


def test_splits_that_are_not_read_are_said(tmp_path: Path) -> None:
    made = files(tmp_path / "set", "train/star/1.jpg", "test/star/1.jpg", "test/circle/1.jpg")
    assert "the split test is read, not train" in load_folder(made).notes[0]
    assert load_folder(made, "test").notes == load_folder(made, "all").notes == ()


def test_of_training_and_validation_alone_validation_is_read_and_what_is_read_together_is_said(tmp_path: Path) -> None:
    made = files(tmp_path / "set", "train/star/1.jpg", "val/star/1.jpg", "val/circle/1.jpg")
    assert "the split val is read, not train" in load_folder(made).notes[0]
    assert len(load_folder(made)) == 2
    other = files(tmp_path / "other", "publictest/star/1.jpg", "privatetest/star/1.jpg")
    assert "the splits privatetest, publictest are read together; #privatetest reads one" in load_folder(other).notes[0]


def test_a_usage_that_names_no_test_rows_is_said(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("emotion,pixels,Usage\n1,1 2 3 40,Training\n2,1 2 3 40,weird\n")
    (said,) = load_faces(path.as_posix(), EXPRESSIONS).notes
    assert said.endswith("so that every row is read, of Usage Training, weird; #Training reads one")
    assert load_faces(f"{path}#all", EXPRESSIONS).notes == ()


def test_rows_that_are_not_read_are_said(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("emotion,pixels,Usage\n1,1 2 3 40,Training\n2,1 2 3 40,PublicTest\n")
    assert "only rows of Usage privatetest and publictest are read" in load_faces(str(path)).notes[0]
    assert load_faces(f"{path}#all").notes == ()


def test_a_column_that_may_be_of_labels_is_said(tmp_path: Path) -> None:
    files(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "d.csv").write_text("path,kind\na.jpg,star\nb.jpg,circle\n")
    faces = load_faces(str(tmp_path / "d.csv"), SHAPES)
    assert faces.labels is None
    assert "no column of labels that is known" in faces.notes[0]


def test_a_split_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has a split twice, as Test, test"):
        load_folder(files(tmp_path, "test/star/1.jpg", "Test/star/1.jpg"))


def test_linked_folders_are_read_and_a_link_back_is_passed(tmp_path: Path) -> None:
    made, elsewhere = files(tmp_path / "set", "star/1.jpg", "circle/1.jpg"), files(tmp_path / "more", "2.jpg")
    (made / "star" / "more").symlink_to(elsewhere)
    (made / "star" / "back").symlink_to(made)
    assert load_folder(made).names == ("circle/1.jpg", "star/1.jpg", "star/more/2.jpg")


def test_a_link_that_leads_nowhere_is_not_lost_unseen(tmp_path: Path) -> None:
    made = files(tmp_path, "star/1.jpg", "circle/1.jpg")
    (made / "star" / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(UsageError, match=r"2\.jpg cannot be read"):
        load_folder(made)


def test_a_class_may_begin_with_an_underscore(tmp_path: Path) -> None:
    assert load_folder(files(tmp_path, "star/1.jpg", "__none__/1.jpg", "__MACOSX/1.jpg")).classes == (
        "__none__",
        "star",
    )


def test_files_of_several_frames_are_said(tmp_path: Path) -> None:
    made = files(tmp_path, "star/1.jpg", "circle/1.jpg")
    grey = [Image.new("L", (4, 4), value) for value in (10, 200)]
    grey[0].save(made / "star" / "moving.gif", save_all=True, append_images=grey[1:])
    faces = load_folder(made)
    assert "of 1 files that hold several frames the first is read" in faces.notes[0]
    assert len(faces) == 3
