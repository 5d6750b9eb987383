"""The gallery from the command line, on a network of a few filters and a few faces."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tiny import CLASSES, SPEC, bright_patch_faces, patch_subject, tiny_network, with_record

from harness.cli import main
from harness.engines import Job
from harness.errors import UsageError
from harness.gallery import Ascent, Gallery, asked, fill, filling
from harness.profiles import PROFILES
from harness.report import gallery_figures, gallery_page
from harness.report.gallery_answer import gallery_answer
from harness.report.gallery_figures import SHOWN
from harness.report.gallery_page import write_gallery
from harness.report.gallery_queries import StoredGallery
from harness.store import RunFolder
from harness.subject import Subject

SUBJECT = "from test_gallery import tiny_subject as make\n"
FACES = """
from dataclasses import replace
from tiny import bright_patch_faces as make
from tiny import CLASSES

def unlabelled():
    faces = make()
    return replace(faces, name="unlabelled", labels=None)
"""
PATCHES = "from tiny import patch_subject as make\n"
FIGURES = ("1", "2.1a", "2.1b", "2.2", "2.3", "3", "4", "6")


def tiny_subject() -> Subject:
    """Two convolutions that are not trained, so that some classes have no image."""
    return Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gallery")
    for name, text in {"subj.py": SUBJECT, "patches.py": PATCHES, "faces.py": FACES}.items():
        (folder / name).write_text(text)
    quick = replace(
        PROFILES["quick"],
        per_class=6,
        steps=6,
        spectrum_draws=1,
        removal_draws=1,
        cascade_stages=2,
        cascade_per_class=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Subject, "tuned", lambda self: self)
        patch.setitem(PROFILES, "quick", quick)
        patch.setattr(Ascent, "__init__", _short(Ascent.__init__))
        yield folder


def _short(init):  # type: ignore[no-untyped-def]
    """An ascent of few steps by default."""
    return lambda self, steps=16, rate=0.1, jitter=1, variation=1.0, draws=2: init(
        self, steps, rate, jitter, variation, draws
    )


@pytest.fixture(scope="module")
def filled(place: Path) -> StoredGallery:
    """A gallery of the patch network, which classifies every face right."""
    words = ["gallery", "--subject", "patches.py:make", "--faces", "faces.py:make", "--out", "patches", "--seed", "3"]
    assert main(words) == 0
    return StoredGallery(RunFolder(place / "patches"), RunFolder.existing(place / "patches" / "run"))


@pytest.fixture(scope="module")
def unlabelled(place: Path) -> StoredGallery:
    """A gallery of a network that has filters, on faces without labels."""
    words = ["gallery", "--subject", "subj.py:make", "--faces", "faces.py:unlabelled", "--out", "unlabelled"]
    assert main(words) == 0
    return StoredGallery(RunFolder(place / "unlabelled"), RunFolder.existing(place / "unlabelled" / "run"))


def test_every_figure_is_written_and_shows_something(unlabelled: StoredGallery) -> None:
    names = {path.stem.removeprefix("figure-") for path in unlabelled.folder.path.glob("figures/*.png")}
    assert names == set(FIGURES) - {"6"}  # without labels there is no recall
    for path in [*unlabelled.folder.path.glob("figures/*.png"), unlabelled.folder.path / "gallery.png"]:
        with Image.open(path) as held:
            assert np.asarray(held.convert("L")).std() > 10
            assert held.info["dpi"][0] == pytest.approx(200 if path.stem == "gallery" else 300, abs=1)


def test_the_page_needs_no_other_file(filled: StoredGallery) -> None:
    html = (filled.folder.path / "gallery.html").read_text()
    assert html.count("data:image/png;base64,") == len(list(filled.folder.path.glob("figures/*.png")))
    assert 'src="http' not in html
    assert "<link" not in html


def test_chosen_images_are_classified_right_and_of_their_class(filled: StoredGallery) -> None:
    labels = dict(zip(bright_patch_faces().ids.tolist(), bright_patch_faces().labels, strict=True))
    for choice in ("random", "surest"):
        assert [labels[image] for image in filled.arrays[f"{choice}_ids"].tolist()] == [0, 1, 2]


def test_the_surest_image_has_the_highest_probability(filled: StoredGallery) -> None:
    subject, faces = patch_subject(), bright_patch_faces()
    chances = subject.probabilities(subject.prepare(faces.images)).numpy()
    assert filled.arrays["surest_ids"].tolist() == faces.ids[chances.argmax(0)].tolist()


def test_printed_images_are_those_drawn(place: Path, filled: StoredGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, set[str]] = {}

    def keep(figure: Figure, path: Path, dpi: int) -> Path:
        drawn[path.stem] = {ax.get_title().split("  ")[0] for ax in figure.axes}
        return path

    monkeypatch.setattr(gallery_page, "save", keep)
    write_gallery(StoredGallery(RunFolder(shutil.copytree(filled.folder.path, place / "drawn")), filled.run))
    printed = dict(line.split(": ", 1) for line in gallery_page.spoken(filled)[:3])
    for figure, line in (("figure-1", "figures 1 and 4, images"), ("figure-3", "figure 3, images")):
        ids = {part.split()[-1] for part in printed[line].split(", ")}
        assert len(ids) == 3
        assert ids <= drawn[figure]


def test_pictures_are_those_of_the_printed_images(filled: StoredGallery) -> None:
    faces = bright_patch_faces()
    for image, picture in zip(filled.arrays["random_ids"], filled.arrays["random_pictures"], strict=True):
        np.testing.assert_allclose(picture * 255, faces.images[list(faces.ids).index(image)], atol=1e-3)


def test_a_class_without_images_says_so(unlabelled: StoredGallery) -> None:
    absent = [name for name, image in zip(CLASSES, unlabelled.arrays["random_ids"], strict=True) if image == -1]
    assert absent
    figure = next(plate for plate in gallery_figures.gallery_plates(unlabelled) if plate.name == "figure-4").draw()
    assert figure is not None
    said = " ".join(text.get_text().replace("\n", " ") for ax in figure.axes for text in ax.texts)
    assert all(f"no image is seen as {name}" in said for name in absent)


def test_what_could_not_be_shown_is_said(filled: StoredGallery, unlabelled: StoredGallery) -> None:
    assert any("no layer has filters over places" in note for note in filled.about["notes"])
    assert any("the network has no convolution" in note for note in filled.about["notes"])
    assert any("the images have no labels" in note for note in unlabelled.about["notes"])


def test_the_answer_has_the_runs_numbers(filled: StoredGallery) -> None:
    said = gallery_answer(filled.run, SHOWN)
    rows = filled.run.verdicts.set_index(["explainer", "check"])
    text = " ".join(sentence for _, sentences in said.parts for sentence in sentences)
    assert "recall 1.00" in said.lead
    for name in SHOWN:
        effect = rows.loc[(name, "confusion-mantel"), "effect"]
        told = "undefined" if pd.isna(effect) else f"{effect:+.3f}"
        assert told in text or f"{name} not judged" in text or "Not judged" in text


def test_without_labels_nothing_is_held_against_recall(unlabelled: StoredGallery) -> None:
    assert "cannot be known: the images have no labels" in gallery_answer(unlabelled.run, SHOWN).lead


def test_the_same_seed_stores_the_same(place: Path, filled: StoredGallery) -> None:
    words = ["gallery", "--subject", "patches.py:make", "--faces", "faces.py:make", "--seed", "3"]
    assert main([*words, "--out", "again", "--run", str(filled.run.path)]) == 0
    again = RunFolder(place / "again").arrays("gallery.npz")
    assert again.keys() == filled.arrays.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, filled.arrays[name])


def test_what_is_done_is_said_and_large_pictures_have_a_quarter_of_the_filters(
    place: Path, filled: StoredGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "LARGE", SPEC.height * SPEC.width - 1)
    titles = list[str]()

    def noted(jobs: Sequence[Job]) -> Sequence[Job]:
        titles.extend(job.title for job in jobs)
        return jobs

    folder = RunFolder(place / "large")
    fill(Gallery(patch_subject(), bright_patch_faces(), seed=3), folder, filled.run, progress=noted)
    about = json.loads((folder.path / "gallery.json").read_text())
    layers = [each["layer"] for each in about["layers"]]
    assert titles == [
        "maps of saliency and grad-cam",
        "maps of lime",
        *(f"images for {each or 'the classes'}" for each in layers),
    ]
    usual = json.loads((filled.folder.path / "gallery.json").read_text())
    assert [(each["asked"], more["asked"]) for each, more in zip(about["layers"], usual["layers"], strict=True)] == [
        (8, 32),
        (3, 3),
    ]
    assert any("a quarter as many filters" in note for note in about["notes"])
    assert not any("a quarter as many filters" in note for note in usual["notes"])


def test_of_many_classes_those_that_images_are_taken_for_are_shown(
    place: Path, filled: StoredGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MOST_CLASSES", 2)
    faces = bright_patch_faces()
    few = faces.take(np.flatnonzero(faces.labels != 0))  # "left" is seen nowhere
    folder = RunFolder(place / "many")
    fill(Gallery(patch_subject(), few, seed=3), folder, filled.run)
    held = StoredGallery(folder, filled.run)
    assert held.classes == list(CLASSES[1:])
    assert held.best("")["unit"].tolist() == [1, 2]
    assert [held.class_called(unit) for unit in (1, 2)] == list(CLASSES[1:])
    everyone = filled.arrays
    for name in ("random_saliency", "random_grad-cam", "surest_lime"):
        assert held.arrays[name].shape[0] == 2
        assert held.arrays[name].any(axis=(1, 2)).all()
        assert everyone[name].shape[0] == 3
    assert any("of 3 classes those that most images are taken for are shown" in note for note in held.about["notes"])
    write_gallery(held)


def test_the_image_of_filter_outputs_can_be_asked_for(place: Path, unlabelled: StoredGallery) -> None:
    words = ["gallery", "--subject", "subj.py:make", "--faces", "faces.py:unlabelled", "--run", "unlabelled/run"]
    assert main([*words, "--image", "104", "--after-activation", "--out", "asked"]) == 0
    about = json.loads((place / "asked" / "gallery.json").read_text())["outputs"]
    assert (about["image"], about["rule"], about["layers"]) == (104, "as asked", ["4"])
    assert RunFolder(place / "asked").arrays("gallery.npz")["outputs_0"].min() >= 0
    assert unlabelled.arrays["outputs_0"].min() < 0


MINE = ["gallery", "--subject", "subj.py:make", "--faces", "faces.py:make"]
WRONG = {
    "an image that is not there": ([*MINE, "--image", "7"], "has no image 7; its 18 images are numbered 100 to 117"),
    "a run that is not there": ([*MINE, "--run", "absent"], "absent holds no finished run"),
    "a run of another network": ([*MINE, "--run", "patches/run"], "is a run of subject 'patches'"),
    "faces that are not there": ([*MINE[:4], "orll"], "no images are called 'orll'"),
    "an option that is not there": ([*MINE, "--filters", "3"], "unrecognized arguments: --filters 3"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_use_is_one_line(mistake: str, filled: StoredGallery, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = WRONG[mistake]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert said in printed.err


def test_a_run_without_the_explainers_is_refused(filled: StoredGallery) -> None:
    gallery = Gallery(patch_subject(), bright_patch_faces())
    record = filled.run.record
    # The run's network was read from a file, which is part of what it is.
    subject = replace(record.subject, digest=gallery.subject.digest)
    other = with_record(filled.run, explainers=record.explainers[1:], subject=subject)
    with pytest.raises(UsageError, match="did not judge saliency; leave out --run"):
        gallery.check_run(other)
