"""Who is on each picture: by a column, an array, a pattern in file names, or a function."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.faces.loading import load_faces

PIXELS = " ".join(["7"] * 16)
TABLE = (
    f"emotion,pixels,Usage,Patient\n0,{PIXELS},Training,bob\n3,{PIXELS},PublicTest,ann\n3,{PIXELS},PrivateTest,bob\n"
)


@pytest.fixture
def table(tmp_path: Path) -> str:
    (tmp_path / "faces.csv").write_text(TABLE)
    return str(tmp_path / "faces.csv")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name in ("happy/ann-1", "happy/bob-1", "sad/ann-2", "sad/cid-1"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / "pictures" / f"{name}.png")
    return str(tmp_path / "pictures")


@pytest.fixture
def arrays(tmp_path: Path) -> str:
    images = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / "faces.npz", images=images, film=np.array(["b", "a", "b"]), square=np.zeros((3, 2)), two=[1, 2])
    return str(tmp_path / "faces.npz")


def persons(text: str, groups: str) -> list[int]:
    found = load_faces(text, groups=groups).persons
    assert found is not None
    return found.tolist()


@pytest.mark.parametrize("name", ["Patient", "patient"])
def test_a_column_names_the_rows_that_are_read(table: str, name: str) -> None:
    assert persons(table, name) == [0, 1]
    assert persons(f"{table}#all", name) == [1, 0, 1]


@pytest.mark.parametrize("pattern", ["([a-z]+)-", "(?<=/)[a-z]+(?=-)"])
def test_a_pattern_names_pictures_across_classes(folder: str, pattern: str) -> None:
    assert persons(folder, pattern) == [0, 1, 0, 2]


def test_an_array_names_faces(arrays: str) -> None:
    assert persons(arrays, "film") == [1, 0, 1]


def test_a_function_names_faces_whatever_they_come_from(tmp_path: Path, folder: str) -> None:
    (tmp_path / "who.py").write_text("def who(faces):\n    return [i // 2 for i in faces.ids]\n")
    assert persons(folder, f"{tmp_path / 'who.py'}:who") == [0, 0, 1, 1]


def test_without_groups_nobody_is_known(folder: str) -> None:
    assert load_faces(folder).persons is None


WRONG = {
    "no such column": ("table", "person", r"has no column 'person'; its header is emotion, pixels, Usage, Patient$"),
    "no such array": ("arrays", "person", r"has no array 'person'; it has images, film, square, two$"),
    "an array of another shape": ("arrays", "square", r"square has shape \(3, 2\); give one name or number an image$"),
    "an array of another length": ("arrays", "two", r"'two' names 2 of 3 images; give one name an image$"),
    "no pattern": ("folder", "(", "is no pattern .*; give a regular expression$"),
    "two groups": ("folder", "(a)(n)", "has 2 groups; put one pair of brackets around the name$"),
    "not everywhere": ("folder", "ann", r"'ann' is not found in happy.bob-1\.png; every picture needs it$"),
    "an empty name": (
        "folder",
        "(x*)",
        r"leaves 4 of 4 images without a name, first image happy/ann-1\.png; name every one",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_groups_that_do_not_fit_are_one_clear_line(what: str, request: pytest.FixtureRequest) -> None:
    source, groups, said = WRONG[what]
    with pytest.raises(UsageError, match=said) as caught:
        load_faces(request.getfixturevalue(source), groups=groups)
    assert "\n" not in str(caught.value)


def test_a_column_with_gaps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gaps.csv").write_text(TABLE.replace(",ann", ", "))
    with pytest.raises(
        UsageError, match="'Patient' leaves 1 of 2 images without a name, first image 1; name every one"
    ):
        load_faces(str(tmp_path / "gaps.csv"), groups="Patient")


def test_bundled_faces_take_a_function_alone() -> None:
    with pytest.raises(
        UsageError, match=r"'person' needs images from a table, arrays or a folder; give file\.py:function"
    ):
        load_faces("rendered", groups="person")


def test_a_function_that_raises_is_one_clear_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "bad.py").write_text("def who(faces):\n    return faces.nothing\n")
    with pytest.raises(UsageError, match=r"who raised AttributeError: .*; it is given a FaceSet"):
        load_faces(folder, groups=f"{tmp_path / 'bad.py'}:who")
