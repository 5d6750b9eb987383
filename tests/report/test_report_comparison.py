from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Make
from synthetic import FACES, METHODS, Drawn, Plan
from tiny import EXACT, with_record

from harness.errors import UsageError
from harness.report import comparison, rendering
from harness.statistics import holm, people_interval, sign_flip_p_two_sided
from harness.store import PERSONS, RunFolder, frame

SHORT = Plan(FACES[:3], tuple(METHODS.items())[:3], empty="", gaps="", broken="", per_class=6)


@pytest.fixture(scope="module")
def first(make: Make) -> RunFolder:
    return make(SHORT)


@pytest.fixture(scope="module")
def other_subject(make: Make) -> RunFolder:
    return make(replace(SHORT, seed=1, subject="77aa"))


@pytest.fixture(scope="module")
def other_faces(make: Make) -> RunFolder:
    return make(replace(SHORT, faces="ffff"))


def gains(run: RunFolder, explainer: str) -> pd.Series:
    """Deletion gains over the spectrum null by image."""
    s = run.named_scores
    return s[(s["name"] == "deletion-gain") & (s.variant == "spectrum-null") & (s.explainer == explainer)].set_index(
        "image"
    )["value"]


def test_explainers_of_a_run_are_paired_by_image(run: RunFolder) -> None:
    row = comparison.compare([run], ["gradient", "lime"]).iloc[0]
    differences = (gains(run, "gradient") - gains(run, "lime")).dropna()
    expected = people_interval(differences.to_numpy(), confidence=0.99)
    assert (row["effect"], row["low"], row["high"]) == (expected.estimate, expected.low, expected.high)
    assert row["p"] == sign_flip_p_two_sided(differences.to_numpy())
    assert row["n"] == "38 of 48"


def test_where_people_are_known_they_are_the_sample(make: Make) -> None:
    whole = make(SHORT)
    images = whole.scores["image"].unique()
    vars(whole)["persons"] = frame(PERSONS, {"image": images, "person": np.arange(len(images)) % 4})
    table = comparison.compare([whole], ["gradient", "smoothgrad"])
    differences = (gains(whole, "gradient") - gains(whole, "smoothgrad")).dropna()
    who = whole.persons.set_index("image")["person"].reindex(differences.index).to_numpy()
    assert len(np.unique(who)) == 4
    expected = people_interval(differences.to_numpy(), who, confidence=0.99)
    row = table.iloc[0]
    assert (row["effect"], row["low"], row["high"]) == (expected.estimate, expected.low, expected.high)
    assert row["p"] == sign_flip_p_two_sided(differences.to_numpy(), who)
    assert row["p"] >= 2 / 2**4, "four people can be told apart in sixteen ways"
    assert "sign flips of people" in " ".join(table.attrs["notes"])


def test_the_effect_is_the_difference_of_the_two_means(run: RunFolder) -> None:
    row = comparison.compare([run], ["gradient", "lime"]).iloc[0]
    assert row["first_mean"] - row["second_mean"] == pytest.approx(row["effect"], rel=EXACT)


def test_p_is_corrected_over_all_rows(first: RunFolder) -> None:
    table = comparison.compare([first])
    assert len(table) == 3
    np.testing.assert_array_equal(table["p_adjusted"], holm(table["p"].to_numpy()))


def test_the_one_ahead_is_the_better_one_also_where_lower_is_better(run: RunFolder) -> None:
    assert comparison.compare([run], ["gradient", "random"])["ahead"].iloc[0] == "gradient"
    assert comparison.compare([run], ["random", "gradient"], "deletion-auc/map")["ahead"].iloc[0] == "gradient"


def test_nobody_is_ahead_where_p_is_not_small(first: RunFolder, make: Make) -> None:
    row = comparison.compare([first, make(SHORT)], ["gradient"]).iloc[0]
    assert (row["effect"], row["p"], row["ahead"]) == (0.0, 1.0, "")


def test_an_explainer_without_values_has_no_effect(run: RunFolder) -> None:
    row = comparison.compare([run], ["gradient", "rise"]).iloc[0]
    assert np.isnan(row["effect"])
    assert row["n"] == "0 of 48"
    assert "no image in common" in rendering.render(comparison.compare([run], ["gradient", "rise"]), "text")


def test_runs_of_the_same_faces_are_paired_by_image(first: RunFolder, other_subject: RunFolder) -> None:
    table = comparison.compare([first, other_subject]).set_index("explainer")
    expected = (gains(first, "smoothgrad") - gains(other_subject, "smoothgrad")).mean()
    assert table.loc["smoothgrad", "effect"] == pytest.approx(expected, rel=EXACT)
    assert list(table.index) == list(METHODS)[:3]


def test_another_subject_is_named_with_both_digests(first: RunFolder, other_subject: RunFolder) -> None:
    notes = " ".join(comparison.compare([first, other_subject]).attrs["notes"])
    assert f"other subjects: {first.name} 5b1e, {other_subject.name} 77aa" in notes


def test_runs_of_other_faces_are_not_paired_and_it_says_so(first: RunFolder, other_faces: RunFolder) -> None:
    table = comparison.compare([first, other_faces], ["gradient"])
    row = table.iloc[0]
    assert np.isnan([row["effect"], row["low"], row["high"], row["p"], row["p_adjusted"]]).all()
    assert (row["reason"], row["n"]) == ("not paired", "18 and 18")
    assert row["first_mean"] == pytest.approx(gains(first, "gradient").mean(), rel=EXACT)
    assert "images cannot be paired" in " ".join(table.attrs["notes"])


def test_other_sizes_are_told(first: RunFolder, other_subject: RunFolder) -> None:
    size = first.record.profile
    told = {
        name: [note for note in comparison.compare([first, other]).attrs["notes"] if "other sizes" in note]
        for name, other in (
            ("alike", with_record(other_subject, profile=size)),
            ("unlike", with_record(other_subject, profile={**size, "name": "glance", "cells_per_side": 2})),
        )
    }
    assert told["alike"] == []
    assert len(told["unlike"]) == 1
    assert f"name {size['name']} and glance; cells_per_side none and 2." in told["unlike"][0]


def test_other_rules_are_told(first: RunFolder, other_subject: RunFolder) -> None:
    checks = other_subject.record.checks
    moved = replace(checks[0], margin=checks[0].margin + 0.1, margin_reason="another")
    versions = {**other_subject.record.versions, "explanation-harness": "9"}
    unlike = with_record(other_subject, seed=7, versions=versions, checks=(moved, *checks[1:]), alpha=0.05)
    told = [note for note in comparison.compare([first, unlike]).attrs["notes"] if "rules" in note or "decide" in note]
    was, names = first.record, f"{first.name} and {unlike.name}"
    assert told == [
        f"decided by other rules in {names}: seed {was.seed} and 7; explanation-harness "
        f"{was.versions['explanation-harness']} and 9; alpha {was.alpha} and 0.05.",
        f"checks that decide otherwise in {names}: {moved.name} (margin {checks[0].margin} and {moved.margin}).",
    ]
    alike = with_record(other_subject, seed=was.seed)
    assert not any("decide" in note for note in comparison.compare([first, alike]).attrs["notes"])


def test_another_arithmetic_is_told_in_one_line(first: RunFolder, other_subject: RunFolder) -> None:
    runs = [
        with_record(run, arithmetic={"threads": threads, "feed": "contiguous:64"})
        for run, threads in ((first, "1"), (other_subject, "2"))
    ]
    told = [note for note in comparison.compare(runs).attrs["notes"] if "arithmetic" in note]
    assert told == [f"other arithmetic in {first.name} and {other_subject.name}, so last bits differ: threads 1 and 2."]
    runs[1] = with_record(runs[1], arithmetic=runs[0].record.arithmetic)
    assert not any("arithmetic" in note for note in comparison.compare(runs).attrs["notes"])


def test_runs_of_the_same_name_are_called_by_their_paths(first: RunFolder, tmp_path: Path) -> None:
    again = Drawn(tmp_path / first.name, SHORT).write()
    row = comparison.compare([first, again], ["gradient"]).iloc[0]
    assert (row["first"], row["second"]) == (str(first.path), str(again.path))


def test_a_run_named_twice_is_refused(first: RunFolder) -> None:
    with pytest.raises(UsageError, match="named twice"):
        comparison.compare([first, RunFolder(first.path)])


def test_images_explained_as_another_class_are_counted(first: RunFolder, other_subject: RunFolder) -> None:
    changed = RunFolder(other_subject.path)
    scores = other_subject.scores.copy()
    scores.loc[scores["image"] == 5, "target"] = "Fear"
    changed.__dict__["scores"] = scores
    notes = " ".join(comparison.compare([first, changed]).attrs["notes"])
    assert "1 of 18 images are explained as another class" in notes


def test_an_unknown_explainer_is_refused_with_those_there_are(first: RunFolder) -> None:
    with pytest.raises(UsageError, match="no explainer 'gradcamm'; choose one of: gradient, integrated-gradients"):
        comparison.compare([first], ["gradcamm"])


def test_one_explainer_of_one_run_is_refused(first: RunFolder) -> None:
    with pytest.raises(UsageError, match="name two, or another run"):
        comparison.compare([first], ["gradient"])


def test_a_comparison_fits_the_terminal(run: RunFolder) -> None:
    text = rendering.render(comparison.compare([run]), "text")
    assert max(map(len, text.splitlines())) <= 120
    assert "99% interval" in text
