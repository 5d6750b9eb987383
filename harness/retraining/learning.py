"""Networks that are trained anew: from nothing, small and quick, or from a given one, little changed."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

Learner = Callable[[Tensor, Tensor, int], Callable[[Tensor], Tensor]]
"""From images (n, c, h, w), labels (n,) and a seed to a function from images to logits (n, k)."""

Change = Callable[[Tensor, torch.Generator], Tensor]
"""Changes a batch (n, c, h, w) at random."""

_WIDTHS = (16, 32, 64)
_SLOPE, _DROPOUT, _SMOOTHING, _DECAY = 0.1, 0.3, 0.05, 1e-2


@dataclass(frozen=True)
class Learning:
    """How a network is trained.

    Attributes
    ----------
    epochs, batch
        How often all images are seen, and how many at once; the last few that fill no batch are left out.
    rate
        The peak of a learning rate that rises and falls once.
    """

    epochs: int = 20
    batch: int = 32
    rate: float = 4e-3


def learnt(
    images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"], seed: int, how: Learning = Learning()
) -> Callable[[Tensor], Tensor]:
    """Return a small network trained from nothing: three convolutions with normalisation and pooling, one dense layer.

    It is smaller than any network that one would explain, because it is trained for every explainer, share and seed.
    Images are mirrored and shifted at random, by at most a tenth, what comes in repeating the border.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _small(images.shape[1:], int(labels.max()) + 1)
        nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
        return _fitted(network, images, labels, how, _mirrored_and_shifted, seed)


def adapted(
    network: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    change: Change,
    seed: int,
    how: Learning = Learning(epochs=6, rate=3e-4),
) -> nn.Module:
    """Return a copy of a network that has gone on learning, from images changed at random; the given one stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _fitted(copy.deepcopy(network).requires_grad_(True), images, labels, how, change, seed)


def _small(shape: torch.Size, classes: int) -> nn.Module:
    """Return the small network, its weights drawn from the global generator."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for before, after in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
        convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.LeakyReLU(_SLOPE), nn.MaxPool2d(2)]
    dense = nn.Linear(_WIDTHS[-1] * (height // 8) * (width // 8), classes)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(_DROPOUT), dense)


def _fitted(network: nn.Module, images: Tensor, labels: Tensor, how: Learning, change: Change, seed: int) -> nn.Module:
    """Train a network in place, and leave it in evaluation and without gradients."""
    rng = torch.Generator().manual_seed(seed)
    size = min(how.batch, len(images))
    steps = len(images) // size
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.rate, how.epochs * steps)
    network.train()
    with torch.enable_grad():
        for _ in range(how.epochs):
            order = torch.randperm(len(images), generator=rng)
            for chosen in torch.split(order[: steps * size], size):
                batch = change(images[chosen], rng).contiguous(memory_format=torch.channels_last)
                loss = functional.cross_entropy(network(batch), labels[chosen], label_smoothing=_SMOOTHING)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return network.eval().requires_grad_(False)


def _mirrored_and_shifted(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return images mirrored at random and moved by up to a tenth of their sides."""
    mirror = torch.where(torch.rand(len(images), generator=rng) < 0.5, -1.0, 1.0)
    shift = (torch.rand(len(images), 2, generator=rng) - 0.5) * 0.2
    zero = torch.zeros(len(images))
    across = torch.stack([mirror, zero, shift[:, 0]], dim=1)
    down = torch.stack([zero, torch.ones(len(images)), shift[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid.to(images), padding_mode="border", align_corners=False)
