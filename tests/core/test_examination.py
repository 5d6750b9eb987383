"""A metric judges only where it puts truth, noisy truth and noise in order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import SMALL, bright_patch_faces, no_progress, patch_subject, score_called

from harness import metric
from harness.checks import CHECKS, Evidence, Examination, Verdict, barred, examination_table, examined, judged
from harness.evaluation import Request, examine
from harness.metrics.cards import MetricCard, metric_cards
from harness.metrics.score import Score
from harness.oracles.known import NOISE, ORACLE, TRUTH, oracle_name
from harness.store import EXAMINATIONS, MATRICES, SCORES, RunFolder, frame, joined

N = 60


def rungs(truth: str) -> list[tuple[str, str]]:
    return [(oracle_name(share, truth), "map") for share in (0.0, *NOISE)] + [(truth, "spectrum-null")]


RUNGS = rungs(ORACLE)


def scores(explainer: str, metric: str, variant: str, values: Sequence[float]) -> pd.DataFrame:
    values = np.asarray(values, np.float64)
    rows = {"explainer": explainer, **vars(score_called(metric)), "variant": variant, "image": np.arange(len(values))}
    status = np.where(np.isnan(values), "undefined", "ok")
    rows |= {"label": "a", "predicted": "a", "target": "a", "value": values, "status": status, "reason": ""}
    return frame(SCORES, rows)


def evidence(means: Sequence[float], metric: str = "insertion-auc", spread: float = 0.02) -> Evidence:
    """Scores of each rung about a mean, paired by image."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=N)
    tables = [
        scores(name, metric, variant, mean + 0.1 * base + spread * rng.normal(size=N))
        for (name, variant), mean in zip(RUNGS, means, strict=True)
    ]
    return Evidence(joined(SCORES, tables), frame(MATRICES), ("a", "b"), 0)


def test_the_right_order_passes() -> None:
    found = examined(evidence([0.5, 0.4, 0.3, 0.2]))["insertion-auc"]
    assert (found.verdict, found.reason, found.n, found.undefined) == (Verdict.PASS, "", N, 0)
    assert found.discrimination == found.low == found.high == 1


def test_a_lower_is_better_metric_is_read_the_other_way_round() -> None:
    assert examined(evidence([0.2, 0.3, 0.4, 0.5], "deletion-auc"))["deletion-auc"].verdict is Verdict.PASS
    assert examined(evidence([0.5, 0.4, 0.3, 0.2], "deletion-auc"))["deletion-auc"].verdict is Verdict.FAIL


def test_a_metric_that_cannot_tell_truth_from_noise_fails() -> None:
    found = examined(evidence([0.3, 0.3, 0.3, 0.3]))["insertion-auc"]
    assert found.verdict is Verdict.FAIL
    assert found.low < 0.5 < found.high
    assert "does not put the true causes before noise" in found.reason


def test_a_step_that_is_not_shown_is_named() -> None:
    found = examined(evidence([0.5, 0.4, 0.4, 0.2]))["insertion-auc"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "not shown: the true causes with 40% noise before the true causes with 70% noise"


def test_images_without_all_scores_are_left_out_and_counted() -> None:
    held = evidence([0.5, 0.4, 0.3, 0.2])
    holes = held.scores["image"] < 4
    table = held.scores.assign(value=held.scores["value"].mask(holes))
    found = examined(Evidence(table, held.matrices, held.classes, 0))["insertion-auc"]
    assert (found.n, found.undefined) == (N - 4, 4)


@pytest.mark.parametrize("missing", range(len(RUNGS)))
def test_a_metric_without_every_rung_is_not_examined(missing: int) -> None:
    held = evidence([0.5, 0.4, 0.3, 0.2])
    name, variant = RUNGS[missing]
    kept = held.scores[(held.scores["explainer"] != name) | (held.scores["variant"] != variant)]
    assert examined(Evidence(kept, held.matrices, held.classes, 0)) == {}


def beside(held: Evidence, more: Sequence[pd.DataFrame]) -> Evidence:
    return Evidence(joined(SCORES, [held.scores, *more]), held.matrices, held.classes, 0)


def control(name: str, metric: str, values: Sequence[float], pairs: float = 0.6) -> list[pd.DataFrame]:
    """A control's scores, and the share of settled pairs that it orders right."""
    return [scores(name, metric, "map", values), scores(name, "settled-pairs", "map", [pairs] * N)]


def about(mean: float, seed: int) -> np.ndarray:
    found: np.ndarray = mean + 0.02 * np.random.default_rng(seed).normal(size=N)
    return found


@pytest.mark.parametrize("name", ["edges", "centre", "mean-face", "mean-image"])
def test_a_metric_that_prefers_what_knows_nothing_of_the_network_fails(name: str) -> None:
    held = beside(evidence([0.5, 0.4, 0.3, 0.2]), control(name, "insertion-auc", about(0.9, 1)))
    found = examined(held)["insertion-auc"]
    assert found.verdict is Verdict.FAIL
    assert found.discrimination == 1
    assert found.reason == f"puts {name} before the true causes, whatever the network"


def test_one_that_does_not_put_the_truth_before_them_is_not_shown_to_see_the_network() -> None:
    alike = evidence([0.5, 0.4, 0.3, 0.2]).scores.query("explainer == @ORACLE and variant == 'map'")
    noise = np.random.default_rng(2).normal(size=N)
    held = beside(evidence([0.5, 0.4, 0.3, 0.2]), control("edges", "insertion-auc", alike["value"] + noise))
    found = examined(held)["insertion-auc"]
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "not shown: the true causes before edges")


def test_a_control_with_hardly_a_score_is_left_out() -> None:
    values = np.full(N, np.nan)
    values[0] = 0.9
    held = beside(evidence([0.5, 0.4, 0.3, 0.2]), control("edges", "insertion-auc", values))
    assert examined(held)["insertion-auc"].verdict is Verdict.PASS


def test_a_control_that_shows_what_counted_speaks_against_no_metric() -> None:
    """Of an object on plain ground edges are a good map, and finer than cells."""
    held = beside(evidence([0.5, 0.4, 0.3, 0.2]), control("edges", "insertion-auc", about(0.9, 1), pairs=0.9))
    assert examined(held)["insertion-auc"].verdict is Verdict.PASS


@pytest.mark.parametrize(("metric", "by"), [("insertion-auc", TRUTH), ("part-spearman", ORACLE)])
def test_a_metric_is_examined_by_the_truth_of_its_kind(metric: str, by: str) -> None:
    """The game's truth where it was played, true causes for what asks about parts; the other is not looked at."""
    right, wrong = [0.5, 0.4, 0.3, 0.2], [0.3, 0.3, 0.3, 0.3]
    tables = [
        scores(name, metric, variant, about(mean, seed))
        for truth in (TRUTH, ORACLE)
        for seed, ((name, variant), mean) in enumerate(zip(rungs(truth), right if truth == by else wrong, strict=True))
    ]
    found = examined(Evidence(joined(SCORES, tables), frame(MATRICES), ("a", "b"), 0))[metric]
    assert found.verdict is Verdict.PASS


def test_a_metric_without_direction_is_not_examined() -> None:
    assert examined(evidence([0.5, 0.4, 0.3, 0.2], "sparseness")) == {}


def test_the_table_has_the_columns_that_are_promised() -> None:
    table = examination_table(examined(evidence([0.5, 0.4, 0.3, 0.2])))
    assert list(table.columns) == list(EXAMINATIONS)
    assert table["verdict"].tolist() == ["pass"]


def test_a_metric_that_did_not_pass_is_barred_by_every_name_that_a_deciding_check_has_for_it() -> None:
    judging = {check.metric for check in CHECKS.values() if check.decides and check.metric}
    names = {score: name for name in metric_cards() for score in (name, Score(name).gain.name) if score in judging}
    assert {"settled-pairs", "settled-pairs-gain"} <= set(names)
    failed = {name: Examination(name, 9, 0, 0.5, 0.4, 0.6, 0.5, Verdict.FAIL, "why") for name in names.values()}
    assert set(names) <= set(barred(failed))


def test_a_metric_that_did_not_pass_is_barred_with_its_variants() -> None:
    failed = {"settled-pairs": Examination("settled-pairs", 9, 0, 0.5, 0.4, 0.6, 0.5, Verdict.FAIL, "why")}
    deciding = {check.metric for check in CHECKS.values() if check.decides and check.rung == 4}
    assert {"settled-pairs-rival-gain", "settled-pairs-contrast-gain"} == deciding
    assert deciding <= set(barred(failed))


def test_a_control_of_which_it_is_not_known_whether_it_shows_what_counted_is_asked() -> None:
    held = evidence([0.5, 0.4, 0.3, 0.2])
    centre = scores("centre", "insertion-auc", "map", held.of(ORACLE, "insertion-auc", "map")["value"].to_numpy() + 0.1)
    whole = replace(held, scores=joined(SCORES, [held.scores, centre]))
    assert examined(whole)["insertion-auc"].verdict is Verdict.FAIL
    right = scores("centre", "settled-pairs", "map", np.full(N, 0.9))
    assert (
        examined(replace(whole, scores=joined(SCORES, [whole.scores, right])))["insertion-auc"].verdict is Verdict.PASS
    )


@pytest.mark.parametrize(("means", "verdict"), [([0.5, 0.4, 0.3, 0.2], "pass"), ([0.3] * 4, "not applicable")])
def test_a_metric_that_did_not_pass_judges_nobody(means: list[float], verdict: str) -> None:
    held = evidence(means)
    gains = scores("e", "insertion-gain", "spectrum-null", 0.3 + 0.01 * np.random.default_rng(0).normal(size=N))
    rules = barred(examined(held))
    whole = Evidence(joined(SCORES, [held.scores, gains]), held.matrices, held.classes, 0, rules)
    row = judged([CHECKS["insertion-spectrum"]], whole, ["e"]).iloc[0]
    assert row["verdict"] == verdict
    assert row["effect"] == pytest.approx(0.3, abs=0.01)  # what was found is shown all the same
    assert ("insertion-auc did not pass its examination" in row["reason"]) == (verdict != "pass")


def share_in_the_middle(maps: np.ndarray) -> np.ndarray:
    """Asks no network: how much of a map lies in the middle of the picture."""
    sizes = np.abs(maps)
    found: np.ndarray = sizes[:, 3:9, 3:9].sum(axis=(1, 2)) / sizes.sum(axis=(1, 2))
    return found


def test_on_pictures_of_no_known_cause_metrics_are_examined_by_the_game(
    tmp_path: Path, metric_registry: dict[str, MetricCard]
) -> None:
    metric(name="in-the-middle", higher_is_better=True, range=(0.0, 1.0))(share_in_the_middle)
    profile = replace(SMALL, per_class=12, cells_per_class=12)
    mine = (metric_registry["in-the-middle"],)
    request = Request(patch_subject(), bright_patch_faces(36), (), (), profile, metrics=mine)
    found = examine(request, RunFolder(tmp_path), no_progress).set_index("metric")
    assert found.loc["deletion-auc", "verdict"] == found.loc["settled-pairs", "verdict"] == "pass"
    assert found.loc["in-the-middle", "verdict"] == "fail"
