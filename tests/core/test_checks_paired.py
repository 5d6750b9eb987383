"""Paired differences: images are the sample, undefined ones are counted, a control is not its own rival."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from tiny import EXACT

from harness.checks import CHECKS, EVERYTHING, Evidence, Finding, Verdict, judged
from harness.checks.paired import PairedScores
from harness.statistics import noninferiority_p, sign_flip_p
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
            "metric": metric,
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


def test_p_is_the_exact_sign_flip_p_against_the_margin(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING]
    assert found.p == sign_flip_p(gains, margin=CHECKS["deletion-spectrum"].margin)


def test_p_of_a_claim_of_at_most_is_against_the_margin_from_below(gains: np.ndarray) -> None:
    held = evidence(scores("e", gains, "randomization-full-excess", "transplant-null"))
    assert findings("randomization-full", held)[EVERYTHING].p == noninferiority_p(gains, 0.1)


def test_the_interval_is_the_bca_one(gains: np.ndarray) -> None:
    found = findings("deletion-spectrum", evidence(scores("e", gains)))[EVERYTHING]
    reference = bootstrap((gains,), np.mean, confidence_level=0.99, rng=np.random.default_rng(1)).confidence_interval
    # Two sets of 9,999 resamples: the .5% quantile of a mean with standard error .018 wanders by about .001.
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=0.004)


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


# ---------------------------------------------------------------------- undefined


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
    assert (found.n, found.reason) == (1, "1 of 1 scores are defined")


# ---------------------------------------------------------------------- against another explainer


def test_the_other_explainers_score_of_the_same_image_is_subtracted(gains: np.ndarray) -> None:
    other = np.random.default_rng(1).normal(0, 0.1, N)
    control = scores("edges", other).iloc[::-1]  # rows in another order
    found = findings("deletion-edges", evidence(scores("e", gains), control))[EVERYTHING]
    assert found.effect == pytest.approx((gains - other).mean(), abs=EXACT)
    assert found.p == sign_flip_p(gains - other)


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
        ("srg-spectrum", "symmetric-relevance-gain-gain", "spectrum-null"),
        ("srg-transplant", "symmetric-relevance-gain-gain", "transplant-null"),
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
