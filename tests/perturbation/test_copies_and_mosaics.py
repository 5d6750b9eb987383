"""Noisy copies and mosaics: as asked, from the seed and the image alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.perturbation import mosaics, noisy_copies


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(6, 1, 9, 8, generator=torch.Generator().manual_seed(0))


def test_the_noise_has_the_spread_that_was_asked_for() -> None:
    copies = noisy_copies(torch.zeros(4, 1, 50, 50), 0.3, draws=3, seed=0, keys=np.arange(4))
    # 30,000 draws: the standard deviation is known to .0012.
    assert copies.std().item() == pytest.approx(0.3, abs=0.005)
    assert copies.mean().item() == pytest.approx(0, abs=0.008)


def test_copies_differ_from_each_other_and_with_the_seed(pictures: Tensor) -> None:
    one, other = (noisy_copies(pictures, 0.1, draws=2, seed=seed) for seed in (0, 1))
    assert not torch.equal(one[:, 0], one[:, 1])
    assert not torch.equal(one, other)


def test_an_images_copies_depend_neither_on_company_nor_on_their_number(pictures: Tensor) -> None:
    many = noisy_copies(pictures, 0.1, draws=4, seed=0)
    few = noisy_copies(pictures[[3]], 0.1, draws=2, seed=0)
    assert torch.equal(few[0], many[3, :2])


def test_a_mosaic_is_half_of_the_class_and_keeps_the_size(pictures: Tensor) -> None:
    found = mosaics(pictures, np.array([0, 0, 1, 1, 2, 2]), seed=0, keys=np.arange(6))
    assert found.images.shape == pictures.shape
    assert found.shown.shape == (6, 9, 8)
    # Nine rows are halved into five and four.
    assert set(found.shown.sum((1, 2))) <= {5 * 8, 36, 4 * 8}
    assert not found.undefined.any()


def test_quarters_change_place_with_the_image(pictures: Tensor) -> None:
    many = mosaics(pictures.repeat(10, 1, 1, 1), np.repeat(np.arange(3), 20), seed=0, keys=np.arange(60))
    assert len({shown.tobytes() for shown in many.shown}) == 6


@pytest.mark.parametrize(
    ("classes", "undefined"),
    [([0, 1, 1, 1, 1, 1], [True, True, True, True, True, True]), ([0, 1, 1, 2, 2, 2], [True] + [False] * 5)],
)
def test_without_a_second_of_the_class_or_two_others_there_is_none(
    classes: list[int], undefined: list[bool], pictures: Tensor
) -> None:
    assert mosaics(pictures, np.array(classes), seed=0, keys=np.arange(6)).undefined.tolist() == undefined
