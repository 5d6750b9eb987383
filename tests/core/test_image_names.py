"""Pictures from a folder are called by their files wherever a run names them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tiny import CLASSES, bright_patch_faces

from harness.cli import main
from harness.errors import UsageError
from harness.store import RunFolder
from harness.subject import Subject

pytestmark = pytest.mark.usefixtures("place", "registry", "unchecked")

ASKED = ["--subject", "subj.py:make", "--images", "pictures"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a network and a folder of pictures: files of one name in folders within the classes'."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "subj.py").write_text("from tiny import patch_subject as make\n")
    faces = bright_patch_faces()
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        file = folder / "pictures" / CLASSES[label] / ("", "first", "second")[number // 3 % 3] / f"{number // 9}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Subject, "tuned", lambda self: self)
        yield folder


@pytest.fixture(scope="module")
def run(place: Path) -> RunFolder:
    words = ["--explainer", "gradient", "--check", "deletion-transplant", "--per-class", "6"]
    assert main(["run", *ASKED, *words, "--out", "run"]) == 0
    return RunFolder.existing(place / "run")


def test_each_image_of_a_run_has_the_path_of_its_file(run: RunFolder, place: Path) -> None:
    files = {file.relative_to(place / "pictures").as_posix() for file in (place / "pictures").rglob("*.png")}
    assert len(files) == 18
    assert set(run.images["name"]) == files
    assert set(run.images["image"]) == set(run.scores["image"])
    for image, name in zip(run.images["image"], run.images["name"], strict=True):
        assert run.called(image) == name
        label = run.scores.loc[run.scores["image"] == image, "label"]
        assert set(label) == {name.split("/")[0]}, "the name is that of the very picture"


def test_the_page_calls_pictures_by_their_files(run: RunFolder) -> None:
    page = (run.path / "report.html").read_text(encoding="utf-8")
    shown = [run.called(int(image)) for image in run.examples.images]
    assert len(shown) >= 3
    assert [name for name in shown if name not in page] == []


def test_a_run_that_lost_its_names_does_not_fall_back_to_numbers(run: RunFolder) -> None:
    file = run.path / "images.parquet"
    held = file.read_bytes()
    os.remove(file)
    with pytest.raises(UsageError, match=r"images\.parquet is missing; run it again"):
        RunFolder.existing(run.path).called(0)
    file.write_bytes(held)


def test_a_run_without_names_has_numbers(place: Path, tmp_path: Path) -> None:
    assert RunFolder(tmp_path).called(7) == "7"


def test_a_gallery_names_files_and_is_asked_for_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gallery", *ASKED, "--run", "gallery-run"]
    explainers = ["--explainer", "saliency", "--explainer", "lime", "--explainer", "grad-cam"]
    assert (
        main(["run", *ASKED, *explainers, "--check", "targets-differ", "--per-class", "2", "--out", "gallery-run"]) == 0
    )
    assert main([*words, "--image", "left/second/0.png", "--out", "gallery"]) == 0
    said = capsys.readouterr().out
    assert "figure 2.2, image: left/second/0.png (as asked)" in said
    assert json.loads((place / "gallery/gallery.json").read_text())["outputs"]["label"] == "left"
    assert "left/" in (place / "gallery/gallery.html").read_text(encoding="utf-8")
    assert main([*words, "--image", "left/second/9.png", "--out", "gallery"]) == 2
    assert "has no image left/second/9.png (did you mean" in capsys.readouterr().err
