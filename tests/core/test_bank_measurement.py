"""Hidden patches on a linear network: its true contributions foretell every drop, and nothing else does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, EXACT, PATCHES, SIDE, kept_once, names_in, oracle_of

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, MaskBank, Measurement, SinglePatches
from harness.measurements.banks import REMOVED
from harness.perturbation import BlurFill, ConstantFill, MeanFill, grid_cells
from harness.store import SCORES

BANK = MaskBank(BlurFill(), 24, 1)
SINGLE = SinglePatches(BlurFill(), 1)
BANKED = ("faithfulness-correlation", "sensitivity-n", "infidelity", "scaled-infidelity")
SINGLED = ("faithfulness-estimate", "monotonicity-nguyen", "sensitivity", "non-sensitivity")
CORRELATIONS = [
    (BANK, "faithfulness-correlation"),
    (BANK, "sensitivity-n"),
    (SINGLE, "faithfulness-estimate"),
    (SINGLE, "monotonicity-nguyen"),
]
BOTH = pytest.mark.parametrize(("measurement", "metrics"), [(BANK, BANKED), (SINGLE, SINGLED)], ids=["bank", "single"])


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def measured(measurement: Measurement, case: EvaluationSet, maps: np.ndarray) -> pd.DataFrame:
    return measurement.measure(Attributions(case, maps)).scores


def noise_like(case: EvaluationSet) -> np.ndarray:
    return np.random.default_rng(5).random((len(case.targets), SIDE, SIDE), dtype=np.float32)


def exact(case: EvaluationSet, measurement: MaskBank | SinglePatches) -> np.ndarray:
    """What each pixel adds to the target's logit over the fill: the whole truth of a linear network."""
    weights = case.subject.network.read.weight.reshape(-1, SIDE, SIDE)[torch.from_numpy(case.targets)]
    everything = np.ones((len(case.targets), SIDE, SIDE), bool)
    filled = measurement.fill.prepare(case.images)(everything, 0)
    return (weights * (case.images - filled)[:, 0]).numpy()


# ---------------------------------------------------------------------- truth


@pytest.mark.parametrize("fill", [BlurFill(), MeanFill(), ConstantFill(-1.0)], ids=str)
@pytest.mark.parametrize("metric", ["faithfulness-correlation", "sensitivity-n"])
def test_exact_contributions_foretell_every_drop(metric: str, fill: BlurFill, patch_case: EvaluationSet) -> None:
    bank = replace(BANK, fill=fill)
    # Logits in single precision: a correlation of nearly one falls with the square of their error.
    np.testing.assert_allclose(
        values(measured(bank, patch_case, exact(patch_case, bank)), metric), 1, atol=EXACT + AGAIN**2
    )


@pytest.mark.parametrize("metric", ["infidelity", "scaled-infidelity"])
def test_exact_contributions_leave_no_infidelity(metric: str, patch_case: EvaluationSet) -> None:
    found = values(measured(BANK, patch_case, exact(patch_case, BANK)), metric)
    # Squared errors of logits in single precision, of order 5.
    assert found.max() < (5 * AGAIN) ** 2


@pytest.mark.parametrize("metric", ["faithfulness-estimate", "monotonicity-nguyen"])
def test_exact_contributions_tell_each_patchs_drop(metric: str, patch_case: EvaluationSet) -> None:
    found = values(measured(SINGLE, patch_case, exact(patch_case, SINGLE)), metric)
    assert found.min() > 0.999


@pytest.mark.parametrize("metric", ["sensitivity", "non-sensitivity"])
def test_exact_contributions_break_no_axiom(metric: str, patch_case: EvaluationSet) -> None:
    assert values(measured(SINGLE, patch_case, exact(patch_case, SINGLE)), metric).tolist() == [0] * 18


def test_an_empty_map_beside_the_patch_misses_every_effect(patch_case: EvaluationSet) -> None:
    maps = np.zeros((18, SIDE, SIDE), np.float32)
    maps[:, 0, 11] = 1
    assert values(measured(SINGLE, patch_case, maps), "sensitivity").tolist() == [1] * 18


def test_a_map_that_is_everywhere_invents_relevance_everywhere(patch_case: EvaluationSet) -> None:
    maps = 1 + noise_like(patch_case)
    assert values(measured(SINGLE, patch_case, maps), "non-sensitivity").tolist() == [1] * 18


@pytest.mark.parametrize(("measurement", "metric"), CORRELATIONS, ids=lambda each: getattr(each, "name", each))
def test_the_true_map_gains_over_its_spectrum_null(
    measurement: Measurement, metric: str, patch_case: EvaluationSet
) -> None:
    gain = values(measured(measurement, patch_case, oracle_of(patch_case)), f"{metric}-gain", "spectrum-null")
    assert gain.mean() > 0.3


@pytest.mark.parametrize(("measurement", "metric"), CORRELATIONS, ids=lambda each: getattr(each, "name", each))
def test_noise_gains_next_to_nothing(measurement: Measurement, metric: str, patch_case: EvaluationSet) -> None:
    gain = values(measured(measurement, patch_case, noise_like(patch_case)), f"{metric}-gain", "spectrum-null")
    assert abs(gain.mean()) < 4 * gain.std() / len(gain) ** 0.5


@pytest.mark.parametrize(("measurement", "metric"), CORRELATIONS[:3], ids=lambda each: getattr(each, "name", each))
def test_the_reversed_true_map_loses_to_its_null(
    measurement: Measurement, metric: str, patch_case: EvaluationSet
) -> None:
    gain = values(measured(measurement, patch_case, -oracle_of(patch_case)), f"{metric}-gain", "spectrum-null")
    assert gain.mean() < -0.3


def test_a_map_is_not_forgiven_its_sign(patch_case: EvaluationSet) -> None:
    true = exact(patch_case, BANK)
    own, other = (values(measured(BANK, patch_case, maps), "scaled-infidelity") for maps in (true, -true))
    assert (own < other / 1000).all()


@BOTH
def test_a_portrait_of_the_class_gains_nothing_over_its_transplant(
    measurement: Measurement, metrics: tuple[str, ...], patch_case: EvaluationSet
) -> None:
    portrait = np.zeros((18, SIDE, SIDE), np.float32)
    for found, target in zip(portrait, patch_case.targets, strict=True):
        found[PATCHES[target]] = 1
    scores = measured(measurement, patch_case, portrait)
    for metric in metrics:
        assert values(scores, f"{metric}-gain", "transplant-null").tolist() == [0] * 18


# ---------------------------------------------------------------------- the network is asked once


@pytest.mark.parametrize(
    ("measurement", "asked"), [(BANK, 1 + len(REMOVED) * 24), (SINGLE, 1 + 64)], ids=["bank", "single"]
)
def test_the_network_is_asked_once_for_all_explainers(
    measurement: Measurement, asked: int, patch_case: EvaluationSet
) -> None:
    shared = kept_once()
    before = patch_case.subject.passes.forward
    for maps in (oracle_of(patch_case), noise_like(patch_case), -oracle_of(patch_case)):
        measurement.measure(Attributions(patch_case, maps, shared=shared))
    assert patch_case.subject.passes.forward - before == asked * len(patch_case.targets)


def test_another_fill_or_size_asks_anew(patch_case: EvaluationSet) -> None:
    shared = kept_once()
    drops = set()
    for bank in (BANK, replace(BANK, masks=12), replace(BANK, fill=MeanFill())):
        bank.measure(Attributions(patch_case, oracle_of(patch_case), shared=shared))
        drops.add(patch_case.subject.passes.forward)
    assert len(drops) == 3


def test_masks_remove_exactly_their_share_of_the_cells(patch_case: EvaluationSet) -> None:
    removed, cells = BANK._removed(patch_case), grid_cells((SIDE, SIDE), 8)
    gone = np.stack([removed[:, :, cells == cell].all(axis=2) for cell in range(64)], axis=2).sum(axis=2)
    assert gone.tolist() == [[share * 64] * 24 for share in REMOVED]


# ---------------------------------------------------------------------- what does not matter


@BOTH
def test_a_positive_factor_changes_nothing_but_infidelity(
    measurement: Measurement, metrics: tuple[str, ...], patch_case: EvaluationSet
) -> None:
    maps = oracle_of(patch_case)
    one, other = (measured(measurement, patch_case, factor * maps) for factor in (1, 4))
    for metric in metrics:
        if metric != "infidelity":
            # A power of two moves no digit.
            assert values(one, metric).tolist() == values(other, metric).tolist()


@BOTH
def test_an_images_scores_do_not_depend_on_its_company(
    measurement: Measurement, metrics: tuple[str, ...], patch_case: EvaluationSet
) -> None:
    index = np.array([9, 2, 12])
    maps = oracle_of(patch_case)
    whole, part = measured(measurement, patch_case, maps), measured(measurement, patch_case.take(index), maps[index])
    for metric in metrics:
        for variant in ("map", "spectrum-null"):
            # The same pixels through the network in another batch.
            np.testing.assert_allclose(
                values(part, metric, variant), values(whole, metric, variant)[index], rtol=0, atol=AGAIN
            )


# ---------------------------------------------------------------------- rows


@BOTH
def test_there_is_one_row_an_image_metric_and_variant(
    measurement: Measurement, metrics: tuple[str, ...], patch_case: EvaluationSet
) -> None:
    scores = measured(measurement, patch_case, oracle_of(patch_case))
    assert list(scores.columns) == list(SCORES)
    counts = scores.groupby([names_in(scores), "variant"])["image"].agg(["size", "nunique"])
    assert (counts == 18).all(axis=None)
    assert set(counts.index) == {
        *((metric, variant) for metric in metrics for variant in ("map", "spectrum-null", "transplant-null")),
        *((f"{metric}-gain", variant) for metric in metrics for variant in ("spectrum-null", "transplant-null")),
    }


@BOTH
def test_a_constant_map_is_undefined_and_says_so(
    measurement: Measurement, metrics: tuple[str, ...], patch_case: EvaluationSet
) -> None:
    maps = oracle_of(patch_case)
    maps[4] = 0.25
    scores = measured(measurement, patch_case, maps)
    mine = scores[scores["image"] == patch_case.faces.ids[4]]
    assert mine["value"].isna().all()
    assert set(mine["status"]) == {"undefined"}
    assert mine["reason"].str.contains("constant map").all()
    others = scores[(scores["image"] != patch_case.faces.ids[4]) & (scores["variant"] == "map")]
    assert others["value"].notna().all()
