from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from double_cases import EQUAL, SINGLE, network, pictures, subject
from explainer_cases import error, quiet, reference, target_logits
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers._randomness import generators, normal
from harness.explainers.noise import noisy_moments
from harness.subject import InputSpec, Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
PATHS = {
    "integrated-gradients-black": lambda x: torch.full_like(x, -1),
    "integrated-gradients-blur": lambda x: torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, 1.6, 1.6))),
    "blur-ig": lambda x: torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, 3.2, 3.2))),
    "guided-ig": torch.zeros_like,
}


@pytest.fixture(scope="module")
def smooth() -> Subject:
    """A network without kinks, on which quadrature is exact to rounding."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 6, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3), nn.Tanh(), nn.Flatten())
    made = nn.Sequential(*layers, nn.Linear(8 * 25, 5))
    with torch.no_grad():
        made[0].weight.mul_(3)
        made[6].weight.mul_(5)
    return subject(made)


def linear() -> Subject:
    torch.manual_seed(3)
    return subject(nn.Sequential(nn.Flatten(), nn.Linear(256, 5)), "1")


def test_moments_are_those_of_the_gradients_at_the_noisy_images(smooth: Subject) -> None:
    images = pictures()
    sources = generators(images, 7)
    noisy = [images + 0.2 * normal(images, sources) for _ in range(5)]
    gradients = torch.stack([smooth.gradients(copy, TARGETS) for copy in noisy]).double()
    expected = gradients.mean(0), (gradients**2).mean(0), gradients.var(0, unbiased=False)
    found = noisy_moments(smooth, images, TARGETS, 5, 0.1, 7)
    assert max(error(*pair) for pair in zip(found, expected, strict=True)) < EQUAL


class Seen(nn.Module):
    """A network that reads colours and keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rest = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.kept.append(x.detach())
        return self.rest(self.first(x))


UNEVEN = InputSpec(16, 16, (0.1, 0.9, 0.5), (0.05, 0.3, 0.2))
"""Channels whose values go 20, 3.3 and 5 far."""
MIDDLE = torch.tensor(UNEVEN.shade(0.5))[:, None, None].expand(3, 3, 16, 16).contiguous()
"""Three grey pictures."""


@pytest.mark.parametrize("name", ["smoothgrad", "smoothgrad-squared", "vargrad", "smoothgrad-cam-plus-plus"])
def test_noise_is_a_share_of_each_channels_own_range(name: str) -> None:
    of = Subject(Seen(), name="seen", classes="abcde", spec=UNEVEN, cam_layer="first")
    EXPLAINERS[name](of, MIDDLE, TARGETS, spread=0.1)
    of.network.kept.clear()  # a first call may ask in which order the network has its tokens
    EXPLAINERS[name](of, MIDDLE, TARGETS, spread=0.1, seed=1)
    noise = torch.cat([seen - MIDDLE[:1] for seen in of.network.kept if not torch.equal(seen, MIDDLE)])
    shares = noise.std((0, 2, 3)) * torch.tensor(UNEVEN.std)
    assert shares.tolist() == pytest.approx([0.1] * 3, rel=0.05)  # of 18,000 draws, whose error is half a per cent


def test_noisy_baselines_are_as_noisy_in_each_channel() -> None:
    of = Subject(Seen(), name="seen", classes="abcde", spec=UNEVEN, cam_layer="first")
    baselines = torch.stack([*EXPLAINERS["integrated-gradients-noise"].baselines(of, MIDDLE, 0)])
    ends = [torch.tensor(UNEVEN.shade(pixel))[:, None, None] for pixel in (0.0, 1.0)]
    clipped = sum((baselines == end).double().mean((0, 1, 3, 4)) for end in ends)
    # Half a range is one standard deviation: .317 of the draws lie beyond, of 3,072 with an error of .008.
    assert clipped.tolist() == pytest.approx([0.317] * 3, abs=0.04)


def test_one_noisy_set_serves_smoothgrad_squared_and_vargrad() -> None:
    of, images = subject(network()), pictures()
    for name in ("smoothgrad", "smoothgrad-squared", "vargrad"):
        EXPLAINERS[name](of, images, TARGETS, samples=6)
    assert of.passes.backward == 6 * len(images)


def test_variance_on_a_linear_network_is_zero() -> None:
    assert EXPLAINERS["vargrad"](linear(), pictures(), TARGETS).abs().max() == 0


def test_smoothgrad_without_noise_is_the_gradient(smooth: Subject) -> None:
    found = EXPLAINERS["smoothgrad"](smooth, pictures(), TARGETS, spread=0.0)
    assert error(found, EXPLAINERS["gradient"](smooth, pictures(), TARGETS)) < EQUAL


@pytest.mark.parametrize("name", ["smoothgrad", "expected-gradients", "integrated-gradients-noise"])
def test_another_seed_gives_another_map(name: str, smooth: Subject) -> None:
    maps = [EXPLAINERS[name](smooth, pictures(), TARGETS, seed=seed) for seed in (0, 1)]
    assert not torch.allclose(*maps)


@pytest.mark.parametrize("name", PATHS)
def test_path_adds_up_to_the_rise_of_the_logit(name: str, smooth: Subject) -> None:
    images = pictures()
    rise = target_logits(smooth, images, TARGETS) - target_logits(smooth, PATHS[name](images), TARGETS)
    found = EXPLAINERS[name](smooth, images, TARGETS, steps=128).sum((1, 2))
    # Gauss's 128 nodes are exact to rounding where the path is straight. The midpoints of blur-ig are off by the square
    # of a step, 1/128**2 = 6e-5, the left ends of guided-ig, as published, by a step.
    assert error(found, rise) < {"guided-ig": 2e-2, "blur-ig": 6e-5}.get(name, EQUAL)


def test_integrated_gradients_from_black_equal_captums(smooth: Subject) -> None:
    images = pictures()
    expected = IntegratedGradients(smooth.network).attribute(images, -1.0, target=TARGETS, n_steps=32).sum(1)
    assert error(EXPLAINERS["integrated-gradients-black"](smooth, images, TARGETS), expected) < SINGLE


@pytest.mark.parametrize("name", ["blur-ig", "guided-ig"])
def test_path_follows_the_saliency_packages(name: str, smooth: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    core = reference("saliency.core")
    images = pictures(1)

    def answer(
        batch: np.ndarray, call_model_args: object = None, expected_keys: object = None
    ) -> dict[str, np.ndarray]:
        points = torch.from_numpy(np.asarray(batch)).permute(0, 3, 1, 2)
        found = smooth.gradients(points, torch.full((len(points),), 3))
        return {core.INPUT_OUTPUT_GRADIENTS: found.permute(0, 2, 3, 1).numpy()}

    picture = images[0].permute(1, 2, 0).numpy().astype(float)
    if name == "blur-ig":
        # Its blur has a zero mode at the border, ours reflects: compared where the border is out of reach.
        theirs = core.BlurIG().GetMask(picture, answer, max_sigma=0.8, steps=200, batch_size=50)
        found = EXPLAINERS[name](smooth, images, torch.tensor([3]), steps=200, sigma=0.05)
        inner = (slice(None), slice(4, -4), slice(4, -4))
        assert error(found[inner], torch.from_numpy(theirs[..., 0])[None][inner]) < 2e-2  # 6e-3: theirs takes left ends
    else:
        quantile = np.quantile

        def renamed(*args: Any, **rest: Any) -> Any:
            """The package uses a keyword that NumPy 2 has renamed."""
            return quantile(*args, method=rest.pop("interpolation", rest.pop("method", "linear")), **rest)

        monkeypatch.setattr(np, "quantile", renamed)
        theirs = core.GuidedIG().GetMask(
            picture, answer, x_baseline=0 * picture, x_steps=32, fraction=0.1, max_dist=0.1
        )
        found = EXPLAINERS[name](smooth, images, torch.tensor([3]), aside=0.0)
        assert error(found, torch.from_numpy(theirs[..., 0])[None]) < EQUAL


def test_guided_paths_of_a_batch_go_through_the_network_one_image_at_a_time() -> None:
    of, images, sizes = subject(network()), pictures(), []
    handle = of.network.register_forward_pre_hook(lambda _module, given: sizes.append(len(given[0])))
    EXPLAINERS["guided-ig"](of, images, TARGETS, steps=2)
    handle.remove()
    # Which pixels move next hangs on the last digits of the gradients, which the size of a batch changes.
    assert set(sizes) == {1}


def test_guided_paths_look_aside_from_an_even_picture_in_double_precision() -> None:
    of, images, seen = subject(network()), pictures(), []
    handle = of.network.register_forward_pre_hook(lambda _module, given: seen.append(given[0].detach()))
    EXPLAINERS["guided-ig"](of, images, TARGETS, steps=2)
    handle.remove()
    first = seen[1]  # the very first is a blank picture, by which the copy in double precision is known to run
    assert first.dtype == torch.float64
    assert first.unique().numel() == first.numel()
    assert first.abs().max() <= 2**-30 * (of.spec.high - of.spec.low)


def test_guided_path_moves_pixels_of_small_gradient_first() -> None:
    of, images = linear(), pictures(1)
    plain = EXPLAINERS["integrated-gradients"](of, images, torch.tensor([3]))
    # On a linear network every path gives the same, which the path's bookkeeping must keep.
    assert error(EXPLAINERS["guided-ig"](of, images, torch.tensor([3])), plain) < EQUAL


def test_expected_gradients_of_a_linear_network_are_weights_times_difference_from_the_mean_baseline() -> None:
    of, images = linear(), pictures()
    background = pictures(1, seed=5)
    found = EXPLAINERS["expected-gradients"](of, images, TARGETS, background=background)
    weights = of.network[1].weight[TARGETS].view(3, 16, 16)
    assert error(found, weights * (images - background)[:, 0]) < EQUAL


def test_expected_gradients_near_the_integral_over_baselines(smooth: Subject) -> None:
    images, shades = pictures(), np.linspace(-1, 1, 41)
    maps = [EXPLAINERS["integrated-gradients"](smooth, images, TARGETS, baseline=float(shade)) for shade in shades]
    expected = torch.stack(maps).mean(0)
    found = EXPLAINERS["expected-gradients"](smooth, images, TARGETS, samples=2000)
    assert error(found, expected) < 0.05  # sampling error, measured 0.017


def test_noise_depends_on_seed_and_image_alone() -> None:
    images: Tensor = pictures(4)
    together = normal(images, generators(images, 1))
    alone = normal(images[2:3], generators(images[2:3], 1))
    assert torch.equal(together[2:3], alone)
    with quiet():
        assert not torch.equal(together[0], together[1])
