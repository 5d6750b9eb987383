"""What a network does to its picture before its first layer: relevance is that of the layers alone, limits follow."""

from collections.abc import Callable

import pytest
import torch
from double_cases import OPERATIONS, network, pictures, subject
from explainer_cases import CLASSES, SIDE, error
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.attnlrp import attention_rules
from harness.explainers.relevance import STABILIZER, handed_back
from harness.networks.blind import blinded, half_plane
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BY_LAYER = (
    "lrp-epsilon", "lrp-z-plus", "lrp-gamma", "lrp-epsilon-gamma-box", "lrp-epsilon-plus-flat", "lrp-alpha2-beta1",
    "rap", "crp",
)  # fmt: skip
NEAR = rounding(torch.float64, OPERATIONS, conditioning=1 / STABILIZER)
"""Rules divide by outputs that are kept from 0 by as little as this."""


class Doing(nn.Module):
    """A network that does something to its picture first."""

    def __init__(self, first: Callable[[Tensor], Tensor], then: nn.Module) -> None:
        super().__init__()
        self.first, self.then = first, then

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.then(self.first(x))
        return out


def by_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


def normalisation() -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(3, eps=0.0)
    norm.running_mean, norm.running_var = by_channel(MEAN).flatten(), by_channel(STD).flatten() ** 2
    return norm


FIRST: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "written": lambda: lambda x: (x - by_channel(MEAN)) / by_channel(STD),
    "in place": lambda: lambda x: x.clone().sub_(by_channel(MEAN)).div_(by_channel(STD)),
    "as factor and shift": lambda: lambda x: x * (1 / by_channel(STD)) + (-by_channel(MEAN) / by_channel(STD)),
    "a normalisation": normalisation,
}


def reading_pixels(made: nn.Module, cam_layer: str | None = None) -> Subject:
    spec = InputSpec(SIDE, SIDE, (0.0,) * 3, (1.0,) * 3)
    return Subject(made.double(), name="pixels", classes=CLASSES, spec=spec, cam_layer=cam_layer)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("name", BY_LAYER)
def test_a_network_that_normalises_its_picture_has_the_map_of_one_that_is_given_it_so(name: str, first: str) -> None:
    pixels = (pictures(channels=3) + 1) / 2
    given = Subject(
        network(channels=3), name="given", classes=CLASSES, spec=InputSpec(SIDE, SIDE, MEAN, STD), cam_layer="5"
    )
    expected = EXPLAINERS[name](given, (pixels - by_channel(MEAN)) / by_channel(STD), TARGETS)
    found = EXPLAINERS[name](reading_pixels(Doing(FIRST[first](), network(channels=3)), "then.5"), pixels, TARGETS)
    assert error(found, expected) < NEAR


@pytest.mark.parametrize("name", BY_LAYER)
def test_a_part_of_the_picture_that_is_multiplied_by_nothing_gets_nothing(name: str) -> None:
    seen = half_plane(SIDE, SIDE, 0.0)
    found = EXPLAINERS[name](blinded(subject(network(), "5"), seen, torch.zeros(1).double()), pictures(), TARGETS)
    assert not bool(found[:, ~seen].any())
    assert bool(found[:, seen].any())


def patches(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).reshape(n, h * w // 16, 16 * c)


class Tokens(nn.Module):
    """Patches of the picture, embedded by a dense layer or by a convolution."""

    def __init__(self, dense: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense, self.embed, self.head = dense, nn.Conv2d(3, 8, 4, 4), nn.Linear(8, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        if self.dense:
            tokens = nn.functional.linear(patches(x), self.embed.weight.flatten(1), self.embed.bias)
        else:
            tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(tokens.relu().mean(1))


def flat(dense: bool) -> nn.Module:
    """Return a dense layer over all pixels, or the convolution over the whole picture that it is."""
    torch.manual_seed(0)
    whole = nn.Conv2d(3, 8, SIDE)
    layer = nn.Linear(3 * SIDE**2, 8)
    layer.load_state_dict({"weight": whole.weight.flatten(1), "bias": whole.bias})
    first = (nn.Flatten(), layer) if dense else (whole, nn.Flatten())
    return nn.Sequential(*first, nn.ReLU(), nn.Linear(8, len(CLASSES)))


@pytest.mark.parametrize("made", [Tokens, flat], ids=["patches", "flat"])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_the_boxs_limits_follow_the_picture_into_a_dense_layer(made: Callable[[bool], nn.Module], images: int) -> None:
    shown = pictures(images, channels=3)
    dense, convolved = (
        EXPLAINERS["lrp-epsilon-gamma-box"](reading_pixels(made(way)), shown, TARGETS[:images]) for way in (True, False)
    )
    assert error(dense, convolved) < NEAR


def test_the_box_rule_refuses_a_picture_whose_limits_cannot_be_followed() -> None:
    def shaded(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, 0].mul_(2)
        return x

    with pytest.raises(UsageError, match="use lrp-gamma"):
        EXPLAINERS["lrp-epsilon-gamma-box"](subject(Doing(shaded, network()), "then.5"), pictures(), TARGETS)


def test_a_bias_added_by_hand_behind_a_product_keeps_its_share() -> None:
    """The product is a layer, so that what is added to it is no part of how the picture is read."""
    torch.manual_seed(0)
    layer, head = nn.Linear(SIDE**2, 8).double(), nn.Sequential(nn.ReLU(), nn.Linear(8, len(CLASSES)))

    def by_hand(x: Tensor) -> Tensor:
        return x.flatten(1) @ layer.weight.detach().T + layer.bias.detach()

    whole = nn.Sequential(nn.Flatten(), layer, *head)
    found, expected = (
        handed_back(subject(made), pictures(), TARGETS, lambda: attention_rules(0.0))
        for made in (Doing(by_hand, head), whole)
    )
    # Product and sum are each kept from 0 by a millionth; the bias's share is tenths.
    assert error(found, expected) < 1e-3
