"""Small networks and pictures that the tests of explainers share, and reference packages made importable."""

import importlib.util
import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.subject import InputSpec, Subject

CLASSES = ("a", "b", "c", "d", "e")
SIDE = 16
WIDTH, HEADS, PATCH = 12, 3, 4
"""Of the small transformer."""


def network(seed: int = 0, activation: type[nn.Module] = nn.ReLU, channels: int = 1) -> nn.Sequential:
    """Convolution, batch norm, activation, maximum, convolution, activation, average, dense; weights drawn."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        activation(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, groups=2),
        activation(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8 * (SIDE // 4) ** 2, len(CLASSES)),
    )
    drawn(made[1])
    with torch.no_grad():
        # Logits far apart, so that probabilities differ enough to be explained.
        made[9].weight.mul_(8)
    return made.eval()


def drawn(norm: nn.Module) -> None:
    """Give a batch normalisation statistics that a merge can get wrong."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    with torch.no_grad():
        for tensor, (low, high) in (
            (norm.running_mean, (-0.5, 0.5)),
            (norm.running_var, (0.5, 2)),
            (norm.weight, (0.5, 1.5)),
            (norm.bias, (-0.3, 0.3)),
        ):
            assert tensor is not None
            tensor.uniform_(low, high)


class Functional(nn.Module):
    """The same network with its activations written as functions."""

    def __init__(self, modules: nn.Sequential, in_place: bool = False) -> None:
        super().__init__()
        self.layers, self.in_place = modules, in_place

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = functional.relu(x, inplace=self.in_place) if isinstance(layer, nn.ReLU) else layer(x)
        return x


class Reused(nn.Module):
    """The same network with one activation module for all its activations."""

    def __init__(self, modules: nn.Sequential) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.layers = nn.ModuleList(nn.Identity() if isinstance(m, nn.ReLU) else m for m in modules)
        self.rectified = [isinstance(m, nn.ReLU) for m in modules]

    def forward(self, x: Tensor) -> Tensor:
        for layer, rectified in zip(self.layers, self.rectified, strict=True):
            x = self.activation(x) if rectified else layer(x)
        return x


class Residual(nn.Module):
    """A network with a shortcut, an average over the picture and a dense layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU()
        self.dense = nn.Linear(6, len(CLASSES))
        drawn(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        x = x + self.act(self.norm(self.second(x)))
        out: Tensor = self.dense(x.mean((2, 3)))
        return out


def subject(made: nn.Module, cam_layer: str | None = None, channels: int = 1) -> Subject:
    """Return a subject on 16 x 16 pictures."""
    spec = InputSpec(SIDE, SIDE, (0.5,) * channels, (0.5,) * channels)
    return Subject(made, name="small", classes=CLASSES, spec=spec, cam_layer=cam_layer)


def pictures(n: int = 3, channels: int = 1, seed: int = 0) -> Tensor:
    """Return smooth random pictures in input units, -1 to 1."""
    source = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 5, 5, generator=source) * 2 - 1
    return functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear", align_corners=False)


def error(found: Tensor, reference: Tensor) -> float:
    """Return the largest difference as a share of the reference's largest value."""
    return float((torch.as_tensor(found) - reference.detach()).abs().max() / reference.detach().abs().max())


def target_logits(of: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Return each image's target logit."""
    return of.logits(images).gather(1, targets[:, None])[:, 0]


@contextmanager
def quiet() -> Iterator[None]:
    """Let a reference package warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _StandIn(ModuleType):
    """A module that has whatever class is asked of it."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def reference(name: str) -> ModuleType:
    """Import a reference package or skip; where torchvision is missing, which it only names, something stands in."""
    if importlib.util.find_spec("torchvision") is None:
        for part in _TORCHVISION:
            stand_in = _StandIn(part)
            stand_in.__path__ = []
            sys.modules.setdefault(part, stand_in)
    try:
        with quiet():
            return pytest.importorskip(name)  # type: ignore[no-any-return]
    finally:
        # Others ask whether torchvision is there, and it is not.
        for part in _TORCHVISION:
            if isinstance(sys.modules.get(part), _StandIn):
                del sys.modules[part]


_TORCHVISION: Sequence[str] = (
    "torchvision",
    "torchvision.models",
    "torchvision.models.resnet",
    "torchvision.models.vgg",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)


class Attention(nn.Module):
    """Attention written out, whose matrices stay where a test can find them; or torch's own, which shows none."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.mixed, self.out = how, nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.kept = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.mixed(x).view(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        if self.how == "fused":
            made = functional.scaled_dot_product_attention(q, k, v)
        else:
            self.kept = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1)
            made = self.kept @ v
        return self.out(made.transpose(1, 2).reshape(n, t, WIDTH))


class Block(nn.Module):
    """A layer of a transformer: attention and two dense layers in one, each with a way around it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.attend = Attention(how)
        self.mix = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())

    def forward(self, t: Tensor) -> Tensor:
        t = t + self.attend(t)
        return t + self.mix(t)


class Vision(nn.Module):
    """Patches, a class token or none, two blocks, and a head on the class token or on all tokens' mean."""

    def __init__(
        self, how: str = "plain", class_token: bool = True, classes: int = 3, channels: int = 1, patch: int = PATCH
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, WIDTH, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH)) if class_token else None
        self.blocks = nn.ModuleList(Block(how) for _ in range(2))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = t if self.token is None else torch.cat([self.token.expand(len(t), -1, -1), t], 1)
        for block in self.blocks:
            t = block(t)
        return self.head(t.mean(1) if self.token is None else t[:, 0])
