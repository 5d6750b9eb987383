from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from harness.report import answer
from harness.report.answer import State
from harness.store import VERDICTS, RunFolder, frame

Told = tuple[str, str, str, str]
"""Explainer, check, class, verdict."""


def with_verdicts(run: RunFolder, told: Sequence[Told]) -> RunFolder:
    """The run with other verdicts."""
    families = {
        "deletion": "faithfulness",
        "insertion": "faithfulness",
        "randomization": "randomization",
        "turn": "mistakes",
    }
    rows = [
        {name: np.nan if kind == "float64" else 0 if kind == "int64" else "" for name, kind in VERDICTS.items()}
        | {"explainer": explainer, "check": check, "class": where, "verdict": verdict, "n": 20}
        | {"unit": "images", "units": 20, "effect": 0.1, "low": 0.05, "high": 0.2, "margin": 0.01}
        | {"family": families.get(check.split("-")[0], "confusion")}
        for explainer, check, where, verdict in told
    ]
    made = RunFolder(run.path)
    made.__dict__["verdicts"] = frame(VERDICTS, rows)
    return made


def state(run: RunFolder, told: Sequence[tuple[str, str]], where: str = "all") -> State:
    """Where the explainer gradient stands, given its checks and verdicts over all images."""
    held = with_verdicts(run, [("gradient", check, "all", verdict) for check, verdict in told])
    return answer.beliefs(held)["gradient", where].state


def test_believed_where_every_claim_passes(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "pass"), ("randomization-full", "pass")]) is State.BELIEVED


def test_not_believed_where_one_claim_fails(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "pass"), ("randomization-full", "fail")]) is State.REFUTED


def test_undecided_where_one_is_inconclusive(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "pass"), ("insertion-edges", "inconclusive")]) is State.OPEN


def test_a_deciding_claim_that_does_not_apply_leaves_it_open(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "pass"), ("deletion-edges", "not applicable")]) is State.OPEN


def test_the_control_of_a_check_is_not_asked_it(small: RunFolder) -> None:
    told = [("gradient", "deletion-spectrum", "all", "pass"), ("gradient", "deletion-edges", "all", "not applicable")]
    held = with_verdicts(small, told)
    held.verdicts["control"] = ["spectrum-null", "gradient"]
    assert answer.beliefs(held)["gradient", "all"].state is State.BELIEVED


@pytest.mark.parametrize(
    ("unit", "said"), [("people", "20 of 20 images of 9 people"), ("images", "20 of 20 images"), ("classes", "classes")]
)
def test_the_sample_is_told_with_the_people_on_it(small: RunFolder, unit: str, said: str) -> None:
    held = with_verdicts(small, [("gradient", "deletion-spectrum", "all", "pass")])
    row = held.verdicts.assign(unit=unit, units=9).to_dict("records")[0]
    assert answer.counted({str(key): value for key, value in row.items()}).endswith(said)


def test_not_judged_where_none_applies(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "not applicable")]) is State.UNJUDGED


def test_randomization_alone_makes_nobody_believed(small: RunFolder) -> None:
    assert state(small, [("randomization-full", "pass")]) is State.UNJUDGED


@pytest.mark.parametrize("check", ["randomization-full-absolute", "confusion-recall", "turn-back-spectrum"])
def test_what_is_only_shown_decides_nothing(small: RunFolder, check: str) -> None:
    assert state(small, [("deletion-spectrum", "pass"), (check, "fail")]) is State.BELIEVED


def test_a_gate_over_all_images_stands_for_every_class(small: RunFolder) -> None:
    held = with_verdicts(
        small,
        [
            ("gradient", "deletion-spectrum", "class A", "pass"),
            ("gradient", "deletion-spectrum", "all", "pass"),
            ("gradient", "randomization-full", "all", "fail"),
        ],
    )
    assert answer.beliefs(held)["gradient", "class A"].state is State.REFUTED


def test_a_class_is_judged_by_its_own_verdict_where_it_has_one(small: RunFolder) -> None:
    held = with_verdicts(
        small,
        [
            ("gradient", "deletion-spectrum", "class A", "pass"),
            ("gradient", "deletion-spectrum", "all", "fail"),
        ],
    )
    assert answer.beliefs(held)["gradient", "class A"].state is State.BELIEVED


def test_a_class_without_verdicts_is_not_judged(small: RunFolder) -> None:
    assert state(small, [("deletion-spectrum", "pass")], "class B") is State.UNJUDGED


def test_the_closest_call_is_told_with_interval_and_n(run: RunFolder) -> None:
    told = {name: why for name, _, why, _ in answer.answer(run).explainers}
    held = run.verdicts[(run.verdicts["explainer"] == "gradient") & (run.verdicts["class"] == "all")]
    held = held[(held["family"] != "confusion") & (held["check"] != "randomization-full-absolute")]
    clear = np.minimum((held["low"] - held["margin"]).abs(), (held["high"] - held["margin"]).abs())
    row = held.loc[pd.Series(clear).idxmin()]
    assert (
        f"{row['check']} {row['effect']:+.3f}, 99% interval {row['low']:+.3f} to {row['high']:+.3f}, "
        "48 of 48 images" in told["gradient"]
    )


def test_a_failure_is_told_with_its_number(run: RunFolder) -> None:
    told = {name: why for name, _, why, _ in answer.answer(run).explainers}
    assert told["guided-backprop"].startswith("Fails randomization-full +0.")


def test_an_explainer_without_maps_is_not_judged_and_says_why(run: RunFolder) -> None:
    states = {name: (state, why) for name, state, why, _ in answer.answer(run).explainers}
    assert states["rise"] == (State.UNJUDGED, "Not judged: failed (rise returned NaN for every image).")


def test_a_class_without_images_says_so(run: RunFolder) -> None:
    assert dict(answer.answer(run).classes)["Disgust"] == "no images"


def test_a_believed_control_is_a_caution(run: RunFolder) -> None:
    assert "None of the 3 controls" in answer.answer(run).controls
    fooled = with_verdicts(run, [("edges", "deletion-spectrum", "all", "pass")])
    assert answer.answer(fooled).controls.startswith("Caution: edges cannot be faithful")


def test_a_run_without_controls_says_what_that_means(small: RunFolder) -> None:
    assert "no controls" in answer.answer(small).controls


def test_what_was_not_asked_is_told_beside_a_belief(small: RunFolder) -> None:
    held = with_verdicts(small, [("gradient", "deletion-spectrum", "all", "pass")])
    assert "without claims on insertion and randomization" in answer.answer(held).lead


def test_what_was_asked_in_full_has_no_such_note(run: RunFolder) -> None:
    assert "without claims" not in answer.answer(run).lead
