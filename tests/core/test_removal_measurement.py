"""Removal on a network that sees one patch a class: the true map gains, the reversed one loses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import AGAIN, EXACT, PATCHES, SIDE, bright_patch_faces, make_case, names_in, oracle_of, patch_subject

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, Removal
from harness.perturbation import BlurFill, ConstantFill, Fill, MeanFill
from harness.store import CURVES, SCORES

STEPS = 12
FILLS = [BlurFill(), MeanFill(), ConstantFill(-1.0)]


def removal(fill: Fill = FILLS[0], draws: int = 2) -> Removal:
    return Removal(fill, STEPS, draws)


def values(scores: pd.DataFrame, metric: str, variant: str) -> np.ndarray:
    """The values of one metric and variant in the order of the images."""
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def noise_like(case: EvaluationSet) -> np.ndarray:
    return np.random.default_rng(5).random((len(case.targets), SIDE, SIDE), dtype=np.float32)


@pytest.fixture
def oracle(patch_case: EvaluationSet) -> np.ndarray:
    return oracle_of(patch_case)


# ---------------------------------------------------------------------- truth


@pytest.mark.parametrize("fill", FILLS, ids=str)
@pytest.mark.parametrize("metric", ["deletion-gain", "insertion-gain"])
def test_the_true_map_gains_over_its_spectrum_null_on_every_image(
    metric: str, fill: Fill, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    assert values(removal(fill).measure(Attributions(patch_case, oracle)).scores, metric, "spectrum-null").min() > 0


@pytest.mark.parametrize("metric", ["deletion-gain", "insertion-gain"])
def test_the_true_map_gains_more_than_noise_does(metric: str, patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    true, noise = (
        values(removal().measure(Attributions(patch_case, maps)).scores, metric, "spectrum-null")
        for maps in (oracle, noise_like(patch_case))
    )
    assert true.mean() > 5 * abs(noise.mean())


@pytest.mark.parametrize("metric", ["deletion-gain", "insertion-gain"])
def test_the_reversed_true_map_loses_to_its_null(metric: str, patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    assert values(removal().measure(Attributions(patch_case, -oracle)).scores, metric, "spectrum-null").max() < 0


def test_the_map_of_another_class_loses_to_its_own_class_map(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    strangers = oracle_of(replace(patch_case, probabilities=np.roll(patch_case.probabilities, 1, axis=1)))
    own, other = (removal().measure(Attributions(patch_case, maps)).scores for maps in (oracle, strangers))
    assert (values(own, "deletion-auc", "map") < values(other, "deletion-auc", "map")).all()


def test_a_portrait_of_the_class_gains_nothing_over_its_transplant(patch_case: EvaluationSet) -> None:
    portrait = np.zeros((len(patch_case.targets), SIDE, SIDE), np.float32)
    for found, target in zip(portrait, patch_case.targets, strict=True):
        found[PATCHES[target]] = np.arange(1, 5).reshape(2, 2)
        found += np.linspace(0, 0.5, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    gain = values(removal().measure(Attributions(patch_case, portrait)).scores, "deletion-gain", "transplant-null")
    assert gain.tolist() == [0] * len(gain)


# ---------------------------------------------------------------------- curves


def curve(curves: pd.DataFrame, metric: str, variant: str) -> np.ndarray:
    held = curves[(curves["metric"] == metric) & (curves["variant"] == variant)]
    return held["value"].to_numpy().reshape(-1, STEPS + 1)


@pytest.mark.parametrize("variant", ["map", "spectrum-null", "transplant-null"])
def test_nothing_removed_is_the_original_probability(
    variant: str, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    curves = removal().measure(Attributions(patch_case, oracle)).curves
    original = patch_case.probabilities.max(1)
    # The same float32 pass, alone or among others.
    np.testing.assert_allclose(curve(curves, "deletion", variant)[:, 0], original, atol=AGAIN)
    np.testing.assert_allclose(curve(curves, "insertion", variant)[:, -1], original, atol=AGAIN)


def test_deletion_ends_where_insertion_begins(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    curves = removal().measure(Attributions(patch_case, oracle)).curves
    assert (curve(curves, "deletion", "map")[:, -1] == curve(curves, "insertion", "map")[:, 0]).all()


def test_insertion_shows_the_most_relevant_pixels_first(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    risen = curve(removal().measure(Attributions(patch_case, oracle)).curves, "insertion", "map")
    # The patch is a 36th of the picture, so at a twelfth everything that the network sees of the target is shown.
    assert (risen[:, 1] > 0.5 * (risen[:, 0] + risen[:, -1])).all()


@pytest.mark.parametrize(("metric", "better"), [("deletion", -1), ("insertion", 1)])
@pytest.mark.parametrize("null", ["spectrum-null", "transplant-null"])
def test_the_gain_is_the_difference_of_the_areas(
    metric: str, better: int, null: str, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    found = removal().measure(Attributions(patch_case, oracle))
    x = np.linspace(0, 1, STEPS + 1)
    map_area, null_area = (np.trapezoid(curve(found.curves, metric, name), x) for name in ("map", null))
    # Two sums of thirteen doubles in another order.
    np.testing.assert_allclose(
        values(found.scores, f"{metric}-gain", null), better * (map_area - null_area), atol=EXACT
    )


def test_the_spectrum_null_is_the_mean_of_its_draws(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    both = curve(removal(draws=2).measure(Attributions(patch_case, oracle)).curves, "deletion", "spectrum-null")
    one, other = (
        curve(removal(draws=1).measure(Attributions(case, oracle)).curves, "deletion", "spectrum-null")
        for case in (patch_case, replace(patch_case, seed=1))
    )
    assert (one != other).any()
    np.testing.assert_array_equal(both, (one + other) / 2)


def test_every_point_of_every_curve_is_one_pass_but_for_the_shared_ends(
    patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    before = patch_case.subject.passes.forward
    removal(draws=3).measure(Attributions(patch_case, oracle))
    curves = 1 + 3 + 1  # the map, its spectrum nulls, its transplant
    assert patch_case.subject.passes.forward - before == (curves * 2 * (STEPS - 1) + 2) * len(oracle)


# ---------------------------------------------------------------------- what does not matter


def test_a_positive_factor_changes_nothing(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    one, other = (removal().measure(Attributions(patch_case, maps)).scores for maps in (oracle, 4 * oracle))
    pd.testing.assert_frame_equal(one, other)


def test_an_images_scores_do_not_depend_on_its_company(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    index = np.array([9, 2])
    alone = replace(patch_case, faces=patch_case.faces.take(index), probabilities=patch_case.probabilities[index])
    both = Attributions(patch_case, oracle), Attributions(alone, oracle[index])
    whole, part = (removal().measure(attributions).scores for attributions in both)
    for variant in ("map", "spectrum-null"):
        # The same pixels through the network in another batch.
        np.testing.assert_allclose(
            values(part, "deletion-auc", variant), values(whole, "deletion-auc", variant)[index], atol=AGAIN
        )


# ---------------------------------------------------------------------- undefined is not zero


def rows_of(scores: pd.DataFrame, case: EvaluationSet, number: int) -> pd.DataFrame:
    return scores[scores["image"] == case.faces.ids[number]]


def test_a_constant_map_is_undefined_throughout(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    oracle[4] = 0.25
    found = removal().measure(Attributions(patch_case, oracle))
    mine = rows_of(found.scores, patch_case, 4)
    assert mine["value"].isna().all()
    assert set(mine["status"]) == {"undefined"}
    assert mine["reason"].str.contains("constant map").all()
    assert found.curves[found.curves["image"] == patch_case.faces.ids[4]]["value"].isna().all()


def test_a_constant_map_leaves_the_other_images_defined(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    clean = removal().measure(Attributions(patch_case, oracle.copy())).scores
    oracle[4] = 0.25
    scores = removal().measure(Attributions(patch_case, oracle)).scores
    others = scores[(scores["image"] != patch_case.faces.ids[4]) & (scores["variant"] != "transplant-null")]
    assert others.loc[others["variant"] != "segment-null", "value"].notna().all()
    expected = clean.loc[others.index]
    pd.testing.assert_frame_equal(others, expected)


def test_a_constant_map_is_no_null_of_another_image(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    oracle[4] = 0.25
    gain = values(removal().measure(Attributions(patch_case, oracle)).scores, "deletion-gain", "transplant-null")
    # Image 4 itself, and the one image of its class that it is the donor of.
    assert np.isnan(gain).sum() == 2


def test_the_transplant_null_of_a_class_with_one_image_is_undefined() -> None:
    faces = bright_patch_faces()
    case = make_case(patch_subject(), faces.take(np.array([0, 3, 6, 1])))
    scores = removal().measure(Attributions(case, oracle_of(case))).scores
    lonely = rows_of(scores, case, 3)
    transplant = lonely["variant"] == "transplant-null"
    assert lonely[transplant]["value"].isna().all()
    assert lonely[transplant]["reason"].str.contains("no other image of its class").all()
    assert lonely[lonely["variant"].isin(["map", "spectrum-null"])]["value"].notna().all()


# ---------------------------------------------------------------------- rows


def test_there_is_one_row_an_image_metric_and_variant(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    scores = removal().measure(Attributions(patch_case, oracle)).scores
    assert list(scores.columns) == list(SCORES)
    counts = scores.groupby([names_in(scores), "variant"])["image"].agg(["size", "nunique"])
    assert (counts == len(oracle)).all(axis=None)
    nulls = ("spectrum-null", "transplant-null")
    others = ["comprehensiveness", "sufficiency", "monotonicity-arya"]
    plain, gains = [*others, "symmetric-relevance-gain"], [*others, "symmetric-relevance-gain-over-null"]
    for curve_name in ("deletion", "insertion"):
        plain += [f"{curve_name}-auc", f"{curve_name}-auc-logit"]
        gains += [curve_name, f"{curve_name}-gain-logit"]
    assert set(counts.index) == {
        *((name, v) for name in plain for v in ("map", *nulls)),
        *((name if "gain-" in name else f"{name}-gain", v) for name in gains for v in nulls),
        *((f"{m}-{kind}", "segment-null") for m in ("deletion", "insertion") for kind in ("auc", "gain")),
    }


def test_rows_name_the_image_and_its_classes(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    scores = removal().measure(Attributions(patch_case, oracle)).scores
    first = scores[(names_in(scores) == "deletion-auc") & (scores["variant"] == "map")]
    assert first["image"].tolist() == patch_case.faces.ids.tolist()
    assert first["target"].tolist() == patch_case.target_names.tolist()
    assert first["label"].tolist() == patch_case.label_names.tolist()


def test_curve_rows_have_the_stored_columns(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    assert list(removal().measure(Attributions(patch_case, oracle)).curves.columns) == list(CURVES)
