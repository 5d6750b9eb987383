"""Anybody's check, from a file outside the package: in the run, its tables and its page; one that fails is named."""

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from guide import examples
from tiny import bright_patch_faces, names_in, patch_subject

from harness.checks import EVERYTHING, UNITS, Check, Evidence, Finding, asked, judged, registry, tried
from harness.checks.asked import asked_checks, unmeasured
from harness.checks.own import check
from harness.checks.paired import PairedScores
from harness.cli import main, runs
from harness.errors import DefinitionError, UsageError
from harness.evaluation import Request
from harness.metrics import cards
from harness.metrics.score import Score
from harness.profiles import PROFILES
from harness.report import figures, page
from harness.store import MATRICES, SCORES, RunFolder, frame
from harness.subject import Subject

STATED = 'claim="c", control="k", margin=0.0, margin_reason="r"'
MISTAKEN = f"""
from harness.checks import check
from harness.checks import Check, Finding

@check(metric="plain", {STATED})
def broken(scores):
    raise ValueError("it broke")

@check(metric="plain", {STATED})
def short(scores):
    return scores["value"].to_numpy()[1:]

@check(metric="plain", {STATED})
def endless(scores):
    return scores["value"] / 0.0

@check(metric="plain", {STATED}, needs=["removals"])
def needy(scores):
    return scores["value"]

@check(metric="no-metric-of-mine", {STATED})
def unknown(scores):
    return scores["value"]

@check(metric="plain", {STATED}, needs=["metric plain"])
def fine(scores):
    return scores["value"] + 1

def undecorated(scores):
    return scores["value"]

of_pixels = Check("of-pixels", "mine", "c", "k", 0.0, "r", "", "", frozenset(),
                  lambda check, evidence, explainer: [Finding("all", 3, unit="pixels")])

from harness import metric

@metric
def plain(maps):
    return maps.max((1, 2))
"""
TAKEN = f"""
from harness.checks import check

@check(metric="m", name="deletion-spectrum", {STATED})
def mine(scores):
    return scores["value"]
"""

pytestmark = pytest.mark.usefixtures("registry", "metric_registry", "unchecked")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a network, faces and somebody's files; no time is spent on tuning and figures."""
    folder = tmp_path_factory.mktemp("place")
    written = {
        "subj.py": "from tiny import patch_subject as make\n",
        "faces.py": "from tiny import bright_patch_faces as make\n",
        "mine.py": "\n".join(examples().values()),
        "mistaken.py": MISTAKEN,
        "taken.py": TAKEN,
    }
    for name, text in written.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Subject, "tuned", lambda self: self)
        patch.setattr(figures, "save_figures", lambda run: [])
        patch.setattr(runs, "write_report", lambda run: [page.write_page(run)])
        # What the files state is forgotten after the module, and read again by no other.
        patch.setattr(cards, "_cards", dict(cards._cards))
        patch.setattr(registry, "_registered", dict(registry._registered))
        yield folder


def words(out: Path, *checks: str) -> list[str]:
    asked = ["run", "--subject", "subj.py:make", "--faces", "faces.py:make", "--out", str(out)]
    return [*asked, *(word for name in checks for word in ("--check", name))]


# ---------------------------------------------------------------------- one file adds all three


def test_the_guide_has_an_example_of_each() -> None:
    assert set(examples()) == {"An explainer", "A check", "A metric"}


def test_an_explainer_a_metric_and_a_check_of_one_file_are_everywhere(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "run"
    asked = words(out, "mine.py:looks_at_bright", "randomization-full")
    # The metric is measured because the check rests on it.
    assert main([*asked, "--explainer", "gradient", "--explainer", "mine.py:blurred_gradient"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("harness: ") == 0, printed.err
    assert "looks-at-bright" in printed.out
    run = RunFolder.existing(out)
    about = {each.name: each for each in run.record.explainers}["blurred-gradient"]
    assert (about.family, about.status, about.reference) == ("user", "ok", "Yours 2026")
    assert run.record.metrics["share-on-bright"].meaning.startswith("share of the map's magnitude")
    stated = {each.name: each for each in run.record.checks}["looks-at-bright"]
    assert stated.origin.endswith(":looks_at_bright")
    assert (stated.unit, stated.rung, stated.fault, stated.needs) == ("images", 0, "", ("metric share-on-bright",))
    scores = run.scores[(names_in(run.scores) == "share-on-bright") & (run.scores["variant"] == "map")]
    means = scores.groupby("explainer")["value"].mean()
    assert {"gradient", "blurred-gradient", "random"} <= set(means.index)
    held = run.verdicts[(run.verdicts["check"] == "looks-at-bright") & (run.verdicts["class"] == EVERYTHING)]
    effects = held.set_index("explainer")["effect"]
    # The same numbers summed by pandas and by the interval's mean: two sums of 18 terms below 1.
    np.testing.assert_allclose(effects[means.index], means - 0.5, atol=2 * 18 * 2**-53)
    assert held.set_index("explainer").loc["gradient", "n"] == 18
    capsys.readouterr()
    assert main(["table", str(out), "--metric", "share-on-bright/map"]) == 0
    assert "blurred-gradient" in capsys.readouterr().out.replace("blurred-\n", "blurred-")
    assert main(["table", str(out), "--metric", "share-on-bright", "--kind", "gain", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["metric"], said["score"]["metric"]) == ("share-on-bright-gain", "share-on-bright")
    assert main(["table", str(out), "--kind", "gain"]) == 2
    assert "name it with --metric" in capsys.readouterr().err
    assert main(["compare", str(out), "--metric", "share-on-bright", "--fill", "mean"]) == 2
    assert "holds no --kind score --fill mean of 'share-on-bright'; there is --kind score" in capsys.readouterr().err
    both = ["--explainer", "gradient", "--explainer", "blurred-gradient", "--format", "json"]
    assert main(["compare", str(out), *both, "--metric", "share-on-bright/map"]) == 0
    compared = json.loads(capsys.readouterr().out)
    (row,) = compared["rows"]
    assert compared["score"]["kind"] == "score"
    assert {row["first"], row["second"]} == {"gradient", "blurred-gradient"}
    written = (out / "report.html").read_text()
    for name in ("blurred-gradient", "share-on-bright", "looks-at-bright", "than an even one"):
        assert name in written


# ---------------------------------------------------------------------- what goes wrong


def test_what_goes_wrong_is_a_line_each_and_the_others_go_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ("broken", "short", "endless", "needy", "unknown", "of_pixels")
    asked = words(place / "wrong", *(f"mistaken.py:{name}" for name in wrong), "mistaken.py:fine", "taken.py:mine")
    assert main([*asked, "--explainer", "gradient"]) == 0
    lines = capsys.readouterr().err.splitlines()
    for told in (
        r"check 'broken' of .*:broken raised ValueError: it broke",
        r"check 'short' of .*:short returned shape \(17,\); return one effect for each row of scores, \(18,\)",
        "check 'endless' of .*:endless returned infinity",
        r"check 'needy' of .*:needy needs the measurement 'removals', which does not exist \(did you mean 'removal",
        "check 'unknown' of .*:unknown needs the measurement 'metric no-metric-of-mine', which does not exist",
        "check 'of-pixels' of mistaken.py:of_pixels found something of the unit 'pixels'; give images, people or cl",
        "check 'deletion-spectrum' of .*:mine has the name of one of this package; choose another",
    ):
        assert pd.Series(lines).str.contains(told).sum() == 1, (told, lines)
    run = RunFolder.existing(place / "wrong")
    verdicts = run.verdicts[run.verdicts["class"] == EVERYTHING].groupby("check")["verdict"].agg(set)
    assert set(verdicts.index) == {"broken", "short", "endless", "of-pixels", "fine"}
    assert {name for name in verdicts.index if verdicts[name] == {"not applicable"}} == set(verdicts.index) - {"fine"}
    faults = {each.name: each.fault for each in run.record.checks}
    assert faults["fine"] == ""
    assert "it broke" in faults["broken"]
    assert "it broke" in (place / "wrong" / "report.html").read_text()
    assert main([*asked, "--explainer", "gradient", "--strict"]) == 1


@pytest.mark.parametrize("name", ["mistaken.py:needy", "taken.py:mine"])
def test_where_nothing_is_left_to_judge_it_is_wrong_use(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(place / "nothing", name)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("harness: check ")


MISTAKES = {
    "mistaken.py:undecorated": "is a function without @check; state its claim",
    "mistaken.py:absent": "has no 'absent'",
    "deletion-spectra": r"did you mean 'deletion-spectrum'\?.*file\.py:function names your own",
    "nowhere.py:f": "there is no file nowhere.py",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_cannot_be_meant_is_one_clear_line(text: str, place: Path) -> None:
    with pytest.raises(UsageError, match=MISTAKES[text]) as caught:
        asked_checks([text])
    assert "\n" not in str(caught.value)


SAID = {"metric": "m", "claim": "c", "control": "k", "margin": 0.1, "margin_reason": "r"}
UNSOUND = {
    "states no claim; write it as a sentence": {"claim": " "},
    "states no margin_reason": {"margin_reason": ""},
    "has the margin '0.1'; give a number": {"margin": "0.1"},
    "has the margin nan; give a number": {"margin": float("nan")},
    "claims the unit 'pixels'; give images, people or classes": {"unit": "pixels"},
    "has the name of a family or word of --check": {"name": "faithfulness"},
    "has the name of a family or word of --check; choose": {"name": "contract"},
    "has the name of one of this package": {"name": "cells-scattered"},
}


@pytest.mark.parametrize("said", UNSOUND)
def test_what_a_check_may_not_state_is_refused(said: str) -> None:
    with pytest.raises(DefinitionError, match=f"check .* of .*{said}"):
        check(**{**SAID, **UNSOUND[said]})(lambda scores: scores["value"])


@pytest.mark.usefixtures("check_registry")
def test_a_check_of_yours_decides_no_rung(tmp_path: Path) -> None:
    (tmp_path / "rung.py").write_text(
        "from dataclasses import replace\nfrom harness.checks import CHECKS\n"
        "mine = replace(CHECKS['cells-scattered'], name='mine')\n"
    )
    found = asked_checks([f"{tmp_path / 'rung.py'}:mine"])
    assert found.checks == ()
    assert "claims rung 3; a check of yours is shown and decides none" in found.refused[0]


@pytest.mark.usefixtures("check_registry")
def test_a_second_check_of_a_name_is_refused_with_where_the_first_was_defined() -> None:
    check(**SAID, name="mine")(lambda scores: scores["value"])
    with pytest.raises(DefinitionError, match=r"check 'mine' of .* has the name of .*test_own_checks:"):
        check(**{**SAID, "margin": 0.2}, name="mine")(lambda scores: scores["value"])


def test_a_measurement_that_does_not_exist_is_an_error_of_the_packages_own_checks_too() -> None:
    made = Check("c", "f", "c", "k", 0.0, "r", "", "", frozenset({"removals"}), PairedScores("m", "map"))
    assert unmeasured(made, ["removals"]) == ""
    request = Request(patch_subject(), bright_patch_faces(), (), (made,), PROFILES["quick"])
    with pytest.raises(UsageError, match=r"check 'c' needs the measurement 'removals', which does not exist"):
        request.measurements()


# ---------------------------------------------------------------------- what is the sample

NAMES = ("left", "right")


def evidence(values: list[float], persons: list[int] | None = None) -> Evidence:
    """Scores of explainer e, the first half of them of the class left."""
    n = len(values)
    rows = {
        "explainer": "e", **vars(Score("m")), "variant": "map", "image": np.arange(n), "label": "", "predicted": "",
        "target": [NAMES[2 * i // n] for i in range(n)], "value": values, "status": "ok", "reason": "",
    }  # fmt: skip
    known = dict(enumerate(persons or ()))
    return Evidence(frame(SCORES, rows), frame(MATRICES), NAMES, 0, persons=known)


def found(held: Evidence, effects: Callable[[pd.DataFrame], object] = lambda scores: scores["value"], **said):
    """The first finding of a check."""
    registry._registered.pop("mine", None)
    check(**{**SAID, **said}, name="mine")(effects)
    (kept,), broken = tried([registry.all_checks()["mine"]], held, ["e"])
    assert broken == {}
    first: Finding = kept.judge(kept, held, "e")[0]
    assert judged([kept], held, ["e"])["unit"].iloc[0] == first.unit
    return first


@pytest.mark.usefixtures("check_registry")
def test_images_are_the_sample_and_people_where_they_are_known() -> None:
    values = [0.1, 0.2, 0.3, 0.8]
    assert (found(evidence(values)).unit, found(evidence(values)).sample) == ("images", 4)
    of_people = found(evidence(values, [1, 1, 2, 2]))
    assert (of_people.unit, of_people.sample) == ("people", 2)


@pytest.mark.usefixtures("check_registry")
def test_who_asks_for_people_is_not_answered_by_images() -> None:
    assert found(evidence([0.1, 0.2]), unit="people").reason == "nobody is named on these images"
    assert found(evidence([0.1, 0.2, 0.3], [1, 2, 3]), unit="people").sample == 3


@pytest.mark.usefixtures("check_registry")
def test_of_classes_each_counts_once_by_its_mean() -> None:
    whole = found(evidence([0.1, 0.3, 0.5, 0.9, np.nan, 0.9]), unit="classes")
    # left .3, right .9: a sum of two terms.
    assert (whole.unit, whole.n) == ("classes", 2)
    np.testing.assert_allclose(whole.effect, 0.6, rtol=4 * 2**-53)


@pytest.mark.usefixtures("check_registry")
def test_an_explainer_without_a_map_counts_and_an_undefined_effect_does_not() -> None:
    held = evidence([0.4, np.nan, np.nan, 0.4])
    held = Evidence(held.scores, held.matrices, NAMES, 0, blank={"e": frozenset({1})})
    first = found(held)
    assert (first.n, first.undefined, first.blank) == (3, 1, 1)


@pytest.mark.usefixtures("check_registry")
def test_a_variant_that_is_not_there_does_not_apply() -> None:
    assert found(evidence([1.0, 2.0]), variant="spectrum-null").reason == "m has no variant 'spectrum-null'"
    assert found(evidence([1.0, 2.0]), metric="q").reason == "q was not measured"


def test_units_are_those_of_the_verdict_table() -> None:
    assert UNITS == ("images", "people", "classes")


# ---------------------------------------------------------------------- packages


@pytest.mark.usefixtures("check_registry")
def test_packages_offer_checks_and_a_broken_one_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs_checks.py").write_text(TAKEN.replace("deletion-spectrum", "theirs"))
    (tmp_path / "theirs_taken.py").write_text(TAKEN)
    monkeypatch.syspath_prepend(tmp_path)
    offered = {"absent": "no_such_module:f", "taken": "theirs_taken:mine", "good": "theirs_checks:mine"}
    made = [importlib.metadata.EntryPoint(name, value, asked.ENTRY_POINTS) for name, value in offered.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: made if group == asked.ENTRY_POINTS else [])
    held = asked_checks(["theirs"])
    assert [each.name for each in held.checks] == ["theirs"]
    assert held.refused == ()  # nobody asked for them
    assert len(held.not_offered) == 2
    assert "entry point absent = no_such_module:f offers no check: No module named" in held.not_offered[0]
    assert "has the name of one of this package" in held.not_offered[1]
    assert "theirs" in [each.name for each in asked_checks(None).checks]


# ---------------------------------------------------------------------- what is everybody's


def leaves(scores: pd.DataFrame) -> pd.Series:
    os._exit(0)


def sets_all(scores: pd.DataFrame) -> pd.Series:
    np.seterr(all="raise")
    return scores["value"]


@pytest.mark.usefixtures("check_registry")
@pytest.mark.parametrize(("effects", "said"), [(leaves, "raised SystemExit"), (sets_all, "changed NumPy's error")])
def test_a_check_that_leaves_or_changes_what_is_everybodys_is_named(effects: Callable[..., object], said: str) -> None:
    before = np.geterr()
    check(**SAID, name="mine")(effects)
    _, broken = tried([registry.all_checks()["mine"]], evidence([0.1, 0.2]), ["e"])
    assert said in broken["mine"]
    assert np.geterr() == before
