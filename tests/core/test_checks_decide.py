"""From a finding to a verdict, and the correction over an explainer's claims."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from harness.checks import ALPHA, CHECKS, EVERYTHING, Check, Correction, Evidence, Finding, Verdict, judged
from harness.checks.correction import corrected
from harness.statistics import Spread, hierarchical
from harness.store import MATRICES, SCORES, VERDICTS, frame

EVIDENCE = Evidence(frame(SCORES), frame(MATRICES), ("a", "b"), 0)


RUNGS = count(1)


def check(
    findings: Sequence[Finding] = (),
    name: str = "made",
    family: str = "made",
    *,
    decides: bool = True,
    **changed: object,
) -> Check:
    """A check that finds what it is given, whatever the evidence, on a rung of its own if it decides."""
    changed = {"rung": next(RUNGS) if decides else 0} | changed
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


# ---------------------------------------------------------------------- from corrected p-values to a verdict

SMALL, LARGE = ALPHA / 10, 0.3
VERDICTS_OF = {
    "for": (SMALL, 1.0, Verdict.PASS),
    "against": (1.0, SMALL, Verdict.FAIL),
    "neither": (LARGE, LARGE, Verdict.INCONCLUSIVE),
    "at alpha for": (ALPHA, 1.0, Verdict.INCONCLUSIVE),
    "at alpha against": (1.0, ALPHA, Verdict.INCONCLUSIVE),
    "nothing against is tested": (LARGE, np.nan, Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize("at_most", [False, True])
@pytest.mark.parametrize("case", VERDICTS_OF)
def test_a_pass_and_a_fail_each_need_their_own_corrected_p(case: str, at_most: bool) -> None:
    p, p_fail, expected = VERDICTS_OF[case]
    finding = found(0.5, 0.05, 0.9)
    assert check(at_most=at_most).decide(finding, Correction(p, p_fail))[0] is expected


def test_an_interval_beyond_the_margin_decides_nothing() -> None:
    assert check().decide(found(0.0, -0.1, 0.05), Correction(1.0, 0.02))[0] is Verdict.INCONCLUSIVE


def test_what_cannot_be_tested_is_not_applicable() -> None:
    finding = Finding(EVERYTHING, 0, reason="no image is of this class")
    assert check().decide(finding, Correction(np.nan)) == (Verdict.NOT_APPLICABLE, "no image is of this class")


# ---------------------------------------------------------------------- reasons

SPREAD = Spread(20, 40, 0.1, 0.2, 0.0)
PEOPLE = {"unit": "people", "units": 20, "spread": SPREAD}
REASONS = {
    "pass": (found(0.5, 0.4, 0.6), Correction(SMALL, 1.0), "^$"),
    "fail": (
        found(0.0, -0.1, 0.05),
        Correction(1.0, 0.002),
        r"^the effect lies below the margin of 0\.1 \(adjusted p = 0\.002\)$",
    ),
    "fail for want of maps": (found(0.0, -0.1, 0.05, blank=3), Correction(1.0, 0.002), "; 3 of 20 images have no map"),
    "more people": (
        found(0.2, 0.0, 0.4, **PEOPLE),
        Correction(0.3, 0.9),
        r"^adjusted p = 0\.3 and the interval holds the margin; about 48 people \(96 images\) would settle it$",
    ),
    "more images": (
        found(0.2, 0.0, 0.4, spread=SPREAD),
        Correction(0.3, 0.9),
        r"and the interval holds the margin; about 48 images would settle it$",
    ),
    "a few more": (
        found(0.5, 0.4, 0.6, spread=Spread(20, 20, 0.4, 0.1, 0.0)),
        Correction(0.02, 1.0),
        r"^adjusted p = 0\.02; a few more images than 20 would settle it$",
    ),
    "too few whatever they show": (
        found(0.2, 0.1, 0.4, unit="people", units=5, spread=SPREAD),
        Correction(0.3, 0.9, ALPHA / 20, ALPHA / 20),
        "^5 people can decide nothing; 11 at least are needed$",
    ),
    "towards a fail": (
        found(-0.1, -0.3, 0.2, spread=replace(SPREAD, shift=-0.1)),
        Correction(1.0, 0.05),
        r"^adjusted p against the claim = 0\.05 and the interval holds the margin; about 48 images would settle it$",
    ),
    "nothing would": (
        found(0.1, 0.0, 0.2, spread=replace(SPREAD, shift=0.0)),
        Correction(0.5, 0.5),
        r"^adjusted p against the claim = 0\.5 and the interval holds the margin$",
    ),
    "over classes": (Finding(EVERYTHING, 7, 0, 0.3, p=0.3, p_fail=0.7), Correction(1.0, 1.0), "^adjusted p = 1$"),
}


@pytest.mark.parametrize("case", REASONS)
def test_the_reason_says_why(case: str) -> None:
    finding, corrected, said = REASONS[case]
    assert pd.Series(check().decide(finding, corrected)[1]).str.contains(said).all()


# ---------------------------------------------------------------------- claims that are corrected together


def good(p: float, kind: str = EVERYTHING, p_fail: float = 1.0) -> Finding:
    return Finding(kind, 20, 0, 0.5, 0.4, 0.6, p, p_fail)


def test_an_explainers_deciding_claims_and_their_classes_are_corrected_together() -> None:
    one = check([good(0.001), good(0.0002, "a"), good(0.5, "b")], "one", family="first")
    two = check([good(0.03), good(0.4, "a"), good(0.5, "b")], "two", family="second")
    table = judged([one, two], EVIDENCE, ["e"])
    parts = np.array([[0.0002, 0.5], [0.4, 0.5]])
    expected = hierarchical(np.array([0.001, 0.03]), parts, ALPHA, order=np.arange(2))
    told = np.concatenate([expected.whole[:, None], expected.parts], axis=1)
    assert table["p_adjusted"].tolist() == told.ravel().tolist()


def test_claims_of_one_rung_pass_together_without_correcting_each_other() -> None:
    pair = [check([good(p)], f"c{p}", rung=3) for p in (0.008, 0.006)]
    table = judged(pair, EVIDENCE, ["e"])
    assert table["p_adjusted"].tolist() == [0.008, 0.008]
    assert table["verdict"].tolist() == ["pass", "pass"]
    other = check([good(0.9)], "other", rung=4)
    # Two thirds of alpha go to the lower of two rungs, and all of it to the one that is left.
    told = judged([*pair, other], EVIDENCE, ["e"])["p_adjusted"].tolist()
    assert told == pytest.approx([0.012, 0.012, 0.9])


def test_of_a_rung_that_is_not_reached_single_claims_are_corrected_for_their_number() -> None:
    three = [check([good(p)], f"c{p}", rung=3) for p in (0.004, 0.003, 0.2)]
    table = judged(three, EVIDENCE, ["e"])
    assert table["p_adjusted"].tolist() == pytest.approx([0.008, 0.008, 0.2])
    worse = [check([good(p)], f"c{p}", rung=3) for p in (0.004, 0.3, 0.2)]
    assert judged(worse, EVIDENCE, ["e"])["verdict"].tolist() == ["inconclusive"] * 3


def test_single_passes_are_false_as_rarely_as_is_stated() -> None:
    steps = [check.step for check in CHECKS.values() if check.decides]
    rng, repeats, tested = np.random.default_rng(0), 600, 0.05
    false, true = np.array([step == "7" for step in steps]), np.full((len(steps), 1), 1e-9)
    made = 0
    for _ in range(repeats):
        p = np.where(false[:, None], rng.uniform(size=true.shape), true)
        made += bool((corrected(p, 1 - p, steps, tested).p[false] < tested).any())
    # At most the level, which uniform p nearly use up; each of several claims alone at the level would have 14 %.
    assert binomtest(made, repeats, tested, alternative="greater").pvalue > 1e-3


def test_fails_of_one_rung_are_corrected_since_any_of_them_ends_it() -> None:
    pair = [check([good(1.0, p_fail=p)], f"c{p}", rung=3) for p in (0.008, 0.9)]
    assert judged(pair, EVIDENCE, ["e"])["p_fail_adjusted"].iloc[0] == 0.016


def test_passes_are_corrected_in_the_order_of_the_ladder_and_fails_alike() -> None:
    p = [0.001, 0.004, 0.03]
    passing = judged([check([good(each)], f"c{k}") for k, each in enumerate(p)], EVIDENCE, ["e"])
    failing = judged([check([good(1.0, p_fail=each)], f"c{k}") for k, each in enumerate(p)], EVIDENCE, ["e"])
    # 6/11, then 2/3 of what two have, then all; a third, a half, all.
    assert passing["p_adjusted"].tolist() == pytest.approx([0.001 * 11 / 6, 0.006, 0.03])
    assert failing["p_fail_adjusted"].tolist() == pytest.approx([0.003, 0.008, 0.03])
    assert passing["verdict"].tolist() == ["pass", "pass", "inconclusive"]
    assert failing["verdict"].tolist() == ["fail", "fail", "inconclusive"]


def test_a_lower_rung_is_decided_by_a_larger_p_than_a_higher_one_whichever_is_named_first() -> None:
    rungs = [check([good(0.005)], f"c{rung}", rung=rung) for rung in (5, 3, 4)]
    assert judged(rungs, EVIDENCE, ["e"])["p_adjusted"].tolist() == pytest.approx([0.005 * 11 / 6] * 3)
    high = [check([good(p)], f"c{rung}", rung=rung) for rung, p in ((5, 0.005), (3, 0.9), (4, 0.9))]
    assert judged(high, EVIDENCE, ["e"])["p_adjusted"].tolist() == pytest.approx([0.0275, 1.0, 1.0])


def test_a_class_can_fail_under_a_claim_that_passes() -> None:
    table = judged([check([good(1e-4), good(1.0, "a", 1e-4), good(1e-3, "b")])], EVIDENCE, ["e"])
    assert table["verdict"].tolist() == ["pass", "fail", "pass"]


def test_who_else_was_run_changes_nothing() -> None:
    mine = check(name="mine", judge=lambda _c, _e, who: [good(0.004 if who == "e" else 0.5)])
    alone, among = judged([mine], EVIDENCE, ["e"]), judged([mine], EVIDENCE, ["e", *"fghijk"])
    pd.testing.assert_frame_equal(alone, among[among["explainer"] == "e"].reset_index(drop=True))


def test_what_is_only_shown_changes_nothing_of_what_decides() -> None:
    small = check([good(0.008)], "small")
    crowd = [check([good(0.5)], f"crowd-{k}", decides=False) for k in range(50)]
    alone, among = judged([small], EVIDENCE, ["e"]), judged([small, *crowd], EVIDENCE, ["e"])
    assert alone["p_adjusted"].tolist() == among[among["check"] == "small"]["p_adjusted"].tolist() == [0.008]


def test_what_is_shown_is_corrected_family_by_family() -> None:
    shown = [check([good(0.003)], f"s{k}", family=f"f{k // 2}", decides=False) for k in range(4)]
    assert judged(shown, EVIDENCE, ["e"])["p_adjusted"].tolist() == [0.006] * 4


def test_a_claim_that_cannot_be_tested_does_not_count() -> None:
    mixed = [check([good(0.008)], "tested"), *(check([Finding("all", 0)], f"not-{k}") for k in range(9))]
    assert judged(mixed, EVIDENCE, ["e"])["p_adjusted"].iloc[0] == 0.008


def test_a_claim_can_fall_to_the_correction_alone() -> None:
    both = [check([good(0.008)], name) for name in ("one", "two")]
    assert judged(both[:1], EVIDENCE, ["e"])["verdict"].tolist() == ["pass"]
    assert judged(both, EVIDENCE, ["e"])["verdict"].tolist() == ["inconclusive"] * 2


def test_rows_come_family_by_family_and_check_by_check() -> None:
    made = [check([good(0.5)], name, family) for name, family in (("a", "x"), ("b", "y"), ("c", "x"))]
    table = judged(made, EVIDENCE, ["e", "f"])
    assert (table["check"] + table["explainer"]).tolist() == ["ae", "af", "ce", "cf", "be", "bf"]


def test_a_row_holds_what_was_found() -> None:
    finding = Finding("b", 5, 2, 0.3, 0.2, 0.4, 1e-5, 0.9, unit="people", units=3, blank=1)
    row = judged([check([finding])], EVIDENCE, ["e"]).iloc[0]
    wanted = {"explainer": "e", "check": "made", "class": "b", "n": 5, "undefined": 2, "effect": 0.3, "margin": 0.1}
    wanted |= {"unit": "people", "units": 3, "blank": 1, "p": 1e-5, "p_fail": 0.9, "p_fail_adjusted": 0.9}
    assert {key: row[key] for key in wanted} == wanted


def test_the_table_has_the_stored_columns_even_when_it_is_empty() -> None:
    assert list(judged([], EVIDENCE, ["e"]).columns) == list(VERDICTS)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_states_its_claim_margin_and_figure(name: str) -> None:
    made = CHECKS[name]
    assert made.name == name
    assert all((made.family, made.claim, made.control, made.margin_reason, made.reference, made.needs))
    assert made.figure.startswith("figures/")


def test_a_claim_that_is_not_tested_has_no_p_of_its_steps() -> None:
    nothing = found(np.nan, np.nan, np.nan, p=np.nan, p_fail=np.nan)
    table = judged([check([good(1e-5)], "tested", rung=7), check([nothing], "not", rung=7)], EVIDENCE, ["e"])
    held = table.set_index("check")
    assert held.loc["tested", ["p_adjusted", "p_fail_adjusted"]].notna().all()
    assert held.loc["not", ["p_adjusted", "p_fail_adjusted"]].isna().all()
    made = corrected(np.array([[np.nan], [1e-5]]), np.array([[np.nan], [1.0]]), ["7", "7"], ALPHA)
    assert np.isnan([made.level[0, 0], made.level_fail[0, 0]]).all()
