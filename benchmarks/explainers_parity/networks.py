"""The networks and faces on which explainers are compared."""

import copy
from functools import cache
from typing import Any

import torch
from explainer_cases import drawn, reference
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.explainers_parity.setup import IMAGES, SMOOTH, Case
from harness.faces.loading import load_faces
from harness.fetching import cache_folder
from harness.models.loading import load_subject
from harness.models.minixception import Block
from harness.subject import InputSpec, Subject


def random_network() -> Subject:
    """Return a network of drawn weights on 48 x 48 pixels, no maximum of which meets a ReLU."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: tuple[nn.Module, ...] = (
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.MaxPool2d(2),
        )
        layers += (nn.Conv2d(8, 12, 3, groups=2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        made = nn.Sequential(*layers, nn.Linear(12 * 49, 7)).eval()
        drawn(made[1])
    with torch.no_grad():
        next(made[9].parameters()).mul_(8)
    classes = load_subject("faces-cnn").classes
    return Subject(made, name="random", classes=classes, spec=InputSpec(48, 48), cam_layer="6")


def smooth_network() -> Subject:
    """Return a network of drawn weights on 48 x 48 pixels without a kink.

    Guided paths choose at every step which pixels move, by the size of their gradients. Where a ReLU or a maximum turns
    over, gradients jump, so that the last bit of a point decides what is chosen from there on and two right paths part.
    Here gradients move as little as the point does.
    """
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = (nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(4), nn.Conv2d(6, 8, 3), nn.Softplus(), nn.Flatten())
        made = nn.Sequential(*layers, nn.Linear(8 * 81, 7)).eval()
    return Subject(made, name=SMOOTH, classes=load_subject("faces-cnn").classes, spec=InputSpec(48, 48), cam_layer="3")


DRAWN = {"random": random_network, SMOOTH: smooth_network}


@cache
def case(network: str, faces: str, precision: torch.dtype = torch.float64) -> Case | None:
    """Return a network on some faces; None where one of them was not fetched."""
    needed = {"fer2013-minixception", "orl"} & {network, faces}
    if not all((cache_folder() / name).is_dir() for name in needed):
        return None
    subject = DRAWN[network]() if network in DRAWN else load_subject(network)
    pictures = load_faces(faces).images
    images = subject.prepare(pictures[:: len(pictures) // IMAGES][:IMAGES])
    targets = subject.logits(images).argmax(1)
    targets[1:] = (targets[0] + torch.arange(1, IMAGES)) % len(subject.classes)
    subject.network.to(precision)
    return Case(subject, images.to(precision), targets)


class SummedByModule(nn.Module):
    """A block of mini-XCEPTION without batch normalisation whose sum is a module, as zennit needs."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.way = nn.Sequential(_merged(block.separable1, block.norm1), block.act1)
        self.way.extend([_merged(block.separable2, block.norm2), block.pool])
        self.shortcut = fuse_conv_bn_eval(block.shortcut, block.shortcut_norm)
        self.sum = reference("zennit.layer").Sum()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        total: Tensor = self.sum(torch.stack([self.way(x), self.shortcut(x)], -1))
        return total


def _merged(separable: Any, norm: Any) -> nn.Sequential:
    """Return a separable convolution with the batch normalisation after it merged in."""
    depthwise, pointwise = separable.children()
    return nn.Sequential(depthwise, fuse_conv_bn_eval(pointwise, norm))


def _fused(convolution: Any, norm: Any) -> nn.Module:
    """Return a convolution with the batch normalisation after it merged in."""
    made: nn.Module = fuse_conv_bn_eval(convolution, norm)
    return made


def merged(subject: Subject) -> nn.Module:
    """Return the network with every batch normalisation merged into the convolution before it."""
    network = copy.deepcopy(subject.network)
    if subject.name == "random":
        assert isinstance(network, nn.Sequential)
        first, second, *others = network
        return nn.Sequential(_fused(first, second), *others)
    if subject.name == "fer2013-minixception":
        n: Any = network
        first, second = fuse_conv_bn_eval(n.conv1, n.norm1), fuse_conv_bn_eval(n.conv2, n.norm2)
        blocks = [SummedByModule(block) for block in n.blocks]
        return nn.Sequential(first, n.act1, second, n.act2, *blocks, n.head, n.average, n.flatten).eval()
    return network
