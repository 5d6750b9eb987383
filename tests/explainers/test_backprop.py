from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam
from double_cases import EQUAL, Residual, network, pictures, subject
from explainer_cases import Functional, Reused, error, quiet, reference, target_logits
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.backprop import full_gradients


class Bounded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)


EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
WRITTEN: dict[str, Callable[[], nn.Module]] = {
    "as functions": lambda: Functional(network()),
    "as functions in place": lambda: Functional(network(), in_place=True),
    "as one module used twice": lambda: Reused(network()),
    "as a bound": lambda: network(activation=Bounded),
    "as modules in place": lambda: network(activation=lambda: nn.ReLU(inplace=True)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(
    ("name", "captum"), [("guided-backprop", GuidedBackprop), ("deconvnet", Deconvolution)], ids=str
)
def test_rule_equals_captums_on_relu_modules(name: str, captum: type) -> None:
    of, images = subject(network()), pictures()
    with quiet():
        expected = captum(network()).attribute(images.clone(), target=TARGETS).sum(1)
    assert error(EXPLAINERS[name](of, images, TARGETS), expected) < EQUAL


@pytest.mark.parametrize(("name", "composite"), [("guided-backprop", "GuidedBackprop"), ("deconvnet", "DeconvNet")])
def test_rule_equals_zennits_on_relu_modules(name: str, composite: str) -> None:
    composites, attribution = reference("zennit.composites"), reference("zennit.attribution")
    of, images = subject(network()), pictures()
    with attribution.Gradient(network(), getattr(composites, composite)()) as attributor:
        _, expected = attributor(images.clone().requires_grad_(), torch.eye(5)[TARGETS])
    assert error(EXPLAINERS[name](of, images, TARGETS), expected.sum(1)) < EQUAL


@pytest.mark.parametrize("name", ["guided-backprop", "deconvnet", "guided-grad-cam", "deeplift", "lrp-z-plus"])
@pytest.mark.parametrize("written", WRITTEN)
def test_map_is_the_same_however_a_relu_is_written(name: str, written: str) -> None:
    images = pictures()
    expected = EXPLAINERS[name](subject(network(), "4"), images, TARGETS)
    cam_layer = "4" if written in ("as modules in place", "as a bound") else "layers.4"
    found = EXPLAINERS[name](subject(WRITTEN[written](), cam_layer), images, TARGETS)
    assert error(found, expected) < EQUAL


def test_captums_guided_backprop_is_the_plain_gradient_where_relus_are_functions_and_ours_is_not() -> None:
    made, images = Functional(network()), pictures()
    of = subject(made)
    plain = EXPLAINERS["gradient"](of, images, TARGETS)
    with quiet():
        captum = GuidedBackprop(made).attribute(images.clone(), target=TARGETS).sum(1)
    assert torch.allclose(captum.detach(), plain, atol=EQUAL)
    assert not torch.allclose(EXPLAINERS["guided-backprop"](of, images, TARGETS), plain, atol=1e-2)


def test_guided_backprop_clips_before_a_leaky_relu_and_keeps_its_slope() -> None:
    chain = nn.Sequential(nn.Flatten(), nn.Linear(256, 256, bias=False), nn.LeakyReLU(0.1), nn.Linear(256, 5)).double()
    images = pictures()
    inner = chain[1](images.flatten(1))
    back = chain[3].weight[TARGETS].clamp(min=0) * torch.where(inner > 0, inner.new_tensor(1.0), inner.new_tensor(0.1))
    expected = (back @ chain[1].weight).view(3, 16, 16)
    assert error(EXPLAINERS["guided-backprop"](subject(chain, "3"), images, TARGETS), expected) < EQUAL


def test_captums_guided_backprop_is_the_plain_gradient_on_leaky_relus() -> None:
    made, images = network(activation=nn.LeakyReLU), pictures()
    plain = EXPLAINERS["gradient"](subject(made), images, TARGETS)
    with quiet():
        captum = GuidedBackprop(made).attribute(images.clone(), target=TARGETS).sum(1)
    assert torch.allclose(captum.detach(), plain, atol=EQUAL)


@pytest.mark.parametrize("name", ["guided-backprop", "deconvnet"])
def test_network_without_activations_is_an_error(name: str) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(256, 5))
    with pytest.raises(UsageError, match="none of the activations"):
        EXPLAINERS[name](subject(linear, "1"), pictures(), TARGETS)


def test_network_whose_activations_cannot_be_reached_is_an_error() -> None:
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] * (ctx.saved_tensors[0] > 0)

    class Hidden(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = Own.apply(x)
            return out

    with pytest.raises(UsageError, match="out of reach"):
        EXPLAINERS["guided-backprop"](subject(network(activation=Hidden), "4"), pictures(), TARGETS)


def test_guided_grad_cam_equals_captums_with_bilinear_enlargement() -> None:
    made, images = network(), pictures()
    of = subject(made, "5")
    captum = GuidedGradCam(of.network, of.layer("5"))
    with quiet():
        expected = captum.attribute(images.clone(), target=TARGETS, interpolate_mode="bilinear").sum(1)
    assert error(EXPLAINERS["guided-grad-cam"](of, images, TARGETS), expected) < EQUAL


@pytest.mark.parametrize(
    "made",
    [network(), network(activation=nn.LeakyReLU), Residual(), Functional(network(), in_place=True)],
    ids=["modules", "leaky", "residual", "in place"],
)
def test_full_gradients_add_up_to_the_logit(made: nn.Module) -> None:
    of, images = subject(made), pictures()
    parts = full_gradients(of, images.clone().requires_grad_(), TARGETS)
    total = torch.stack([part.flatten(1).sum(1) for part in parts]).sum(0)
    assert error(total, target_logits(of, images, TARGETS)) < EQUAL


def deeper(layer: nn.Module, *before: nn.Module) -> nn.Module:
    """Return a network with a layer that is no convolution over a picture behind a convolution that is one."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), *before, layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)
    )


OTHER_CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "in a row": lambda: deeper(nn.Conv1d(4, 16, 1), nn.Flatten(2)),
    "in a row, normalised": lambda: deeper(nn.Sequential(nn.Conv1d(4, 16, 1), nn.BatchNorm1d(16)), nn.Flatten(2)),
    "of a volume": lambda: deeper(nn.Conv3d(1, 16, 1), nn.Unflatten(1, (1, 4))),
    "transposed": lambda: deeper(nn.ConvTranspose2d(4, 6, 3, 2)),
    "transposed in a row": lambda: deeper(nn.ConvTranspose1d(4, 16, 1), nn.Flatten(2)),
    "transposed, of a volume": lambda: deeper(nn.ConvTranspose3d(1, 6, 3), nn.Unflatten(1, (1, 4))),
}


@pytest.mark.parametrize("kind", OTHER_CONVOLUTIONS)
def test_biases_of_every_kind_of_convolution_have_their_share(kind: str) -> None:
    made, images = OTHER_CONVOLUTIONS[kind](), pictures()
    made(images.float())  # its dense layer learns how much it reads
    of = subject(made)
    parts = full_gradients(of, images.clone().requires_grad_(), TARGETS)
    total = torch.stack([part.flatten(1).sum(1) for part in parts]).sum(0)
    assert error(total, target_logits(of, images, TARGETS)) < EQUAL


def test_full_grad_shows_places_in_a_row_where_they_lie_in_the_picture() -> None:
    """A convolution of width 1 over a row of places is one over the picture."""
    images, maps = pictures(), []
    for layer, before in ((nn.Conv1d(4, 16, 1), (nn.Flatten(2),)), (nn.Conv2d(4, 16, 1), ())):
        made = deeper(layer, *before)
        made(images.float())
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).sin().view_as(parameter))
        maps.append(EXPLAINERS["full-grad"](subject(made), images, TARGETS))
    assert error(*maps) < EQUAL


class OverPlaces(nn.Module):
    """Dense layers that run over places, which are tokens or keep their rows and columns."""

    def __init__(self, tokens: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.embed = tokens, nn.Conv2d(1, 6, 4, 4)
        self.mix, self.head = nn.Linear(6, 4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        places = self.embed(x).permute(0, 2, 3, 1)  # 4 x 4 of them: as many as the dense layer has outputs
        places = places.flatten(1, 2) if self.tokens else places
        return self.head(self.mix(places).relu().flatten(1, -2).mean(1))


@pytest.mark.parametrize("tokens", [True, False])
def test_full_gradients_of_dense_layers_over_places_add_up_too(tokens: bool) -> None:
    of, images = subject(OverPlaces(tokens)), pictures()
    parts = full_gradients(of, images.clone().requires_grad_(), TARGETS)
    total = torch.stack([part.flatten(1).sum(1) for part in parts]).sum(0)
    assert error(total, target_logits(of, images, TARGETS)) < EQUAL


def test_full_grad_passes_over_what_the_logits_do_not_read() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.aside = network(), nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.aside(x)
            return self.read(x)

    made, images = Aside(), pictures()
    maps = [EXPLAINERS["full-grad"](subject(each), images, TARGETS) for each in (made, made.read)]
    assert error(*maps) < EQUAL


def test_full_grad_shows_tokens_where_they_lie_in_the_picture() -> None:
    images = pictures()
    maps = [EXPLAINERS["full-grad"](subject(OverPlaces(tokens)), images, TARGETS) for tokens in (True, False)]
    assert error(*maps) < EQUAL


def test_full_grad_of_a_network_without_biases_is_stretched_input_x_gradient() -> None:
    bare = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))
    of, images = subject(bare), pictures()
    share = EXPLAINERS["input-x-gradient"](of, images, TARGETS).abs()
    low, high = share.amin((1, 2), keepdim=True), share.amax((1, 2), keepdim=True)
    assert error(EXPLAINERS["full-grad"](of, images, TARGETS), (share - low) / (high - low)) < EQUAL


@pytest.mark.parametrize("name", ["guided-backprop", "deconvnet", "full-grad", "deeplift", "lrp-epsilon"])
def test_nothing_is_left_on_the_network(name: str) -> None:
    of, images = subject(network()), pictures()
    before = of.state_digest()
    EXPLAINERS[name](of, images, TARGETS)
    assert of.state_digest() == before


def test_nothing_is_left_on_the_network_after_an_error() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.dense = nn.Conv2d(1, 2, 3), nn.Linear(2 * 14 * 14, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            out: Tensor = self.dense((x * x.sigmoid()).flatten(1))
            return out

    of, images = subject(Gated()), pictures()
    before = of.state_digest()
    with pytest.raises(UsageError, match="multiplies"):
        EXPLAINERS["lrp-epsilon"](of, images, TARGETS)
    assert of.state_digest() == before
