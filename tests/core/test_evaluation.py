"""From a request to a run folder: whole, repeatable, resumable, and safe from a bad explainer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import CLASSES, PATCHES, SIDE, SMALL, bright_patch_faces, named, no_progress, patch_subject
from torch import Tensor

from harness.checks import CHECKS, Verdict
from harness.errors import UsageError
from harness.evaluation import PACKAGES, Request, evaluate, runner
from harness.evaluation.rows import few_of
from harness.explainers import Explainer, registered
from harness.explainers.gradient import gradient
from harness.faces.faceset import Counterfactuals, FaceSet
from harness.profiles import EVERY_CONTROL, PROFILES
from harness.store import (
    BLANK,
    CURVES,
    EFFECTS,
    EXAMINATIONS,
    MATRICES,
    PERSONS,
    SCHEMA_VERSION,
    SCORES,
    VERDICTS,
    PassesRecord,
    RunFolder,
    RunRecord,
)
from harness.subject import Subject

FEW = (CHECKS["randomization-full"],)
CONTROLS = SMALL.controls
KNOWN = (*CONTROLS, "mean-image")
"""Controls of a run of which no cause is known."""
STAND_INS = (*KNOWN, "truth", "truth-noise-40", "truth-noise-70")
"""The same, and the truth of the game where it is played."""
TABLES = {
    "scores": SCORES,
    "curves": CURVES,
    "matrices": MATRICES,
    "verdicts": VERDICTS,
    "persons": PERSONS,
    "blank": BLANK,
    "effects": EFFECTS,
    "examinations": EXAMINATIONS,
}

# The shared runs are checked against the annotations; repeating that in every test takes as long as the tests.
pytestmark = pytest.mark.usefixtures("unchecked")


def request(*explainers: Explainer, **changed: object) -> Request:
    """The evaluation of a patch network, which the gradient explains wholly."""
    made = Request(patch_subject(), bright_patch_faces(), explainers or (gradient,), tuple(CHECKS.values()), SMALL)
    return replace(made, **changed)


def run(path: Path, *explainers: Explainer, **changed: object) -> RunFolder:
    return evaluate(request(*explainers, **changed), RunFolder(path), no_progress, "harness run")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of every check."""
    return run(tmp_path_factory.mktemp("done"))


def without_time(record: RunRecord) -> RunRecord:
    """What is noted of a run, but for what a clock says."""
    about = tuple(replace(each, cost=replace(each.cost, seconds=0.0)) for each in record.explainers)
    return replace(record, explainers=about, seconds=0.0)


# ---------------------------------------------------------------------- the folder


def test_every_file_of_a_run_is_written(done: RunFolder) -> None:
    assert {file.name for file in done.path.iterdir()} == {
        "blank.parquet",
        "feed.json",
        "images.parquet",
        "ladder.parquet",
        "cache",
        "curves.parquet",
        "effects.parquet",
        "examinations.parquet",
        "examples.npz",
        "matrices.parquet",
        "persons.parquet",
        "run.json",
        "scores.parquet",
        "verdicts.parquet",
    }


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_the_columns_that_are_promised(name: str, done: RunFolder) -> None:
    assert list(getattr(done, name).columns) == list(TABLES[name])
    assert len(getattr(done, name)) or name in ("effects", "examinations", "persons", "blank")


def test_who_is_on_an_image_and_whose_map_is_constant_is_stored_and_judged_by(tmp_path: Path) -> None:
    faces = bright_patch_faces()
    people = np.arange(len(faces)) // 2
    checks = (CHECKS["randomization-full"],)
    made = run(tmp_path, registered()["constant"], faces=replace(faces, persons=people), checks=checks)
    who = dict(zip(faces.ids, people, strict=True))
    assert [who[image] for image in made.persons["image"]] == made.persons["person"].tolist()
    assert set(made.blank["explainer"]) == {"constant"}
    assert set(made.blank["image"]) == set(made.persons["image"])
    row = made.verdicts[made.verdicts["explainer"] == "constant"].iloc[0]
    assert (row["unit"], row["units"], row["n"]) == ("people", made.persons["person"].nunique(), len(made.persons))
    assert (row["blank"], row["effect"], row["undefined"]) == (row["n"], 1.0, 0)


def test_run_json_says_how_the_run_came_about(done: RunFolder) -> None:
    info = json.loads((done.path / "run.json").read_text())
    assert info["schema_version"] == SCHEMA_VERSION
    assert info["command"] == "harness run"
    subject = patch_subject()
    told = {
        "name": "patches",
        "digest": subject.digest,
        "classes": list(CLASSES),
        "judged": list(CLASSES),
        "cam_layer": subject.cam_layer,
    }
    assert info["subject"] == told
    assert info["faces"]["digest"] == bright_patch_faces().digest
    assert (info["seed"], info["device"], info["profile"]["name"]) == (0, "cpu", "small")
    assert set(info["versions"]) == {"python", *PACKAGES}
    assert info["chosen"] == {"left": 6, "middle": 6, "right": 6}
    assert [check["name"] for check in info["checks"]] == list(CHECKS)


def test_run_json_says_what_each_explainer_is_and_cost(done: RunFolder) -> None:
    about = {each.name: each for each in done.record.explainers}
    assert list(about) == ["gradient", *STAND_INS]
    assert about["gradient"].digest == gradient.digest
    assert (about["gradient"].status, about["gradient"].reason) == ("ok", "")
    assert [each.control for each in about.values()] == [False, *[True] * len(STAND_INS)]
    assert all(each.cost.forward > 0 for each in about.values())


def test_the_passes_of_a_run_are_those_of_the_network(tmp_path: Path) -> None:
    asked = request(checks=FEW)
    found = evaluate(asked, RunFolder(tmp_path), no_progress)
    assert found.record.passes == PassesRecord(**vars(asked.subject.passes))


def test_every_score_is_of_a_chosen_image(done: RunFolder) -> None:
    assert set(done.scores["image"]) == set(bright_patch_faces().ids)
    assert set(done.scores["status"]) <= {"ok", "undefined", "silent", "not scorable"}


def test_undefined_scores_are_null_and_say_why(tmp_path: Path) -> None:
    def half_constant(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        maps = images[:, 0].clone()
        maps[targets == 0] = 0
        return maps

    scores = run(tmp_path, named("half", half_constant), checks=FEW).scores
    undefined = scores[scores["value"].isna()]
    assert len(undefined)
    assert set(undefined["status"]) == {"undefined"}
    assert (undefined["reason"] != "").all()


def test_examples_hold_a_few_images_of_each_class(done: RunFolder) -> None:
    held = done.examples
    assert held.targets.tolist() == np.repeat(CLASSES, 3).tolist()
    assert len(set(held.images.tolist())) == 9
    assert held.explainers.tolist() == ["gradient", *STAND_INS]
    assert held.maps.shape == (1 + len(STAND_INS), 9, SIDE, SIDE)
    assert held.pictures.min() >= 0
    assert held.pictures.max() <= 1


@pytest.mark.parametrize(("classes", "kept"), [(1, [6, 2, 4]), (30, [6, 2]), (60, [6]), (1000, [6])])
def test_examples_begin_with_a_right_image_and_a_misread_one(classes: int, kept: list[int]) -> None:
    right = np.array([True, True, False, True, False, True, True, True, True])
    assert few_of(np.array([2, 4, 6, 8]), right, classes).tolist() == kept


# ---------------------------------------------------------------------- verdicts


def verdict(found: RunFolder, explainer: str, check: str, kind: str = "all") -> Verdict:
    table = found.verdicts
    row = table[(table["explainer"] == explainer) & (table["check"] == check) & (table["class"] == kind)]
    return Verdict(row["verdict"].item())


def test_the_gradient_of_a_patch_network_is_believed(done: RunFolder) -> None:
    assert verdict(done, "gradient", "deletion-spectrum") is Verdict.PASS
    assert verdict(done, "gradient", "insertion-spectrum") is Verdict.PASS


def test_noise_is_not(done: RunFolder) -> None:
    assert verdict(done, "random", "deletion-spectrum") is not Verdict.PASS


def test_the_gradient_reversed_is_refuted(tmp_path: Path) -> None:
    turned = named("reversed", lambda subject, images, targets: -gradient(subject, images, targets))
    found = run(tmp_path, turned, checks=(CHECKS["deletion-spectrum"],))
    assert verdict(found, "reversed", "deletion-spectrum") is Verdict.FAIL


def test_the_gradient_of_a_linear_network_is_a_portrait_of_the_class(done: RunFolder) -> None:
    # It is the same for every image of a class, so that another image's serves as well.
    assert verdict(done, "gradient", "deletion-transplant") is Verdict.FAIL


def test_there_is_a_verdict_for_every_explainer_check_and_class(done: RunFolder) -> None:
    over_images = done.verdicts["family"].isin(["faithfulness", "randomization"])
    images = done.verdicts[over_images & (done.verdicts["explainer"] == "gradient")]
    classes = images.groupby("check")["class"].agg(tuple)
    # Costly metrics have too few images of a class to judge it, and what is not applicable at all says so once.
    assert set(classes) <= {("all",), ("all", *CLASSES)}
    whole = ["randomization-labels", "targets-differ", "targets-specific", "road-spectrum"]
    assert set(classes.loc[whole]) == {("all",)}
    each = ["deletion-spectrum", "insertion-transplant", "randomization-full"]
    assert set(classes.loc[each]) == {("all", *CLASSES)}
    assert set(done.verdicts["explainer"]) == {"gradient", *STAND_INS}
    assert set(done.verdicts["check"]) == set(CHECKS)


def test_faces_without_labels_are_judged_but_for_the_confusion(tmp_path: Path) -> None:
    found = run(tmp_path, faces=replace(bright_patch_faces(), labels=None))
    assert verdict(found, "gradient", "deletion-spectrum") is Verdict.PASS
    assert verdict(found, "gradient", "confusion-recall") is Verdict.NOT_APPLICABLE
    assert set(found.scores["label"]) == {""}


@pytest.mark.parametrize("asked", [(gradient,), (gradient, named("random", lambda _s, images, _t: images[:, 0]))])
def test_controls_are_always_there_and_once(asked: tuple[Explainer, ...]) -> None:
    names = [explainer.name for explainer in request(*asked).with_controls().explainers]
    assert names == list(dict.fromkeys([*(explainer.name for explainer in asked), *CONTROLS]))


def test_only_what_the_checks_need_is_measured(tmp_path: Path) -> None:
    found = run(tmp_path, checks=(CHECKS["confusion-mantel"],))
    assert len(found.scores) == 0
    assert set(found.matrices["matrix"]) == {"confusion", "map-similarity", "image-similarity"}


# ---------------------------------------------------------------------- again


def test_running_again_makes_no_further_pass_and_the_same_run(tmp_path: Path) -> None:
    one = run(tmp_path, checks=FEW)
    files = {name: (tmp_path / f"{name}.parquet").read_bytes() for name in TABLES}
    record = without_time(one.record)
    asked = request(checks=FEW)
    again = evaluate(asked, RunFolder(tmp_path), no_progress, "harness run")
    assert (asked.subject.passes.forward, asked.subject.passes.backward) == (0, 0)
    assert {name: (tmp_path / f"{name}.parquet").read_bytes() for name in TABLES} == files
    assert without_time(again.record) == record


def test_two_runs_of_one_seed_are_alike_to_the_byte(tmp_path: Path) -> None:
    for name in ("one", "other"):
        run(tmp_path / name, checks=FEW)
    for table in TABLES:
        one, other = ((tmp_path / name / f"{table}.parquet").read_bytes() for name in ("one", "other"))
        assert one == other


def test_another_seed_gives_other_nulls(tmp_path: Path) -> None:
    one, other = (run(tmp_path / str(seed), checks=FEW, seed=seed).scores for seed in (0, 1))
    assert not one["value"].equals(other["value"])


def test_a_further_explainer_makes_only_its_own_pieces(tmp_path: Path) -> None:
    run(tmp_path, checks=FEW)
    asked = request(gradient, named("picture", lambda _s, images, _t: images[:, 0], target_free=True), checks=FEW)
    found = evaluate(asked, RunFolder(tmp_path), no_progress)
    costs = {each.name: each.cost.forward for each in found.record.explainers}
    # The random networks are drawn again, in this process: twice their calibration images, forward.
    drawn = len(found.record.cascade) * 2 * 18
    assert asked.subject.passes.forward == pytest.approx(costs["picture"], abs=drawn)
    assert set(found.scores["explainer"]) == {"gradient", "picture", *CONTROLS}


class Stopping:
    """The gradient, stopped from the keyboard at one of its calls."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.calls = at, 0

    def __digest__(self) -> str:
        return "stopping"

    def __call__(self, subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return gradient(subject, images, targets)


@pytest.mark.parametrize("at", [1, 14, 17])
def test_a_run_stopped_midway_goes_on_and_ends_as_if_it_had_not_been(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BLOCK", 7)
    whole = run(tmp_path / "whole", named("mine", Stopping()), checks=FEW)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", named("mine", Stopping(at)), checks=FEW)
    assert not (tmp_path / "stopped" / "run.json").exists()
    resumed = run(tmp_path / "stopped", named("mine", Stopping()), checks=FEW)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(resumed, name), getattr(whole, name))


def test_a_stopped_run_does_no_piece_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BLOCK", 7)
    whole = Stopping()
    run(tmp_path / "whole", named("mine", whole), checks=FEW)
    first, second = Stopping(whole.calls - 3), Stopping()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, named("mine", first), checks=FEW)
    run(tmp_path, named("mine", second), checks=FEW)
    # After the contract, three blocks of the trained network and three of the random one; the stopped call, the third
    # of them, is made again. Every start also asks once whether the explainer does what it did.
    assert second.calls == 4 + 1


def test_a_run_in_progress_is_not_read_as_finished(tmp_path: Path) -> None:
    run(tmp_path, checks=FEW)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, named("mine", Stopping(1)), checks=FEW)
    with pytest.raises(UsageError, match="holds no finished run"):
        RunFolder.existing(tmp_path)


# ---------------------------------------------------------------------- bad explainers


def raises(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise ValueError("it broke")


def not_a_number(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0] * torch.nan


def wrong_shape(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images


def paints_the_input(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images.neg_()[:, 0]


def changes_weights(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    for parameter in subject.network.parameters():
        parameter.data.neg_()
    return images[:, 0]


def leaves_a_hook(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    subject.network.register_forward_hook(lambda _m, _i, output: -output)
    return images[:, 0]


def constant(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return torch.ones(len(images), SIDE, SIDE)


def only_on_the_random_network(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0] if "random" not in subject.name else images


BAD: dict[Callable[..., Tensor], str] = {
    raises: "bad raised ValueError: it broke",
    not_a_number: "bad breaks its contract: finite (NaN or infinity for 2 of 2 images, the first being number 0)",
    wrong_shape: "bad breaks its contract: shape (returned shape (2, 1, 12, 12) for images whose maps are (2, 12, 12))",
    paints_the_input: "bad breaks its contract: input (changed its images or targets in place; work on a copy)",
    changes_weights: "bad breaks its contract: network (changed the network's weights or modules, or left hooks on it)",
    leaves_a_hook: "bad breaks its contract: network (changed the network's weights or modules, or left hooks on it)",
    constant: "bad breaks its contract: images (returned the same map for every image)",
    only_on_the_random_network: "bad returned shape (18, 1, 12, 12); return one (h, w) map an image, (18, 12, 12)",
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run without a bad explainer."""
    return run(tmp_path_factory.mktemp("clean"), checks=FEW)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_bad_explainer_is_named_and_does_not_touch_the_others(
    bad: Callable[..., Tensor], tmp_path: Path, clean: RunFolder
) -> None:
    found = run(tmp_path, named("bad", bad, target_free=True), gradient, checks=FEW)
    about = {each.name: (each.status, each.reason) for each in found.record.explainers}
    assert about == {"bad": ("failed", BAD[bad]), "gradient": ("ok", ""), **dict.fromkeys(KNOWN, ("ok", ""))}
    others = found.scores[found.scores["explainer"] != "bad"].reset_index(drop=True)
    expected = clean.scores.set_index("explainer").loc[["gradient", *CONTROLS]].reset_index()
    pd.testing.assert_frame_equal(others, expected[others.columns])


def test_who_breaks_the_contract_is_asked_for_no_further_map(tmp_path: Path) -> None:
    sizes: list[int] = []

    def bad(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        sizes.append(len(images))
        return images * torch.nan

    run(tmp_path, named("bad", bad), checks=FEW)
    assert max(sizes) == 2


def test_a_bad_explainers_images_are_failed_not_zero(tmp_path: Path) -> None:
    scores = run(tmp_path, named("bad", raises), checks=FEW).scores
    mine = scores[scores["explainer"] == "bad"]
    assert len(mine) == 18
    assert mine["value"].isna().all()
    assert set(mine["status"]) == {"failed"}
    assert set(mine["reason"]) == {"bad raised ValueError: it broke"}


def test_a_bad_explainers_verdicts_say_why_there_are_none(tmp_path: Path) -> None:
    verdicts = run(tmp_path, named("bad", raises), checks=FEW).verdicts
    mine = verdicts[verdicts["explainer"] == "bad"]
    assert set(mine["verdict"]) == {Verdict.NOT_APPLICABLE}
    assert set(mine["reason"]) == {"bad raised ValueError: it broke"}


def test_a_mended_explainer_is_judged_in_the_same_folder(tmp_path: Path) -> None:
    run(tmp_path, named("mine", raises), checks=FEW)
    found = run(tmp_path, named("mine", gradient), checks=FEW)
    assert {each.status for each in found.record.explainers} == {"ok"}


# ---------------------------------------------------------------------- counterfactuals


def known_causes(count: int = 3) -> FaceSet:
    """Faces of which some have their patch put to rest, alone and with all else."""
    faces = bright_patch_faces()
    held = np.arange(count)
    at_rest = np.repeat(faces.images[held, None], 2, axis=1)
    for number, label in enumerate(faces.labels[held]):
        at_rest[number][:, *PATCHES[label]] = 110
    known = Counterfactuals(held, ("patch", "all"), at_rest, faces.images[held, None])
    return replace(faces, counterfactuals=known)


def test_the_effects_of_known_causes_are_stored(tmp_path: Path) -> None:
    effects = run(tmp_path, checks=FEW, faces=known_causes()).effects
    at_rest = effects[(effects["part"] == "patch") & (effects["kind"] == "at-rest")]
    assert at_rest["image"].tolist() == [100, 101, 102]
    assert (at_rest["logit"] > 1).all()


def test_who_is_on_a_face_with_effects_is_stored_though_no_run_explained_it(tmp_path: Path) -> None:
    faces = known_causes(6)
    people = 7 + np.arange(len(faces)) // 2
    known = replace(faces, persons=people)
    made = run(tmp_path, checks=FEW, faces=known, profile=replace(SMALL, per_class=1))
    seen = set(made.scores["image"]) | set(made.effects["image"])
    assert set(made.effects["image"]) - set(made.scores["image"]), "one is not explained"
    assert set(made.persons["image"]) == seen
    who = dict(zip(faces.ids, people, strict=True))
    assert [who[image] for image in made.persons["image"]] == made.persons["person"].tolist()


def test_effects_are_measured_once_and_counted(tmp_path: Path) -> None:
    first, again = (request(checks=FEW, faces=known_causes()) for _ in range(2))
    found = evaluate(first, RunFolder(tmp_path), no_progress)
    assert found.record.passes == PassesRecord(**vars(first.subject.passes))
    evaluate(again, RunFolder(tmp_path), no_progress)
    assert again.subject.passes.forward == 0


def test_another_runs_effects_do_not_stay_in_the_folder(tmp_path: Path) -> None:
    run(tmp_path, checks=FEW, faces=known_causes())
    assert len(run(tmp_path, checks=FEW).effects) == 0


# ---------------------------------------------------------------------- wrong use


def other_classes() -> FaceSet:
    return replace(bright_patch_faces(), classes=CLASSES[::-1])


def one_id_twice() -> FaceSet:
    faces = bright_patch_faces()
    return replace(faces, ids=np.where(faces.ids == 101, 100, faces.ids))


@pytest.mark.parametrize(
    ("faces", "said"),
    [(other_classes, r"images 'bright-patches' have classes right, .*give both"), (one_id_twice, "one id for several")],
)
def test_faces_that_do_not_fit_are_one_clear_line(faces: Callable[[], FaceSet], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        run(tmp_path, faces=faces())
    assert "\n" not in str(caught.value)


def test_progress_sees_every_job(tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(jobs: Sequence[object]) -> Sequence[object]:
        seen.extend(job.title for job in jobs)
        return jobs

    evaluate(request(checks=FEW), RunFolder(tmp_path), progress)
    assert [title for title in seen if title.endswith(": randomization")] == [
        f"{name}: randomization" for name in ("gradient", *CONTROLS)
    ]


def test_longer_profiles_carry_every_control() -> None:
    carried = {
        name: [each.name for each in request(profile=profile).with_controls().explainers]
        for name, profile in PROFILES.items()
    }
    assert carried["quick"] == ["gradient", "random", "edges", "centre"]
    assert carried["standard"] == carried["full"] == ["gradient", *EVERY_CONTROL]
