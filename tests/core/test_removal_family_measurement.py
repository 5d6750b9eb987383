"""What else is read from removal: every row beside a direct call of its metric on images removed by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, EXACT, PATCHES, SIDE, bright_patch_faces, make_case, names_in, oracle_of, patch_subject

from harness.evaluation_set import EvaluationSet
from harness.explainers._segments import segments_of
from harness.measurements import Attributions, Measurement, Regions, Removal, Road, regions
from harness.measurements.outputs import Outputs, filled
from harness.measurements.regions import grid_patches, region_sums, removed_by_region, square_regions
from harness.measurements.removal import BY_EVERY_FILL, BY_ONE_FILL, Trajectories
from harness.metrics import faithfulness as faith
from harness.metrics.score import gain_of
from harness.perturbation import BlurFill, MeanFill, NoisyLinearFill, UniformFill, least_first, removed_steps
from harness.perturbation.orders import SAME_SHARE

STEPS = 12
X = np.linspace(0, 1, STEPS + 1)
PLAIN = Removal(BlurFill(), STEPS, 2)
FAMILY: list[Measurement] = [
    PLAIN,
    Removal(MeanFill(), 6, 1, "mean", 3),
    Removal(NoisyLinearFill(), 3, 1, "noisy-linear", 3),
    Road(NoisyLinearFill(), 4, 1),
    Regions(BlurFill(), STEPS, 1, 3),
]


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    """The values of one metric and variant in the order of the images."""
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def steep(oracle: np.ndarray) -> np.ndarray:
    """The same order in growing steps, far from any tie, so that a sort by hand gives the only order."""
    ranks = oracle.reshape(len(oracle), -1).argsort(axis=1).argsort(axis=1)
    return ((ranks / np.float32(SIDE * SIDE)) ** 1.7 + 0.01).astype(np.float32).reshape(oracle.shape)


@pytest.fixture
def oracle(patch_case: EvaluationSet) -> np.ndarray:
    return steep(oracle_of(patch_case))


# ---------------------------------------------------------------------- by hand


def answers(case: EvaluationSet, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability and logit of each image's class, and whether it is recognised, by the bare network."""
    with torch.no_grad():
        logits = case.subject.network(torch.from_numpy(pictures)).double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    return shares[rows, case.targets], logits[rows, case.targets], logits.argmax(1) == case.targets


def by_hand(
    case: EvaluationSet, maps: np.ndarray, picture: np.ndarray, steps: int, *, least: bool = False
) -> list[np.ndarray]:
    """Answers (n, steps + 1) as pixels are replaced one by one, sorted by NumPy alone."""
    pixels, found = SIDE * SIDE, []
    order = np.argsort(maps.reshape(len(maps), -1) * (1 if least else -1), axis=1)
    for step in range(steps + 1):
        changed = case.images.numpy().copy()
        for image, shown, first in zip(changed, picture, order[:, : round(step * pixels / steps)], strict=True):
            image.reshape(-1)[first] = shown.reshape(-1)[first]
        found.append(answers(case, changed))
    return [np.stack(each, axis=1) for each in zip(*found, strict=True)]


def blurred(case: EvaluationSet) -> np.ndarray:
    return BlurFill()(case.images, np.ones((len(case.targets), SIDE, SIDE), bool), 0).numpy()


def read_by_hand(case: EvaluationSet, maps: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of the plain removal, from removal and putting back made by hand."""
    picture, whole = blurred(case), case.images.numpy()
    probability, logit, _ = by_hand(case, maps, picture, STEPS)
    least, _, _ = by_hand(case, maps, picture, STEPS, least=True)
    turned = replace(case)
    turned.__dict__["images"] = torch.from_numpy(picture)
    shown, shown_logit, _ = by_hand(turned, maps, whole, STEPS)
    from_worst, _, _ = by_hand(turned, maps, whole, STEPS, least=True)
    up_to_half = slice(1, STEPS // 2 + 1)
    return {
        "deletion-auc": faith.deletion_auc(X, probability),
        "deletion-auc-logit": faith.deletion_auc(X, logit),
        "insertion-auc": faith.insertion_auc(X, shown),
        "insertion-auc-logit": faith.insertion_auc(X, shown_logit),
        "symmetric-relevance-gain": faith.symmetric_relevance_gain(X, least, probability),
        "comprehensiveness": faith.comprehensiveness(probability[:, 0], probability[:, up_to_half]),
        "sufficiency": faith.sufficiency(probability[:, 0], shown[:, up_to_half]),
        "monotonicity-arya": faith.monotonicity_arya(from_worst),
    }


@pytest.mark.parametrize("shape", ["true", "reversed", "noise"])
def test_every_row_is_the_metric_of_a_removal_made_by_hand(
    shape: str, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    noise = np.random.default_rng(3).random(oracle.shape, dtype=np.float32)
    maps = {"true": oracle, "reversed": -oracle, "noise": noise}[shape]
    scores = PLAIN.measure(Attributions(patch_case, maps)).scores
    for metric, wanted in read_by_hand(patch_case, maps).items():
        # float32 softmax here, float64 there, on probabilities and on logits of up to 5.
        np.testing.assert_allclose(values(scores, metric), wanted, atol=5 * AGAIN, err_msg=metric)


@pytest.mark.parametrize("null", ["spectrum-null", "transplant-null"])
def test_every_gain_is_the_difference_in_the_metrics_direction(
    null: str, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    lower = {"deletion-auc", "deletion-auc-logit", "sufficiency"}
    scores = PLAIN.measure(Attributions(patch_case, oracle)).scores
    for metric in read_by_hand(patch_case, oracle):
        better = -1 if metric in lower else 1
        difference = better * (values(scores, metric) - values(scores, metric, null))
        np.testing.assert_array_equal(values(scores, gain_of(metric), null), difference, err_msg=metric)


def test_monotonicity_of_the_spectrum_null_is_averaged_over_draws(
    patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    made = [
        values(Removal(BlurFill(), STEPS, 1).measure(Attributions(case, oracle)).scores, "monotonicity-arya", null)
        for case in (patch_case, replace(patch_case, seed=1))
        for null in ["spectrum-null"]
    ]
    both = values(PLAIN.measure(Attributions(patch_case, oracle)).scores, "monotonicity-arya", "spectrum-null")
    np.testing.assert_array_equal(both, np.mean(made, axis=0))


def test_segments_are_found_once_for_all_explainers(
    patch_case: EvaluationSet, oracle: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Counted:
        """One function, however often it was called."""

        def __call__(self, image: torch.Tensor) -> np.ndarray:
            asked.append(1)
            return segments_of(image)

        def __digest__(self) -> str:
            return "counted"

    monkeypatch.setattr(regions, "segments_of", Counted())
    shared = keeping()
    for maps in (oracle, -oracle):
        Regions(BlurFill(), STEPS, 1, 6).measure(Attributions(patch_case, maps, shared=shared))
    assert len(asked) == len(oracle)


@pytest.mark.parametrize("pixels", [12, 48, 64])
def test_least_relevant_first_removes_what_insertion_has_not_shown(pixels: int) -> None:
    order = np.random.default_rng(0).permuted(np.tile(np.arange(pixels**2), (2, 1)), axis=1)
    for steps in (16, 32, 64) if pixels > 12 else (6, 12):
        fractions = np.linspace(0, 1, steps + 1)
        shown = removed_steps(order, fractions, (pixels, pixels))
        gone = removed_steps(least_first(order), fractions, (pixels, pixels))
        np.testing.assert_array_equal(gone, ~shown[:, ::-1])


def test_the_logit_falls_by_the_patch_alone(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    scores = PLAIN.measure(Attributions(patch_case, oracle)).scores
    assert values(scores, "deletion-gain-logit", "spectrum-null").min() > 0
    assert values(scores, "insertion-gain-logit", "spectrum-null").min() > 0


# ---------------------------------------------------------------------- other fills, ROAD


@pytest.mark.parametrize(("fill", "suffix"), [(MeanFill(), "mean"), (NoisyLinearFill(0.0), "noisy-linear")], ids=str)
def test_another_fill_is_measured_under_its_own_name(
    fill: MeanFill | NoisyLinearFill, suffix: str, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    found = Removal(fill, STEPS, 1, suffix, 2).measure(Attributions(patch_case, oracle))
    assert set(names_in(found.scores)) == {
        *(f"{m}-{kind}-{suffix}" for m in ("deletion", "insertion") for kind in ("auc", "gain")),
        *(f"symmetric-relevance-gain-{suffix}", f"symmetric-relevance-gain-{suffix}-over-null"),
    }
    assert set(found.curves["metric"]) == {f"deletion-{suffix}", f"insertion-{suffix}"}
    assert len(values(found.scores, f"deletion-auc-{suffix}")) == 6


def test_the_mean_fill_gives_what_it_gives_by_hand(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    picture = np.broadcast_to(patch_case.images.mean(dim=(2, 3), keepdim=True).numpy(), patch_case.images.shape)
    probability, _, _ = by_hand(patch_case, oracle, np.ascontiguousarray(picture), STEPS)
    scores = Removal(MeanFill(), STEPS, 1, "mean").measure(Attributions(patch_case, oracle)).scores
    # The mean in float32 here and in float64 there, then as above.
    np.testing.assert_allclose(values(scores, "deletion-auc-mean"), faith.deletion_auc(X, probability), atol=AGAIN)


def test_road_is_the_metric_of_an_imputation_made_by_hand(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    order = np.argsort(-oracle.reshape(len(oracle), -1), axis=1)
    correct = []
    for step in range(5):
        removed = np.zeros((len(oracle), SIDE * SIDE), bool)
        np.put_along_axis(removed, order[:, : step * SIDE * SIDE // 4], True, axis=1)
        pictures = NoisyLinearFill()(patch_case.images, removed.reshape(oracle.shape), patch_case.seed).numpy()
        correct.append(answers(patch_case, pictures)[2])
    wanted = faith.road(np.linspace(0, 1, 5), np.stack(correct, axis=1))
    scores = Road(NoisyLinearFill(), 4, 1).measure(Attributions(patch_case, oracle)).scores
    assert values(scores, "road").tolist() == wanted.tolist()
    assert len(np.unique(wanted)) > 1


def test_road_tells_the_true_map_from_its_reverse(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    true, turned = (
        Road(NoisyLinearFill(), 8, 2).measure(Attributions(patch_case, m)).scores for m in (oracle, -oracle)
    )
    assert values(true, "road-gain", "spectrum-null").mean() > 0.1
    assert values(turned, "road-gain", "spectrum-null").mean() < -0.1


# ---------------------------------------------------------------------- regions


def region_by_region(
    case: EvaluationSet, maps: np.ndarray, labels: np.ndarray, rank: Callable[[np.ndarray], float], picture: np.ndarray
) -> list:
    """Each image's probabilities as its regions go, one at a time, and `picture` shows."""
    found = []
    for number, mine in enumerate(labels):
        ranks = np.array([rank(maps[number][mine == region]) for region in np.unique(mine)], dtype=np.float64)
        regions = np.argsort(-ranks)
        image, curve = case.images[number : number + 1].numpy().copy(), []
        alone = replace(case, faces=case.faces.take(np.array([number])), probabilities=case.probabilities[[number]])
        curve.append(answers(alone, image)[0][0])
        for region in regions:
            image[0, 0][mine == region] = picture[number, 0][mine == region]
            curve.append(answers(alone, image)[0][0])
        found.append(np.array(curve))
    return found


def told_apart(maps: np.ndarray, labels: np.ndarray, rank: Callable[[np.ndarray], float]) -> np.ndarray:
    """Which images have no two regions so near that they are tied, and the seed orders them."""
    clear = []
    for values, mine in zip(maps, labels, strict=True):
        ranks = np.sort([rank(values[mine == region]) for region in np.unique(mine)])
        clear.append(np.diff(ranks).min() > 2 * SAME_SHARE * np.abs(ranks).max())
    assert np.mean(clear) > 0.5
    return np.array(clear)


def test_selectivity_is_the_metric_of_patches_removed_by_hand(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    labels = grid_patches(oracle.shape)
    assert np.bincount(labels[0].ravel()).tolist() == [4] * 36
    curves = region_by_region(patch_case, oracle, labels, np.sum, blurred(patch_case))
    scores = Regions(BlurFill(), STEPS, 1, 6).measure(Attributions(patch_case, oracle)).scores
    clear = told_apart(oracle, labels, np.sum)
    by_hand = faith.selectivity(np.stack(curves))
    np.testing.assert_allclose(values(scores, "selectivity")[clear], by_hand[clear], atol=AGAIN)


def test_irof_is_the_metric_of_segments_removed_by_hand(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    labels = np.stack([segments_of(image) for image in patch_case.images])
    counts = labels.max(axis=(1, 2)) + 1
    assert len(set(counts)) > 1, "images of unlike numbers of segments are what is to be tested"
    means = patch_case.images.mean(dim=(2, 3), keepdim=True).expand_as(patch_case.images).numpy()
    curves = region_by_region(patch_case, oracle, labels, np.mean, means)
    wanted = [faith.irof(np.linspace(0, 1, len(curve)), curve[None]).item() for curve in curves]
    scores = Regions(BlurFill(), STEPS, 1, 6).measure(Attributions(patch_case, oracle)).scores
    clear = told_apart(oracle, labels, np.mean)
    np.testing.assert_allclose(values(scores, "irof")[clear], np.array(wanted)[clear], atol=AGAIN)


def test_aopc_is_the_mean_fall_as_squares_of_nine_pixels_turn_to_noise(
    patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    labels = square_regions(oracle.shape)
    assert np.bincount(labels[0].ravel()).tolist() == [81, 27, 27, 9]
    spec, everything = patch_case.subject.spec, np.ones(oracle.shape, bool)
    noise = UniformFill(spec.shade(0.0), spec.shade(1.0))(patch_case.images, everything, patch_case.seed).numpy()
    curves = np.stack(region_by_region(patch_case, oracle, labels, np.sum, noise))
    scores = Regions(BlurFill(), STEPS, 1, 6).measure(Attributions(patch_case, oracle)).scores
    clear = told_apart(oracle, labels, np.sum)
    np.testing.assert_allclose(values(scores, "aopc")[clear], faith.aopc(curves)[clear], atol=AGAIN)


def test_of_many_regions_the_first_are_removed_and_no_more(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    labels, prepared = square_regions(oracle.shape), filled(Attributions(patch_case, oracle), MeanFill())
    whole, first = (removed_by_region(prepared, oracle, labels, region_sums, most=most) for most in (None, 2))
    np.testing.assert_array_equal(first[0], whole[0][:, :3])
    np.testing.assert_array_equal(first[1], whole[1][:, :3])


def test_pixel_flipping_turns_pixels_to_their_negative(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    spec, maps = patch_case.subject.spec, oracle + 1e-3 * np.random.default_rng(5).random(oracle.shape, np.float32)
    negative = spec.low + spec.high - patch_case.images.numpy()
    probability, _, _ = by_hand(patch_case, maps, negative, STEPS)
    scores = Regions(BlurFill(), STEPS, 1, 6).measure(Attributions(patch_case, maps)).scores
    np.testing.assert_allclose(values(scores, "pixel-flipping"), faith.pixel_flipping(probability), atol=AGAIN)
    plain = PLAIN.measure(Attributions(patch_case, maps)).scores
    assert np.abs(values(plain, "deletion-auc") - values(scores, "pixel-flipping")).min() > 0


@pytest.mark.parametrize("metric", ["selectivity", "irof", "aopc", "pixel-flipping"])
def test_regions_tell_the_true_map_from_its_reverse(metric: str, patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    measure = Regions(BlurFill(), STEPS, 2, 6).measure
    true, turned = (measure(Attributions(patch_case, maps)).scores for maps in (oracle, -oracle))
    assert values(true, f"{metric}-gain", "spectrum-null").mean() > 0
    assert values(turned, f"{metric}-gain", "spectrum-null").mean() < 0


# ---------------------------------------------------------------------- the segment null


def quarters(case: EvaluationSet) -> np.ndarray:
    """A map of segments: the target's quarter of the picture counts, the others hardly."""
    corners = np.add.outer(np.arange(SIDE) * 4 // SIDE * 4, np.arange(SIDE) * 4 // SIDE).astype(np.float32)
    maps = np.tile(0.001 * corners, (len(case.targets), 1, 1))
    for found, target in zip(maps, case.targets, strict=True):
        for row, column in ((r, c) for r in range(4) for c in range(4)):
            block = np.s_[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3]
            hit = np.zeros((SIDE, SIDE), bool)
            hit[PATCHES[target]] = True
            found[block] += 1.0 if hit[block].any() else 0.0
    return maps


def test_the_true_segments_gain_over_their_weights_permuted(patch_case: EvaluationSet) -> None:
    scores = PLAIN.measure(Attributions(patch_case, quarters(patch_case))).scores
    assert values(scores, "deletion-gain", "segment-null").mean() > 0.02
    reversed_ = PLAIN.measure(Attributions(patch_case, -quarters(patch_case))).scores
    assert values(reversed_, "deletion-gain", "segment-null").mean() < -0.02


def test_the_segment_gain_is_the_difference(patch_case: EvaluationSet) -> None:
    scores = PLAIN.measure(Attributions(patch_case, quarters(patch_case))).scores
    for metric, better in (("deletion", -1), ("insertion", 1)):
        difference = better * (values(scores, f"{metric}-auc") - values(scores, f"{metric}-auc", "segment-null"))
        np.testing.assert_array_equal(values(scores, f"{metric}-gain", "segment-null"), difference)


def test_a_map_without_segments_has_no_segment_null(patch_case: EvaluationSet, oracle: np.ndarray) -> None:
    maps = np.where(np.arange(len(oracle))[:, None, None] < 9, quarters(patch_case), oracle)
    scores = PLAIN.measure(Attributions(patch_case, maps)).scores
    found = scores[(names_in(scores) == "deletion-gain") & (scores["variant"] == "segment-null")]
    assert found["value"].notna().tolist() == [True] * 9 + [False] * 9
    assert set(found["reason"][9:]) == {"constant map, or it is not made of segments"}


def test_the_segment_null_of_an_image_does_not_depend_on_its_company(patch_case: EvaluationSet) -> None:
    maps, index = quarters(patch_case), np.array([9, 2])
    whole = PLAIN.measure(Attributions(patch_case, maps)).scores
    part = PLAIN.measure(Attributions(patch_case.take(index), maps[index])).scores
    np.testing.assert_allclose(
        values(part, "deletion-auc", "segment-null"), values(whole, "deletion-auc", "segment-null")[index], atol=AGAIN
    )


# ---------------------------------------------------------------------- rows


@pytest.mark.parametrize("measurement", FAMILY, ids=lambda each: each.name)
def test_a_constant_map_is_undefined_with_a_reason(
    measurement: Measurement, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    oracle[:] = np.where(np.arange(len(oracle))[:, None, None] % 2, oracle, 0.5)
    scores = measurement.measure(Attributions(patch_case, oracle)).scores
    mine = scores[np.isin(scores["image"], patch_case.faces.ids[::2])]
    assert len(mine)
    assert mine["value"].isna().all()
    assert mine["reason"].str.contains("constant map").all()


@pytest.mark.parametrize("measurement", FAMILY, ids=lambda each: each.name)
def test_there_is_one_row_an_image_metric_and_variant(
    measurement: Measurement, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    scores = measurement.measure(Attributions(patch_case, oracle)).scores
    counts = scores.groupby([names_in(scores), "variant"])["image"].agg(["size", "nunique"])
    assert (counts == scores["image"].nunique()).all(axis=None)
    assert scores.loc[scores["variant"] != "segment-null", "value"].notna().all()


def keeping() -> Callable[..., dict[str, np.ndarray]]:
    """What serves every explainer, kept as a runner does: with other things beside it."""
    kept: dict[tuple[object, ...], dict[str, np.ndarray]] = {}

    def shared(what: tuple[object, ...], make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        if what not in kept:
            kept[what] = {**make(), "cost": np.zeros(3), "uses": np.zeros((0, 2), str)}
        return kept[what]

    return shared


@pytest.mark.parametrize("measurement", FAMILY, ids=lambda each: each.name)
def test_whole_and_empty_images_are_passed_once_for_all_explainers(
    measurement: Measurement, patch_case: EvaluationSet, oracle: np.ndarray
) -> None:
    shared, counts = keeping(), []
    for maps in (oracle, -oracle):
        before = patch_case.subject.passes.forward
        images = measurement.measure(Attributions(patch_case, maps, shared=shared)).scores["image"].nunique()
        counts.append(patch_case.subject.passes.forward - before)
    fills = 4 if measurement.name == "regions" else 1
    assert counts[0] - counts[1] == 2 * fills * images


def test_a_lonely_images_transplant_is_undefined_throughout() -> None:
    faces = bright_patch_faces()
    case = make_case(patch_subject(), faces.take(np.array([0, 3, 6, 1])))
    for measurement in FAMILY:
        scores = measurement.measure(Attributions(case, steep(oracle_of(case)))).scores
        lonely = scores[(scores["image"] == case.faces.ids[3]) & (scores["variant"] == "transplant-null")]
        assert len(lonely)
        assert lonely["value"].isna().all()
        assert lonely["reason"].str.contains("no other image of its class").all()


# ---------------------------------------------------------------------- a trajectory made up


def test_every_metric_reads_its_own_part_of_a_made_up_trajectory() -> None:
    x = np.linspace(0, 1, 5)
    falls, rises = np.array([[1.0, 0.8, 0.5, 0.2, 0.1]]), np.array([[0.1, 0.9, 0.7, 0.95, 1.0]])
    found = Trajectories(x, Outputs(falls, 3 * falls, falls), Outputs(rises, 3 * rises, rises))
    wanted = {
        "deletion-auc": faith.deletion_auc(x, falls),
        "deletion-auc-logit": faith.deletion_auc(x, 3 * falls),
        "insertion-auc": faith.insertion_auc(x, rises),
        "insertion-auc-logit": faith.insertion_auc(x, 3 * rises),
        "symmetric-relevance-gain": faith.symmetric_relevance_gain(x, np.array([[1.0, 0.95, 0.7, 0.9, 0.1]]), falls),
        "comprehensiveness": np.array([1 - (0.8 + 0.5) / 2]),
        "sufficiency": np.array([1 - (0.9 + 0.7) / 2]),
        "monotonicity-arya": np.array([1.0]),
    }
    scored = {metric.taken("").name: metric.score(found) for metric in BY_EVERY_FILL + BY_ONE_FILL}
    assert scored.keys() == wanted.keys()
    for name, value in wanted.items():
        # Sums of five doubles.
        np.testing.assert_allclose(scored[name], value, atol=EXACT, err_msg=name)
