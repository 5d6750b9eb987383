"""The single deletion score where deletions' effects are known, and the network that has met them."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from harness.retraining import Learning, adapted, deleted_one, deletions, idsds
from harness.subject import InputSpec, Subject
from harness.truth import Grid

GRID = Grid(2, 2, split=1)
WEIGHTS = np.array([[4.0, -1.0], [2.0, 0.5]])


def additive() -> Subject:
    """A network of 4 x 4 pixels whose first class is a weighted sum, each quarter with a weight of its own."""
    dense = nn.Linear(16, 2)
    with torch.no_grad():
        dense.weight.zero_()
        dense.weight[0] = torch.from_numpy(np.kron(WEIGHTS, np.ones((2, 2)))).float().flatten()
        dense.bias.zero_()
    return Subject(
        nn.Sequential(nn.Flatten(), dense),
        name="additive",
        classes=("one", "other"),
        spec=InputSpec(4, 4, (0.5,), (0.5,)),
    )


def test_what_a_deletion_takes_is_the_part_of_an_additive_network() -> None:
    images = torch.rand(3, 1, 4, 4)
    held = deletions(additive(), images, np.zeros(3, np.int64), GRID)
    parts = images.numpy().reshape(3, 2, 2, 2, 2).sum(axis=(2, 4)) * WEIGHTS
    # Sixteen products in single precision, of numbers up to 4.
    np.testing.assert_allclose(held.drops, parts.reshape(3, 4), atol=16 * 4 * np.finfo(np.float32).eps)


def test_exact_drops_score_one_and_their_negative_minus_one() -> None:
    images = torch.rand(5, 1, 4, 4) + 0.1
    held = deletions(additive(), images, np.zeros(5, np.int64), GRID)
    exact = held.drops.reshape(5, 2, 2).repeat(2, axis=1).repeat(2, axis=2)
    assert idsds(exact, held) == pytest.approx(np.ones(5))
    assert idsds(-exact, held) == pytest.approx(-np.ones(5))
    assert idsds(np.roll(exact, 2, axis=2), held).max() < 0.9, "each part beside its place"


def test_a_score_is_spearmans_of_sums_over_patches() -> None:
    rng = np.random.default_rng(0)
    images, maps = torch.rand(4, 1, 4, 4), rng.normal(size=(4, 4, 4))
    held = deletions(additive(), images, np.zeros(4, np.int64), GRID)
    sums = maps.reshape(4, 2, 2, 2, 2).sum(axis=(2, 4)).reshape(4, 4)
    by_scipy = [spearmanr(one, other).statistic for one, other in zip(sums, held.drops, strict=True)]
    assert idsds(maps, held) == pytest.approx(np.array(by_scipy))


def test_a_constant_map_is_undefined() -> None:
    held = deletions(additive(), torch.rand(2, 1, 4, 4), np.zeros(2, np.int64), GRID)
    assert np.isnan(idsds(np.ones((2, 4, 4)), held)).all()


def test_recognition_is_told_whole_and_with_a_patch_gone() -> None:
    """Quarters give 16, -4, -16 and -4: without the third alone the sum is above the other class's 0."""
    images = torch.ones(2, 1, 4, 4)
    images[:, :, 2:] = -2.0
    held = deletions(additive(), images, np.array([1, 1]), GRID)
    assert (held.whole, held.deleted) == (1.0, 0.75)


def test_about_half_of_the_pictures_lose_one_patch_each() -> None:
    images = torch.ones(4000, 1, 4, 4)
    changed = deleted_one(images, torch.Generator().manual_seed(0), GRID)
    gone = (changed == 0).reshape(-1, 2, 2, 2, 2).sum(dim=(2, 4)).reshape(-1, 4)
    assert set(gone.unique().tolist()) == {0, 4}, "a patch goes whole or not at all"
    assert set(gone.sum(dim=1).tolist()) == {0, 4}
    # Four standard deviations of 4,000 draws of one half, and of one eighth.
    assert (gone.sum(dim=1) > 0).float().mean() == pytest.approx(0.5, abs=4 * (0.25 / 4000) ** 0.5)
    assert (gone > 0).float().mean(dim=0).numpy() == pytest.approx(np.full(4, 1 / 8), abs=4 * (7 / 64 / 4000) ** 0.5)
    assert bool((images == 1).all())


def test_a_network_goes_on_learning_in_a_copy() -> None:
    given = additive().network
    before = {name: value.clone() for name, value in given.state_dict().items()}
    images = torch.rand(64, 1, 4, 4)
    labels = (images[:, 0, :2].sum(dim=(1, 2)) < 4).long()  # what the given network does not ask
    after = adapted(
        given, images, labels, lambda batch, rng: deleted_one(batch, rng, GRID), 0, Learning(epochs=40, rate=3e-2)
    )
    losses = [float(functional.cross_entropy(one(images), labels)) for one in (given, after)]
    assert losses[1] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert not after.training
    assert not any(weight.requires_grad for weight in after.parameters())
