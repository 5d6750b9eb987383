"""Parameter randomisation tells a map of the network from a map of the image."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, CLASSES, EXACT, SIDE, bright_patch_faces, make_case, names_in, noise_by_channel
from torch import Tensor, nn

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.evaluation_set import EvaluationSet
from harness.explainers.gradient import gradient
from harness.measurements import (
    Attributions,
    Measured,
    Measurement,
    ParameterRandomization,
    RandomizationOrders,
    SmoothRandomization,
)
from harness.metrics.complexity import histogram_entropy
from harness.metrics.similarity import Similarity, hog_similarity, spearman_similarity, ssim_similarity
from harness.networks.random import layer_groups, randomized
from harness.subject import InputSpec, Subject

Explain = Callable[[Subject, Tensor, Tensor], Tensor | np.ndarray]
TEST = ParameterRandomization(stages=3, draws=1, cascade_per_class=2)


@pytest.fixture
def case(subject: Subject) -> EvaluationSet:
    return make_case(subject, bright_patch_faces(30))


def measured(case: EvaluationSet, explain: Explain, test: Measurement = TEST) -> Measured:
    def again(images, targets, subject=None):
        maps = explain(subject or case.subject, images, torch.from_numpy(targets))
        return np.asarray(maps, dtype=np.float32)

    def random_network(layers, draw):
        return randomized(case.subject, layers, seed=case.seed + draw, images=case.images)

    return test.measure(Attributions(case, again(case.images, case.targets), again, random_network))


def values(found: Measured, metric: str, variant: str) -> np.ndarray:
    scores = found.scores
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def verdict(case: EvaluationSet, found: Measured, check: str) -> Verdict:
    scores = found.scores.assign(explainer="e")
    evidence = Evidence(scores, found.matrices, case.subject.classes, 0)
    table = judged([CHECKS[check]], evidence, ["e"])
    return Verdict(table[table["class"] == "all"]["verdict"].item())


def picture(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Ignores the network."""
    return images[:, 0]


def picture_times_noise(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Like input x gradient in that its sign comes from the network and its size from the picture."""
    generator = torch.Generator().manual_seed(int(subject.digest, 16) % 2**31)
    return (images[:, 0] - subject.spec.low) * torch.randn(images[:, 0].shape, generator=generator)


# ---------------------------------------------------------------------- the claim


def test_a_map_that_ignores_the_network_stays_as_it_was(case: EvaluationSet) -> None:
    # A correlation of equal ranks, in doubles.
    np.testing.assert_allclose(values(measured(case, picture), "randomization-full", "map"), 1, rtol=0, atol=EXACT)


def test_a_map_that_ignores_the_network_exceeds_its_null_and_fails(case: EvaluationSet) -> None:
    found = measured(case, picture)
    assert (values(found, "randomization-full-excess", "transplant-null") > 0).all()
    assert verdict(case, found, "randomization-full") is Verdict.FAIL
    assert verdict(case, found, "randomization-full-absolute") is Verdict.FAIL


def test_the_gradient_of_the_network_passes(case: EvaluationSet) -> None:
    found = measured(case, gradient)
    assert values(found, "randomization-full", "map").mean() < 0.3
    assert verdict(case, found, "randomization-full") is Verdict.PASS


def test_picture_times_noise_is_unlike_itself_signed_and_alike_in_absolute_value(subject: Subject) -> None:
    faces = bright_patch_faces(30)
    faces.images[:, ::2] = 0  # where the picture is black, the product is zero whatever the network does
    found = measured(make_case(subject, faces), picture_times_noise)
    # A rank correlation of 72 independent pixels has a standard deviation of .12, the mean of 30 of .02.
    assert abs(values(found, "randomization-full", "map").mean()) < 0.08
    assert values(found, "randomization-full-absolute", "map").mean() > 0.7


def test_signed_and_absolute_are_one_for_maps_without_sign(case: EvaluationSet) -> None:
    found = measured(case, lambda *asked: np.abs(np.asarray(gradient(*asked))))
    signed, absolute = (values(found, f"randomization-full{suffix}", "map") for suffix in ("", "-absolute"))
    np.testing.assert_array_equal(signed, absolute)


# ---------------------------------------------------------------------- numbers


def test_the_excess_is_over_the_likeness_to_another_image_of_the_class(case: EvaluationSet) -> None:
    found = measured(case, gradient)
    alike, null = (values(found, "randomization-full", variant) for variant in ("map", "transplant-null"))
    np.testing.assert_array_equal(values(found, "randomization-full-excess", "transplant-null"), alike - null)


def test_similarities_are_averaged_over_draws(case: EvaluationSet) -> None:
    both = values(measured(case, gradient, replace(TEST, draws=2)), "randomization-full", "map")
    one, other = (values(measured(replace(case, seed=s), gradient), "randomization-full", "map") for s in (0, 1))
    np.testing.assert_allclose(both, (one + other) / 2, rtol=0, atol=EXACT)


def test_a_class_with_one_image_has_no_null(subject: Subject) -> None:
    case = make_case(subject, bright_patch_faces(30))
    lonely = np.append(
        np.flatnonzero(case.targets == case.targets[0])[:1], np.flatnonzero(case.targets != case.targets[0])
    )
    case = replace(case, faces=case.faces.take(lonely), probabilities=case.probabilities[lonely])
    found = measured(case, gradient)
    assert np.flatnonzero(np.isnan(values(found, "randomization-full-excess", "transplant-null"))).tolist() == [0]
    assert not np.isnan(values(found, "randomization-full", "map")).any()


def test_a_constant_map_is_undefined_never_zero(case: EvaluationSet) -> None:
    found = measured(case, lambda _s, images, _t: torch.zeros(len(images), SIDE, SIDE))
    assert found.scores["value"].isna().all()
    assert set(found.scores["status"]) == {"undefined"}
    assert found.scores["reason"].str.contains("constant map").all()


# ---------------------------------------------------------------------- the cascade


def cascade(found: Measured, variant: str = "map", suffix: str = "") -> pd.DataFrame:
    held = found.curves[
        (found.curves["metric"] == f"randomization-cascade{suffix}") & (found.curves["variant"] == variant)
    ]
    return held.pivot(index="image", columns="x", values="value")


def test_the_cascade_has_a_point_for_each_group_and_one_before(case: EvaluationSet) -> None:
    found = cascade(measured(case, gradient))
    assert found.columns.tolist() == list(range(len(layer_groups(case.subject, TEST.stages)) + 1))
    assert len(found) == sum(min(2, (case.targets == k).sum()) for k in range(len(CLASSES)))


def test_the_cascade_begins_at_one_and_ends_at_the_full_test(case: EvaluationSet) -> None:
    found = measured(case, gradient)
    curve = cascade(found)
    np.testing.assert_allclose(curve[0], 1, rtol=0, atol=EXACT)
    full = pd.Series(values(found, "randomization-full", "map"), index=case.faces.ids)
    np.testing.assert_array_equal(curve[curve.columns[-1]], full.loc[curve.index])


def test_the_cascade_of_a_map_that_ignores_the_network_is_flat(case: EvaluationSet) -> None:
    np.testing.assert_allclose(cascade(measured(case, picture)), 1, rtol=0, atol=EXACT)


def test_the_null_level_is_drawn_along_the_whole_cascade(case: EvaluationSet) -> None:
    level = cascade(measured(case, gradient), "transplant-null")
    assert (level.nunique(axis=1, dropna=False) == 1).all()


# ---------------------------------------------------------------------- the other similarities


@pytest.mark.parametrize(
    ("suffix", "similarity"),
    [
        ("-ssim", ssim_similarity),
        ("-ssim-absolute", lambda a, b: ssim_similarity(np.abs(a), np.abs(b))),
        ("-hog", hog_similarity),
        ("-hog-absolute", lambda a, b: hog_similarity(np.abs(a), np.abs(b))),
    ],
)
def test_each_similarity_compares_the_trained_and_the_random_networks_maps(
    suffix: str, similarity: Similarity, case: EvaluationSet
) -> None:
    layers = [name for group in layer_groups(case.subject, TEST.stages) for name in group]
    drawn = randomized(case.subject, layers, seed=case.seed, images=case.images)
    before, after = (np.asarray(gradient(s, case.images, case.target_tensor())) for s in (case.subject, drawn))
    found = measured(case, gradient)
    np.testing.assert_array_equal(values(found, f"randomization-full{suffix}", "map"), similarity(before, after))


def test_what_is_too_small_for_structure_is_ranked_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))
    subject = Subject(network, name="six", classes=CLASSES, spec=InputSpec(6, 6))
    metrics = set(names_in(measured(make_case(subject, bright_patch_faces(30)), gradient).scores))
    assert "randomization-full-absolute" in metrics
    assert not [name for name in metrics if "ssim" in name or "hog" in name]


def test_mprt_takes_the_mean_and_the_last_of_the_cascade_without_its_start(case: EvaluationSet) -> None:
    found = measured(case, gradient)
    curve = cascade(found)
    average, last = (
        found.scores[(names_in(found.scores) == f"mprt-{name}") & (found.scores["variant"] == "map")]
        .set_index("image")["value"]
        .loc[curve.index]
        for name in ("average", "last")
    )
    # Sums of three doubles in another order.
    np.testing.assert_allclose(average, curve[curve.columns[1:]].mean(axis=1), rtol=0, atol=EXACT)
    np.testing.assert_array_equal(last, curve[curve.columns[-1]])


def test_mprt_is_one_for_a_map_that_ignores_the_network_and_its_complexity_stays(case: EvaluationSet) -> None:
    found = measured(case, picture)
    for name in ("mprt-average", "mprt-last"):
        np.testing.assert_allclose(values(found, name, "map"), 1, rtol=0, atol=EXACT)
    assert (values(found, "efficient-mprt", "map") == 0).all()


def test_efficient_mprt_is_the_rise_of_the_maps_entropy(case: EvaluationSet) -> None:
    layers = [name for group in layer_groups(case.subject, TEST.stages) for name in group]
    drawn = randomized(case.subject, layers, seed=case.seed, images=case.images)
    before, after = (
        histogram_entropy(np.asarray(gradient(s, case.images, case.target_tensor()))) for s in (case.subject, drawn)
    )
    found = values(measured(case, gradient), "efficient-mprt", "map")
    # A difference and a quotient of doubles.
    np.testing.assert_allclose(found, (after - before) / before, rtol=0, atol=EXACT)


# ---------------------------------------------------------------------- the other orders


ORDERS = RandomizationOrders(stages=3, draws=1, per_class=2)


def order(found: Measured, name: str) -> pd.DataFrame:
    held = found.curves[(found.curves["metric"] == f"randomization-{name}") & (found.curves["variant"] == "map")]
    return held.pivot(index="image", columns="x", values="value")


def expected(case: EvaluationSet, layers: Sequence[str], images: Sequence[int]) -> np.ndarray:
    """Similarity of the gradient to that of the network with some layers random."""
    drawn = randomized(case.subject, layers, seed=case.seed, images=case.images)
    before, after = (np.asarray(gradient(s, case.images, case.target_tensor())) for s in (case.subject, drawn))
    alike = pd.Series(spearman_similarity(before, after), index=case.faces.ids)
    return alike.loc[list(images)].to_numpy()


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_each_order_randomises_its_own_layers(stage: int, case: EvaluationSet) -> None:
    groups = layer_groups(case.subject, ORDERS.stages)
    found = measured(case, gradient, ORDERS)
    upwards, alone = order(found, "bottom-up"), order(found, "independent")
    below = [name for group in groups[len(groups) - 1 - stage :] for name in group]
    # The same pictures in another batch.
    np.testing.assert_allclose(upwards[stage + 1], expected(case, below, upwards.index), rtol=0, atol=AGAIN)
    np.testing.assert_allclose(alone[stage + 1], expected(case, groups[stage], alone.index), rtol=0, atol=AGAIN)


def test_every_order_begins_at_the_trained_network(case: EvaluationSet) -> None:
    found = measured(case, gradient, ORDERS)
    for name in ("bottom-up", "independent", "bottom-up-absolute", "independent-absolute"):
        np.testing.assert_allclose(order(found, name)[0], 1, rtol=0, atol=EXACT)


def test_the_orders_share_maps_with_the_cascade(case: EvaluationSet) -> None:
    asked: list[tuple[bytes, str]] = []

    def counted(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        asked.append((images.numpy().tobytes(), subject.digest))
        return gradient(subject, images, targets)

    measured(case, counted)
    before = set(asked)
    measured(case, counted, ORDERS)
    # Two from below, the lowest of which is also the lowest group alone, and the middle group alone; the cascade has
    # asked for the top group alone and for the wholly random network.
    assert len(set(asked) - before) == 3


# ---------------------------------------------------------------------- smooth maps


SMOOTH = SmoothRandomization(stages=3, draws=1, per_class=3, copies=3)


def test_smooth_maps_that_ignore_the_network_stay_as_they_were(case: EvaluationSet) -> None:
    np.testing.assert_allclose(values(measured(case, picture, SMOOTH), "smooth-mprt", "map"), 1, rtol=0, atol=EXACT)


def test_smooth_maps_are_means_over_the_same_copies_under_both_networks(case: EvaluationSet) -> None:
    def noisy_picture(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        sign = 1.0 if subject is case.subject else -1.0
        return sign * images[:, 0]

    found = measured(case, noisy_picture, SMOOTH)
    np.testing.assert_allclose(values(found, "smooth-mprt", "map"), -1, rtol=0, atol=EXACT)
    assert len(found.scores) == 3 * len(case.some(SMOOTH.per_class))


def test_without_noise_a_smooth_map_is_the_map(case: EvaluationSet) -> None:
    found = measured(case, gradient, replace(SMOOTH, spread=0.0, copies=2))
    smooth = found.scores[(names_in(found.scores) == "smooth-mprt") & (found.scores["variant"] == "map")]
    full = pd.Series(values(measured(case, gradient), "randomization-full", "map"), index=case.faces.ids)
    # Single precision in another batch.
    np.testing.assert_allclose(smooth["value"], full.loc[smooth["image"].to_numpy()], rtol=0, atol=AGAIN)


def test_an_images_noise_does_not_depend_on_its_company(case: EvaluationSet) -> None:
    index = case.some(SMOOTH.per_class)
    whole = values(measured(case, gradient, SMOOTH), "smooth-mprt", "map")
    part = values(measured(case.take(index), gradient, SMOOTH), "smooth-mprt", "map")
    # The random network is brought to scale on other images.
    assert np.corrcoef(whole, part)[0, 1] > 0.99


def test_noise_is_a_share_of_each_channels_own_range() -> None:
    found = noise_by_channel(lambda case, spying: measured(case, spying, SMOOTH), SMOOTH.per_class)
    # Of 3,888 draws and more, whose error is 1.2 per cent.
    assert found == pytest.approx([0.1] * 3, rel=0.06)
