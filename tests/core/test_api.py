"""An evaluation in one call, from what a Python user has at hand, and the run that comes back."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import (
    CLASSES,
    PATCHES,
    SIDE,
    SMALL,
    SPEC,
    PatchNetwork,
    bright_patch_faces,
    named,
    patch_subject,
    tiny_network,
)

import harness
from harness.api import inputs
from harness.api.inputs import as_checks, as_faces, as_profile, as_subject
from harness.api.run import PAGE
from harness.checks import CHECKS
from harness.cli import default_metric
from harness.errors import HarnessError, UsageError
from harness.explainers.gradient import gradient
from harness.report import comparison, tables
from harness.store import RunFolder
from harness.subject import InputSpec

RANDOMIZATION = "randomization-full"
REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
FEED = "contiguous:64"
FACES = bright_patch_faces()
PIXELS, LABELS = FACES.images, FACES.labels


OF_THE_PICTURE = named("of-the-picture", lambda subject, images, targets: images[:, 0], target_free=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> harness.Run:
    """One run of an array of fractions, labels by number, a module, a name and a function."""
    return harness.evaluate(
        PatchNetwork(PATCHES),
        torch.from_numpy(PIXELS / 255).float(),
        LABELS,
        explainers=["gradient", OF_THE_PICTURE],
        checks=[RANDOMIZATION],
        profile=replace(SMALL, cascade_per_class=6),
        feed=FEED,
        out=tmp_path_factory.mktemp("run"),
    )


# ---------------------------------------------------------------------- the run


def test_the_run_judges_what_was_asked_for(run: harness.Run) -> None:
    row = run.verdicts[(run.verdicts["check"] == RANDOMIZATION) & (run.verdicts["class"] == "all")]
    found = row.set_index("explainer")["verdict"]
    assert found["of-the-picture"] == "fail"
    assert found["gradient"] == "pass"
    assert set(found.index) == set(run.explainers)
    assert set(SMALL.controls) < set(run.explainers)


@pytest.mark.parametrize("table", ["ladder", "verdicts", "scores", "curves"])
def test_its_tables_are_those_of_the_folder(table: str, run: harness.Run) -> None:
    held = getattr(run, table)
    assert len(held) > 0
    pd.testing.assert_frame_equal(held, pd.read_parquet(run.path / f"{table}.parquet"))


def test_it_is_opened_again_from_its_folder(run: harness.Run) -> None:
    again = harness.Run(str(run.path))
    assert again.explainers == run.explainers
    pd.testing.assert_frame_equal(again.verdicts, run.verdicts)


def test_table_is_what_the_command_prints(run: harness.Run) -> None:
    folder = RunFolder.existing(run.path)
    expected = tables.metric_table(folder, default_metric(folder), by="explainer")
    pd.testing.assert_frame_equal(run.table(by="explainer"), expected)


def test_explainers_are_compared(run: harness.Run) -> None:
    folder = RunFolder.existing(run.path)
    expected = comparison.compare([folder], ["gradient", "random"], default_metric(folder))
    pd.testing.assert_frame_equal(run.compare(explainers=["gradient", "random"]), expected)


def test_a_score_is_named_or_said_by_its_columns(run: harness.Run) -> None:
    plain, beyond = (run.table("randomization-full", kind=kind) for kind in ("score", "excess"))
    pd.testing.assert_frame_equal(beyond, run.table("randomization-full-excess"))
    assert not beyond["gradient"].equals(plain["gradient"])
    compared = run.compare(explainers=["gradient", "random"], metric="randomization-full", kind="excess")
    assert compared.attrs["metric"] == "randomization-full-excess"
    with pytest.raises(
        UsageError, match="no --kind gain of 'randomization-full'; there is --kind score; --kind excess"
    ):
        run.table("randomization-full", kind="gain")


def test_maps_are_drawn_of_those_that_are_named(run: harness.Run) -> None:
    figure = run.plot_maps(["gradient", "edges"], classes=CLASSES_BY_NUMBER[0])
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["image", "gradient", "edges"]


@pytest.mark.parametrize("asked", [{"explainers": ["gradeint"]}, {"classes": ["class 9"]}])
def test_maps_of_nobody_are_refused_by_name(asked: dict[str, list[str]], run: harness.Run) -> None:
    with pytest.raises(UsageError, match=r"has no (explainer 'gradeint'.*gradient|class 'class 9')"):
        run.plot_maps(**asked)


def test_a_notebook_shows_the_ladder(run: harness.Run) -> None:
    html = run._repr_html_()
    assert html.count("<table") == 3
    assert all(name in html for name in ("gradient", "of-the-picture", *CLASSES_BY_NUMBER))


def test_the_page_is_written_where_it_is_missing_or_older(run: harness.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(folder: RunFolder) -> list[Path]:
        written.append(folder.path)
        (folder.path / PAGE).write_text("page")
        return []

    monkeypatch.setattr("harness.api.run.write_report", write)
    page = run.report()
    assert (page, run.report(), len(written)) == (run.path / PAGE, page, 1)
    made = (run.path / "run.json").stat().st_mtime_ns
    os.utime(page, ns=(made - 1, made - 1))
    run.report()
    assert len(written) == 2


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no finished run"):
        harness.Run(tmp_path)


# ---------------------------------------------------------------------- the network

CLASSES_BY_NUMBER = ("class 0", "class 1", "class 2")


def test_a_network_reads_fractions_as_they_are() -> None:
    subject = as_subject(PatchNetwork(PATCHES), PIXELS / 255)
    assert (subject.spec, subject.name) == (InputSpec(SIDE, SIDE, (0.0,), (1.0,)), "PatchNetwork")
    assert subject.classes == CLASSES_BY_NUMBER


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 5, 7, 3)])
def test_channels_stand_first_or_last(shape: tuple[int, ...]) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 3 * 5, 4))
    images = np.full(shape, 0.5, np.float32)
    subject = as_subject(network, images, name="mine")
    assert (subject.spec.height, subject.spec.width, subject.spec.channels) == (5, 7, 3)
    assert as_faces(images, None, subject.classes).images.shape == (2, 5, 7, 3)


def test_what_the_network_states_goes_before_what_is_inferred() -> None:
    network = PatchNetwork(PATCHES)
    network.spec, network.classes = SPEC, CLASSES
    subject = as_subject(network, PIXELS)
    assert (subject.spec, subject.classes) == (SPEC, CLASSES)


def test_classes_are_those_of_a_face_set() -> None:
    assert as_subject(PatchNetwork(PATCHES), FACES, spec=SPEC).classes == CLASSES


WRONG_NETWORKS = {
    "bytes without a spec": (lambda: as_subject(PatchNetwork(PATCHES), PIXELS), "images are uint8.*InputSpec"),
    "normalised": (lambda: as_subject(PatchNetwork(PATCHES), PIXELS / 100.0), "outside 0 to 1.*InputSpec"),
    "a path without a spec": (lambda: as_subject(PatchNetwork(PATCHES), "orl"), "nothing says how.*InputSpec"),
    "no network": (lambda: as_subject(3, PIXELS), "type int; give a torch module"),
    "a wrong size": (lambda: as_subject(PatchNetwork(PATCHES), PIXELS[:, :5] / 255), "does not run on an image"),
    "no logits": (lambda: as_subject(torch.nn.Identity(), PIXELS / 255), r"one logit a class"),
    "sides in place of a spec": (
        lambda: as_subject(PatchNetwork(PATCHES), PIXELS, spec=(8, 8)),
        r"spec is of type tuple; give harness\.InputSpec",
    ),
    "a text for classes": (
        lambda: as_subject(PatchNetwork(PATCHES), PIXELS / 255, classes="cat"),
        "classes are a text, 'cat'; give a list",
    ),
    "no such device": (lambda: as_subject(patch_subject(), PIXELS, device="nowhere"), "--device nowhere: it cannot"),
    "a device that is not there": (
        lambda: as_subject(PatchNetwork(PATCHES), PIXELS / 255, device="hpu"),
        "--device hpu: it cannot be used here",
    ),
    "a subject with a spec": (lambda: as_subject(patch_subject(), PIXELS, spec=SPEC), "a subject states its own"),
}


@pytest.mark.parametrize("what", WRONG_NETWORKS)
def test_a_network_that_cannot_be_wrapped_is_one_line(what: str, unchecked: None) -> None:
    make, said = WRONG_NETWORKS[what]
    with pytest.raises(UsageError, match=said) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_a_ready_subject_goes_where_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = patch_subject()
    assert as_subject(subject, PIXELS) is subject
    assert as_subject(subject, PIXELS, device="cpu") is subject
    monkeypatch.setattr(inputs, "asked_device", lambda name: torch.device("cpu", 0))  # another name for the same place
    moved = as_subject(subject, PIXELS, device="there")
    assert (moved.device, moved.digest) == (torch.device("cpu", 0), subject.digest)


# ---------------------------------------------------------------------- the images


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        PIXELS.astype(np.int64),
        torch.from_numpy(PIXELS),
        PIXELS[:, None],
        PIXELS / 255.0,
        torch.from_numpy(PIXELS / 255.0).to(torch.float16),  # 11 bits tell 256 levels apart
        list(PIXELS),
    ],
    ids=["bytes", "whole numbers", "tensor", "with a channel", "fractions", "half width", "list"],
)
def test_arrays_are_read_as_their_pixels(images: object) -> None:
    faces = as_faces(images, LABELS, CLASSES)
    np.testing.assert_array_equal(faces.images, PIXELS)
    np.testing.assert_array_equal(faces.labels, LABELS)


@pytest.mark.parametrize(
    "labels",
    [
        [CLASSES[k] for k in LABELS],
        torch.from_numpy(LABELS),
        torch.from_numpy(LABELS).to(torch.bfloat16),
        np.eye(3)[LABELS],
        pd.Series([CLASSES[k] for k in LABELS], index=range(5, 23)),
        pd.DataFrame({"emotion": LABELS}),
        # Columns of a one-hot are often sorted by name, in another order than the network's outputs.
        pd.get_dummies([CLASSES[k] for k in LABELS])[sorted(CLASSES)],
        pd.get_dummies(LABELS),
    ],
    ids=["names", "tensor", "bfloat16", "1hot", "series", "column", "1hot by name", "1hot by number"],
)
def test_labels_are_numbers_names_or_one_hot(labels: object) -> None:
    np.testing.assert_array_equal(as_faces(PIXELS, labels, CLASSES).labels, LABELS)


def test_a_torch_dataset_is_read() -> None:
    data = torch.utils.data.TensorDataset(torch.from_numpy(PIXELS[:, None]), torch.from_numpy(LABELS))
    faces = as_faces(data, None, CLASSES)
    np.testing.assert_array_equal(faces.images, PIXELS)
    np.testing.assert_array_equal(faces.labels, LABELS)


WRONG_IMAGES = {
    "labels beside a face set": (lambda: as_faces(FACES, LABELS, CLASSES), "labels go with an array"),
    "too few labels": (lambda: as_faces(PIXELS, LABELS[:3], CLASSES), "18 images but 3 labels"),
    "no images": (lambda: as_faces(3, None, CLASSES), "images are of type int; give an array"),
    "an unknown label": (lambda: as_faces(PIXELS, ["up"] * 18, CLASSES), "'up', which is none of left, middle, right"),
    "a table that is no one-hot": (
        lambda: as_faces(PIXELS, pd.DataFrame({"a": LABELS, "b": LABELS, "c": LABELS}), CLASSES),
        "labels are a table with columns a, b, c; one-hot has a column for each of left, middle, right",
    ),
    "one label for all": (lambda: as_faces(PIXELS, 3, CLASSES), "labels are of type int; give one a picture"),
    "labels by key": (lambda: as_faces(PIXELS, dict(enumerate(LABELS)), CLASSES), "labels are of type dict"),
    "labels to come": (lambda: as_faces(PIXELS, iter(LABELS), CLASSES), "labels are of type"),
    "an empty array": (lambda: as_faces(PIXELS[:0], None, CLASSES), "there are no images"),
    "normalised": (lambda: as_faces(PIXELS / 100.0, None, CLASSES), "values outside 0 to 1"),
}


@pytest.mark.parametrize("what", WRONG_IMAGES)
def test_images_that_cannot_be_read_are_one_line(what: str, unchecked: None) -> None:
    make, said = WRONG_IMAGES[what]
    with pytest.raises(UsageError, match=said):
        make()


def test_how_opaque_a_pixel_is_is_no_colour_of_a_network() -> None:
    with pytest.raises(UsageError, match="4 channels, the fourth of how opaque a pixel is"):
        as_subject(tiny_network(), np.zeros((2, 9, 9, 4), np.float32), classes=CLASSES)


# ---------------------------------------------------------------------- what is asked of them


def test_checks_are_names_families_or_checks() -> None:
    family = [check for check in CHECKS.values() if check.family == "randomization"]
    assert as_checks("randomization", None, "all") == family
    assert as_checks([CHECKS[RANDOMIZATION], RANDOMIZATION], None, "all") == [CHECKS[RANDOMIZATION]]


def test_by_default_checks_are_those_that_the_images_can_answer() -> None:
    found = as_checks(None, FACES, "decides")
    assert found == [check for check in CHECKS.values() if check.decides and not check.evidence]


WRONG_WORDS = {
    "a check": (lambda: as_checks("randomisation", FACES, "all"), "'randomisation'.*randomization"),
    "a number of checks": (lambda: as_checks(5, FACES, "all"), "checks are of type int; give names"),
    "no check": (lambda: as_checks([], FACES, "all"), "checks are empty"),
    "a profile": (lambda: as_profile("fast"), "no profile is called 'fast'"),
    "a seed": (lambda: harness.evaluate(patch_subject(), FACES, seed=-1), "seed=-1 is no seed"),
    "an explainer": (lambda: harness.evaluate(patch_subject(), FACES, explainers="gradeint"), "gradient"),
    "no explainer": (lambda: harness.evaluate(patch_subject(), FACES, explainers=[]), "explainers are empty"),
    "no function": (lambda: harness.evaluate(patch_subject(), FACES, explainers=[3]), "is a int; name a function"),
    "a lambda": (lambda: harness.evaluate(patch_subject(), FACES, explainers=lambda s, i, t: i), "lambda has no name"),
    "a name for a run": (
        lambda: harness.Run(REFERENCE).compare("gradient", "grad-cam"),
        r"'gradient' is no run; name explainers as explainers=\[...\]",
    ),
    "text for a number of images": (
        lambda: harness.evaluate(patch_subject(), FACES, per_class="2"),
        "per_class is '2'; give a whole number",
    ),
    "text for workers": (lambda: harness.evaluate(patch_subject(), FACES, workers="2"), "workers is '2'; give a whole"),
    "a size for a spec": (
        lambda: harness.Subject(tiny_network(), name="tiny", classes=["a", "b", "c"], spec=(12, 12)),
        r"has the spec \(12, 12\); give InputSpec",
    ),
    "taken names": (
        lambda: harness.evaluate(patch_subject(), FACES, explainers=[_named_gradient()]),
        "has the name of harness.explainers.gradient:gradient",
    ),
}


def _named_gradient():
    def gradient(subject, images, targets):
        return images[:, 0]

    return gradient


@pytest.mark.parametrize("what", WRONG_WORDS)
def test_wrong_words_are_one_line(what: str, unchecked: None) -> None:
    make, said = WRONG_WORDS[what]
    with pytest.raises(HarnessError, match=said):
        make()


def test_a_temporary_run_lives_as_long_as_its_object() -> None:
    made = harness.evaluate(
        patch_subject(), FACES, explainers=gradient, checks=RANDOMIZATION, profile=SMALL, feed=FEED, per_class=2
    )
    path = made.path
    assert (path / "run.json").is_file()
    assert set(made.record.chosen.values()) == {2}
    del made
    assert not path.exists()


def test_a_temporary_folder_does_not_outlive_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(HarnessError):
        harness.evaluate(patch_subject(), FACES, explainers=gradient, checks=RANDOMIZATION, engine="nowhere", feed=FEED)
    assert not list(tmp_path.glob("harness-run-*"))


def test_a_seed_may_be_a_number_of_numpys(unchecked: None) -> None:
    made = harness.evaluate(
        patch_subject(), FACES, explainers=gradient, checks=RANDOMIZATION, profile=SMALL, feed=FEED, per_class=2,
        seed=np.int64(3),
    )  # fmt: skip
    assert made.record.seed == 3
