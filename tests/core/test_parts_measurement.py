"""Parts on a linear network whose parts have known effects, whatever their size."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import EXACT, PARTS, SIDE, acting_faces, contributions, kept_once, make_case, names_in, parts_subject

from harness.checks import CHECKS, Evidence, judged
from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, EvidenceLocalization, Measured, Parts

METRICS = ("part-spearman", "part-kendall")


@pytest.fixture
def acting() -> EvaluationSet:
    return make_case(parts_subject(), acting_faces())


def measured(case: EvaluationSet, maps: np.ndarray) -> pd.DataFrame:
    return Parts(1).measure(Attributions(case, maps)).scores


def values(scores: pd.DataFrame, metric: str, variant: str) -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def noise_like(case: EvaluationSet) -> np.ndarray:
    return np.random.default_rng(5).random((len(case.targets), SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_the_true_contributions_rank_every_faces_parts_right(metric: str, acting: EvaluationSet) -> None:
    found = values(measured(acting, contributions(acting)), metric, "map")
    # Ranks of three numbers, correlated in doubles.
    np.testing.assert_allclose(found, 1, atol=EXACT)


def test_a_map_whose_density_ranks_right_is_not_taken_for_one_whose_mass_does(acting: EvaluationSet) -> None:
    sizes = np.zeros((SIDE, SIDE), np.float32)
    for part in PARTS.values():
        sizes[part] = sizes[part].size
    dense = contributions(acting) * sizes / sizes.max()
    assert values(measured(acting, dense), "part-spearman", "map").mean() < 0.9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("null", ["spectrum-null", "transplant-null"])
def test_the_true_map_gains_over_both_nulls(metric: str, null: str, acting: EvaluationSet) -> None:
    gain = values(measured(acting, contributions(acting)), f"{metric}-gain", null)
    assert np.nanmean(gain) > 0.1


def test_noise_gains_next_to_nothing(acting: EvaluationSet) -> None:
    gain = values(measured(acting, noise_like(acting)), "part-spearman-gain", "spectrum-null")
    assert abs(gain.mean()) < 4 * gain.std() / len(gain) ** 0.5


def test_the_map_that_reverses_the_parts_scores_minus_one(acting: EvaluationSet) -> None:
    true = contributions(acting)
    maps = np.zeros_like(true)
    for part in PARTS.values():
        area = true[:, *part]
        maps[:, *part] = (10 - area.sum(axis=(1, 2)))[:, None, None] / area[0].size
    np.testing.assert_allclose(values(measured(acting, maps), "part-spearman", "map"), -1, atol=EXACT)


def test_a_portrait_gains_nothing_over_its_transplant_where_effects_are_alike(acting: EvaluationSet) -> None:
    portrait = np.repeat(contributions(acting)[:1], len(acting.targets), axis=0)
    gain = values(measured(acting, portrait), "part-spearman-gain", "transplant-null")
    assert gain.tolist() == [0] * len(gain)


def test_a_group_that_changes_nothing_is_left_out(acting: EvaluationSet) -> None:
    known = acting.faces.counterfactuals
    rested = known.at_rest.copy()
    rested[:, 0] = acting.faces.images[known.faces]
    case = replace(acting, faces=replace(acting.faces, counterfactuals=replace(known, at_rest=rested)))
    found = values(measured(case, contributions(case)), "part-spearman", "map")
    assert set(np.round(found, 12)) == {1}


def test_a_face_with_one_group_alone_is_undefined_and_says_so(acting: EvaluationSet) -> None:
    known = acting.faces.counterfactuals
    rested = known.at_rest.copy()
    rested[3, :2] = acting.faces.images[known.faces[3]]
    case = replace(acting, faces=replace(acting.faces, counterfactuals=replace(known, at_rest=rested)))
    scores = measured(case, contributions(case))
    mine = scores[(scores["image"] == case.faces.ids[known.faces[3]]) & (scores["variant"] == "map")]
    assert mine["value"].isna().all()
    assert mine["reason"].str.contains("fewer than two parts").all()


def test_faces_that_are_not_known_say_why(acting: EvaluationSet) -> None:
    labels = acting.faces.labels.copy()
    labels[4] = (labels[4] + 1) % 3
    case = replace(acting, faces=replace(acting.faces, labels=labels))
    scores = measured(case, contributions(case))
    mine = scores[scores["image"] == case.faces.ids[4]]
    assert mine["value"].isna().all()
    assert set(mine["reason"]) == {"the network is wrong about the face"}


def test_faces_that_were_not_rendered_again_give_no_rows(patch_case: EvaluationSet) -> None:
    assert not len(measured(patch_case, noise_like(patch_case)))


def test_an_images_scores_do_not_depend_on_its_company(acting: EvaluationSet) -> None:
    index = np.array([9, 2, 30])
    maps = contributions(acting) + 0.02 * noise_like(acting)
    whole, part = measured(acting, maps), measured(acting.take(index), maps[index])
    for metric in METRICS:
        assert values(part, metric, "map").tolist() == values(whole, metric, "map")[index].tolist()


def test_localisation_and_parts_ask_the_network_once_for_all_explainers(acting: EvaluationSet) -> None:
    shared = kept_once()
    before = acting.subject.passes.forward
    for maps in (contributions(acting), noise_like(acting)):
        attributions = Attributions(acting, maps, shared=shared)
        Parts(1).measure(attributions)
        EvidenceLocalization(1).measure(attributions)
    assert acting.subject.passes.forward - before == 4 * len(acting.targets)


def test_every_score_is_there_once_an_image(acting: EvaluationSet) -> None:
    scores = measured(acting, contributions(acting))
    counts = scores.groupby([names_in(scores), "variant"])["image"].agg(["size", "nunique"])
    assert (counts == len(acting.targets)).all(axis=None)
    assert {metric for metric, variant in counts.index if variant == "map"} == set(METRICS)


def test_the_check_passes_true_contributions_and_fails_noise(acting: EvaluationSet) -> None:
    maps = {"true": contributions(acting), "noise": np.abs(contributions(acting)).max() - contributions(acting)}
    scores = [measured(acting, each).assign(explainer=name) for name, each in maps.items()]
    held = Measured.joined([Measured(scores=s) for s in scores]).scores
    evidence = Evidence(held, Measured().matrices, acting.subject.classes, 0)
    verdicts = judged([CHECKS["parts-spectrum"]], evidence, list(maps))
    over_all = verdicts[verdicts["class"] == "all"].set_index("explainer")["verdict"]
    assert dict(over_all) == {"true": "pass", "noise": "fail"}
