"""Evidence with people drawn anew: who is drawn comes with their scores, and nothing else of the decision changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.checks import CHECKS, EVERYTHING, Evidence
from harness.evaluation.decision import decided, stored_evidence, stored_families, stored_faults
from harness.evaluation.redrawn import compact, redrawn
from harness.store import RunFolder

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
DECIDING = tuple(check for check in CHECKS.values() if check.decides)
FEW = ("deeplift", "integrated-gradients", "gradient", "edges", "centre", "mean-face", "truth")


@pytest.fixture(scope="module")
def run() -> RunFolder:
    return RunFolder.existing(REFERENCE)


@pytest.fixture(scope="module")
def whole(run: RunFolder) -> Evidence:
    return compact(stored_evidence(run), DECIDING)


def test_deciding_anew_on_what_a_run_stored_is_what_it_decided(run: RunFolder, whole: Evidence) -> None:
    made = decided(whole, DECIDING, stored_families(run), stored_faults(run)).ladder
    same = ["explainer", "class", "rung", "reached", "resolution", "check", "n"]
    pd.testing.assert_frame_equal(made[same], run.ladder[same])


def test_each_class_has_as_many_images_as_asked_for(whole: Evidence) -> None:
    found = redrawn(whole, 9, 0)
    asked = found.asked("deletion-gain", "spectrum-null")
    assert not len(asked)  # no check that decides reads it
    targets = found.of("edges", "randomization-residual", "map")["target"]
    assert set(targets.value_counts()) == {9}


def test_whoever_is_drawn_again_is_another_person_with_the_same_scores(whole: Evidence) -> None:
    found = redrawn(whole, 40, 1)
    drawn = found.drawn  # type: ignore[attr-defined]
    rows = found.of("edges", "randomization-residual", "map")
    before = whole.of("edges", "randomization-residual", "map")["value"].reindex(drawn)
    np.testing.assert_array_equal(rows["value"].to_numpy(), before.to_numpy())
    image = pd.Series(drawn).value_counts().index[0]
    times = np.flatnonzero(drawn == image)
    assert len(times) > 1
    assert len({found.persons[int(place)] for place in times}) == len(times)


def test_two_images_of_one_person_stay_with_one_person(whole: Evidence) -> None:
    one = replace(whole, persons=dict.fromkeys(whole.persons, 7))
    found = redrawn(one, 5, 0)
    # One person in every class, and the first draw of them is the same person everywhere.
    assert len(set(found.persons.values())) < len(found.persons)


def test_blank_maps_stay_blank_where_they_are_drawn(whole: Evidence) -> None:
    image = next(iter(whole.persons))
    found = redrawn(replace(whole, blank={"edges": frozenset({image})}), 30, 2)
    drawn = found.drawn  # type: ignore[attr-defined]
    assert found.blank["edges"] == set(np.flatnonzero(drawn == image))


def test_same_seed_same_people(whole: Evidence) -> None:
    one, again, other = (redrawn(whole, 6, seed).drawn for seed in (3, 3, 4))  # type: ignore[attr-defined]
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_more_people_decide_more(run: RunFolder, whole: Evidence) -> None:
    families = {name: family for name, family in stored_families(run).items() if name in FEW}
    open_ = []
    for per_class in (4, 60):
        table = decided(redrawn(whole, per_class, 0), DECIDING, families, {}).ladder
        here = table[(table["class"] == EVERYTHING) & table["rung"].isin((2, 3, 4))]
        open_.append(int((here["reached"] == "open").sum() + (here["reached"] == "not applicable").sum()))
    assert open_[1] < open_[0]
