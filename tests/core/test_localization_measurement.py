"""Localisation on evidence that is known: a planted mark, and the causes of a linear network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import (
    PARTS,
    PATCHES,
    SIDE,
    acting_faces,
    bright_patch_faces,
    contributions,
    kept_once,
    make_case,
    names_in,
    oracle_of,
    parts_subject,
    patch_subject,
)

from harness.checks import CHECKS, Evidence, judged
from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, EvidenceLocalization, Measured
from harness.measurements.localization import strongest


@pytest.fixture
def marked() -> EvaluationSet:
    faces = bright_patch_faces(60)
    mark = np.zeros((60, SIDE, SIDE), np.float32)
    for index in range(60):
        mark[index][PATCHES[index % 3]] = 1
    return make_case(patch_subject(), replace(faces, evidence={"mark": mark}))


def mean(found: Measured, metric: str, variant: str) -> float:
    rows = found.scores[(names_in(found.scores) == metric) & (found.scores["variant"] == variant)]
    return float(rows["value"].mean())


def test_a_map_of_the_mark_alone_has_all_its_mass_there(marked: EvaluationSet) -> None:
    found = EvidenceLocalization(1).measure(Attributions(marked, (oracle_of(marked) > 0.5).astype(np.float32)))
    assert mean(found, "mass-on-mark", "map") == 1


def test_a_map_beside_the_mark_has_no_mass_there(marked: EvaluationSet) -> None:
    found = EvidenceLocalization(1).measure(Attributions(marked, (oracle_of(marked) < 0.5).astype(np.float32)))
    assert mean(found, "mass-on-mark", "map") == 0


@pytest.mark.parametrize("metric", ["relevance-mass", "relevance-rank", "localization-auc", "pointing-game"])
def test_where_the_mark_is_all_that_is_known_it_has_the_plain_names(metric: str, marked: EvaluationSet) -> None:
    found = EvidenceLocalization(1).measure(Attributions(marked, (oracle_of(marked) > 0.5).astype(np.float32)))
    assert mean(found, metric, "map") == 1


def test_a_null_map_has_about_the_share_of_the_mark(marked: EvaluationSet) -> None:
    # 4 of 144 pixels; the mean over 60 nulls of one blob was .021.
    assert (
        mean(EvidenceLocalization(1).measure(Attributions(marked, oracle_of(marked))), "mass-on-mark", "spectrum-null")
        < 0.1
    )


def test_a_null_map_is_scored_at_nine_places(marked: EvaluationSet) -> None:
    # One pixel, wherever its null puts it, lies at nine places a third apart of either side: on the mark of 2 x 2
    # at one of them or at none, as one place in four is, since a third of 12 pixels is 4.
    maps = np.zeros((60, SIDE, SIDE), np.float32)
    maps[:, 5, 7] = 1.0
    found = EvidenceLocalization(1).measure(Attributions(marked, maps)).scores
    share = values(found, "mass-on-mark", "spectrum-null") * 9
    assert set(share.round(5)) == {0.0, 1.0}
    # A binomial of 60 and 1/4 lies between 3 and 30 but once in 10,000.
    assert 3 <= share.sum() <= 30


def test_without_any_positive_relevance_the_share_is_undefined_and_not_zero(marked: EvaluationSet) -> None:
    found = EvidenceLocalization(1).measure(Attributions(marked, -np.ones((60, SIDE, SIDE), np.float32)))
    assert found.scores["value"].isna().all()
    assert set(found.scores["status"]) == {"undefined"}


def test_pictures_without_a_mark_are_nobodys_fault(marked: EvaluationSet) -> None:
    mark = marked.faces.evidence["mark"].copy()
    mark[::3] = 0
    some = make_case(patch_subject(), replace(marked.faces, evidence={"mark": mark}))
    found = EvidenceLocalization(1).measure(Attributions(some, oracle_of(some))).scores.assign(explainer="oracle")
    rows = found[names_in(found) == "mass-on-mark-gain"]
    assert set(rows.loc[rows["value"].isna(), "status"]) == {"not scorable"}
    check = CHECKS["mark-spectrum"]
    whole = check.judge(check, Evidence(found, Measured().matrices, some.classes, 0), "oracle")[0]
    assert (whole.n, whole.undefined, whole.blank) == (40, 20, 0)


def test_faces_without_a_mark_give_no_rows(patch_case: EvaluationSet) -> None:
    assert not len(EvidenceLocalization(1).measure(Attributions(patch_case, oracle_of(patch_case))).scores)


def test_the_check_passes_the_mark_and_fails_a_map_beside_it(marked: EvaluationSet) -> None:
    oracle = oracle_of(marked)
    scores = []
    for name, maps in (("oracle", oracle), ("beside", oracle.max() - oracle)):
        scores.append(EvidenceLocalization(1).measure(Attributions(marked, maps)).scores.assign(explainer=name))
    evidence = Evidence(Measured.joined([Measured(scores=s) for s in scores]).scores, Measured().matrices, ("left",), 0)
    verdicts = judged([CHECKS["mark-spectrum"]], evidence, ["oracle", "beside"])
    over_all = verdicts[verdicts["class"] == "all"].set_index("explainer")["verdict"]
    assert dict(over_all) == {"oracle": "pass", "beside": "fail"}


# ---------------------------------------------------------------------- causes

METRICS = (
    "pointing-game",
    "relevance-mass",
    "attribution-localization",
    "relevance-rank",
    "top-k-intersection",
    "localization-auc",
    "intersection-over-union",
)
BETTER = [metric for metric in METRICS if metric != "intersection-over-union"]


@pytest.fixture
def acting() -> EvaluationSet:
    return make_case(parts_subject(), acting_faces())


def values(scores: pd.DataFrame, metric: str, variant: str) -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def measured(case: EvaluationSet, maps: np.ndarray) -> pd.DataFrame:
    return EvidenceLocalization(1).measure(Attributions(case, maps)).scores


def noise_like(case: EvaluationSet) -> np.ndarray:
    return np.random.default_rng(5).random((len(case.targets), SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_the_true_map_beats_its_spectrum_null_on_causes(metric: str, acting: EvaluationSet) -> None:
    gain = values(measured(acting, contributions(acting)), f"{metric.removesuffix('-auc')}-gain", "spectrum-null")
    assert gain.mean() > 0.1


@pytest.mark.parametrize("metric", METRICS)
def test_noise_gains_next_to_nothing_on_causes(metric: str, acting: EvaluationSet) -> None:
    scores = measured(acting, noise_like(acting))
    gain = values(scores, f"{metric.removesuffix('-auc')}-gain", "spectrum-null")
    # Of 60 images: within four standard errors of none.
    assert abs(gain.mean()) < 4 * gain.std() / 60**0.5


def test_the_reversed_map_loses_to_its_null(acting: EvaluationSet) -> None:
    maps = noise_like(acting) / 10 - contributions(acting)
    assert values(measured(acting, maps), "localization-gain", "spectrum-null").mean() < -0.1


@pytest.mark.parametrize("metric", METRICS)
def test_a_portrait_gains_nothing_over_its_transplant_where_causes_are_alike(
    metric: str, acting: EvaluationSet
) -> None:
    portrait = np.repeat(noise_like(acting)[:1], len(acting.targets), axis=0)
    gain = values(measured(acting, portrait), f"{metric.removesuffix('-auc')}-gain", "transplant-null")
    assert gain[~np.isnan(gain)].tolist() == [0] * (~np.isnan(gain)).sum()


def test_evidence_is_the_parts_that_speak_for_the_class(acting: EvaluationSet) -> None:
    # A mouth that is bright at rest and dark when it acts speaks against every class of this network.
    known = acting.faces.counterfactuals
    rested = known.at_rest.copy()
    rested[:, 2, *PARTS["mouth"]] = 255
    faces = replace(acting.faces, counterfactuals=replace(known, at_rest=rested))
    maps = np.zeros((len(faces), SIDE, SIDE), np.float32)
    maps[:, *PARTS["mouth"]] = 1
    assert mean(EvidenceLocalization(1).measure(Attributions(acting, maps)), "relevance-mass", "map") > 0.1
    assert (
        mean(EvidenceLocalization(1).measure(Attributions(replace(acting, faces=faces), maps)), "relevance-mass", "map")
        == 0
    )


def test_every_score_is_there_once_an_image(acting: EvaluationSet) -> None:
    scores = measured(acting, contributions(acting))
    counts = scores.groupby([names_in(scores), "variant"])["image"].agg(["size", "nunique"])
    assert (counts == len(acting.targets)).all(axis=None)
    assert {metric for metric, variant in counts.index if variant == "map"} == set(METRICS)


def test_a_face_that_is_not_known_says_why(acting: EvaluationSet) -> None:
    known, labels = acting.faces.counterfactuals, acting.faces.labels.copy()
    missing, wrong = acting.faces.ids[known.faces[:2]]
    labels[known.faces[1]] = (labels[known.faces[1]] + 1) % 3
    fewer = replace(known, faces=known.faces[1:], at_rest=known.at_rest[1:], alone=known.alone[1:])
    case = replace(acting, faces=replace(acting.faces, labels=labels, counterfactuals=fewer))
    scores = measured(case, contributions(case))
    said = scores[scores["value"].isna() & (scores["variant"] == "map")].groupby("image")["reason"].agg(set)
    assert said[missing] == {"the face was not rendered again with parts at rest"}
    assert said[wrong] == {"the network is wrong about the face"}


def test_a_neutral_face_says_that_nothing_can_be_put_to_rest() -> None:
    classes = ("left", "middle", "Neutral")
    case = make_case(parts_subject(classes), acting_faces(classes=classes))
    scores = measured(case, contributions(case))
    mine = scores[scores["target"] == "Neutral"]
    assert len(mine)
    assert mine["value"].isna().all()
    assert set(mine["reason"]) == {"a face of class Neutral has nothing to put to rest"}


def test_of_the_displacement_only_the_mass_is_told(acting: EvaluationSet) -> None:
    moved = np.zeros((len(acting.targets), SIDE, SIDE), np.float32)
    moved[1:, *PARTS["eyes"]] = 3.0
    case = replace(acting, faces=replace(acting.faces, evidence={"displacement": moved}))
    scores = measured(case, moved + 0.01 * noise_like(acting))
    assert {m for m in names_in(scores) if "displacement" in m} == {
        "relevance-mass-displacement", "relevance-mass-displacement-gain",
    }  # fmt: skip
    found = values(scores, "relevance-mass-displacement", "map")
    assert np.isnan(found[0])
    assert found[1:].min() > 0.9


def test_beside_causes_a_mark_has_its_name_for_a_suffix(acting: EvaluationSet) -> None:
    mark = np.zeros((len(acting.targets), SIDE, SIDE), np.float32)
    mark[:, 5:7, 0:2] = 1
    case = replace(acting, faces=replace(acting.faces, evidence={"mark": mark}))
    scores = measured(case, mark + 0.01 * noise_like(acting))
    assert values(scores, "localization-auc-mark", "map").tolist() == [1] * len(mark)
    assert abs(values(scores, "localization-auc", "map").mean() - 0.5) < 0.1


def test_an_images_scores_do_not_depend_on_its_company(acting: EvaluationSet) -> None:
    index = np.array([9, 2, 30])
    whole, part = measured(acting, contributions(acting)), measured(acting.take(index), contributions(acting)[index])
    for metric in METRICS:
        assert values(part, metric, "map").tolist() == values(whole, metric, "map")[index].tolist()


def test_the_network_is_asked_for_causes_once_for_all_explainers(acting: EvaluationSet) -> None:
    shared = kept_once()
    before = acting.subject.passes.forward
    for maps in (contributions(acting), noise_like(acting)):
        EvidenceLocalization(1).measure(Attributions(acting, maps, shared=shared))
    # Each face, and each of its three parts at rest.
    assert acting.subject.passes.forward - before == 4 * len(acting.targets)


def test_the_strongest_pixels_hold_half_and_take_ties_in() -> None:
    found = strongest(np.array([[[4.0, 2.0, 2.0, 1.0, -9.0]], [[5.0, 1.0, 1.0, 1.0, 1.0]]]))
    assert found.tolist() == [[[True, True, True, False, False]], [[True, False, False, False, False]]]


def test_the_checks_tell_the_true_map_from_one_that_is_reversed(acting: EvaluationSet) -> None:
    true = contributions(acting)
    scores = [measured(acting, maps).assign(explainer=name) for name, maps in (("true", true), ("reversed", -true))]
    held = Measured.joined([Measured(scores=s) for s in scores]).scores
    evidence = Evidence(held, Measured().matrices, acting.subject.classes, 0)
    verdicts = judged([CHECKS["localization-spectrum"]], evidence, ["true", "reversed"])
    over_all = verdicts[verdicts["class"] == "all"].set_index("explainer")["verdict"]
    assert dict(over_all) == {"true": "pass", "reversed": "fail"}
