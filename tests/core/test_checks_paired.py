"""Paired differences: people are the sample, no map counts against, a control is not its own rival."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import EXACT, score_called

from harness.checks import CHECKS, EVERYTHING, Evidence, Finding, Verdict, judged
from harness.checks.paired import PairedScores
from harness.errors import UsageError
from harness.evaluation.decision import decided
from harness.statistics import mean_above_p, mean_below_p, people_interval, spread
from harness.store import MATRICES, SCORES, frame

CLASSES = ("a", "b", "c")
N = 30
TARGETS = np.repeat(["a", "b"], N // 2)


def scores(
    explainer: str, values: np.ndarray, metric: str = "deletion-gain", variant: str = "spectrum-null"
) -> pd.DataFrame:
    undefined = np.isnan(values)
    return frame(
        SCORES,
        {
            "explainer": explainer,
            **vars(score_called(metric)),
            "variant": variant,
            "image": np.arange(len(values)) * 10,
            "label": "",
            "predicted": TARGETS[: len(values)],
            "target": TARGETS[: len(values)],
            "value": values,
            "status": np.where(undefined, "undefined", "ok"),
            "reason": np.where(undefined, "constant map", ""),
        },
    )


def evidence(*tables: pd.DataFrame) -> Evidence:
    return Evidence(pd.concat(tables, ignore_index=True), frame(MATRICES), CLASSES, 0)


def findings(check: str, held: Evidence, explainer: str = "e") -> dict[str, Finding]:
    made = CHECKS[check]
    return {finding.kind: finding for finding in made.judge(made, held, explainer)}


@pytest.fixture
def gains() -> np.ndarray:
    return np.random.default_rng(0).normal(0.1, 0.1, N)


# ---------------------------------------------------------------------- numbers


def test_the_effect_is_the_mean_over_images(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING]
    assert (found.effect, found.n, found.undefined) == (pytest.approx(gains.mean(), abs=EXACT), N, 0)


def test_p_is_for_and_against_the_margin(gains: np.ndarray) -> None:
    found, margin = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING], 0.02
    assert CHECKS["deletion-spectrum"].margin == margin
    assert (found.p, found.p_fail) == (mean_above_p(gains, margin), mean_below_p(gains, margin))


def test_p_of_a_claim_of_at_most_is_against_the_margin_from_below(gains: np.ndarray) -> None:
    held = evidence(scores("e", gains, "randomization-full-excess", "transplant-null"))
    found = findings("randomization-full", held)[EVERYTHING]
    assert (found.p, found.p_fail) == (mean_below_p(gains, 0.1), mean_above_p(gains, 0.1))


def test_the_interval_is_the_one_that_belongs_to_the_test(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING]
    expected = people_interval(gains, confidence=0.99)
    assert (found.low, found.high) == (expected.low, expected.high)


# ---------------------------------------------------------------------- classes


def test_each_class_is_judged_on_its_own_images(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))
    assert list(found) == [EVERYTHING, *CLASSES]
    assert found["b"].effect == pytest.approx(gains[TARGETS == "b"].mean(), abs=EXACT)
    assert found["b"].n == N // 2


def test_a_class_without_images_is_not_applicable(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))["c"]
    assert np.isnan(found.p)
    assert found.reason == "no image is of this class"


# ---------------------------------------------------------------------- people

PEOPLE = np.repeat(np.arange(10), 3)


def of_people(table: pd.DataFrame, people: np.ndarray = PEOPLE) -> Evidence:
    return replace(evidence(table), persons=dict(zip(range(0, 10 * N, 10), people.tolist(), strict=True)))


def test_where_people_are_known_they_are_the_sample(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", of_people(scores("e", gains)))[EVERYTHING]
    interval = people_interval(gains, PEOPLE, confidence=0.99)
    assert (found.n, found.unit, found.units) == (N, "people", 10)
    assert (found.low, found.high) == (interval.low, interval.high)
    assert found.p == mean_above_p(gains, 0.02, PEOPLE)
    assert found.p_fail == mean_below_p(gains, 0.02, PEOPLE)
    assert found.spread == spread(gains, 0.02, PEOPLE)


def test_one_person_an_image_changes_nothing_but_the_name_of_the_sample(gains: np.ndarray) -> None:
    alone = findings("deletion-spectrum", of_people(scores("e", gains), np.arange(N)))
    nobody = findings("deletion-spectrum", evidence(scores("e", gains)))
    assert {kind: replace(each, unit="images") for kind, each in alone.items()} == nobody


def test_a_class_counts_its_own_people(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", of_people(scores("e", gains)))
    assert [(found[kind].n, found[kind].units) for kind in ("a", "b")] == [(15, 5), (15, 5)]


def test_images_of_one_person_decide_nothing(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", of_people(scores("e", gains), np.zeros(N, int)))[EVERYTHING]
    assert np.isnan(found.p)
    assert found.reason == f"all {N} images are of one person; two people are needed"


def test_people_of_some_images_alone_are_refused(gains: np.ndarray) -> None:
    held = of_people(scores("e", gains))
    partly = replace(held, persons={image: who for image, who in held.persons.items() if image > 10})
    with pytest.raises(UsageError, match=r"nobody is named for image 0 and 1 more of 30; name a person for every"):
        findings("deletion-spectrum", partly)


# ---------------------------------------------------------------------- no map counts against

BLANK = range(0, 80, 10)


def blanked(gains: np.ndarray, metric: str = "deletion-gain", variant: str = "spectrum-null") -> Evidence:
    gains = gains.copy()
    gains[: len(BLANK)] = np.nan
    return replace(evidence(scores("e", gains, metric, variant)), blank={"e": frozenset(BLANK)})


def test_an_image_without_a_map_gains_nothing(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", blanked(gains))[EVERYTHING]
    judged_as = np.concatenate([np.zeros(len(BLANK)), gains[len(BLANK) :]])
    assert (found.n, found.undefined, found.blank) == (N, 0, len(BLANK))
    assert (found.effect, found.p) == (pytest.approx(judged_as.mean(), abs=EXACT), mean_above_p(judged_as, 0.02))


def test_where_an_effect_must_stay_small_no_map_counts_as_the_whole(gains: np.ndarray) -> None:
    found = findings("randomization-full", blanked(gains, "randomization-full-excess", "transplant-null"))[EVERYTHING]
    judged_as = np.concatenate([np.ones(len(BLANK)), gains[len(BLANK) :]])
    assert found.effect == pytest.approx(judged_as.mean(), abs=EXACT)


def test_blanking_its_poor_images_does_not_help_an_explainer() -> None:
    poor = np.where(np.arange(N) % 3 == 0, -0.3, 0.1)
    hidden = np.where(poor < 0, np.nan, poor)
    of = replace(evidence(scores("e", hidden)), blank={"e": frozenset(range(0, 10 * N, 30))})
    dropped = findings("deletion-spectrum", evidence(scores("e", hidden)))[EVERYTHING]
    counted = findings("deletion-spectrum", of)[EVERYTHING]
    assert (dropped.effect, dropped.undefined) == (pytest.approx(0.1), 10)
    assert (counted.effect, counted.blank) == (pytest.approx(0.2 / 3), 10)


def test_silence_on_a_built_network_counts_and_what_no_map_can_be_scored_on_does_not(gains: np.ndarray) -> None:
    gains[:12] = np.nan
    rows = scores("e", gains, "tile-ranks", "map")
    rows.loc[rows.index[:8], "status"] = "silent"
    rows.loc[rows.index[8:10], "status"] = "not scorable"
    # Of the last two of these the explainer's own map is constant, of one nobody's map could be scored either.
    held = replace(evidence(rows), blank={"e": frozenset([80, 100])})
    found = findings("tile-ranks", held)[EVERYTHING]
    judged_as = np.concatenate([np.zeros(9), gains[12:]])
    assert (found.n, found.blank, found.undefined) == (N - 3, 9, 3)
    assert found.effect == pytest.approx(judged_as.mean(), abs=EXACT)


def test_an_explainer_that_answers_for_few_images_is_judged_on_all(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains[:6]), scores("f", gains)))
    assert (found[EVERYTHING].n, found[EVERYTHING].blank) == (N, N - 6)
    assert (found["b"].n, found["b"].effect) == (15, 0.0)


def test_against_another_a_blank_map_is_what_the_other_is_ahead(gains: np.ndarray) -> None:
    other = np.linspace(0, 0.1, N)
    both = evidence(scores("e", np.full(N, np.nan)), scores("edges", other))
    found = findings("deletion-edges", replace(both, blank={"e": frozenset(range(0, 10 * N, 10))}))[EVERYTHING]
    assert found.effect == pytest.approx(-other.mean())


def test_a_map_without_a_score_of_its_own_on_the_mark_counts_against_it(gains: np.ndarray) -> None:
    gains[:4] = np.nan
    own = scores("e", np.where(np.arange(N) < 3, np.nan, 0.5), "mass-on-mark", "map")
    found = findings("mark-spectrum", evidence(scores("e", gains, "mass-on-mark-gain"), own))[EVERYTHING]
    assert (found.n, found.blank, found.undefined) == (N - 1, 3, 1)


# ---------------------------------------------------------------------- undefined through no fault of the map


def test_undefined_scores_are_left_out_and_counted(gains: np.ndarray) -> None:
    gains[:4] = np.nan
    found = findings("deletion-spectrum", evidence(scores("e", gains)))
    assert (found[EVERYTHING].n, found[EVERYTHING].undefined) == (N - 4, 4)
    assert (found["b"].n, found["b"].undefined) == (N // 2, 0)
    assert found[EVERYTHING].effect == pytest.approx(gains[4:].mean(), abs=EXACT)


@pytest.mark.parametrize("defined", [0, 1])
def test_fewer_than_two_defined_scores_decide_nothing_and_say_why(defined: int, gains: np.ndarray) -> None:
    gains[defined:] = np.nan
    found = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING]
    assert np.isnan(found.p)
    assert found.reason == f"{defined} of {N} scores are defined (constant map)"


def test_the_reason_of_a_class_is_its_own(gains: np.ndarray) -> None:
    table = scores("e", np.full(N, np.nan))
    table.loc[table["target"] == "b", "reason"] = "no other image of its class"
    found = findings("deletion-spectrum", evidence(table))
    assert "constant map" in found["a"].reason
    assert "no other image" in found["b"].reason


def test_a_class_with_one_image_decides_nothing(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains[: N // 2 + 1])))["b"]
    assert (found.n, found.reason) == (1, "there is one image alone; two are needed")


# ---------------------------------------------------------------------- against another explainer


def test_the_other_explainers_score_of_the_same_image_is_subtracted(gains: np.ndarray) -> None:
    other = np.random.default_rng(1).normal(0, 0.1, N)
    control = scores("edges", other).iloc[::-1]  # rows in another order
    found = findings("deletion-edges", evidence(scores("e", gains), control))[EVERYTHING]
    assert found.effect == pytest.approx((gains - other).mean(), abs=EXACT)
    assert found.p == mean_above_p(gains - other, 0.0)


def test_a_control_is_not_judged_against_itself(gains: np.ndarray) -> None:
    (found,) = findings("deletion-edges", evidence(scores("edges", gains)), "edges").values()
    assert np.isnan(found.p)
    assert found.reason == "edges is the control of this check"


def test_images_that_the_control_lacks_are_undefined(gains: np.ndarray) -> None:
    found = findings("deletion-edges", evidence(scores("e", gains), scores("edges", gains[:20])))[EVERYTHING]
    assert (found.n, found.undefined) == (20, 10)


def test_a_control_without_scores_is_named_as_the_reason(gains: np.ndarray) -> None:
    undefined = scores("edges", np.full(N, np.nan))
    assert findings("deletion-edges", evidence(scores("e", gains), undefined))[EVERYTHING].reason == (
        f"0 of {N} scores are defined (edges: constant map)"
    )
    assert "edges: not measured" in findings("deletion-edges", evidence(scores("e", gains)))[EVERYTHING].reason


def test_what_was_not_measured_is_said(gains: np.ndarray) -> None:
    (found,) = findings("insertion-spectrum", evidence(scores("e", gains))).values()
    assert (found.kind, found.n, found.reason) == (EVERYTHING, 0, "insertion-gain was not measured")


# ---------------------------------------------------------------------- planted


def verdict(check: str, *tables: pd.DataFrame) -> Verdict:
    table = judged([CHECKS[check]], evidence(*tables), ["e"])
    return Verdict(table[table["class"] == EVERYTHING]["verdict"].item())


def test_a_planted_gain_passes_and_its_opposite_fails() -> None:
    noise = np.random.default_rng(2).normal(0, 0.05, N)
    assert verdict("deletion-spectrum", scores("e", noise + 0.2)) is Verdict.PASS
    assert verdict("deletion-spectrum", scores("e", noise - 0.2)) is Verdict.FAIL
    assert verdict("deletion-spectrum", scores("e", noise + 0.02)) is Verdict.INCONCLUSIVE


def test_a_planted_excess_fails_and_none_passes() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, N)
    made = [scores("e", noise + shift, "randomization-full-excess", "transplant-null") for shift in (0.5, 0.0)]
    assert verdict("randomization-full", made[0]) is Verdict.FAIL
    assert verdict("randomization-full", made[1]) is Verdict.PASS


def test_a_claim_over_all_images_alone_judges_no_class() -> None:
    gains = np.random.default_rng(0).normal(0.1, 0.1, N)
    assert list(findings("road-spectrum", evidence(scores("e", gains, "road-gain")))) == [EVERYTHING]


@pytest.mark.parametrize(
    ("check", "metric", "variant"),
    [
        ("srg-spectrum", "symmetric-relevance-gain-over-null", "spectrum-null"),
        ("srg-transplant", "symmetric-relevance-gain-over-null", "transplant-null"),
        ("road-spectrum", "road-gain", "spectrum-null"),
        ("road-transplant", "road-gain", "transplant-null"),
        ("deletion-segment", "deletion-gain", "segment-null"),
    ],
)
def test_a_claim_of_removal_is_judged_by_its_own_gain(check: str, metric: str, variant: str) -> None:
    better, worse = (np.random.default_rng(0).normal(mean, 0.05, N) for mean in (0.2, -0.2))
    table = judged(
        [CHECKS[check]],
        evidence(scores("good", better, metric, variant), scores("bad", worse, metric, variant)),
        ["good", "bad"],
    )
    whole = table[table["class"] == EVERYTHING].set_index("explainer")["verdict"]
    assert whole.to_dict() == {"good": Verdict.PASS, "bad": Verdict.FAIL}


def test_classes_are_left_out_where_they_are_not_judged() -> None:
    held = evidence(scores("e", np.linspace(0.1, 0.2, N)))
    whole = PairedScores("deletion-gain", "spectrum-null", by_class=False)(CHECKS["deletion-spectrum"], held, "e")
    each = PairedScores("deletion-gain", "spectrum-null")(CHECKS["deletion-spectrum"], held, "e")
    assert [finding.kind for finding in whole] == [EVERYTHING]
    assert whole[0] == each[0]
    assert [finding.kind for finding in each] == [EVERYTHING, *CLASSES]


def test_what_is_not_claimed_or_not_known_is_not_asked(gains: np.ndarray) -> None:
    held = evidence(scores("claims", np.abs(gains), "tile-amounts", "map"), scores("other", gains, "tile-ranks", "map"))
    amounts, parts = CHECKS["tile-amounts"], CHECKS["parts-spectrum"]
    assert amounts.concerns(held, "claims")
    assert not amounts.concerns(held, "other")
    assert not parts.concerns(held, "other"), "of these pictures no true causes are known"
    assert CHECKS["planted"].concerns(held, "other"), "it could have been asked, and leaves its rung open"


@pytest.mark.parametrize("two", [True, False])
def test_of_two_classes_their_difference_is_not_asked_for(*, two: bool) -> None:
    """A perfect map gains nothing on twice its own truth, which is not measured: the runner-up's pairs decide."""
    whole, nothing = np.full(N, 0.9) + 0.01 * np.arange(N) / N, np.zeros(N)
    rival = scores("e", whole, "settled-pairs-rival-gain", "predicted")
    contrast = scores("e", nothing, "settled-pairs-contrast-gain", "predicted")
    checks = [CHECKS["cells-rival"], CHECKS["cells-contrast"]]
    # How many classes are judged says nothing: of a thousand, two may occur.
    held = replace(evidence(rival) if two else evidence(rival, contrast), classes=("a", "b"))
    made = decided(held, checks, {"e": "gradient"}, {})
    whole = made.verdicts[made.verdicts["class"] == EVERYTHING].set_index("check")
    rung = made.ladder[(made.ladder["rung"] == 4) & (made.ladder["class"] == EVERYTHING)]["reached"].item()
    if two:
        assert (whole.loc["cells-contrast", "verdict"], rung) == (Verdict.NOT_APPLICABLE, "yes")
        assert "two classes" in whole.loc["cells-contrast", "reason"]
    else:
        assert (whole.loc["cells-contrast", "verdict"], rung) == (Verdict.FAIL, "no")


def test_whoever_does_not_claim_amounts_reaches_their_rung_by_ranks() -> None:
    right = 0.9 + 0.01 * np.random.default_rng(0).normal(size=N)
    held = evidence(*(scores(name, right, "tile-ranks", "map") for name in ("claims", "other")))
    amounts = scores("claims", np.full(N, 0.5), "tile-amounts", "map")
    held = replace(held, scores=pd.concat([held.scores, amounts], ignore_index=True))
    checks = [CHECKS["tile-ranks"], CHECKS["tile-amounts"]]
    table = decided(held, checks, {"claims": "gradient", "other": "gradient"}, {}).ladder
    rung = table[table["rung"] == 6].set_index(["explainer", "class"])["reached"]
    assert rung["other", "all"] == rung["other", "a"] == "yes"
    assert rung["claims", "all"] == rung["claims", "a"] == "no"
    assert rung["other", "c"] == "not applicable", "no image is of it"
