"""Games of pictures under networks that add up over cells, or do not: the values that are known are found."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import AGAIN, CLASSES, EXACT, SIDE, SPEC, kept_once
from torch import Tensor, nn

from harness.digest import image_keys
from harness.perturbation import BlurFill, Fill, MeanFill, PictureFill
from harness.subject import Subject
from harness.truth import (
    ExactGames,
    Grid,
    coalition_answers,
    filled_pictures,
    games_of,
    picture_game,
    sampled_shapley,
    shapley_interactions,
    shapley_values,
    true_maps,
    worths,
)

CELL = Grid().labels(SIDE, SIDE)
FILLS: tuple[tuple[str, Fill], ...] = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)))


class Additive(nn.Module):
    """Logits are weighted sums of pixels, so that cells add up."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(size=(3, SIDE * SIDE))).float())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T


class Gate(nn.Module):
    """Class 0 wants cell 0 and cell 4 to be lit, both or either; the other classes want nothing."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.both = both

    def forward(self, images: Tensor) -> Tensor:
        lit = torch.stack([images[:, 0, cell == CELL].mean(1) > 0.5 for cell in (0, 4)])
        on = (lit.all(0) if self.both else lit.any(0)).to(images.dtype)
        return torch.stack([3 * on, 0 * on, 0 * on], 1)


def subject_of(network: nn.Module) -> Subject:
    return Subject(network, name="known", classes=CLASSES, spec=SPEC)


def pictures(n: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (n, 1, SIDE, SIDE))).float()


def shared_nothing(what: tuple[object, ...], make) -> dict[str, np.ndarray]:
    return dict(make())


def test_an_additive_networks_cells_are_worth_what_their_pixels_add() -> None:
    network, images = Additive(), pictures()
    games = games_of(3, 2, FILLS)
    found = games.answers(subject_of(network), images, shared_nothing)
    weights = network.weights.detach().double().numpy()
    weights -= weights.mean(axis=0)  # worth is the logit less the mean of logits
    for g, grid in enumerate(games.grids):
        labels = grid.labels(SIDE, SIDE).ravel()
        for f, (_, fill) in enumerate(FILLS):
            change = (images - filled_pictures(images, fill)).double().flatten(1).numpy()
            expected = np.stack([(change[:, labels == c] @ weights[:, labels == c].T) for c in range(9)], axis=1)
            # Logits are single precision sums of 144 products; a value is a mean of their differences.
            room = 144 * 2**-24 * np.abs(weights).sum(axis=1).max() * 2
            np.testing.assert_allclose(shapley_values(worths(found[g, f])), expected, rtol=0, atol=room)


@pytest.mark.parametrize(("both", "together"), [(True, 2.0), (False, -2.0)], ids=["and", "or"])
def test_a_gate_of_two_cells_is_shared_between_them(both: bool, together: float) -> None:
    image, dark = torch.full((1, SIDE, SIDE), 1.0), torch.full((1, SIDE, SIDE), -1.0)
    held = games_of(3, 1, (("dark", PictureFill(dark)),))
    table = worths(held.answers(subject_of(Gate(both)), image[None], shared_nothing)[0, 0])
    expected = np.zeros((9, 3))
    expected[[0, 4]] = 1.0, -0.5, -0.5  # half of 3 less the mean over classes
    # Whole numbers and thirds in single precision: a few ulps of 3.
    np.testing.assert_allclose(shapley_values(table)[0], expected, rtol=0, atol=AGAIN)
    pairs = shapley_interactions(table)[0, :, :, 0]
    assert pairs[0, 4] == pytest.approx(together, abs=AGAIN)
    assert np.abs(np.delete(np.delete(pairs, [0, 4], 0), [0, 4], 1)).max() < AGAIN


def test_within_a_cell_parts_of_an_additive_network_are_worth_what_their_pixels_add() -> None:
    network, images = Additive(), pictures()
    games = games_of(3, 1, FILLS)
    table = worths(games.within(subject_of(network), images, image_keys(images), 0, shared_nothing))
    weights = network.weights.detach().double().numpy()
    weights -= weights.mean(axis=0)
    labels = games.grids[0].part_labels(SIDE, SIDE).ravel()
    for f, (_, fill) in enumerate(FILLS):
        change = (images - filled_pictures(images, fill)).double().flatten(1).numpy()
        expected = np.stack([change[:, labels == p] @ weights[:, labels == p].T for p in range(36)], axis=1)
        found = shapley_values(table[f].reshape(-1, 16, 3)).reshape(len(images), 36, 3)
        room = 144 * 2**-24 * np.abs(weights).sum(axis=1).max() * 2
        np.testing.assert_allclose(found, expected, rtol=0, atol=room)


def test_a_number_added_to_all_logits_changes_no_worth() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    # Of two subtractions of numbers of at most ten.
    np.testing.assert_allclose(worths(logits + 7), worths(logits), rtol=0, atol=EXACT)


def test_pixels_of_no_cell_stay_in_every_coalition() -> None:
    labels = np.full((SIDE, SIDE), -1)
    labels[:4] = 0
    image, filled = pictures(2)
    kept = np.array([[False], [True]])
    found = coalition_answers(subject_of(Additive()), image, filled, labels, kept)
    part = image.clone()
    part[:, :4] = filled[:, :4]
    expected = subject_of(Additive()).logits(torch.stack([part, image])).numpy()
    np.testing.assert_array_equal(found, expected)


def test_equal_coalitions_are_asked_about_once() -> None:
    subject, (image, filled) = subject_of(Additive()), pictures(2)
    before = subject.passes.forward
    found = coalition_answers(subject, image, filled, CELL, np.ones((5, 9), bool))
    assert subject.passes.forward - before == 1
    assert found.shape == (5, 3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_games_values_do_not_hang_on_the_company_of_an_image(seed: int) -> None:
    subject, images = subject_of(Additive()), pictures(3)
    games = games_of(2, 1, FILLS)
    whole = games.within(subject, images, image_keys(images), seed, shared_nothing)
    alone = games.within(subject, images[2:], image_keys(images[2:]), seed, shared_nothing)
    np.testing.assert_array_equal(whole[:, 2:], alone)


def test_answers_are_kept_and_asked_once() -> None:
    subject, images, shared = subject_of(Additive()), pictures(11), kept_once()
    games = games_of(2, 2, FILLS)
    first, before = games.answers(subject, images, shared), subject.passes.forward
    assert before == 11 * games.passes
    np.testing.assert_array_equal(games.answers(subject, images, shared), first)
    assert subject.passes.forward == before


def test_a_stopped_game_goes_on_where_it_stopped() -> None:
    subject, images, held = subject_of(Additive()), pictures(20), kept_once()
    games, asked = games_of(2, 1, FILLS[:1]), []

    def dies(what: tuple[object, ...], make) -> dict[str, object]:
        asked.append(what)
        if len(asked) > 2:
            raise KeyboardInterrupt
        return held(what, make)

    with pytest.raises(KeyboardInterrupt):
        games.answers(subject, images, dies)
    before = subject.passes.forward
    games.answers(subject, images, held)
    assert subject.passes.forward - before == 4 * games.passes  # 8 + 8 images were kept


def test_other_fills_and_grids_are_not_taken_for_each_other() -> None:
    subject, images, shared = subject_of(Additive()), pictures(2), kept_once()
    one = games_of(2, 2, FILLS).answers(subject, images, shared)
    for table in (one[0, 0], one[0, 1], one[1, 0], one[1, 1]):
        assert sum(np.array_equal(table, other) for other in one.reshape(-1, *table.shape)) == 1


def test_grids_of_other_numbers_of_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="differ by a shift"):
        ExactGames((Grid(2, 2), Grid(3, 3)), FILLS)


def test_sampled_values_of_a_picture_hold_the_exact_ones() -> None:
    image, filled = pictures(2)
    game = picture_game(subject_of(Additive()), image, filled, Grid(2, 2).labels(SIDE, SIDE))
    exact = shapley_values(game((np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool))[None])[0]
    # Additive, so that every order gives the same but for single precision in sums of 144 products.
    np.testing.assert_allclose(sampled_shapley(game, 4, 2, 0).values, exact, rtol=0, atol=144 * 2**-24 * 40)


def test_segments_are_cells_too() -> None:
    labels = (np.arange(SIDE)[:, None] + np.arange(SIDE)) % 2
    image, filled = pictures(2)
    table = picture_game(subject_of(Additive()), image, filled, labels)(
        np.array([[0, 0], [1, 0], [0, 1], [1, 1]], bool)
    )
    total = table[3] - table[0]
    np.testing.assert_allclose(shapley_values(table[None])[0].sum(axis=0), total, rtol=0, atol=EXACT)


# ---------------------------------------------------------------------- the truth as a map


@given(st.integers(0, 2**32 - 1))
def test_a_true_map_adds_up_to_the_values_of_every_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [Grid(shift=shift).labels(SIDE, SIDE) for shift in (0.0, 0.5)]
    values = rng.normal(size=(2, 4, 9))
    values[1] += (values[0].sum(axis=1) - values[1].sum(axis=1))[:, None] / 9
    parts, inner = Grid().part_labels(SIDE, SIDE), rng.normal(size=(4, 36))
    inner[3] = np.nan
    maps = true_maps(labels, list(values), parts, inner)
    for one, own in zip(labels, values, strict=True):
        sums = np.stack([maps[:, one == cell].sum(axis=1) for cell in range(9)], axis=1)
        # A pseudo-inverse of a matrix whose singular values lie within a factor of ten.
        np.testing.assert_allclose(sums, own, rtol=0, atol=EXACT)


def test_on_one_grid_parts_differ_as_they_should() -> None:
    rng = np.random.default_rng(0)
    grid, values, inner = Grid(), rng.normal(size=(2, 9)), rng.normal(size=(2, 36))
    maps = true_maps([grid.labels(SIDE, SIDE)], [values], grid.part_labels(SIDE, SIDE), inner)
    parts = grid.part_labels(SIDE, SIDE)
    sums = np.stack([maps[:, parts == part].sum(axis=1) for part in range(36)], axis=1).reshape(2, 9, 4)
    expected = values[..., None] / 4 + inner.reshape(2, 9, 4) - inner.reshape(2, 9, 4).mean(axis=2, keepdims=True)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=EXACT)


def test_of_all_maps_with_these_sums_it_is_the_smallest() -> None:
    grid = Grid()
    values = np.random.default_rng(0).normal(size=(1, 9))
    maps = true_maps([grid.labels(SIDE, SIDE)], [values])
    np.testing.assert_allclose(maps[0], values[0][CELL] / 16, rtol=0, atol=EXACT)


def test_pixels_of_no_cell_are_nothing_in_the_true_map() -> None:
    labels = Grid(2, 2).labels(9, 9)
    maps = true_maps([labels], [np.ones((1, 4))])
    assert not maps[0][labels < 0].any()
