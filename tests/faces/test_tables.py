from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli import main
from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS
from harness.faces.loading import load_faces
from harness.faces.tables import load_table
from harness.subject import Subject

SIDE = 4
USAGES = ("Training", "Training", "PublicTest", "Training", "PrivateTest")
LABELS = (3, 0, 6, 1, 5)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE), dtype=np.uint8)
TEXTS = [" ".join(map(str, image.ravel())) for image in IMAGES]

FER = "emotion,pixels,Usage\n" + "".join(
    f"{label},{text},{usage}\n" for label, text, usage in zip(LABELS, TEXTS, USAGES, strict=True)
)
ICML = "emotion, Usage, pixels\n" + "".join(
    f"{label},{usage},{text}\n" for label, text, usage in zip(LABELS, TEXTS, USAGES, strict=True)
)
HOMEWORK = "label,feature\n" + "".join(f"{label},{text}\n" for label, text in zip(LABELS, TEXTS, strict=True))
UNLABELLED = "id,feature\n" + "".join(f"{number},{text}\n" for number, text in enumerate(TEXTS))


def written(folder: Path, text: str) -> Path:
    path = folder / "faces.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", [FER, ICML], ids=["fer2013", "icml_face_data"])
def test_every_row_of_a_table_with_splits_is_read(text: str, tmp_path: Path) -> None:
    faces = load_table(written(tmp_path, text), "all")
    assert np.array_equal(faces.images, IMAGES)
    assert faces.labels is not None
    assert faces.labels.tolist() == list(LABELS)


@pytest.mark.parametrize("text", [FER, ICML], ids=["fer2013", "icml_face_data"])
def test_by_default_the_test_splits_are_read_and_keep_their_row_numbers(text: str, tmp_path: Path) -> None:
    faces = load_table(written(tmp_path, text))
    assert np.array_equal(faces.images, IMAGES[[2, 4]])
    assert faces.ids.tolist() == [2, 4]


@pytest.mark.parametrize(("usage", "rows"), [("Training", [0, 1, 3]), ("privatetest", [4]), ("PublicTest", [2])])
def test_a_split_is_chosen_by_name(usage: str, rows: list[int], tmp_path: Path) -> None:
    assert load_faces(f"{written(tmp_path, FER)}#{usage}").ids.tolist() == rows


def test_what_is_learnt_from_is_never_what_is_judged_on_by_default(tmp_path: Path) -> None:
    path = str(written(tmp_path, FER))
    assert load_faces(path, training=True).ids.tolist() == [0, 1, 3]
    assert load_faces(path).ids.tolist() == [2, 4]


def test_a_table_without_splits_is_learnt_from_whole(tmp_path: Path) -> None:
    assert len(load_faces(str(written(tmp_path, HOMEWORK)), training=True)) == 5


def test_a_table_without_test_splits_is_read_whole(tmp_path: Path) -> None:
    text = FER.replace("PublicTest", "Training").replace("PrivateTest", "Training")
    assert len(load_table(written(tmp_path, text))) == 5


def test_the_homework_table_is_recognised_by_its_header(tmp_path: Path) -> None:
    faces = load_table(written(tmp_path, HOMEWORK))
    assert np.array_equal(faces.images, IMAGES)
    assert faces.labels is not None
    assert faces.labels.tolist() == list(LABELS)


def test_the_homeworks_unlabelled_table_has_no_labels(tmp_path: Path) -> None:
    faces = load_table(written(tmp_path, UNLABELLED))
    assert np.array_equal(faces.images, IMAGES)
    assert faces.labels is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace(" ", "  "),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(f",{TEXTS[0]}", f',"{TEXTS[0]}"'),
        lambda text: text.replace(TEXTS[0], " ".join(f"{value:03d}" for value in IMAGES[0].ravel())),
        lambda text: text.replace(TEXTS[0], " ".join(f"{value}.0" for value in IMAGES[0].ravel())),
    ],
    ids=["bom", "windows", "blank lines", "double spaces", "no last newline", "quotes", "zeros", "floats"],
)
def test_another_way_to_write_the_same_table_gives_the_same_faces(change: object, tmp_path: Path) -> None:
    assert callable(change)
    faces = load_table(written(tmp_path, change(HOMEWORK)))
    assert np.array_equal(faces.images, IMAGES)
    assert faces.ids.tolist() == [0, 1, 2, 3, 4]


def test_labels_follow_the_subjects_order_of_classes_by_name(tmp_path: Path) -> None:
    classes = tuple(sorted(EXPRESSIONS, key=str.casefold))
    faces = load_faces(str(written(tmp_path, HOMEWORK)), classes)
    assert faces.labels is not None
    assert [classes[label] for label in faces.labels] == [EXPRESSIONS[label] for label in LABELS]


def damaged(row: int, old: str, new: str) -> str:
    lines = FER.split("\n")
    lines[row + 1] = lines[row + 1].replace(old, new, 1)
    return "\n".join(lines)


def first_pixel(row: int) -> str:
    return "," + TEXTS[row].split()[0] + " "


DAMAGED = {
    "empty file": ("", r"faces\.csv is empty"),
    "header alone": ("emotion,pixels,Usage\n", r"faces\.csv has no rows below its header"),
    "missing column": (FER.replace("pixels", "pixel"), r"lacks a column: its header is 'emotion', 'pixel', 'Usage'"),
    "missing pixel": (
        damaged(2, first_pixel(2), ","),
        r"faces\.csv row 2, column pixels: 15 pixels, not 16 as the rows before",
    ),
    "pixel too many": (damaged(3, first_pixel(3), ",0 0 "), r"row 3, column pixels: .* pixels, not 16"),
    "first row is no square": (damaged(0, first_pixel(0), ","), r"row 0, column pixels: 15 pixels are no square"),
    "no pixels": (damaged(0, TEXTS[0], ""), r"row 0, column pixels: 0 pixels are no square"),
    "pixel too large": (damaged(2, first_pixel(2), ",256 "), r"row 2, column pixels: 256 is not a pixel; write whole"),
    "negative pixel": (damaged(2, first_pixel(2), ",-1 "), r"row 2, column pixels: -1 is not a pixel"),
    "fraction": (damaged(2, first_pixel(2), ",0.5 "), r"row 2, column pixels: 0\.5 is not a pixel"),
    "not finite": (damaged(2, first_pixel(2), ",nan "), r"row 2, column pixels: nan is not a pixel"),
    "not a number": (damaged(4, first_pixel(4), ",x7 "), r"row 4, column pixels: 'x7' is not a number"),
    "label out of range": (
        damaged(2, "6,", "7,"),
        r"row 2, column emotion: there is no class 7; write 0 \(Angry\)",
    ),
    "negative label": (damaged(2, "6,", "-1,"), r"row 2, column emotion: there is no class -1"),
    "label in words": (damaged(2, "6,", "merry,"), r"row 2, column emotion: 'merry' is not a number"),
    "short row": (damaged(1, ",Training", ""), r"row 1 has 2 columns, not the header's 3 \(emotion, pixels, Usage\)"),
    "long row": (damaged(1, ",Training", ",Training,"), r"row 1 has 4 columns"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_each_damage_is_one_line_that_says_where(what: str, tmp_path: Path) -> None:
    text, said = DAMAGED[what]
    with pytest.raises(UsageError, match=said) as caught:
        load_table(written(tmp_path, text), "all" if "Usage" in text else None)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "faces.csv") in str(caught.value)


BROKEN_FILES = {what: text.encode() for what, (text, _) in DAMAGED.items()} | {
    "cut off in the last row": FER.rstrip().encode()[: -len(",PrivateTest") - 9],
    "cut off in the last split's name": FER.rstrip().encode()[:-4],
    "wrong separator": FER.replace(",", ";").encode(),
    "unknown split": damaged(1, "Training", "Trainning").encode(),
    "another quote left open": FER.replace(",", ',"', 1).encode(),
    "no text": b"emotion,pixels\n0,\xff\xfe\n",
    "zero bytes": b"",
}


@pytest.mark.parametrize("what", BROKEN_FILES)
def test_the_command_says_each_damage_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subject, "tuned", lambda self: self)
    (tmp_path / "faces.csv").write_bytes(BROKEN_FILES[what])
    rows_are_tested = what in ("unknown split", "cut off in the last split's name")
    part = "" if rows_are_tested or b"Usage" not in BROKEN_FILES[what] else "#all"
    status = main(["run", "--faces", f"{tmp_path / 'faces.csv'}{part}", "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1
    assert "faces.csv" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("usage", [None, "Training", "publictest"])
def test_a_misspelt_split_is_not_lost_unseen(usage: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, damaged(1, "Training", "Trainning"))
    with pytest.raises(UsageError, match="row 1, column Usage: 'Trainning' is none of Training, PublicTest and"):
        load_table(path, usage)


def test_splits_of_the_users_own_are_read_by_name_or_all(tmp_path: Path) -> None:
    path = written(tmp_path, FER.replace("Training", "fold1").replace("PublicTest", "fold2"))
    assert load_table(path, "fold1").ids.tolist() == [0, 1, 3]
    assert len(load_table(path, "all")) == 5


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(b"emotion,pixels\n0,\xff\xfe\n")
    with pytest.raises(UsageError, match="cannot be read as a table"):
        load_table(path)


def test_a_split_that_is_not_there_is_told_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no rows of Usage 'Test'; it has PrivateTest, PublicTest, Training, and all"):
        load_table(written(tmp_path, FER), "Test")


def test_a_split_of_a_table_without_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no column Usage to choose 'Training' by"):
        load_table(written(tmp_path, HOMEWORK), "Training")


# ---------------------------------------------------------------------- tables of files


def listing(folder: Path, header: str, *rows: str) -> Path:
    """A table of files, and the files: the grey of each is its place."""
    path = written(folder, "\n".join([header, *rows, ""]))
    for value, file in enumerate(("a/1.png", "b/1.png", "b/2.png")):
        (folder / file).parent.mkdir(exist_ok=True)
        Image.new("L", (3, 2), value).save(folder / file)
    return path


def test_a_table_may_list_files_with_the_names_of_their_classes(tmp_path: Path) -> None:
    faces = load_faces(str(listing(tmp_path, "path,label", "b/1.png,dog", "a/1.png,cat", "b/2.png,dog")))
    assert faces.names == ("b/1.png", "a/1.png", "b/2.png")
    assert faces.images[:, 0, 0].tolist() == [1, 0, 2]
    assert faces.classes == ("cat", "dog")
    assert faces.labels.tolist() == [1, 0, 1]


def test_numbers_beside_files_index_the_subjects_classes_and_splits_are_chosen(tmp_path: Path) -> None:
    path = listing(tmp_path, "Usage,emotion,filename", "Training,1,a/1.png", "PublicTest,0,b/2.png")
    faces = load_faces(str(path), ("cat", "dog"))
    assert (faces.names, faces.labels.tolist(), faces.ids.tolist()) == (("b/2.png",), [0], [1])
    assert load_faces(str(path), ("cat", "dog"), training=True).names == ("a/1.png",)


def test_files_without_labels_are_pictures_without_labels(tmp_path: Path) -> None:
    assert load_table(listing(tmp_path, "file", "b/2.png")).labels is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b/9.png,cat", r"faces\.csv row 1, column path: there is no file 'b/9\.png' in the table's folder; mend"),
        ("a/1.png,cat", r"calls images 0 and 1 both 'a/1\.png'; give each image a name of its own"),
    ],
)
def test_a_file_that_is_not_there_or_twice_there_is_told(row: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        load_table(listing(tmp_path, "path,label", "a/1.png,cat", row))
