from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.faces.faceset import EXPRESSIONS
from harness.faces.folders import load_folder
from harness.faces.loading import load_faces

FOLDERS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def picture(path: Path, value: int, size: tuple[int, int] = (5, 6), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """Folders as in msambare/fer2013; a picture's grey tells its split and its class in FER2013's order."""
    for split, base in (("train", 100), ("test", 0)):
        for folder in FOLDERS:
            value = base + [name.casefold() for name in EXPRESSIONS].index(folder)
            for number in (1, 2):
                picture(tmp_path / split / folder / f"{number}.png", value)
    return tmp_path


def test_a_folder_means_the_class_of_its_name_not_of_its_place(kaggle: Path) -> None:
    faces = load_folder(kaggle)
    assert faces.classes == EXPRESSIONS
    assert faces.labels is not None
    assert faces.labels.tolist() == faces.images[:, 0, 0].tolist()


def test_alphabetical_places_would_be_other_labels(kaggle: Path) -> None:
    faces = load_folder(kaggle)
    assert faces.labels is not None
    assert faces.labels.tolist() != np.repeat(np.arange(7), 2).tolist()


def test_by_default_the_test_split_is_read(kaggle: Path) -> None:
    assert load_faces(str(kaggle)).images.max() == 6


@pytest.mark.parametrize(("split", "n"), [("train", 14), ("test", 14), ("all", 28)])
def test_a_split_is_chosen_by_name(split: str, n: int, kaggle: Path) -> None:
    assert len(load_faces(f"{kaggle}#{split}")) == n


def test_by_default_the_training_split_is_learnt_from(kaggle: Path) -> None:
    (kaggle / "train/sad/extra.png").write_bytes((kaggle / "train/sad/1.png").read_bytes())
    assert (len(load_folder(kaggle, training=True)), len(load_folder(kaggle))) == (15, 14)


def test_case_and_nouns_do_not_matter(tmp_path: Path) -> None:
    for folder in ("HAPPINESS", "Sad", "anger"):
        picture(tmp_path / folder / "1.png", 0)
    faces = load_folder(tmp_path)
    assert faces.labels is not None
    assert sorted(faces.labels.tolist()) == [0, 3, 4]


def test_labels_follow_the_subjects_order_of_classes(kaggle: Path) -> None:
    classes = tuple(reversed(EXPRESSIONS))
    faces = load_faces(str(kaggle), classes)
    assert faces.labels is not None
    assert [EXPRESSIONS.index(classes[label]) for label in faces.labels] == faces.images[:, 0, 0].tolist()


def test_a_class_that_the_subject_lacks_is_refused(kaggle: Path) -> None:
    with pytest.raises(UsageError, match=r"has 2 images of classes that the subject lacks, such as 'Neutral'"):
        load_faces(str(kaggle), EXPRESSIONS[:6])


def test_other_classes_keep_their_names(tmp_path: Path) -> None:
    for folder in ("dog", "cat"):
        picture(tmp_path / folder / "1.png", 0)
    assert load_folder(tmp_path).classes == ("cat", "dog")


def test_a_folder_without_classes_is_unlabelled(tmp_path: Path) -> None:
    picture(tmp_path / "2.png", 20)
    picture(tmp_path / "1.png", 10)
    faces = load_folder(tmp_path)
    assert faces.labels is None
    assert faces.images[:, 0, 0].tolist() == [10, 20]


def test_grey_beside_colour_becomes_colour(tmp_path: Path) -> None:
    picture(tmp_path / "sad" / "1.png", 10)
    picture(tmp_path / "sad" / "2.png", 20, mode="RGB")
    assert load_folder(tmp_path).images[:, 0, 0].tolist() == [[10, 10, 10], [20, 0, 0]]


def test_files_that_are_no_pictures_are_passed_over(kaggle: Path) -> None:
    (kaggle / "test" / "angry" / "Thumbs.db").write_bytes(b"x")
    (kaggle / "test" / ".hidden").mkdir()
    assert len(load_folder(kaggle)) == 14


def unreadable(root: Path) -> None:
    (root / "test/sad/1.png").write_bytes(b"no picture")


def truncated(root: Path) -> None:
    path = root / "test/sad/1.png"
    path.write_bytes(path.read_bytes()[:45])


def of_another_size(root: Path) -> None:
    picture(root / "test/sad/1.png", 0, size=(7, 7))


def without_pictures(root: Path) -> None:
    (root / "test/contempt").mkdir()


def deep(root: Path) -> None:
    Image.new("I;16", (5, 6)).save(root / "test/sad/1.png")


DAMAGES = {
    unreadable: r"picture .*/test/sad/1\.png cannot be read",
    truncated: r"picture .*/test/sad/1\.png cannot be read",
    of_another_size: r"picture .*/test/sad/1\.png is 7x7, but .*/test/angry/1\.png is 5x6; bring all",
    without_pictures: r"class folder .*/test/contempt holds no pictures",
    deep: r"picture .*/test/sad/1\.png has more than 8 bits",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_each_damage_is_one_line_that_says_where(damage: object, kaggle: Path) -> None:
    assert callable(damage)
    damage(kaggle)
    with pytest.raises(UsageError, match=DAMAGES[damage]) as caught:
        load_folder(kaggle)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no pictures; give folders named after classes"):
        load_folder(tmp_path)


def test_a_split_that_is_not_there_is_told_those_that_are(kaggle: Path) -> None:
    with pytest.raises(UsageError, match=r"has no split 'val'; it has test, train, and all"):
        load_faces(f"{kaggle}#val")


def test_pictures_are_called_by_their_paths_which_stay_when_files_are_added(tmp_path: Path) -> None:
    for file in ("cat/a/1.png", "cat/b/1.png", "cat/2.png", "dog/1.png"):
        picture(tmp_path / file, 10)
    before = load_folder(tmp_path)
    assert before.names == ("cat/2.png", "cat/a/1.png", "cat/b/1.png", "dog/1.png")
    picture(tmp_path / "cat/1.png", 200)
    after = load_folder(tmp_path)
    assert after.names == ("cat/1.png", *before.names)
    for name in before.names:
        assert after.images[after.place_called(name)].max() == 10


def test_names_go_with_the_pictures_that_are_taken(kaggle: Path) -> None:
    faces = load_faces(f"{kaggle}#all").take(np.array([5, 0]))
    assert faces.names == ("test/fear/2.png", "test/angry/1.png")
    assert (faces.called(0), load_folder(kaggle, "test").names[0]) == ("test/fear/2.png", "test/angry/1.png")


def test_a_file_name_that_would_move_a_terminal_is_written_out(tmp_path: Path) -> None:
    picture(tmp_path / "two\nlines.png", 0)
    picture(tmp_path / "red\x1b[31m.png", 0)
    assert load_folder(tmp_path).names == (r"red\x1b[31m.png", r"two\nlines.png")
