"""Which rung an explainer stands on follows from verdicts alone."""

import numpy as np
import pandas as pd
import pytest

from harness.checks.ladder import RUNGS, calibrated_ladder, highest, ladder, uncalibrated_rungs

RUNG_OF = {"network": 2, "cells-edges": 3, "cells-edges-fine": 3, "contrast": 4}
SIDES = {"cells-edges": 16, "cells-edges-fine": 8}


def verdict(explainer: str, check: str, said: str, where: str = "all", effect: float = 0.3) -> dict[str, object]:
    return {
        "explainer": explainer, "check": check, "class": where, "verdict": said, "effect": effect, "low": effect - 0.1,
        "high": effect + 0.1, "margin": 0.05, "p_adjusted": 0.001, "p_fail_adjusted": 0.002, "n": 20, "unit": "people",
        "reason": f"because {said}",
    }  # fmt: skip


def made(*rows: dict[str, object], faults: dict[str, str] | None = None, **settings: object) -> pd.DataFrame:
    explainers = {str(row["explainer"]): "" for row in rows} | (faults or {})
    given = {"classes": (), "resolutions": {}} | settings
    return ladder(pd.DataFrame(list(rows)), RUNG_OF, explainers=explainers, **given)


def reached(table: pd.DataFrame, rung: int, where: str = "all") -> str:
    return str(table[(table["rung"] == rung) & (table["class"] == where)]["reached"].iloc[0])


def test_a_rung_needs_every_claim_on_it() -> None:
    both = [verdict("a", "cells-edges", "pass"), verdict("a", "cells-edges-fine", "pass")]
    assert reached(made(*both), 3) == "yes"
    assert reached(made(both[0], verdict("a", "cells-edges-fine", "fail")), 3) == "no"
    assert reached(made(both[0], verdict("a", "cells-edges-fine", "inconclusive")), 3) == "open"


def test_a_claim_that_could_not_be_judged_leaves_its_rung_open() -> None:
    table = made(verdict("a", "cells-edges", "pass"), verdict("a", "cells-edges-fine", "not applicable"))
    assert reached(table, 3) == "open"


def test_a_rung_without_any_judged_claim_does_not_apply() -> None:
    table = made(verdict("a", "contrast", "not applicable"))
    assert reached(table, 4) == "not applicable"
    assert table[table["rung"] == 4]["reason"].iloc[0] == "because not applicable"
    assert reached(table, 2) == "not applicable"


def test_the_finest_resolution_that_holds_is_stated() -> None:
    coarse, fine = verdict("a", "cells-edges", "pass"), verdict("a", "cells-edges-fine", "pass")
    assert made(coarse, fine, resolutions=SIDES).query("rung == 3")["resolution"].item() == 8
    only = made(coarse, verdict("a", "cells-edges-fine", "fail"), resolutions=SIDES).query("rung == 3")
    assert (only["reached"].item(), only["resolution"].item(), only["check"].item()) == ("yes", 16, "cells-edges")


def test_what_holds_at_fine_cells_alone_is_not_reached() -> None:
    table = made(
        verdict("a", "cells-edges", "fail"), verdict("a", "cells-edges-fine", "pass"), resolutions=SIDES
    ).query("rung == 3")
    assert (table["reached"].item(), table["resolution"].item()) == ("no", 0)


def test_a_fault_ends_the_ladder_at_its_foot() -> None:
    table = made(verdict("a", "network", "pass"), faults={"b": "b raised ValueError: no"})
    mine = table[table["explainer"] == "b"]
    assert list(mine["reached"]) == ["no", *["not applicable"] * (len(RUNGS) - 1)]
    assert mine["reason"].iloc[0] == "b raised ValueError: no"
    assert highest(table, "b") == 0


def test_rungs_count_without_a_gap() -> None:
    rows = [verdict("a", "network", "pass"), verdict("a", "cells-edges", "fail"), verdict("a", "contrast", "pass")]
    assert highest(made(*rows), "a") == 2
    assert highest(made(rows[0], rows[2]), "a") == 4, "a rung that does not apply is no gap"


def test_a_class_is_judged_by_its_own_claims_and_by_those_made_over_all_images_alone() -> None:
    rows = [
        verdict("a", "network", "pass"),
        verdict("a", "cells-edges", "pass"),
        verdict("a", "cells-edges", "inconclusive", "Happy"),
    ]
    table = made(*rows, classes=("Happy", "Sad"))
    assert [reached(table, 2, where) for where in ("Happy", "Sad")] == ["yes", "yes"]
    assert [reached(table, 3, where) for where in ("Happy", "Sad")] == ["open", "not applicable"]


def test_a_rung_that_does_not_tell_truth_from_nulls_decides_nothing() -> None:
    rows = [
        verdict("truth", "network", "pass"), verdict("edges", "network", "fail"),
        verdict("truth", "cells-edges", "inconclusive"), verdict("edges", "cells-edges", "fail"),
        verdict("truth", "contrast", "pass"), verdict("edges", "contrast", "pass"),
    ]  # fmt: skip
    found = uncalibrated_rungs(made(*rows), ["truth"], ["edges", "random"])
    assert set(found) == {3, 4}
    assert "edges would reach it" in found[4]
    assert "truth itself" in found[3]
    table = made(verdict("a", "contrast", "fail"), uncalibrated=found)
    assert reached(table, 4) == "not applicable"


def test_what_is_not_asked_of_an_explainer_leaves_no_rung_open() -> None:
    both = [verdict("a", "cells-edges", "pass"), verdict("a", "cells-edges-fine", "not applicable")]
    assert reached(made(*both, unasked=[("a", "cells-edges-fine")]), 3) == "yes"
    assert reached(made(*both, unasked=[("b", "cells-edges-fine")]), 3) == "open"


def test_a_class_is_not_judged_otherwise_because_of_who_else_was_run() -> None:
    mine = [
        verdict("a", "cells-edges", "pass"), verdict("a", "cells-edges", "pass", "Happy"),
        verdict("a", "cells-edges-fine", "not applicable"),
    ]  # fmt: skip
    others = [verdict("b", "cells-edges-fine", "pass", where) for where in ("all", "Happy")]
    alone, among = (made(*rows, classes=("Happy",)) for rows in (mine, [*mine, *others]))
    pd.testing.assert_frame_equal(alone, among[among["explainer"] == "a"].reset_index(drop=True))
    assert reached(alone, 3, "Happy") == "open"


def test_nothing_applies_to_a_class_without_images() -> None:
    table = made(verdict("a", "network", "pass"), classes=("Happy", "Sad"), absent={"Sad"})
    assert reached(table, 2, "Happy") == "yes"
    mine = table[table["class"] == "Sad"]
    assert set(mine["reached"]) == {"not applicable"}
    assert set(mine["reason"]) == {"no image is of this class"}
    assert highest(table, "a", "Sad") == 0


def test_truths_calibrate_a_rung_by_what_could_be_measured_of_them() -> None:
    rows = [
        verdict("truth", "cells-edges", "pass"),
        {**verdict("truth", "cells-edges-fine", "not applicable"), "n": 0},
        verdict("edges", "cells-edges", "fail"), verdict("edges", "cells-edges-fine", "fail"),
        verdict("a", "cells-edges", "pass"), {**verdict("a", "cells-edges-fine", "not applicable"), "n": 0},
    ]  # fmt: skip
    rows = [{**row, "undefined": 0} for row in rows]
    names = dict.fromkeys(("truth", "edges", "a"), "")
    table = calibrated_ladder(
        pd.DataFrame(rows), RUNG_OF, truths=["truth"], nulls=["edges"], explainers=names, classes=(), resolutions={}
    )
    where = table.set_index(["explainer", "rung"])["reached"]
    assert where["truth", 3] == "yes"
    assert where["edges", 3] == "no"
    assert where["a", 3] == "open", "it could have been asked"


def test_a_truth_to_which_a_rung_does_not_apply_says_nothing_of_it() -> None:
    assert uncalibrated_rungs(made(verdict("truth", "network", "not applicable")), ["truth"], []) == {}


@pytest.mark.parametrize("said", ["fail", "inconclusive"])
def test_the_deciding_claim_gives_the_numbers(said: str) -> None:
    rows = [verdict("a", "cells-edges", "pass", effect=0.5), verdict("a", "cells-edges-fine", said, effect=-0.2)]
    row = made(*rows).query("rung == 3").iloc[0]
    assert (row["check"], row["effect"], row["unit"], row["n"]) == ("cells-edges-fine", -0.2, "people", 20)
    assert row["reason"] == f"cells-edges-fine: because {said}"


def test_of_several_claims_that_fail_the_farthest_from_its_margin_gives_the_numbers_and_its_own_p() -> None:
    rows = [verdict("a", "cells-edges", "fail", effect=-0.4), verdict("a", "cells-edges-fine", "fail", effect=0.0)]
    row = made(*rows).query("rung == 3").iloc[0]
    assert (row["check"], row["effect"], row["p_adjusted"]) == ("cells-edges", -0.4, 0.002)


def test_of_several_claims_that_hold_the_nearest_to_its_margin_gives_the_numbers() -> None:
    rows = [verdict("a", "cells-edges", "pass", effect=0.9), verdict("a", "cells-edges-fine", "pass", effect=0.2)]
    row = made(*rows).query("rung == 3").iloc[0]
    assert (row["check"], row["p_adjusted"]) == ("cells-edges-fine", 0.001)


def test_numbers_of_a_rung_that_nothing_decides_are_undefined() -> None:
    row = made(verdict("a", "network", "pass")).query("rung == 4").iloc[0]
    assert np.isnan(row["effect"])
    assert row["n"] == 0


def test_who_answers_another_question_is_not_refuted_by_what_counted() -> None:
    rows = [
        verdict("a", "network", "pass"), verdict("a", "cells-edges", "fail"), verdict("a", "cells-edges-fine", "fail"),
        verdict("a", "contrast", "inconclusive"),
    ]  # fmt: skip
    table = made(*rows, elsewhere={"a"})
    assert [reached(table, rung) for rung in (2, 3, 4)] == ["yes", "another question", "open"]
    assert highest(table, "a") == 2
    assert "small change" in table.loc[table["rung"] == 3, "reason"].iloc[0]
    assert reached(made(*rows), 3) == "no"
    blind = made(verdict("a", "network", "fail"), elsewhere={"a"})
    assert reached(blind, 2) == "no", "what would look alike on any network answers nothing"


def test_what_a_claim_compares_with_does_not_reach_its_rung() -> None:
    control = {**verdict("edges", "cells-edges", "not applicable"), "control": "edges"}
    table = made(control, verdict("edges", "cells-edges-fine", "pass"))
    assert reached(table, 3) == "no"
    assert table.query("rung == 3")["reason"].item() == "cells-edges: because not applicable"
    # Another's claim that could not be judged stays open.
    assert reached(made({**control, "control": "centre"}, verdict("edges", "cells-edges-fine", "pass")), 3) == "open"
