import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, Occlusion
from double_cases import EQUAL, SINGLE, network, pictures, subject
from explainer_cases import error, quiet, target_logits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers._segments import painted, segments_of
from harness.explainers.perturbation import hidden_logits, kept_segments_logits, windows
from harness.perturbation.masks import Purpose, colour_mask_bank, grid_mask_bank
from harness.subject import Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network())


def exact_shapley(of: Subject, image: Tensor, target: int, labels: np.ndarray) -> Tensor:
    """Shapley values from all subsets, by their definition."""
    players = int(labels.max()) + 1
    sets = np.array(list(itertools.product([False, True], repeat=players)))
    answers = kept_segments_logits(of, image, labels, sets)[:, target].double()
    value = {tuple(row.tolist()): float(answer) for row, answer in zip(sets, answers, strict=True)}
    found = []
    for player in range(players):
        total = 0.0
        for row in sets[~sets[:, player]]:
            size = int(row.sum())
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            joined = row.copy()
            joined[player] = True
            total += weight * (value[tuple(joined.tolist())] - value[tuple(row.tolist())])
        found.append(total)
    return torch.tensor(found, dtype=torch.float64)


def test_occlusion_equals_captums(of: Subject) -> None:
    images = pictures()
    captum = Occlusion(of.network)
    for number, target in enumerate(TARGETS.tolist()):
        image = images[number : number + 1]
        expected = captum.attribute(image, (1, 3, 3), (1, 1, 1), baselines=float(image.mean()), target=target)
        found = EXPLAINERS["occlusion"](of, image, TARGETS[number : number + 1])
        assert error(found, expected[:, 0]) < SINGLE


@pytest.mark.parametrize(("side", "window", "stride"), [(16, 3, 1), (48, 8, 4), (10, 4, 3), (5, 9, 2)])
def test_windows_cover_every_pixel_as_captums_do(side: int, window: int, stride: int) -> None:
    count = math.ceil(max(0, side - window) / stride) + 1
    found = windows(side, side, window, stride)
    assert len(found) == count**2
    assert found.any(0).all()


def test_feature_ablation_equals_captums(of: Subject) -> None:
    image = pictures(1)
    labels = torch.from_numpy(segments_of(image[0]))
    captum = FeatureAblation(of.network)
    with quiet():
        expected = captum.attribute(image, float(image.mean()), target=3, feature_mask=labels[None, None])
    assert error(EXPLAINERS["feature-ablation"](of, image, TARGETS[1:2]), expected[:, 0]) < EQUAL


def test_rise_is_the_mean_probability_weighted_by_the_mask(of: Subject) -> None:
    image = pictures(1)
    keep = torch.from_numpy(grid_mask_bank(40, (16, 16), grid=7, seed=5, purpose=Purpose.EXPLAIN)).double()
    seen = keep[:, None] * image + (1 - keep[:, None]) * image.mean()
    expected = (of.probabilities(seen)[:, 3, None, None] * keep).sum(0) / keep.sum(0)
    found = EXPLAINERS["rise"](of, image, torch.tensor([3]), masks=40, seed=5)
    assert error(found[0], expected) < EQUAL


def test_rise_gives_every_pixel_the_answer_that_never_changes(of: Subject) -> None:
    plain = torch.full((1, 1, 16, 16), 0.25, dtype=torch.float64)
    found = EXPLAINERS["rise"](of, plain, torch.tensor([3]), masks=40, seed=5)
    assert error(found[0], torch.full_like(found[0], float(of.probabilities(plain)[0, 3]))) < EQUAL


def test_rise_uses_other_masks_than_those_that_judge() -> None:
    mine, theirs = (grid_mask_bank(8, (16, 16), grid=7, seed=0, purpose=p) for p in (Purpose.EXPLAIN, Purpose.JUDGE))
    assert not np.array_equal(mine, theirs)


def test_mc_rise_is_the_probability_where_kept_less_where_painted() -> None:
    of, image = subject(network(channels=3), "5", channels=3), pictures(1, channels=3)
    drawn: dict[str, Any] = {"grid": 7, "colours": 5, "seed": 5, "purpose": Purpose.EXPLAIN}
    over = torch.from_numpy(colour_mask_bank(40, (16, 16), **drawn)).double()
    colours = [[-1.0] * 3, [1.0] * 3, [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    keep, expected = 1 - over.sum(1), torch.zeros(16, 16, dtype=torch.float64)
    seen = keep[:, None] * image
    for number, colour in enumerate(colours):
        seen = seen + over[:, number, None] * torch.tensor(colour).view(3, 1, 1)
    answers = of.probabilities(seen)[:, 3, None, None]
    for number in range(5):
        with_colour = (answers * over[:, number]).sum(0) / over[:, number].sum(0)
        expected = expected + ((answers * keep).sum(0) / keep.sum(0) - with_colour) / 5
    found = EXPLAINERS["mc-rise"](of, image, torch.tensor([3]), masks=40, seed=5)
    # The difference of two probabilities that are nearly alike.
    assert error(found[0], expected) < 100 * EQUAL


def test_mc_rise_gives_nothing_where_the_answer_never_changes_or_nothing_is_known() -> None:
    still = nn.Sequential(nn.Flatten(), nn.Linear(256, 5))
    nn.init.zeros_(still[1].weight)
    for masks in (1, 40):
        found = EXPLAINERS["mc-rise"](subject(still), pictures(1), torch.tensor([3]), masks=masks)
        assert found.abs().max() < EQUAL


def test_shapley_sampling_adds_up_to_the_logits_rise_over_the_mean_colour(of: Subject) -> None:
    images = pictures()
    plain = images.mean((2, 3), keepdim=True).expand_as(images)
    rise = target_logits(of, images, TARGETS) - target_logits(of, plain, TARGETS)
    for image, target, whole in zip(images, TARGETS, rise, strict=True):
        labels = segments_of(image)
        found = EXPLAINERS["shapley-sampling"](of, image[None], target[None])[0]
        total = sum(float(found[torch.from_numpy(labels == k)][0]) for k in range(labels.max() + 1))
        assert total == pytest.approx(float(whole), rel=EQUAL * len(labels))


def test_shapley_sampling_comes_near_the_exact_values(of: Subject) -> None:
    image = pictures(1)
    labels = segments_of(image[0], 9)
    expected = painted(exact_shapley(of, image[0], 3, labels), labels)
    found = EXPLAINERS["shapley-sampling"](of, image, torch.tensor([3]), pairs=200, segments=9)[0]
    assert error(found, expected) < 0.01  # sampling error, measured 2e-3


def test_kernel_shap_is_exact_where_all_coalitions_fit(of: Subject) -> None:
    image = pictures(1)
    labels = segments_of(image[0], 9)
    expected = painted(exact_shapley(of, image[0], 3, labels), labels)
    found = EXPLAINERS["kernel-shap"](of, image, torch.tensor([3]), samples=2**12, segments=9)[0]
    assert error(found, expected) < EQUAL


def test_hiding_nothing_changes_nothing(of: Subject) -> None:
    images = pictures()
    nothing = [torch.zeros(1, 16, 16, dtype=torch.bool)] * 3
    found = torch.cat(hidden_logits(of, images, nothing))
    assert error(found, of.logits(images)) < EQUAL


@given(scale=st.floats(0.1, 10), shift=st.floats(-1, 1))
@settings(max_examples=10, deadline=None)
def test_segments_depend_on_the_picture_up_to_contrast_and_brightness(scale: float, shift: float) -> None:
    image = pictures(1)[0]
    assert np.array_equal(segments_of(image), segments_of(image * 2.0 ** round(math.log2(scale))))
    assert segments_of(image + shift).max() > 0


def test_an_even_picture_becomes_a_grid() -> None:
    labels = segments_of(torch.zeros(1, 48, 48))
    sizes = np.bincount(labels.ravel())
    assert len(sizes) == 49
    assert sizes.min() > 30


def test_occlusion_of_a_linear_network_is_each_pixels_share_where_windows_are_pixels() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(256, 5))
    images = pictures()
    found = EXPLAINERS["occlusion"](subject(linear, "1"), images, TARGETS, window=1 / 16, stride=1 / 16)
    weights = linear[1].weight[TARGETS].view(3, 16, 16)
    expected = weights * (images - images.mean((2, 3), keepdim=True))[:, 0]
    assert error(found, expected) < EQUAL
