"""The exact game as a measurement: what is right is found right, what knows nothing is not, what cannot be is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tiny import CLASSES, EXACT, SIDE, SPEC, kept_once, make_case, names_in
from torch import Tensor, nn

from harness.evaluation_set import EvaluationSet
from harness.faces.faceset import FaceSet
from harness.measurements import Attributions, Cells, CellsByClass
from harness.measurements.cells import Ordered, of_the_network, share_right
from harness.oracles.known import truths
from harness.perturbation import BlurFill, MeanFill, PictureFill
from harness.subject import InputSpec, Subject
from harness.truth import games_of, pairs_of, shapley_values, worths
from harness.truth.images import Games, Level, target_maps

MEAN_FACE = PictureFill(torch.zeros(1, SIDE, SIDE))
PLAYED = games_of(3, 2, (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", MEAN_FACE)))
GAMES = Games(PLAYED, per_class=100, within_per_class=100)
METRICS = ("settled-pairs", "settled-pairs-size", "coalition-fit")


class Linear(nn.Module):
    """Each class weighs every pixel by its own smooth and signed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(size=(3, SIDE * SIDE))).float())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T / SIDE


@pytest.fixture(scope="module")
def case() -> EvaluationSet:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 255, (30, SIDE, SIDE), dtype=np.uint8)
    faces = FaceSet("noise", images, CLASSES, rng.integers(0, 3, 30), ids=500 + np.arange(30))
    return make_case(Subject(Linear(), name="linear", classes=CLASSES, spec=SPEC), faces)


SHARED = kept_once()


def contributions(case: EvaluationSet, classes: np.ndarray | None = None) -> np.ndarray:
    """What each pixel adds to the worth of a class, over grey: a true map of a linear network."""
    weights = case.subject.network.weights.detach().numpy().reshape(3, SIDE, SIDE)
    weights = weights - weights.mean(axis=0)
    return weights[case.targets if classes is None else classes] * case.images[:, 0].numpy()


def measured(case: EvaluationSet, maps: np.ndarray, games: Games = GAMES) -> pd.DataFrame:
    return Cells(games, 2).measure(Attributions(case, maps.astype(np.float32), shared=SHARED)).scores


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def true_map(case: EvaluationSet, games: Games = GAMES) -> np.ndarray:
    return target_maps(games.truth(case, SHARED))


def test_the_truth_is_right_in_every_settled_pair(case: EvaluationSet) -> None:
    assert values(measured(case, true_map(case)), "settled-pairs").tolist() == [1.0] * 30


def test_the_true_contributions_of_pixels_are_nearly_always_right(case: EvaluationSet) -> None:
    scores = measured(case, contributions(case))
    assert np.nanmean(values(scores, "settled-pairs")) > 0.9
    assert np.nanmean(values(scores, "settled-pairs", "map within")) > 0.9
    assert np.nanmean(values(scores, "coalition-fit")) > 0.8


def test_the_negative_of_the_truth_is_always_wrong(case: EvaluationSet) -> None:
    scores = measured(case, -true_map(case))
    assert values(scores, "settled-pairs").tolist() == [0.0] * 30
    assert np.nanmean(values(scores, "coalition-fit")) < -0.8


def test_its_absolute_values_know_sizes_and_not_signs(case: EvaluationSet) -> None:
    """Sizes within cells cancel where a map has both signs; one value a cell keeps them."""
    one_grid = replace(GAMES, games=replace(PLAYED, grids=PLAYED.grids[:1]))
    flat = true_map(case, replace(one_grid, within_per_class=1))
    deep = one_grid.truth(case, SHARED)
    means = deep.cells[0].of(case.targets[one_grid.chosen(case)]).mean(axis=0)
    maps = means[:, deep.cells[0].labels]
    scores = measured(case, np.abs(maps), one_grid)
    assert np.nanmean(values(scores, "settled-pairs")) < 0.75
    assert np.nanmean(values(scores, "settled-pairs-size")) > 0.95
    assert flat.shape == maps.shape


@pytest.mark.parametrize("metric", METRICS)
def test_noise_gains_nothing(metric: str, case: EvaluationSet) -> None:
    noise = np.random.default_rng(9).normal(size=(30, SIDE, SIDE))
    gain = values(measured(case, noise), metric + "-gain", "spectrum-null")
    assert abs(np.nanmean(gain)) < 4 * np.nanstd(gain) / len(gain) ** 0.5


@pytest.mark.parametrize("metric", METRICS)
def test_what_a_map_gains_hardly_hangs_on_where_its_null_fell(metric: str, case: EvaluationSet) -> None:
    """Of two nulls alone the gain differs by a third of its spread over images and more."""
    maps = gaussian_filter(contributions(case), (0, 2, 2))
    found = [values(measured(replace(case, seed=seed), maps), metric + "-gain", "spectrum-null") for seed in (0, 10)]
    assert np.nanmean(np.abs(found[0] - found[1])) < np.nanstd(found[0]) / 6


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("null", ["spectrum-null", "transplant-null", "portrait"])
def test_a_gain_is_the_difference_from_the_null(metric: str, null: str, case: EvaluationSet) -> None:
    scores = measured(case, contributions(case))
    gain = values(scores, metric + "-gain", null)
    np.testing.assert_array_equal(gain, values(scores, metric) - values(scores, metric, null))


def test_as_many_right_pairs_are_the_same_share_on_whatever_grid() -> None:
    """7.5 of 11 pairs times 11 are not 7.5 in doubles: two maps of equal worth would have ranks of their own."""
    rng, n = np.random.default_rng(0), 3000
    labels, pairs = np.arange(9).reshape(3, 3), pairs_of(9)
    maps = rng.integers(0, 4, (n, 3, 3)).astype(np.float64)
    found = np.sign(maps.reshape(n, 9)[:, pairs[0]] - maps.reshape(n, 9)[:, pairs[1]])
    orders = rng.integers(-1, 2, (2, n, pairs.shape[1]))
    halves = sum((np.where(found == 0, 1, 2 * (found == order)) * (order != 0)).sum(axis=1) for order in orders)
    level = Level(labels, pairs, np.zeros((1, n, 9, 1)))
    ordered = [Ordered(level, order, np.asarray) for order in orders]
    np.testing.assert_array_equal(share_right(ordered, maps), halves / 2 / (orders != 0).sum(axis=(0, 2)))


def test_moved_by_a_part_the_truth_stays_right_between_cells_more_than_within_them(case: EvaluationSet) -> None:
    scores = measured(case, np.roll(contributions(case), 2, axis=2))
    assert np.nanmean(values(scores, "settled-pairs", "map within")) < 0.65


def test_a_constant_map_is_undefined_with_its_reason(case: EvaluationSet) -> None:
    maps = contributions(case)
    maps[4] = 1.0
    scores = measured(case, maps)
    # In a case that is played on as a whole images stand in the order of their classes.
    few = case.take(GAMES.chosen(case))
    row = scores[(scores["image"] == case.faces.ids[4]) & (scores["variant"] == "map")]
    assert set(row["status"]) == {"undefined"}
    assert row["reason"].str.startswith("constant map").all()
    assert len(scores[scores["variant"] == "map"]) == len(METRICS) * len(few.targets)


def test_a_map_that_gives_every_cell_alike_earns_half(case: EvaluationSet) -> None:
    checks = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * np.ones((30, 1, 1))
    assert set(values(measured(case, checks), "settled-pairs")) == {0.5}


def test_a_picture_too_small_is_not_judged_and_says_why() -> None:
    class Small(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :3] + images.mean((1, 2, 3))[:, None]

    spec = InputSpec(5, 5)
    images = np.random.default_rng(0).integers(0, 255, (6, 5, 5), dtype=np.uint8)
    faces = FaceSet("small", images, CLASSES, None, ids=np.arange(6))
    small = make_case(
        Subject(nn.Sequential(nn.Conv2d(1, 1, 1), Small()), name="small", classes=CLASSES, spec=spec), faces
    )
    attributions = Attributions(small, np.random.default_rng(1).random((6, 5, 5), dtype=np.float32))
    for scores in (Cells(GAMES, 1).measure(attributions).scores, CellsByClass(GAMES, 3).measure(attributions).scores):
        assert len(scores)
        assert set(scores["status"]) == {"not scorable"}
        assert scores["reason"].str.contains("too small for 3 x 3 cells").all()
    assert truths(small, GAMES, SHARED) == ()
    assert not len(of_the_network(GAMES, small, SHARED).scores)


def test_answers_that_are_not_finite_settle_nothing() -> None:
    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 1, 1)

        def forward(self, images: Tensor) -> Tensor:
            whole = self.first(images).flatten(1)[:, :3]
            return torch.where((images == 0).flatten(1).sum(1, keepdim=True) > 8, torch.nan, whole)

    images = np.random.default_rng(0).integers(1, 255, (6, SIDE, SIDE), dtype=np.uint8)
    faces = FaceSet("noise", images, CLASSES, None, ids=np.arange(6))
    broken = make_case(Subject(Breaks(), name="breaks", classes=CLASSES, spec=SPEC), faces)
    games = replace(GAMES, games=replace(PLAYED, fills=(("zero", MEAN_FACE),)))
    maps = np.random.default_rng(1).random((6, SIDE, SIDE), dtype=np.float32)
    scores = Cells(games, 1).measure(Attributions(broken, maps)).scores
    assert set(scores["status"]) == {"undefined", "not scorable"}
    assert scores["reason"].str.contains("no finite number|not finite").all()


def test_what_is_played_serves_every_explainer(case: EvaluationSet) -> None:
    shared = kept_once()
    attributions = Attributions(case, contributions(case).astype(np.float32), shared=shared)
    Cells(GAMES, 1).measure(attributions)
    before = case.subject.passes.forward
    Cells(GAMES, 2).measure(replace(attributions, maps=-attributions.maps))
    of_the_network(GAMES, case, shared)
    assert case.subject.passes.forward == before


def test_parts_are_played_on_some_of_the_images(case: EvaluationSet) -> None:
    scores = measured(case, contributions(case), replace(GAMES, per_class=4, within_per_class=2))
    cells = scores[(names_in(scores) == "settled-pairs") & (scores["variant"] == "map")]
    inner = scores[(names_in(scores) == "settled-pairs") & (scores["variant"] == "map within")]
    assert cells["target"].value_counts().max() == 4
    assert inner["target"].value_counts().max() == 2
    assert set(inner["image"]) < set(cells["image"])


def test_a_portrait_leaves_its_own_image_out_and_other_people_in(case: EvaluationSet) -> None:
    persons = np.arange(30) // 2
    attributions = Attributions(replace(case, faces=replace(case.faces, persons=persons)), contributions(case))
    for image, made_of in enumerate(attributions.others):
        assert not made_of[image]
        assert (case.targets[made_of] == case.targets[image]).all()
        assert (persons[made_of] != persons[image]).all()


def test_a_portraits_maps_count_alike_whatever_their_values(case: EvaluationSet) -> None:
    maps = contributions(case)
    loud = maps.copy()
    loud[7] *= 1024  # which single precision multiplies without rounding
    found, same = Attributions(case, loud).portraits, Attributions(case, maps).portraits
    # A mean of at most thirty doubles near one.
    np.testing.assert_allclose(found, same, rtol=0, atol=EXACT)


# ---------------------------------------------------------------------- another class


def by_class(case: EvaluationSet, maps: np.ndarray, explain) -> pd.DataFrame:
    attributions = Attributions(case, maps.astype(np.float32), explain=explain, shared=SHARED)
    return CellsByClass(GAMES, 100).measure(attributions).scores


def test_an_explainer_that_tells_classes_is_right_for_the_runner_up_too(case: EvaluationSet) -> None:
    def truthful(images: Tensor, classes: np.ndarray) -> np.ndarray:
        return contributions(case.take(GAMES.chosen(case)), classes).astype(np.float32)

    scores = by_class(case, contributions(case), truthful)
    for metric in ("settled-pairs-rival", "settled-pairs-contrast"):
        assert np.nanmean(values(scores, metric)) > 0.9
        assert np.nanmean(values(scores, metric + "-gain", "predicted")) > 0


@pytest.mark.parametrize("classes", [2, 3])
def test_the_contrast_is_asked_of_the_classes_that_a_network_has_and_not_of_those_that_occur(classes: int) -> None:
    """Of two, one is all that the other is not; of three of which two occur, their difference is one of its own."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, classes))
    pictures = np.random.default_rng(0).integers(0, 255, (8, SIDE, SIDE), dtype=np.uint8)
    subject = Subject(network, name="some", classes=CLASSES[:classes], spec=SPEC)
    whole = make_case(subject, FaceSet("noise", pictures, subject.classes, np.zeros(8, int)))
    few = replace(whole, judged=(0, 1))
    maps = np.random.default_rng(1).normal(size=pictures.shape).astype(np.float32)
    attributions = Attributions(few, maps, explain=lambda x, y: -maps[: len(x)], shared=kept_once())
    told = set(names_in(CellsByClass(GAMES, 100).measure(attributions).scores))
    rival = {"settled-pairs-rival", "settled-pairs-rival-gain"}
    assert told == (rival if classes == 2 else rival | {name.replace("rival", "contrast") for name in rival})


def test_a_map_of_the_predicted_class_whatever_is_asked_gains_nothing(case: EvaluationSet) -> None:
    chosen = GAMES.chosen(case)
    maps = contributions(case)
    scores = by_class(case, maps, lambda images, classes: maps[chosen].astype(np.float32))
    assert set(values(scores, "settled-pairs-rival-gain", "predicted")) == {0.0}
    contrast = scores[names_in(scores) == "settled-pairs-contrast-gain"]
    assert set(contrast["status"]) == {"silent"}, "it counts against the explainer"
    assert contrast["reason"].str.contains("one map for both classes").all()


def test_silence_about_the_runner_up_counts_and_what_no_pair_settles_does_not(case: EvaluationSet) -> None:
    grey = np.full((2, SIDE, SIDE), 127, np.uint8)
    pictures = np.concatenate([case.faces.images[:4], grey])
    faces = FaceSet("some grey", pictures, CLASSES, np.zeros(6, int), ids=np.arange(6))
    few = make_case(Subject(Linear(), name="linear", classes=CLASSES, spec=SPEC), faces)
    maps = np.random.default_rng(0).normal(size=pictures.shape).astype(np.float32)
    played = replace(GAMES, games=replace(GAMES.games, fills=(("mean", MeanFill()),)))
    attributions = Attributions(few, maps, explain=lambda x, y: np.zeros_like(maps[: len(x)]), shared=kept_once())
    told = CellsByClass(played, 100).measure(attributions).scores.set_index("image")
    rival = told[(names_in(told) == "settled-pairs-rival-gain")]
    assert set(rival.loc[[0, 1, 2, 3], "status"]) == {"silent"}
    assert set(rival.loc[[4, 5], "status"]) == {"not scorable"}
    own = Cells(played, 2).measure(attributions).scores
    own = own[(names_in(own) == "settled-pairs") & (own["variant"] == "map")].set_index("image")["status"]
    assert own.loc[[0, 4]].tolist() == ["ok", "not scorable"]


# ---------------------------------------------------------------------- the network and the truth as an explainer


def test_a_linear_network_is_wholly_additive(case: EvaluationSet) -> None:
    scores = of_the_network(GAMES, case, SHARED).scores
    for fill in ("mean", "blur", "mean-face"):
        # Shares of variance of single precision logits.
        np.testing.assert_allclose(values(scores, "additivity", fill), 1, atol=1e-5)
    assert set(values(scores, "resolution", "cells")) == {4.0}
    assert set(values(scores, "resolution", "within")) == {2.0}
    assert (values(scores, "settled-share", "cells") > 0.3).all()
    assert set(scores["explainer"]) == {""}


def test_the_truth_is_read_off_the_answers_of_all_images_and_classes(case: EvaluationSet) -> None:
    truth = replace(GAMES, within_per_class=2).truth(case, SHARED)
    few, targets = truth.case, truth.case.targets[None, None, :, None, None]
    logits = PLAYED.answers(few.subject, few.images, SHARED)
    worth = worths(logits)
    np.testing.assert_array_equal(truth.worth, np.take_along_axis(worth, targets, axis=4)[..., 0])
    np.testing.assert_array_equal(truth.taken, worth.argmax(axis=4) == targets[..., 0])
    deep = few.take(truth.deep)
    inner = worths(PLAYED.within(few.subject, deep.images, deep.keys, case.seed, SHARED))
    assert 0 < len(deep.targets) < len(few.targets)
    for fill in range(len(PLAYED.fills)):
        for level, tables in zip(truth.cells, worth, strict=True):
            # A value is a mean over coalitions of differences of worths: their order of summing alone may differ.
            np.testing.assert_allclose(level.values[fill], shapley_values(tables[fill]), rtol=0, atol=EXACT)
        parts = shapley_values(inner[fill].reshape(-1, *inner.shape[3:])).reshape(len(deep.targets), -1, worth.shape[4])
        np.testing.assert_allclose(truth.parts.values[fill], parts, rtol=0, atol=EXACT)


def test_truth_with_growing_noise_is_less_and_less_right(case: EvaluationSet) -> None:
    rungs = [
        np.nanmean(
            values(measured(case, one.maps(case.subject, case.images, case.target_tensor(), 0)), "settled-pairs")
        )
        for one in truths(case, GAMES, SHARED)
    ]
    assert rungs[0] == 1
    assert rungs == sorted(rungs, reverse=True)
    assert [one.name for one in truths(case, GAMES, SHARED)] == ["truth", "truth-noise-40", "truth-noise-70"]


def test_the_truth_of_an_image_that_was_not_played_on_is_undefined(case: EvaluationSet) -> None:
    few = replace(GAMES, per_class=2)
    truth = truths(case, few, SHARED)[0].maps(case.subject, case.images, case.target_tensor(), 0)
    played = np.isin(np.arange(30), few.chosen(case))
    np.testing.assert_array_equal(truth.any(axis=(1, 2)), played)


def test_what_is_asked_piece_by_piece_is_what_the_truth_asks(case: EvaluationSet) -> None:
    games, asked = replace(GAMES, per_class=5, within_per_class=2), []

    def noted(what: tuple[object, ...], make: object) -> dict[str, np.ndarray]:
        asked.append(what)
        return SHARED(what, make)

    games.truth(case, noted)
    whole, *of_pieces = asked
    pieces = [piece.what for piece in games.pieces(case)]
    assert pieces == of_pieces
    games.truth(case, noted)
    assert list(map(repr, asked[len(pieces) + 1 :])) == [repr(whole)]
    assert len(set(map(repr, pieces))) == len(pieces)
    lacking = replace(games, games=replace(PLAYED, grids=tuple(replace(g, split=SIDE) for g in PLAYED.grids)))
    assert lacking.pieces(case) == []
