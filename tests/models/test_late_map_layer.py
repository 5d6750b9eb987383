"""Which layer class activation maps read by default, on small networks of common shapes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers import registered
from harness.subject import InputSpec, Subject, as_map

SPEC = InputSpec(16, 16, (0.5,), (0.5,))
CLASSES = ("a", "b", "c")


class Residual(nn.Module):
    """A block with a shortcut convolution that is registered, and runs, last, and one ReLU in place used twice."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inside, out, 3, 2, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(inside, out, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu(self.conv1(x)))
        return self.relu(y + self.shortcut(x))


class Average(nn.Module):
    """Averages over places and reads the averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out = nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.mean((2, 3)))


class Branches(nn.Module):
    """An Inception-like block: three branches side by side."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(inside, 2, 1), nn.Conv2d(inside, 3, 3, padding=1)
        self.pool, self.after = nn.AvgPool2d(3, 1, 1), nn.Conv2d(inside, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.after(self.pool(x))], 1).relu()


class Dense(nn.Module):
    """A DenseNet-like network: what was found is passed on beside what is found of it; the last activation is plain."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grow = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.norm(torch.cat([x, self.grow(x.relu())], 1))
        return self.head(functional.adaptive_avg_pool2d(x.relu(), 1).flatten(1))


class TwoSizes(nn.Module):
    """One pooling module used at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.act, self.pool = nn.ELU(), nn.MaxPool2d(2)
        self.head = nn.Linear(5 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.conv1(x).relu())
        return self.head(self.pool(self.act(self.conv2(x))).flatten(1))


class Transformer(nn.Module):
    """A small vision transformer, whose head reads a class token or the mean over tokens."""

    def __init__(self, class_token: bool, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 12, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 12)) if class_token else None
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 2, 24, 0.0, batch_first=True, norm_first=True) for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            t = torch.cat([self.token.expand(len(t), -1, -1), t], 1)
        for block in self.blocks:
            t = block(t)
        t = self.norm(t)
        return self.head(t.mean(1) if self.token is None else t[:, 0])


class Pair(nn.Module):
    """A block that gives several things, as those of some packages do."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, t: Tensor) -> tuple[Tensor, None]:
        return self.block(t), None


class Positions(nn.Module):
    """What is added to tokens whatever the picture is."""

    def __init__(self) -> None:
        super().__init__()
        self.held = nn.Parameter(torch.randn(1, 16, 12))

    def forward(self, t: Tensor) -> Tensor:
        return self.held.expand(len(t), -1, -1)


class Placed(Transformer):
    """A transformer with positions, whose blocks give several things."""

    def __init__(self) -> None:
        super().__init__(False, 2)
        self.positions = Positions()
        self.blocks = nn.ModuleList(Pair(block) for block in self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = t + self.positions(t)
        for block in self.blocks:
            t = block(t)[0]
        return self.head(functional.layer_norm(t, (12,)).mean(1))


class Stages(nn.Module):
    """Two stages, each of a patch embedding and of tokens, with an average over the tokens that is a module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 2, 2), nn.Conv2d(8, 12, 2, 2)
        self.mix = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.last, self.head = nn.Sequential(nn.Linear(12, 16), nn.ReLU()), nn.Linear(16, 3)
        self.mean = nn.AdaptiveAvgPool1d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        t = self.last(self.second(x).flatten(2).transpose(1, 2))
        return self.head(self.mean(t.transpose(1, 2)).flatten(1))


class ChannelsLast(nn.Module):
    """A Swin-like network whose maps hold their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(1, 20, 4, 4), nn.Linear(20, 20), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        return self.head(self.mix(x).relu().mean((1, 2)))


class PassedOn(nn.Module):
    """A block whose sum goes through what passes it on, and an activation in place, as those of some packages do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.drop, self.act = nn.Conv2d(width, width, 3, padding=1), nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(self.conv(x))
        y += x
        return self.act(y)


class ClassToken(nn.Module):
    """Stages of tokens beside a class token, made coarser by a convolution that the class token goes around."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv2d(1, 12, 2, 2), nn.Parameter(torch.randn(1, 1, 12))
        self.early = nn.TransformerEncoderLayer(12, 2, 24, 0.0, batch_first=True, norm_first=True)
        self.pool, self.fine = nn.Conv2d(12, 12, 2, 2), nn.Linear(12, 12)
        self.late = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 2, 24, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = self.early(torch.cat([self.token.expand(len(t), -1, -1), t], 1))
        coarse = self.pool(t[:, 1:].transpose(1, 2).unflatten(2, (8, 8))).flatten(2).transpose(1, 2)
        t = torch.cat([self.fine(t[:, :1]), coarse], 1)
        for block in self.late:
            t = block(t)
        return self.head(t[:, 0])


class TwoScales(nn.Module):
    """Two branches, of small patches and of large ones, each read by a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(1, 8, 2, 2), nn.Conv2d(1, 8, 4, 4)
        self.act, self.mix = nn.ReLU(), nn.ReLU()
        self.one, self.other = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        small, large = self.act(self.small(x)), self.mix(self.large(x))
        return self.one(small.mean((2, 3))) + self.other(large.mean((2, 3)))


class WithAux(nn.Module):
    """An Inception-like network with a head beside its own, which it uses while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act, self.branches = nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), Branches(4)
        self.aux, self.head = Average(4), Average(7)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.act(self.stem(x))
        found: Tensor = self.head(self.branches(x))
        return (found, self.aux(x)) if self.training else found


def vgg() -> nn.Module:
    features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3))


LATE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "residual": (lambda: nn.Sequential(Residual(1, 4), Residual(4, 6), Average(6)), "1"),
    "branches": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), Branches(4), Average(7)), "1"),
    "dense": (Dense, "norm"),
    "two sizes of pooling": (TwoSizes, "act"),
    "pooled features": (vgg, "0.1"),
    "transformer, mean over tokens": (lambda: Transformer(False), "norm"),
    "transformer, class token": (lambda: Transformer(True), "blocks.1"),
    "transformer of one block": (lambda: Transformer(True, 1), "blocks.0.norm1"),
    "channels last": (ChannelsLast, "mix"),
    "blocks of several outputs, beside positions": (Placed, "blocks.1"),
    "tokens of a stage's patches": (Stages, "last"),
    "passed on and worked on in place": (lambda: nn.Sequential(Residual(1, 4), PassedOn(4), Average(4)), "1"),
    "coarser tokens beside a class token": (ClassToken, "late.0"),
    "a head beside its own": (WithAux, "branches"),
}


def made(name: str) -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Subject(LATE[name][0](), name=name, classes=CLASSES, spec=SPEC)


@pytest.mark.parametrize("name", LATE)
def test_the_last_feature_map_is_read(name: str) -> None:
    assert made(name).cam_layer == LATE[name][1]


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("explainer", ["grad-cam", "score-cam", "ablation-cam", "eigen-cam", "conductance"])
def test_every_reader_of_the_layer_gives_a_map_of_the_picture(name: str, explainer: str) -> None:
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    maps = registered()[explainer].maps(made(name), images, torch.tensor([0, 2]), seed=0)
    assert maps.shape == (2, 16, 16)
    assert maps.any() or explainer in (
        "grad-cam",
        "score-cam",
        "ablation-cam",
    )  # they keep what is positive, which may be nothing


def test_a_transformers_map_is_that_of_its_tokens_by_hand() -> None:
    subject, images, targets = made("transformer, class token"), torch.rand(2, 1, 16, 16), torch.tensor([1, 0])
    kept: list[Tensor] = []
    handle = subject.network.get_submodule("blocks.1").register_forward_hook(lambda _m, _i, out: kept.append(out))
    score = subject.network(images.requires_grad_()).gather(1, targets[:, None]).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    maps, slopes = (part[:, 1:].detach().reshape(2, 4, 4, 12).permute(0, 3, 1, 2) for part in (kept[0], gradient))
    small = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    expected = functional.interpolate(small[:, None], (16, 16), mode="bilinear")[:, 0]
    found = registered()["grad-cam"](subject, images.detach(), targets)
    # The same sums of at most 192 numbers in another order.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.max()))


def test_a_layer_read_by_the_class_token_alone_is_refused() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        subject = Subject(Transformer(True), name="t", classes=CLASSES, spec=SPEC, cam_layer="norm")
    with pytest.raises(Exception, match="reads the class token alone"):
        registered()["grad-cam"](subject, torch.rand(1, 1, 16, 16), torch.tensor([0]))


def test_branches_that_no_layer_joins_are_refused_unless_one_is_named() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TwoScales()
    asked = torch.rand(1, 1, 16, 16), torch.tensor([0])
    for name in ("grad-cam", "eigen-cam", "conductance"):
        with pytest.raises(UsageError, match="no layer of the picture's places that all of the picture goes through"):
            registered()[name](Subject(network, name="t", classes=CLASSES, spec=SPEC), *asked)
    named = Subject(network, name="t", classes=CLASSES, spec=SPEC, cam_layer="act")
    assert registered()["grad-cam"](named, *asked).shape == (1, 16, 16)


def test_the_layer_is_found_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert made("residual").cam_layer == LATE["residual"][1]


@pytest.mark.parametrize(("tokens", "grid"), [(16, (4, 4)), (17, (4, 4)), (18, (4, 4)), (21, (4, 4)), (13, None)])
def test_tokens_fill_a_square(tokens: int, grid: tuple[int, int] | None) -> None:
    found = as_map(torch.zeros(2, tokens, 7), SPEC)
    assert (None if found is None else tuple(found.shape)) == (None if grid is None else (2, 7, *grid))


def test_tokens_fill_a_grid_of_the_pictures_proportions() -> None:
    found = as_map(torch.arange(1 + 18.0)[None, :, None], InputSpec(12, 24))
    assert found is not None
    assert torch.equal(found[0, 0], 1 + torch.arange(18.0).view(3, 6))
