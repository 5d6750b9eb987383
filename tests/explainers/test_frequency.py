"""The gradient without high frequencies."""

import numpy as np
import pytest
import torch
from double_cases import EQUAL, network, pictures, subject
from explainer_cases import error

from harness.explainers.frequency import forgrad, low_passed

TARGETS = torch.tensor([0, 3, 4])


@pytest.mark.parametrize("cutoff", [15 / 224, 0.2, 0.5])
def test_it_is_the_spectrum_within_a_circle(cutoff: float) -> None:
    of, images = subject(network()), pictures()
    spectrum = np.fft.fft2(of.gradients(images, TARGETS).sum(1).numpy())
    down, across = np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16), indexing="ij")
    wanted = np.fft.ifft2(np.where(np.hypot(down, across) <= cutoff, spectrum, 0))
    assert error(forgrad(of, images, TARGETS, cutoff=cutoff), torch.from_numpy(wanted.real)) < EQUAL


def test_waves_below_the_cutoff_stay_and_others_go() -> None:
    place = torch.arange(24, dtype=torch.float64) / 24
    slow, fast = (torch.cos(2 * torch.pi * cycles * place).expand(1, 15, 24) for cycles in (2, 7))
    assert error(low_passed(slow + fast, 3 / 24), slow) < EQUAL


def test_all_frequencies_are_the_gradient_and_none_its_mean() -> None:
    of, images = subject(network()), pictures()
    gradient = of.gradients(images, TARGETS).sum(1)
    assert error(forgrad(of, images, TARGETS, cutoff=0.71), gradient) < EQUAL
    mean = gradient.mean((1, 2), keepdim=True).expand_as(gradient)
    assert error(forgrad(of, images, TARGETS, cutoff=0.0), mean) < EQUAL
