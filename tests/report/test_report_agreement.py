"""Two runs of one request: what is other is counted and named, and what is not is not."""

import numpy as np
import pandas as pd
import pytest

from harness.report.agreement import differences
from harness.store import RunFolder, RunRecord


class Held(RunFolder):
    """A run whose tables are those given."""

    def __init__(self, scores: pd.DataFrame, verdicts: pd.DataFrame, record: RunRecord) -> None:
        self.__dict__.update(scores=scores, verdicts=verdicts, record=record)


def moved(run: RunFolder, **changes: object) -> Held:
    """The run with the score or verdict at some place changed."""
    scores, verdicts = run.scores.copy(), run.verdicts.copy()
    for name, (row, value) in changes.items():
        table = scores if name in ("value", "image") else verdicts
        table.loc[row, name] = value
    return Held(scores, verdicts, run.record)


def test_a_run_agrees_with_itself(run: RunFolder) -> None:
    found = differences(run, run)
    assert (found.differ, found.unmatched, len(found.metrics), found.lines()) == (0, 0, 0, [])
    assert found.scores == len(run.scores)


def test_a_score_that_moved_is_counted_with_its_metric_and_explainer(run: RunFolder) -> None:
    row = run.scores.index[run.scores["value"].notna()][5]
    before = run.named_scores.loc[row]
    found = differences(run, moved(run, value=(row, before["value"] + 0.25)))
    told = found.metrics.iloc[0]
    assert found.differ == 1
    assert (told["metric"], told["differ"], told["of"]) == (before["name"], 1, before["explainer"])
    assert told["by more than 0.001"] == 1
    assert told["largest"] == pytest.approx(0.25)


def test_a_score_that_moved_by_its_last_bit_is_counted_but_not_noted(run: RunFolder) -> None:
    row = run.scores.index[run.scores["value"].abs() > 0.01][0]
    found = differences(run, moved(run, value=(row, np.nextafter(run.scores.loc[row, "value"], 9))))
    assert found.differ == 1
    assert found.metrics["by more than 0.001"].sum() == 0


def test_a_score_that_is_undefined_in_one_run_differs(run: RunFolder) -> None:
    row = run.scores.index[run.scores["value"].notna()][0]
    found = differences(run, moved(run, value=(row, np.nan)))
    assert (found.differ, found.metrics["defined"].sum()) == (1, 1)


def test_a_verdict_that_is_another_is_told_with_its_numbers(run: RunFolder) -> None:
    row = run.verdicts.index[run.verdicts["verdict"] == "pass"][0]
    (line,) = differences(run, moved(run, verdict=(row, "inconclusive"))).lines()
    claim = run.verdicts.loc[row]
    assert line.startswith(f"{claim['explainer']} / {claim['check']} / {claim['class']}: pass ")
    assert "-> inconclusive" in line
    assert "adjusted p" in line
    assert line.endswith(f"margin {claim['margin']:g}")


@pytest.mark.parametrize(("share", "on_margin"), [(0.0, True), (0.019, True), (0.021, False), (np.nan, False)])
def test_a_verdict_on_its_margin_is_told_apart(run: RunFolder, share: float, on_margin: bool) -> None:
    """Rounding moves an effect by hundredths of its interval; what moves it further is not rounding alone."""
    row = run.verdicts.index[run.verdicts["verdict"] == "pass"][0]
    claim = run.verdicts.loc[row]
    effect = claim["effect"] + share * (claim["high"] - claim["low"])
    found = differences(run, moved(run, verdict=(row, "inconclusive"), effect=(row, effect)))
    assert [len(found.lines(on_margin=each)) for each in (True, False)] == [on_margin, not on_margin]
    assert len(found.lines()) == 1


@pytest.mark.parametrize("turned", ["fail", "not applicable"])
def test_a_claim_that_turns_round_or_ceases_to_apply_was_not_on_its_margin(run: RunFolder, turned: str) -> None:
    row = run.verdicts.index[run.verdicts["verdict"] == "pass"][0]
    assert len(differences(run, moved(run, verdict=(row, turned))).lines(on_margin=False)) == 1


def test_what_one_run_lacks_is_counted(run: RunFolder) -> None:
    lacking = Held(run.scores.iloc[1:], run.verdicts.iloc[2:], run.record)
    assert differences(run, lacking).unmatched == 3


def test_the_p_of_a_verdict_is_that_on_which_it_rests(run: RunFolder) -> None:
    row = run.verdicts.index[run.verdicts["verdict"] == "fail"][0]
    (line,) = differences(run, moved(run, verdict=(row, "inconclusive"))).lines()
    failed, unsettled = line.split(" -> ")
    assert failed.endswith(f"adjusted p {run.verdicts.loc[row, 'p_fail_adjusted']:.3g}")
    assert f"adjusted p {run.verdicts.loc[row, 'p_adjusted']:.3g}" in unsettled
