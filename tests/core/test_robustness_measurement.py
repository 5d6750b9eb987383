"""Robustness: a steady map gains over another image's, a wild one loses, and what draws is told from what does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import CLASSES, EXACT, SIDE, SPEC, bright_patch_faces, make_case, names_in, noise_by_channel
from torch import Tensor, nn

from harness.checks import CHECKS, Evidence, Verdict, judged
from harness.digest import image_keys
from harness.errors import ExplainerFault
from harness.evaluation_set import EvaluationSet
from harness.explainers.gradient import gradient, input_x_gradient
from harness.measurements import Agreement, Attributions, Measured, Measurement, Robustness, Seeds
from harness.measurements.robustness import OF_INNER, SCORES_OF_COPIES, UNHEARD
from harness.metrics.cards import metric_cards
from harness.subject import Subject

EVERYONE = 30
TEST = Robustness(per_class=EVERYONE, copies=3)
Explain = Callable[..., Tensor | np.ndarray]


@pytest.fixture
def case(subject: Subject) -> EvaluationSet:
    return make_case(subject, bright_patch_faces(30))


def attributions(case: EvaluationSet, explain: Explain, *, seeded: bool = False) -> Attributions:
    def again(images, targets, subject=None, seed=None):
        more = {"seed": case.seed if seed is None else seed} if seeded else {}
        maps = explain(subject or case.subject, images, torch.from_numpy(targets), **more)
        return np.asarray(maps, dtype=np.float32)

    return Attributions(case, again(case.images, case.targets), again, seeded=seeded)


def values(found: Measured, metric: str, variant: str = "map") -> np.ndarray:
    scores = found.scores
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def reasons(found: Measured, metric: str) -> set[str]:
    scores = found.scores
    return set(scores[(names_in(scores) == metric) & (scores["variant"] == "map")]["reason"])


def verdict(case: EvaluationSet, found: Measured, check: str) -> tuple[Verdict, str]:
    evidence = Evidence(found.scores.assign(explainer="e"), found.matrices, case.subject.classes, 0)
    table = judged([CHECKS[check]], evidence, ["e"])
    row = table[table["class"] == "all"].iloc[0]
    return Verdict(row["verdict"]), row["reason"]


def picture(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """As steady as the image is."""
    return images[:, 0]


def wild(subject: Subject, images: Tensor, targets: Tensor) -> np.ndarray:
    """Another map for every change of the image, however small."""
    return np.stack([np.random.default_rng(key).standard_normal((SIDE, SIDE)) for key in image_keys(images)])


# ---------------------------------------------------------------------- under noise


def test_a_steady_map_passes_and_a_wild_one_fails(case: EvaluationSet) -> None:
    steady, restless = (TEST.measure(attributions(case, explain)) for explain in (picture, wild))
    assert verdict(case, steady, "robustness-noise")[0] is Verdict.PASS
    assert verdict(case, restless, "robustness-noise")[0] is Verdict.FAIL


@pytest.mark.parametrize("metric", SCORES_OF_COPIES)
def test_a_wild_map_scores_worse_than_a_steady_one(metric: str, case: EvaluationSet) -> None:
    steady, restless = (values(TEST.measure(attributions(case, explain)), metric) for explain in (picture, wild))
    assert np.nanmean(restless) > 3 * np.nanmean(steady)


def test_the_gain_is_how_much_less_the_map_moves_than_it_lies_from_its_donor(case: EvaluationSet) -> None:
    given = attributions(case, picture)
    found = TEST.measure(given)
    moved = values(found, "average-sensitivity")
    flat = given.maps.reshape(len(given.maps), -1).astype(np.float64)
    apart = np.linalg.norm(flat[given.donors] - flat, axis=1) / np.linalg.norm(flat, axis=1)
    # The same sums in another order.
    np.testing.assert_allclose(values(found, "average-sensitivity-gain", "transplant-null"), apart - moved, atol=EXACT)


def test_the_picture_itself_moves_as_far_as_the_image(case: EvaluationSet) -> None:
    found = TEST.measure(attributions(case, picture))
    for metric in ("local-lipschitz", "relative-input-stability"):
        known = values(found, metric)
        # Both sides of the ratio are one number.
        np.testing.assert_allclose(known[~np.isnan(known)], 1, rtol=0, atol=EXACT)


@pytest.mark.parametrize("metric", SCORES_OF_COPIES)
def test_every_metric_is_there_for_every_image_and_null(metric: str, case: EvaluationSet) -> None:
    scores = TEST.measure(attributions(case, gradient)).scores
    mine = scores[names_in(scores).isin([metric, f"{metric}-gain"])]
    assert mine.groupby([names_in(mine), "variant"])["image"].nunique().to_dict() == {
        (metric, "map"): len(case.targets),
        (metric, "transplant-null"): len(case.targets),
        (f"{metric}-gain", "transplant-null"): len(case.targets),
    }
    assert metric in metric_cards()
    assert mine["value"].notna().any()


def test_copies_that_change_the_prediction_do_not_count(case: EvaluationSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that says the prediction and nothing else does not move, for it is asked where the prediction stays."""

    def says(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        answers = subject.logits(images).argmax(1).float()
        return answers[:, None, None] + torch.linspace(1, 2, SIDE).expand(len(images), SIDE, SIDE)

    monkeypatch.setattr("harness.measurements.robustness.SPREAD", 1.0)
    loud = Robustness(EVERYONE, 10)
    given = attributions(case, says)
    kept = loud._views(given.some(EVERYONE))[2]
    assert not kept.all()
    moved = values(loud.measure(given), "max-sensitivity")
    assert set(moved[~np.isnan(moved)]) == {0.0}


def test_an_image_whose_every_copy_changes_the_prediction_has_no_score_and_says_why(case: EvaluationSet) -> None:
    turned = replace(case, probabilities=np.roll(case.probabilities, 1, axis=1))
    found = TEST.measure(attributions(turned, picture))
    assert np.isnan(values(found, "max-sensitivity")).all()
    assert reasons(found, "max-sensitivity") == {
        "constant map, or the map is zero, or the prediction changed in every copy"
    }


def test_a_constant_map_is_undefined(case: EvaluationSet) -> None:
    found = TEST.measure(attributions(case, lambda _s, images, _t: torch.ones(len(images), SIDE, SIDE)))
    assert found.scores[names_in(found.scores) != "input-invariance"]["value"].isna().all()


def test_an_image_does_not_depend_on_its_company(case: EvaluationSet) -> None:
    index = np.array([7, 3])
    alone = replace(case, faces=case.faces.take(index), probabilities=case.probabilities[index])
    whole, part = (TEST.measure(attributions(each, picture)) for each in (case, alone))
    given = attributions(case, picture).some(EVERYONE).case
    places = [list(given.faces.ids).index(case.faces.ids[number]) for number in index]
    part_ids = attributions(alone, picture).some(EVERYONE).case.faces.ids
    order = [list(part_ids).index(case.faces.ids[number]) for number in index]
    np.testing.assert_array_equal(
        values(part, "average-sensitivity")[order], values(whole, "average-sensitivity")[places]
    )


def test_the_network_answers_the_copies_once_for_all_explainers(case: EvaluationSet) -> None:
    held: dict[tuple[object, ...], dict[str, object]] = {}

    def shared(what, make):
        if what not in held:
            held[what] = dict(make())
        return held[what]

    passes = []
    for explain in (picture, wild):
        before = case.subject.passes.forward
        TEST.measure(replace(attributions(case, explain), shared=shared))
        passes.append(case.subject.passes.forward - before)
    n = len(case.targets)
    # Images and copies, then the shift on both networks.
    assert passes == [n * (1 + TEST.copies) + 2 * n, 0]


# ---------------------------------------------------------------------- under a shift of brightness


def test_the_gradient_is_invariant_to_a_shift_that_the_network_takes_back_and_its_product_with_the_image_is_not(
    case: EvaluationSet,
) -> None:
    invariant, moved = (
        values(TEST.measure(attributions(case, explain)), "input-invariance")
        for explain in (gradient, input_x_gradient)
    )
    # Equal but for rounding and the odd ReLU that it flips.
    assert invariant.max() < 1e-4
    assert moved.min() > 0.05


def test_a_network_that_does_more_before_its_first_weights_cannot_be_judged() -> None:
    class Squares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(SIDE * SIDE, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.read(images.flatten(1) ** 2)

    subject = Subject(Squares(), name="squares", classes=CLASSES, spec=SPEC)
    found = TEST.measure(attributions(make_case(subject, bright_patch_faces()), gradient))
    assert np.isnan(values(found, "input-invariance")).all()
    assert "answers otherwise" in next(iter(reasons(found, "input-invariance")))


def test_a_network_whose_first_weights_are_no_convolution_cannot_be_judged() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
    subject = Subject(network, name="normal", classes=CLASSES, spec=SPEC)
    found = TEST.measure(attributions(make_case(subject, bright_patch_faces()), gradient))
    assert "neither a convolution nor dense" in next(iter(reasons(found, "input-invariance")))


def test_an_explainer_that_cannot_work_on_the_shifted_network_is_undefined_there_alone(case: EvaluationSet) -> None:
    def only_its_own(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        if subject is not case.subject:
            raise ExplainerFault("e raised KeyError: '0.1'")
        return images[:, 0]

    found = TEST.measure(attributions(case, only_its_own))
    assert reasons(found, "input-invariance") == {"on the network that takes the shift back: e raised KeyError: '0.1'"}
    assert np.isfinite(values(found, "average-sensitivity")).any()


# ---------------------------------------------------------------------- under another seed

SEEDS = Seeds(per_class=EVERYONE, seeds=3)


def ignoring(subject: Subject, images: Tensor, targets: Tensor, *, seed: int) -> Tensor:
    return images[:, 0]


def drawing(subject: Subject, images: Tensor, targets: Tensor, *, seed: int) -> Tensor:
    return torch.randn(images[:, 0].shape, generator=torch.Generator().manual_seed(seed))


def mixed(subject: Subject, images: Tensor, targets: Tensor, *, seed: int) -> Tensor:
    return images[:, 0] + 0.3 * drawing(subject, images, targets, seed=seed)


def test_an_explainer_that_ignores_its_seed_passes(case: EvaluationSet) -> None:
    found = SEEDS.measure(attributions(case, ignoring, seeded=True))
    # A correlation of equal ranks, in doubles.
    np.testing.assert_allclose(values(found, "seed-stability"), 1, rtol=0, atol=EXACT)
    assert verdict(case, found, "seed-stability")[0] is Verdict.PASS


def test_an_explainer_that_only_draws_fails(case: EvaluationSet) -> None:
    found = SEEDS.measure(attributions(case, drawing, seeded=True))
    # Three correlations of 144 pixels: the mean of 30 has a standard deviation of .01.
    assert abs(values(found, "seed-stability").mean()) < 0.05
    assert verdict(case, found, "seed-stability")[0] is Verdict.FAIL


def test_an_explainer_that_draws_in_part_lies_between(case: EvaluationSet) -> None:
    assert 0.1 < values(SEEDS.measure(attributions(case, mixed, seeded=True)), "seed-stability").mean() < 0.9


def test_an_explainer_that_draws_nothing_is_not_judged(case: EvaluationSet) -> None:
    found = SEEDS.measure(attributions(case, picture))
    assert reasons(found, "seed-stability") == {"the explainer draws nothing"}
    assert verdict(case, found, "seed-stability")[0] is Verdict.NOT_APPLICABLE
    assert "draws nothing" in verdict(case, found, "seed-stability")[1]


def test_one_that_draws_from_a_global_generator_is_found_out(case: EvaluationSet) -> None:
    hidden = replace(attributions(case, drawing, seeded=True), seeded=False)
    assert np.isfinite(values(SEEDS.measure(hidden), "seed-stability")).all()


# ---------------------------------------------------------------------- over all images


def agreement(case: EvaluationSet, maps: np.ndarray) -> Measured:
    return Agreement().measure(Attributions(case, maps))


def class_portraits(targets: np.ndarray) -> np.ndarray:
    """A map that tells the class: another third of the picture for each."""
    maps = np.full((len(targets), SIDE, SIDE), -0.1, np.float32)
    for found, target in zip(maps, targets, strict=True):
        found[:, 4 * target : 4 * target + 4] = 1
    return maps


@pytest.mark.parametrize("metric", ["consistency", "neighbour-sufficiency"])
def test_maps_that_tell_the_class_agree_and_those_that_tell_another_partition_do_not(
    metric: str, patch_case: EvaluationSet
) -> None:
    telling = values(agreement(patch_case, class_portraits(patch_case.targets)), metric)
    other = values(agreement(patch_case, class_portraits(np.arange(len(patch_case.targets)) % 3)), metric)
    assert set(telling) == {1.0}
    # Six images of three classes: an image's class is one of the five others.
    np.testing.assert_allclose(other, 1 / 5, rtol=0, atol=EXACT)


def test_a_scale_changes_nothing(patch_case: EvaluationSet) -> None:
    maps = class_portraits(patch_case.targets) + 0.01 * np.random.default_rng(0).random((1, SIDE, SIDE), np.float32)
    one, other = (agreement(patch_case, factor * maps).scores for factor in (1, 8))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("metric", ["consistency", "neighbour-sufficiency"])
def test_a_constant_map_is_nobodys_neighbour(metric: str, patch_case: EvaluationSet) -> None:
    """Maps that share nothing lie no farther apart than each lies from a map of zeros."""
    maps = np.zeros((len(patch_case.targets), SIDE, SIDE), np.float32)
    alone, silent = np.flatnonzero(patch_case.targets == 0), patch_case.targets != 0
    for place, image in enumerate(alone):
        maps[image, place] = 1
    maps[silent & (patch_case.targets == 1)] = 1
    found = values(agreement(patch_case, maps), metric)
    assert np.isnan(found[silent]).all()
    few = patch_case.take(alone)
    np.testing.assert_array_equal(found[alone], values(agreement(few, maps[alone]), metric))


def test_a_constant_map_agrees_with_nothing(patch_case: EvaluationSet) -> None:
    maps = class_portraits(patch_case.targets)
    maps[3] = 1
    found = agreement(patch_case, maps)
    assert np.flatnonzero(np.isnan(values(found, "consistency"))).tolist() == [3]
    assert np.flatnonzero(np.isnan(values(found, "neighbour-sufficiency"))).tolist() == [3]


@pytest.mark.parametrize("measurement", [TEST, SEEDS, Agreement()], ids=lambda each: each.name)
def test_each_is_a_measurement(measurement: Measurement) -> None:
    assert isinstance(measurement, Measurement)


def test_noise_is_a_share_of_each_channels_own_range() -> None:
    found = noise_by_channel(lambda case, spying: TEST.measure(attributions(case, spying)), TEST.per_class)
    # Of 3,888 draws and more, whose error is 1.2 per cent.
    assert found == pytest.approx([0.02] * 3, rel=0.06)


class Branches(nn.Module):
    """A network whose last layer with weights reads two halves of the picture one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(SIDE * SIDE // 2, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        upper, lower = images.flatten(1).chunk(2, dim=1)
        answer: Tensor = self.read(upper) - self.read(lower)
        return answer


class Weights(nn.Module):
    """A network without any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SIDE * SIDE, len(CLASSES)))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class ByName(nn.Module):
    """A network that gives its last layer what it reads by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.read = nn.Conv2d(1, 2, 3), nn.Linear(2 * (SIDE - 2) ** 2, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.read(input=self.first(images).relu().flatten(1))
        return answer


@pytest.mark.parametrize(("head", "heard"), [(Branches, False), (Weights, False), (ByName, True)])
def test_what_reaches_an_odd_last_layer_is_heard_or_not_scored_and_the_rest_is(
    head: type[nn.Module], *, heard: bool
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = head()
    odd = make_case(Subject(network, name="odd", classes=CLASSES, spec=SPEC), bright_patch_faces(9))
    found = TEST.measure(attributions(odd, picture))
    for metric in SCORES_OF_COPIES:
        scored = np.isfinite(values(found, metric))
        assert scored.all() == (heard or metric != OF_INNER)
        assert scored.any() == scored.all()
    if not heard:
        assert reasons(found, OF_INNER) == {UNHEARD}
