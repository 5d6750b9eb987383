"""Networks whose answers follow from the subject's: equal twins, a twin that takes a shift back, weighted sums."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.networks.random import BATCH_NORMS
from harness.subject import Subject, copied

READERS = (nn.Conv2d, nn.Linear)
GIVERS = (*READERS, *BATCH_NORMS)
EVEN = (
    *(nn.ReLU, nn.LeakyReLU, nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
"""Modules that, channel by channel, give twice as much for twice as much."""
SAME = 1e-5
"""Share of the largest logit up to which two networks answer alike; a sum in another order moves it far less."""

Pair = tuple[str, str]


def largest_difference(one: Subject, other: Subject, images: Tensor, moved: Tensor | None = None) -> float:
    """Return the largest difference of two networks' logits, as a share of the first's largest.

    Parameters
    ----------
    moved
        What the other network is given instead of `images`.
    """
    logits = one.logits(images)
    answers = other.logits(images if moved is None else moved)
    return float((answers - logits).abs().max() / logits.abs().max().clamp(min=1e-30))


# ---------------------------------------------------------------------- the same function, other weights


def channel_pairs(subject: Subject) -> tuple[Pair, ...]:
    """Return layers that seem to hand their channels to the next with weights, and that one.

    Only modules are seen, so that a pair may turn out not to be one: see that a twin's answers are the same.

    Examples
    --------
    >>> from harness.subject import InputSpec, Subject
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    >>> channel_pairs(Subject(network, name="s", classes="ab", spec=InputSpec(8, 8)))
    (('0', '3'),)
    """
    pairs, giver = [], ""
    for name in subject.layers:
        layer = subject.layer(name)
        if giver and _fits(subject.layer(giver), layer):
            pairs.append((giver, name))
        if list(layer.parameters(recurse=False)):
            giver = name if isinstance(layer, GIVERS) else ""
        elif not isinstance(layer, EVEN):
            giver = ""
    return tuple(pairs)


@torch.no_grad()
def twin(subject: Subject, pairs: Sequence[Pair], seed: int) -> Subject:
    """Return a network of the same answers and other weights.

    Between the layers of each pair, channels change places and are multiplied by powers of two, which the second layer
    takes back: exact in floating point, but for the order in which it adds. Through anything even, such as a ReLU, the
    answers stay as they were.

    Parameters
    ----------
    pairs
        Some of :func:`channel_pairs`.
    seed
        Same seed, same twin.
    """
    network = copied(subject.network)
    for position, (giver, reader) in enumerate(pairs):
        draw = torch.Generator().manual_seed(seed * 10_007 + position)
        first, second = network.get_submodule(giver), network.get_submodule(reader)
        width = _width(first)
        order = torch.randperm(width, generator=draw) if _free_to_move(first) else torch.arange(width)
        factors = (2.0 ** torch.randint(-1, 2, (width,), generator=draw)).to(second.weight)  # type: ignore[arg-type]
        for parameter in (first.weight, first.bias):
            if isinstance(parameter, Tensor):
                parameter.copy_(parameter[order] * factors.view(-1, *[1] * (parameter.ndim - 1)))
        # A dense layer behind a flattening reads all places of a channel one after the other.
        reading = second.weight.view(len(second.weight), width, -1)  # type: ignore[operator,arg-type,union-attr]
        reading.copy_(reading[:, order] / factors[:, None])
    return subject.with_network(network, f"{subject.name} (twin)")


def _width(layer: nn.Module) -> int:
    """Return how many channels a layer gives."""
    return len(layer.weight) if isinstance(layer.weight, Tensor) else 0


def _fits(giver: nn.Module, reader: nn.Module) -> bool:
    """Whether the second layer reads all channels of the first, each by weights of its own."""
    width = _width(giver)
    if isinstance(reader, nn.Conv2d):
        return reader.groups == 1 and reader.in_channels == width
    return isinstance(reader, nn.Linear) and width > 0 and reader.in_features % width == 0


def _free_to_move(layer: nn.Module) -> bool:
    """Whether a layer's channels may change places without what comes before them."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


# ---------------------------------------------------------------------- a shift taken back


@torch.no_grad()
def taking_back(subject: Subject, shift: float) -> Subject | None:
    """Return a network that answers on images plus `shift` as the subject does on the images (Kindermans et al. 2019).

    The bias of the first layer with weights takes the shift back; what a convolution pads is shifted as the image is,
    or the border would not be taken back. None where that layer is neither a convolution nor dense.
    """
    name = next((name for name in subject.layers if list(subject.layer(name).parameters(recurse=False))), "")
    network = copied(subject.network)
    layer = network.get_submodule(name)
    if not isinstance(layer, READERS) or not name:
        return None
    change = -shift * layer.weight.flatten(1).sum(1)
    layer.bias = nn.Parameter(change if layer.bias is None else layer.bias + change, requires_grad=False)
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and any(layer._reversed_padding_repeated_twice):
        pads = nn.ConstantPad2d(tuple(layer._reversed_padding_repeated_twice), shift)  # type: ignore[arg-type]
        layer.padding, layer._reversed_padding_repeated_twice = (0, 0), [0, 0, 0, 0]
        above, _, last = name.rpartition(".")
        setattr(network.get_submodule(above), last, nn.Sequential(pads, layer))
    return subject.with_network(network, f"{subject.name} (taking back a shift)")


# ---------------------------------------------------------------------- sums


class WeightedSum(nn.Module):
    """Two networks' logits, weighted and added."""

    def __init__(self, first: nn.Module, second: nn.Module, weights: tuple[float, float]) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the sum."""
        one, other = self.weights  # type: ignore[misc]
        total: Tensor = one * self.first(images) + other * self.second(images)
        return total


def weighted_sum(first: Subject, second: Subject, weights: tuple[float, float]) -> Subject:
    """Return the network whose logits are a weighted sum of two networks'."""
    network = WeightedSum(first.network, second.network, weights)
    return first.with_network(network, f"{first.name} (summed)", cam_layer=f"first.{first.cam_layer}")
