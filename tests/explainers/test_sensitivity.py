"""Sobol indices and the Hilbert-Schmidt criterion: exact where they are known, against formulas written out."""

import itertools

import numpy as np
import pytest
import torch
from double_cases import network, pictures, subject
from explainer_cases import SIDE
from torch import Tensor, nn

from harness.explainers.sensitivity import dependences, hsic, replicated, sobol, sobol_sequence, total_indices
from harness.perturbation.masks import grid_cells
from harness.rounding import rounding
from harness.subject import Subject

TARGETS = torch.tensor([0, 3, 4])
GRID = 4
SUMS = rounding("float64", 4 * SIDE**2, conditioning=100.0)
"""Sums over all pixels, of values of both signs that cancel to a hundredth, squared."""


@pytest.fixture(scope="module")
def linear() -> Subject:
    """A network whose logits are sums over pixels."""
    torch.manual_seed(3)
    return subject(nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 5)))


def effects(of: Subject, image: Tensor, target: int) -> np.ndarray:
    """Return by how much each cell of an image raises a linear network's logit over the image's mean."""
    weights = of.network[1].weight[target].detach().view(SIDE, SIDE)
    each = ((image[0] - image.mean()) * weights).numpy()
    return np.bincount(grid_cells((SIDE, SIDE), GRID).ravel(), each.ravel())


def test_indices_of_a_sum_are_its_terms_shares_of_the_variance(linear: Subject) -> None:
    designs, images = 1024, pictures()
    maps = sobol(linear, images, TARGETS, grid=GRID, designs=designs).numpy()
    for image, target, found in zip(images, TARGETS.tolist(), maps, strict=True):
        terms = effects(linear, image, target) ** 2
        wanted = (terms / terms.sum())[grid_cells((SIDE, SIDE), GRID)]
        # The mean of (a - b)^2 / 2 for uniform a and b is 1/12, and its standard error by n draws 1.18 / sqrt(n) of it;
        # the variance's is less. A sequence is no worse; five standard errors of both.
        assert np.abs(found - wanted).max() < 5 * 2 * 1.18 / designs**0.5 * wanted.max()


def test_indices_are_jansens_formula(linear: Subject) -> None:
    of, images, designs = subject(network()), pictures(), 8
    maps = sobol(of, images, TARGETS, grid=GRID, designs=designs, seed=5).numpy()
    cells, drawn = grid_cells((SIDE, SIDE), GRID), sobol_sequence(designs, 2 * GRID**2, 5)

    def asked(image: Tensor, shares: np.ndarray, target: int) -> float:
        seen = image.mean() + torch.from_numpy(shares[cells]) * (image - image.mean())
        return float(of.logits(seen[None])[0, target])

    for image, target, found in zip(images, TARGETS.tolist(), maps, strict=True):
        plain = [asked(image, row, target) for row in drawn[:, : GRID**2]]
        for cell in range(GRID**2):
            squares = []
            for row, answer in zip(drawn, plain, strict=True):
                other = row[: GRID**2].copy()
                other[cell] = row[GRID**2 + cell]
                squares.append((answer - asked(image, other, target)) ** 2)
            wanted = np.mean(squares) / (2 * np.var(plain, ddof=1))
            assert abs(found[cells == cell][0] - wanted) < 100 * SUMS * max(1.0, maps.max())


def test_an_interaction_belongs_to_all_of_its_cells() -> None:
    drawn = sobol_sequence(2048, 6, 0)
    shown = replicated(drawn[:, :3], drawn[:, 3:])
    found = total_indices(((shown[:, 0] - 0.5) * (shown[:, 1] - 0.5)).reshape(-1, 2048))
    # Each is part of the only variance there is; the third of none. Errors as above.
    assert np.abs(found - [1, 1, 0]).max() < 5 * 2 * 1.18 / 2048**0.5
    assert found[2] == 0


def test_a_network_that_always_answers_alike_has_no_indices_and_no_dependence() -> None:
    still = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 5))
    nn.init.zeros_(still[1].weight)
    of, images = subject(still), pictures()
    assert not sobol(of, images, TARGETS, grid=GRID, designs=4).any()
    assert not hsic(of, images, TARGETS, grid=GRID, masks=8).any()


def test_dependence_is_the_trace_of_the_centred_kernels() -> None:
    source = np.random.default_rng(0)
    shown, answers = source.random((40, 6)) < 0.5, source.normal(size=40)
    centring = np.eye(40) - 1 / 40
    apart = np.abs(answers[:, None] - answers)
    width = np.median([apart[i, j] for i, j in itertools.combinations(range(40), 2)])
    of_answers = np.exp(-(apart**2) / (2 * width**2))
    for cell, found in enumerate(dependences(shown, answers)):
        of_cell = 0.5 - (shown[:, None, cell] != shown[:, cell]).astype(float)
        wanted = np.trace(of_cell @ centring @ of_answers @ centring) / 39**2
        assert abs(found - wanted) < rounding("float64", 4 * 40**2)


def test_what_the_answer_does_not_depend_on_has_none_when_all_coalitions_are_asked() -> None:
    shown = np.array(list(itertools.product([False, True], repeat=5)))
    answers = 2.0 * shown[:, 0] - shown[:, 1] + 3.0 * (shown[:, 2] & shown[:, 3])
    found = dependences(shown, answers)
    assert abs(found[4]) < rounding("float64", 4 * 32**2)
    assert found[:4].min() > 1e-3
    assert found[0] > found[1]


def test_dependence_finds_the_cells_that_count(linear: Subject) -> None:
    images = pictures()
    maps = hsic(linear, images, TARGETS, grid=GRID).numpy()
    for image, target, found in zip(images, TARGETS.tolist(), maps, strict=True):
        each = np.abs(effects(linear, image, target))
        assert found[grid_cells((SIDE, SIDE), GRID) == each.argmax()][0] == found.max()


def test_all_classes_are_asked_at_once() -> None:
    of, images = subject(network()), pictures()
    for explain, asked in ((sobol, 4 * (GRID**2 + 1)), (hsic, 16)):
        before = of.passes.forward
        settings = {"designs": 4} if explain is sobol else {"masks": 16}
        explain(of, images, TARGETS, grid=GRID, **settings)
        explain(of, images, (TARGETS + 1) % 5, grid=GRID, **settings)
        assert of.passes.forward - before == asked * len(images)
