"""From a finding to a verdict, and Holm's correction over a family."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.checks import ALPHA, CHECKS, EVERYTHING, Check, Evidence, Finding, Verdict, judged
from harness.statistics import holm
from harness.store import MATRICES, SCORES, VERDICTS, frame

EVIDENCE = Evidence(frame(SCORES), frame(MATRICES), ("a", "b"), 0)


def check(findings: Sequence[Finding] = (), name: str = "made", family: str = "made", **changed: object) -> Check:
    """A check that finds what it is given, whatever the evidence."""
    made = Check(
        name=name,
        family=family,
        claim="the map is good",
        control="null",
        margin=0.1,
        margin_reason="so that there is one",
        reference="",
        figure="",
        needs=frozenset(),
        judge=lambda _check, _evidence, _explainer: findings,
    )
    return replace(made, **changed)


def found(effect: float, low: float, high: float, p: float = 1e-6, **more: object) -> Finding:
    return Finding(EVERYTHING, 20, 0, effect, low, high, p, **more)


# ---------------------------------------------------------------------- the claim that an effect exceeds the margin

MORE = {
    "far above": (found(0.5, 0.4, 0.6), 1e-4, Verdict.PASS),
    "above, not sure": (found(0.5, 0.05, 0.9), 0.2, Verdict.INCONCLUSIVE),
    "sure, but p at alpha": (found(0.5, 0.4, 0.6), ALPHA, Verdict.INCONCLUSIVE),
    "sure, at the margin": (found(0.1, 0.1, 0.1), 1e-4, Verdict.INCONCLUSIVE),
    "holds the margin": (found(0.05, -0.2, 0.2), 0.6, Verdict.INCONCLUSIVE),
    "wholly below": (found(0.0, -0.1, 0.05), 1.0, Verdict.FAIL),
    "ends at the margin": (found(0.0, -0.1, 0.1), 1.0, Verdict.INCONCLUSIVE),
    "no interval": (Finding(EVERYTHING, 7, 0, 0.3, np.nan, np.nan, 0.3), 1.0, Verdict.INCONCLUSIVE),
    "no interval, small p": (Finding(EVERYTHING, 7, 0, 0.9, np.nan, np.nan, 1e-4), 1e-3, Verdict.PASS),
    "cannot be tested": (Finding(EVERYTHING, 0, reason="none"), np.nan, Verdict.NOT_APPLICABLE),
}


@pytest.mark.parametrize("case", MORE)
def test_a_claim_of_more_than_the_margin(case: str) -> None:
    finding, p_adjusted, expected = MORE[case]
    assert check().decide(finding, p_adjusted)[0] is expected


# ---------------------------------------------------------------------- the claim that an effect stays below it

AT_MOST = {
    "far below": (found(-0.5, -0.6, -0.4), 1e-4, Verdict.PASS),
    "below, not sure": (found(0.0, -0.3, 0.3), 0.2, Verdict.INCONCLUSIVE),
    "wholly above": (found(0.5, 0.4, 0.6), 1.0, Verdict.FAIL),
    "begins at the margin": (found(0.5, 0.1, 0.6), 1.0, Verdict.INCONCLUSIVE),
    "a large p never passes": (found(0.0, -0.1, 0.05), 0.5, Verdict.INCONCLUSIVE),
    "cannot be tested": (Finding(EVERYTHING, 0, reason="none"), np.nan, Verdict.NOT_APPLICABLE),
}


@pytest.mark.parametrize("case", AT_MOST)
def test_a_claim_of_at_most_the_margin(case: str) -> None:
    finding, p_adjusted, expected = AT_MOST[case]
    assert check(at_most=True).decide(finding, p_adjusted)[0] is expected


def test_turning_the_direction_turns_pass_into_fail() -> None:
    finding = found(0.5, 0.4, 0.6)
    assert check(at_most=False).decide(finding, 1e-4)[0] is Verdict.PASS
    assert check(at_most=True).decide(finding, 1e-4)[0] is Verdict.FAIL


# ---------------------------------------------------------------------- reasons

REASONS = {
    "pass": (found(0.5, 0.4, 0.6), 1e-4, "^$"),
    "fail": (found(0.0, -0.1, 0.05), 1.0, r"^the whole interval lies below the margin of 0\.1$"),
    "not applicable": (
        Finding(EVERYTHING, 0, reason="no image is of this class"),
        np.nan,
        "^no image is of this class$",
    ),
    "more images": (
        found(0.2, 0.0, 0.4, settled_by=57),
        0.3,
        r"^adjusted p = 0\.3 and the interval holds the margin; about 57 images would settle it$",
    ),
    "a few more": (
        found(0.5, 0.4, 0.6, settled_by=9),
        0.02,
        r"^adjusted p = 0\.02; a few more images than 20 would settle it$",
    ),
    "nothing would": (found(0.1, 0.0, 0.2), 0.5, r"^adjusted p = 0\.5 and the interval holds the margin$"),
    "no interval": (Finding(EVERYTHING, 7, 0, 0.3, np.nan, np.nan, 0.3), 1.0, "^adjusted p = 1$"),
}


@pytest.mark.parametrize("case", REASONS)
def test_the_reason_says_why(case: str) -> None:
    finding, p_adjusted, said = REASONS[case]
    assert pd.Series(check().decide(finding, p_adjusted)[1]).str.contains(said).all()


# ---------------------------------------------------------------------- the table


def test_holm_runs_over_all_claims_of_a_family() -> None:
    p = [0.001, 0.004, 0.03]
    one = check([replace(found(0.5, 0.4, 0.6), p=p[0]), replace(found(0.5, 0.4, 0.6), kind="a", p=p[1])], "one")
    two = check([replace(found(0.5, 0.4, 0.6), p=p[2])], "two")
    table = judged([one, two], EVIDENCE, ["e", "f"])
    expected = holm(np.array([p[0], p[1], p[0], p[1], p[2], p[2]]))
    assert table["p_adjusted"].tolist() == expected.tolist()


def test_another_family_does_not_count() -> None:
    small = check([found(0.5, 0.4, 0.6, p=0.008)], "small")
    crowd = [check([found(0.5, 0.4, 0.6, p=0.5)] * 50, f"crowd-{k}", family="other") for k in range(3)]
    alone, among = judged([small], EVIDENCE, ["e"]), judged([small, *crowd], EVIDENCE, ["e"])
    assert alone["p_adjusted"].tolist() == among[among["check"] == "small"]["p_adjusted"].tolist() == [0.008]


def test_a_claim_that_cannot_be_tested_does_not_count() -> None:
    mixed = check([found(0.5, 0.4, 0.6, p=0.008), *[Finding("a", 0, reason="none")] * 9])
    assert judged([mixed], EVIDENCE, ["e"])["p_adjusted"].iloc[0] == 0.008


def test_a_claim_can_fall_to_the_correction_alone() -> None:
    lone = check([found(0.5, 0.4, 0.6, p=0.008)])
    crowd = check([found(0.5, 0.4, 0.6, p=0.008)] * 2)
    assert judged([lone], EVIDENCE, ["e"])["verdict"].tolist() == ["pass"]
    assert judged([crowd], EVIDENCE, ["e"])["verdict"].tolist() == ["inconclusive"] * 2


def test_a_row_holds_what_was_found() -> None:
    row = judged([check([Finding("b", 5, 2, 0.3, 0.2, 0.4, 1e-5)])], EVIDENCE, ["e"]).iloc[0]
    wanted = {"explainer": "e", "check": "made", "class": "b", "n": 5, "undefined": 2, "effect": 0.3, "margin": 0.1}
    assert {key: row[key] for key in wanted} == wanted


def test_the_table_has_the_stored_columns_even_when_it_is_empty() -> None:
    assert list(judged([], EVIDENCE, ["e"]).columns) == list(VERDICTS)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_states_its_claim_margin_and_figure(name: str) -> None:
    made = CHECKS[name]
    assert made.name == name
    assert all((made.family, made.claim, made.control, made.margin_reason, made.reference, made.needs))
    assert made.figure.startswith("figures/")
