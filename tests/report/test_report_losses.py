"""Rungs lost from one run to the next: told, written as junit, and an exit status of 1."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tiny import a_record, an_explainer

from harness.checks.ladder import RUNGS
from harness.errors import UsageError
from harness.report.losses import kept_rungs, lines, lost_rungs, write_junit
from harness.store import LADDER, RunFolder, SubjectRecord, frame

STOOD = {"lime": ["yes", "yes", "yes"], "grad-cam": ["yes", "no", "open"], "edges": ["yes", "yes", "yes"]}


class Run(RunFolder):
    """As much of a run folder as its rungs are read from: `classes` says what is otherwise there."""

    def __init__(
        self,
        name: str,
        stood: dict[str, list[str]],
        by_class: dict[str, list[str]] | None = None,
        classes: tuple[str, ...] = ("Happy",),
    ) -> None:
        super().__init__(Path(name))
        of_class = {**stood, **(by_class or {})}
        rows = [
            {
                "explainer": who, "class": where, "rung": rung.number, "name": rung.name, "reached": reached,
                "resolution": 0, "effect": 0.25, "low": 0.125, "high": 0.375, "p_adjusted": 0.001,
                "check": "cells-edges", "n": 20, "unit": "people", "reason": "cells-edges: why" * (reached == "no"),
            }
            for who, states in stood.items()
            for where in ("all", "Happy")
            for rung, reached in zip(RUNGS, states if where == "all" else of_class[who], strict=False)
        ]  # fmt: skip
        explainers = tuple(an_explainer(who, control=who == "edges") for who in STOOD)
        subject = SubjectRecord("faces", "5b1e", classes, classes, None)
        vars(self).update(ladder=frame(LADDER, rows), record=a_record(explainers=explainers, subject=subject))


def lost(new: RunFolder) -> list[tuple[str, str, int]]:
    return [(one.explainer, one.where, one.rung) for one in lost_rungs(kept_rungs(Run("old", STOOD), new))]


def test_the_same_run_has_lost_nothing() -> None:
    kept = kept_rungs(Run("old", STOOD), Run("new", STOOD))
    assert len(kept) == 8  # three rungs and one, over all images and for the class; controls hold none
    assert lost_rungs(kept) == []


def test_a_rung_that_is_refuted_is_lost_and_one_that_is_won_is_not() -> None:
    new = Run("new", {**STOOD, "lime": ["yes", "yes", "no"], "grad-cam": ["yes", "yes", "open"]})
    assert lost(new) == [("lime", "all", 3), ("lime", "Happy", 3)]


def test_an_open_rung_is_lost_over_all_images_and_not_for_a_class() -> None:
    assert lost(Run("new", {**STOOD, "lime": ["yes", "yes", "open"]})) == [("lime", "all", 3)]
    assert lost(Run("new", STOOD, {"lime": ["yes", "yes", "no"]})) == [("lime", "Happy", 3)]


def test_of_an_explainer_at_fault_the_lowest_rung_alone_is_told() -> None:
    assert lost(Run("new", {**STOOD, "lime": ["no", "not applicable", "not applicable"]})) == [("lime", "all", 1)]


def test_an_explainer_that_was_not_asked_has_lost_nothing() -> None:
    assert lost(Run("new", {"grad-cam": STOOD["grad-cam"]})) == []


def test_controls_have_nothing_to_lose() -> None:
    assert lost(Run("new", {**STOOD, "edges": ["yes", "no", "no"]})) == []


def test_the_line_tells_both_runs_numbers() -> None:
    kept = kept_rungs(Run("old", STOOD), Run("new", {**STOOD, "lime": ["yes", "yes", "no"]}))
    said = str(lost_rungs(kept)[0])
    was = now = "+0.250 (+0.125 to +0.375; 20 people)"
    told = f"lime has lost rung 3 (what counts), which is refuted, {was} then and {now} now: cells-edges: why"
    assert said == told


def test_junit_holds_a_case_for_each_rung(tmp_path: Path) -> None:
    new = Run("new", {"lime": ["yes", "yes", "no"]})
    write_junit(kept_rungs(Run("old", STOOD), new), tmp_path / "made" / "rungs.xml")
    suite = ElementTree.parse(tmp_path / "made" / "rungs.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("8", "2", "2")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["rung 3, what counts", "rung 3, what counts (Happy)"]


def test_runs_without_a_ladder_or_of_other_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="empty holds no ladder"):
        kept_rungs(Run("old", STOOD), Run("empty", {}))
    with pytest.raises(UsageError, match="judge other classes"):
        kept_rungs(Run("old", STOOD), Run("other", STOOD, classes=("Happy", "Sad")))


def test_classes_that_say_what_all_images_say_share_a_line() -> None:
    new = Run("new", {**STOOD, "lime": ["yes", "yes", "no"], "grad-cam": ["no", "no", "open"]})
    new.ladder.loc[(new.ladder["explainer"] == "lime") & (new.ladder["class"] == "Happy"), "effect"] = 0.125
    said = lines(lost_rungs(kept_rungs(Run("old", STOOD), new)))
    assert [line.split(" has lost")[0] for line in said] == ["lime", "lime for Happy", "grad-cam"]
    same = lines(lost_rungs(kept_rungs(Run("old", STOOD), Run("new", {**STOOD, "lime": ["yes", "yes", "no"]}))))
    assert len(same) == 1
    assert same[0].endswith("cells-edges: why; so for Happy")
