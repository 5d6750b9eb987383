"""FERPlus's votes are met with FER2013's pictures, row by row."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS
from harness.faces.loading import load_faces

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
ROWS = (
    ("Training", "4,0,0,1,3,2,0,0,0,0", "Neutral"),
    ("Training", "0,10,0,0,0,0,0,0,0,0", "Happy"),
    ("PublicTest", "0,0,6,0,0,0,4,0,0,0", "Surprise"),
    ("PublicTest", "5,0,0,5,0,0,0,0,0,0", None),
    ("PrivateTest", "0,0,0,0,0,0,0,0,0,10", None),
    ("PrivateTest", "0,0,0,0,1,8,1,0,0,0", "Disgust"),
    ("PrivateTest", "1,0,0,0,0,0,2,7,0,0", None),
)
VOTES = "\n".join([HEADER, *(f"{usage},fer{i:07}.png,{votes}" for i, (usage, votes, _) in enumerate(ROWS)), ""])
PIXELS = "\n".join(
    ["emotion, Usage, pixels", *(f"6,{usage},{' '.join([str(i)] * 4)}" for i, (usage, _, _) in enumerate(ROWS)), ""]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fer2013new.csv").write_text(VOTES)
    (tmp_path / "icml_face_data.csv").write_text(PIXELS)
    return tmp_path


@pytest.mark.parametrize(("part", "rows"), [("#all", [0, 1, 2, 5]), ("", [2, 5]), ("#Training", [0, 1])])
def test_pictures_have_the_label_of_most_votes_and_keep_their_rows(part: str, rows: list[int], folder: Path) -> None:
    faces = load_faces(f"{folder}/fer2013new.csv{part}")
    assert faces.ids.tolist() == rows
    assert faces.images[:, 0, 0].tolist() == rows
    assert [EXPRESSIONS[label] for label in faces.labels] == [ROWS[row][2] for row in rows]


def test_what_is_left_out_is_said(folder: Path) -> None:
    assert load_faces(f"{folder}/fer2013new.csv").notes == (
        "3 of 5 pictures are left out: their votes are tied, or for no class of FER2013",
    )
    assert load_faces(f"{folder}/fer2013new.csv", training=True).notes == ()


def test_a_subjects_own_order_of_classes_is_met(folder: Path) -> None:
    classes = tuple(reversed(EXPRESSIONS))
    faces = load_faces(f"{folder}/fer2013new.csv", classes)
    assert [classes[label] for label in faces.labels] == ["Surprise", "Disgust"]


def without_pixels(folder: Path) -> None:
    (folder / "icml_face_data.csv").unlink()


def shorter(folder: Path) -> None:
    (folder / "icml_face_data.csv").write_text(PIXELS.rsplit("\n", 2)[0] + "\n")


def no_number(folder: Path) -> None:
    (folder / "fer2013new.csv").write_text(VOTES.replace("0,10,0", "0,ten,0", 1))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (without_pixels, r"holds votes and no pixels; put fer2013\.csv or icml_face_data\.csv beside it"),
        (shorter, r"fer2013new\.csv has 7 rows, but .*icml_face_data\.csv has 6; they are of one set"),
        (no_number, r"fer2013new\.csv row 1 has no whole number of votes for each of neutral"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(harm, said: str, folder: Path) -> None:
    harm(folder)
    with pytest.raises(UsageError, match=said):
        load_faces(f"{folder}/fer2013new.csv")


def test_a_split_that_is_not_there_is_told_those_that_are(folder: Path) -> None:
    with pytest.raises(UsageError, match="has no rows of Usage 'val'; it has privatetest, publictest, training"):
        load_faces(f"{folder}/fer2013new.csv#val")
    assert np.array_equal(load_faces(f"{folder}/fer2013new.csv#PrivateTest").ids, [5])
