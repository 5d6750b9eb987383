"""The optimised class activation map: its climb written out, and that it climbs."""

import torch
from double_cases import EQUAL, network, pictures, subject
from explainer_cases import error
from torch import Tensor, nn
from torch.nn import functional

from harness.explainers.opti_cam import opti_cam

TARGETS = torch.tensor([0, 3, 4])
LAYER = 5


def written_out(made: nn.Sequential, image: Tensor, target: int, steps: int, rate: float) -> Tensor:
    """Return the map of one image by the formulas of Opti-CAM and of Adam."""
    maps = made[: LAYER + 1](image[None])[0].detach()
    u = torch.zeros(len(maps), dtype=maps.dtype, requires_grad=True)
    first, second = torch.zeros_like(u), torch.zeros_like(u)

    def shown() -> Tensor:
        total = torch.einsum("k,kyx->yx", u.exp() / u.exp().sum(), maps)
        large = functional.interpolate(total[None, None], (16, 16), mode="bilinear", align_corners=False)[0]
        return (large - large.min()) / (large.max() - large.min())

    for step in range(1, steps + 1):
        (slope,) = torch.autograd.grad(made((image * shown())[None])[0, target], u)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        ahead = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        u = (u + rate * ahead).detach().requires_grad_()
    return shown()[0].detach()


def test_it_is_its_formula() -> None:
    of, images = subject(network(), str(LAYER)), pictures()
    wanted = [written_out(of.network, x, int(t), 4, 0.1) for x, t in zip(images, TARGETS, strict=True)]
    # Adam divides by the size of a gradient, whose error may be as large a share of it as its sums cancel.
    assert error(opti_cam(of, images, TARGETS, steps=4), torch.stack(wanted)) < 100 * EQUAL


def test_it_climbs() -> None:
    of, images = subject(network(), str(LAYER)), pictures()

    def seen(steps: int) -> Tensor:
        shown = opti_cam(of, images, TARGETS, steps=steps)[:, None]
        return of.logits(images * shown).gather(1, TARGETS[:, None])

    assert bool((seen(30) > seen(0)).all())


def test_channels_that_are_even_show_nothing() -> None:
    even = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 5))
    nn.init.zeros_(even[0].weight)
    assert not opti_cam(subject(even, "1"), pictures(), TARGETS, steps=2).any()
