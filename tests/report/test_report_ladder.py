"""The ladder in words: a line a method, what it is compared with, and what to use."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import a_record, an_explainer

from harness.checks.ladder import RUNGS, uncalibrated_rungs
from harness.metrics.score import Score
from harness.names import TABLES_OWN
from harness.report import answer, grids, ladder, ladder_figure
from harness.report.answer import Belief, State
from harness.report.ladder_figure import shares
from harness.store import LADDER, SCORES, VERDICTS, RunFolder, RungRecord, SubjectRecord, frame

CLASSES = ["Happy", "Sad"]
REACHED = {
    "good": ["yes", "yes", "yes", "yes", "open", "no", "not applicable"],
    "poor": ["yes", "yes", "no", "no", "no", "not applicable", "not applicable"],
    "broken": ["no", *["not applicable"] * 6],
    "edges": ["yes", "no", "no", "no", "no", "not applicable", "not applicable"],
}
RIGHT = {"good": 0.8, "poor": 0.5, "edges": 0.52}


class Run(RunFolder):
    """As much of a run folder as the ladder is told from."""

    def __init__(self, persons: bool = False) -> None:
        super().__init__(Path("nowhere"))
        rows = [
            {
                "explainer": name, "class": where, "rung": rung.number, "name": rung.name, "reached": reached,
                "resolution": 8 if rung.number == 3 and reached == "yes" else 0, "effect": 0.1, "low": 0.0, "high": 0.2,
                "p_adjusted": 0.001, "check": "cells-edges", "n": 20, "unit": "images", "reason": "",
            }
            for name, states in REACHED.items()
            for where in ("all", *CLASSES)
            for rung, reached in zip(RUNGS, states, strict=True)
        ]  # fmt: skip
        held = {"ladder": frame(LADDER, rows), "verdicts": frame(VERDICTS, [])}
        scores = [
            {
                "explainer": name, **vars(Score("settled-pairs")), "variant": "map", "image": image, "label": "",
                "predicted": CLASSES[image % 2], "target": CLASSES[image % 2], "value": right + (image % 5 - 2) / 50,
                "status": "ok", "reason": "",
            }
            for name, right in RIGHT.items()
            for image in range(20)
        ]  # fmt: skip
        held["scores"] = frame(SCORES, scores)
        who = {"image": range(20), "person": [n // 4 for n in range(20)]} if persons else {"image": [], "person": []}
        held["persons"] = pd.DataFrame(who)
        record = a_record(
            explainers=tuple(an_explainer(name, control=name == "edges") for name in REACHED),
            subject=SubjectRecord("faces", "5b1e", tuple(CLASSES), tuple(CLASSES), None),
            rungs=tuple(RungRecord(**vars(rung)) for rung in RUNGS),
        )
        vars(self).update(held, record=record)  # as if they had been read


def test_the_highest_without_a_gap_comes_first_and_controls_last() -> None:
    held = ladder.standings(Run())
    assert [one.explainer for one in held] == ["good", "poor", "broken", "edges"]
    assert [one.rung for one in held] == [4, 2, 0, 1]


def test_lines_say_share_resolution_rung_and_where_it_stops() -> None:
    first, second, third, beside, advice = ladder.lines(Run())
    assert first.startswith("good    80 % (")
    assert first.endswith("of settled pairs right, down to 8 px; rung 4 (classes); open: images")
    assert second.endswith("rung 2 (network); not: what counts")
    assert third == "broken  rung 0; not: contract"
    assert beside == "beside: edges 52 %; chance 50 %"
    assert advice == "For this network use good. Do not read as what counted: poor and broken."


def test_where_nobody_shows_what_counted_that_is_said() -> None:
    run = Run()
    run.ladder.loc[(run.ladder["explainer"] == "good") & (run.ladder["rung"] == 3), "reached"] = "open"
    assert ladder.lines(run)[-1].startswith("No method is shown to show what counted")


def test_where_what_counted_was_not_asked_nobody_falls_short_of_it_and_nobody_is_used_for_it() -> None:
    run = Run()
    run.ladder.loc[(run.ladder["explainer"] == "good") & (run.ladder["rung"] == 3), "reached"] = "not applicable"
    vars(run)["scores"] = run.scores.iloc[:0]
    assert ladder.standing(run, "good").rung == 4
    assert ladder.lines(run)[-1].startswith("What counted was not asked: `--check cells` asks it")
    assert grids._reading(run, "good")[0] == RUNGS[3].claim


def uncalibrated(reason: str) -> Run:
    """A run on whose subject the rung of what counts decides nothing."""
    run = Run()
    run.ladder.loc[run.ladder["rung"] == 3, ["reached", "reason"]] = "not applicable", reason
    for rung, reached in ((2, "open"), (4, "open")):
        run.ladder.loc[(run.ladder["explainer"] == "good") & (run.ladder["rung"] == rung), "reached"] = reached
    return run


def test_where_the_rung_of_what_counts_decides_nothing_that_is_the_answer() -> None:
    run = uncalibrated("the truth itself (truth) does not reach it here")
    said = "rung 3 (what counts) decides nothing here: the truth itself (truth) does not reach it here"
    assert ladder.deciding_nothing(run) == {3: said}
    assert ladder.lines(run)[-2] == f"{said}."
    held = answer.beliefs(run)["good", "all"]
    assert held.state is State.UNJUDGED
    assert answer._why(run, held) == f"Not judged: {said}."


def test_of_which_nothing_was_asked_decides_nothing_either_and_is_not_told() -> None:
    assert ladder.deciding_nothing(uncalibrated(ladder.NOT_ASKED)) == {}


def test_a_control_that_would_reach_what_counts_is_a_caution() -> None:
    table = Run().ladder.query("explainer in ('good', 'edges')").assign(reached="yes")
    reason = uncalibrated_rungs(table, ["good"], ["edges"])[3]
    run = uncalibrated(reason)
    assert ladder.fooled(run) == ["edges"]
    assert answer._controls(run, answer.beliefs(run)).startswith("Caution: edges cannot be faithful")
    assert ladder.fooled(uncalibrated("the truth itself (edges) does not reach it here")) == []


def test_people_widen_the_interval_where_they_are_known() -> None:
    images, people = (ladder.share(Run(persons), "good") for persons in (False, True))
    assert images is not None
    assert people is not None
    assert images.mean == people.mean == pytest.approx(0.8)
    assert (people.low, people.high) != (images.low, images.high)


def test_a_share_says_of_how_many_images_it_is_where_maps_are_constant() -> None:
    run = Run()
    silent = (run.scores["explainer"] == "poor") & (run.scores["image"] % 2 == 1)
    run.scores.loc[silent, ["value", "status"]] = np.nan, "undefined"
    run.scores.loc[(run.scores["explainer"] == "poor") & (run.scores["image"] == 1), "status"] = "not scorable"
    said = next(line for line in ladder.lines(run) if line.startswith("poor"))
    assert "10 of 19 images) of settled pairs right" in said
    by_class = ladder.class_table(run)["poor"]
    assert by_class[CLASSES[0]].endswith(" %")
    assert by_class[CLASSES[1]] == "no maps"
    assert by_class["all"].endswith("(10 of 19)")


def test_saying_nothing_of_half_of_the_images_earns_no_higher_place() -> None:
    run = Run()
    run.ladder.loc[:, "reached"] = "yes"
    some = (run.scores["explainer"] == "poor") & (run.scores["image"] < 2)
    run.scores.loc[run.scores["explainer"] == "poor", ["value", "status"]] = np.nan, "undefined"
    run.scores.loc[some, ["value", "status"]] = 0.98, "ok"
    assert [one.explainer for one in ladder.standings(run)][:2] == ["good", "poor"]


def test_a_share_of_one_person_has_no_interval() -> None:
    run = Run(persons=True)
    run.persons["person"] = 1
    assert str(ladder.share(run, "good")) == "80 %"


def test_a_share_ends_where_shares_end() -> None:
    run = Run()
    run.scores.loc[run.scores["explainer"] == "good", "value"] = np.where(np.arange(20) < 1, 0.3, 0.0)
    found = ladder.share(run, "good")
    assert found is not None
    assert (found.low, str(found)[:7]) == (0.0, "2 % (0-")


def test_a_method_without_scores_has_no_share() -> None:
    assert ladder.share(Run(), "broken") is None
    assert ladder.share(Run(), "good", "Angry") is None


def test_where_the_game_was_not_played_there_is_no_share_to_draw() -> None:
    run = Run()
    assert [one.explainer for one in shares(run)] == ["good", "poor", "edges"]
    vars(run)["scores"] = run.scores.iloc[:0]
    assert shares(run) == []


def test_tables_hold_every_rung_and_class() -> None:
    run = Run()
    table, by_class = ladder.ladder_table(run), ladder.class_table(run)
    assert list(table.columns) == ["pairs right", "rung", "cells", *[rung.name for rung in RUNGS]]
    assert table.loc["good", "cells"] == "8 px"
    assert table.loc["poor", "what counts"] == "NO +0.100"
    assert table.loc["broken", "pairs right"] == "–"
    assert list(by_class.index) == ["all", *CLASSES]
    assert list(by_class["images"]) == ["20", "10", "10"]
    assert "edges" not in by_class
    turned = ladder.class_table(run, by="explainer", controls=True)
    assert list(turned.index) == ["images", "good", "poor", "broken", "edges"]
    assert turned.loc["good", "Happy"] == by_class.loc["Happy", "good"]
    assert by_class.loc["Happy", "good"] == f"4? {100 * _mean(run, 'good', 'Happy'):.0f} %"


def _mean(run: Run, name: str, where: str) -> float:
    held = run.scores[(run.scores["explainer"] == name) & (run.scores["target"] == where)]
    return float(np.mean(held["value"]))


def test_who_answers_another_question_is_told_so_and_not_refused() -> None:
    run = Run()
    mine = run.ladder["explainer"] == "poor"
    run.ladder.loc[mine & (run.ladder["reached"] == "no"), "reached"] = ladder.ELSEWHERE
    said = ladder.lines(run)
    assert said[1].endswith("rung 2 (network); answers another question than: what counts")
    assert said[-1] == (
        "For this network use good. Do not read as what counted: broken. "
        "Another question, what a small change would do, is answered by poor."
    )
    assert ladder.ladder_table(run).loc["poor", "what counts"] == "other +0.100"
    held = {one.explainer: one for one in ladder.standings(run)}
    assert len({ladder_figure.paint(held[name]) for name in ("good", "poor", "broken")}) == 3
    assert ladder_figure.ladder_figure(run) is not None


def test_what_is_refuted_stands_though_a_rung_below_it_is_open() -> None:
    run = Run()
    mine = run.ladder["explainer"] == "poor"
    run.ladder.loc[mine & (run.ladder["rung"] == 2), "reached"] = "open"
    said = ladder.lines(run)
    assert said[1].endswith("rung 1 (contract); not: what counts")
    assert said[-1] == "For this network use good. Do not read as what counted: poor and broken."
    assert answer.beliefs(run)["poor", "all"].state is State.REFUTED
    assert ladder.class_table(run).loc["all", "poor"] == f"1 {100 * _mean(run, 'poor', 'Happy'):.0f} %"
    run.ladder.loc[mine & (run.ladder["rung"] == 3), "reached"] = "open"
    assert ladder.lines(run)[1].endswith("rung 1 (contract); open: network")
    assert answer.beliefs(run)["poor", "all"].state is State.OPEN


@pytest.mark.parametrize("state", State)
def test_every_standing_has_its_words_and_its_mark(state: State, few: RunFolder) -> None:
    row = {str(key): value for key, value in few.verdicts.iloc[0].items()}
    belief = Belief(str(row["explainer"]), "all", state, (row,))
    assert answer.brief(few, belief)
    assert grids.STATES[state]


def test_no_explainer_can_be_called_as_a_column_of_a_table_of_rungs() -> None:
    assert {str(name).lower() for name in ladder.class_table(Run()).columns} - set(REACHED) <= TABLES_OWN
