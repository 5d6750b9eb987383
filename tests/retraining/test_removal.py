"""ROAR and KAR where what tells the class is known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.retraining import Explained, Learning, Trial, kept_alone, learnt, mask_alone, right_after, roar, without

SIDE, PATCH = 16, 4
SHARE = PATCH**2 / SIDE**2


def planted(n: int, seed: int) -> Explained:
    """Noise of two classes, told by the upper left patch alone, with maps that know it and maps from the bottom up."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.normal(0, 0.1, (n, 1, SIDE, SIDE)).astype(np.float32)
    images[:, :, :PATCH, :PATCH] += np.where(labels == 1, 0.9, -0.9)[:, None, None, None].astype(np.float32)
    truth = np.zeros((n, SIDE, SIDE), np.float32)
    truth[:, :PATCH, :PATCH] = 1
    upwards = np.broadcast_to(np.arange(SIDE**2, dtype=np.float32).reshape(SIDE, SIDE), truth.shape)
    return Explained(torch.from_numpy(images), labels, {"truth": truth, "upwards": upwards})


def nearest_mean(images: Tensor, labels: Tensor, seed: int):
    """Learn the mean of each class, and answer by how near it is."""
    means = torch.stack([images[labels == label].mean(0) for label in labels.unique()])
    return lambda asked: -((asked[:, None] - means) ** 2).sum(dim=(2, 3, 4))


def network(images: Tensor, labels: Tensor, seed: int):
    """Learn by the small network, for a short while."""
    return learnt(images, labels, seed, Learning(epochs=6, batch=16, rate=1e-2))


def level(held: Explained) -> Explained:
    """The same images without noise outside the patch."""
    images = held.images.clone()
    images[:, :, PATCH:], images[:, :, :, PATCH:] = 0, 0
    return Explained(images, held.labels, held.maps)


def test_without_what_tells_the_class_nothing_is_learnt_and_all_without_the_rest() -> None:
    found = roar(level(planted(20, 0)), level(planted(20, 1)), nearest_mean, shares=(SHARE,), seeds=(0,))
    assert found[Trial("truth", SHARE, 0)].mean() == 0.5, "all pictures are one picture"
    assert found[Trial("upwards", SHARE, 0)].mean() == 1.0


def test_of_what_is_kept_alone_it_is_the_other_way_round() -> None:
    pair = level(planted(20, 0)), level(planted(20, 1))
    found = roar(*pair, nearest_mean, shares=(SHARE,), seeds=(0,), degrade=kept_alone)
    assert found[Trial("truth", SHARE, 0)].mean() == 1.0
    assert found[Trial("upwards", SHARE, 0)].mean() == 0.5


def test_a_network_that_is_trained_anew_finds_the_patch_or_misses_it() -> None:
    found = roar(planted(64, 0), planted(40, 1), network, shares=(SHARE,), seeds=(0,))
    # Of 40 answers at chance more than 32 are right once in 10,000 draws.
    assert found[Trial("truth", SHARE, 0)].mean() <= 0.8
    assert found[Trial("upwards", SHARE, 0)].mean() == 1.0


def test_a_map_that_tells_the_class_by_its_place_is_found_out_by_its_mask() -> None:
    honest, leaking = planted(20, 0), planted(20, 0)
    places = np.where(leaking.labels[:, None, None] == 1, leaking.maps["truth"], leaking.maps["truth"][:, ::-1])
    leaking = Explained(leaking.images, leaking.labels, {"truth": places})
    trial = Trial("truth", SHARE, 0)
    assert right_after(trial, mask_alone, honest, honest, nearest_mean).mean() == 0.5
    assert right_after(trial, mask_alone, leaking, leaking, nearest_mean).mean() == 1.0


def test_pixels_are_filled_by_the_mean_of_what_is_learnt_from() -> None:
    """The test's pictures, which are brighter, are filled by the others' mean."""
    train, test = planted(4, 0), planted(4, 1)
    brighter = Explained(test.images + 5, test.labels, test.maps)
    seen: list[Tensor] = []

    def watching(images: Tensor, labels: Tensor, seed: int):
        answer = nearest_mean(images, labels, seed)
        return lambda asked: (seen.append(asked), answer(asked))[1]

    right_after(Trial("truth", SHARE, 0), without, train, brighter, watching)
    assert torch.equal(seen[0][:, :, :PATCH, :PATCH].unique(), train.images.mean()[None])
    assert torch.equal(seen[0][:, :, PATCH:], brighter.images[:, :, PATCH:])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_at_the_ends_nothing_or_everything_is_gone(share: float) -> None:
    held = planted(20, 0)
    whole = right_after(Trial("truth", share, 0), without, held, held, nearest_mean).mean()
    assert whole == (1.0 if share == 0 else 0.5)


def test_a_training_is_the_same_under_one_seed_and_leaves_the_generator() -> None:
    held = planted(32, 0)
    labels = torch.from_numpy(held.labels)
    before = torch.get_rng_state()
    same, again, other = (network(held.images, labels, seed)(held.images) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)
