"""Relevance through some channels: against zennit's, and what their maps add up to."""

import pytest
import torch
from double_cases import EQUAL, OPERATIONS, network, pictures, subject
from explainer_cases import CLASSES, error, reference
from test_relevance import merged
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.crp import crp
from harness.explainers.relevance import STABILIZER
from harness.rounding import rounding

TARGETS = torch.tensor([0, 3, 4])
LAYER = "5"
CHANNELS = 8


def zennits(made: nn.Sequential, images: Tensor, kept: int) -> Tensor:
    """Zennit's composite, relevance being dropped at the layer but on the channels that have the most."""
    composite = reference("zennit.composites").EpsilonPlusFlat()
    layer = made[int(LAYER) - 1]  # batch norm is merged
    found = []
    for image, target in zip(images, TARGETS, strict=True):
        logit = float(made(image[None])[0, target].detach())

        def drop(relevance: Tensor) -> Tensor:
            dropped = relevance[0].sum((1, 2)).argsort(descending=True)[kept:]
            relevance = relevance.clone()
            relevance[0, dropped] = 0
            return relevance

        def hook(_module: nn.Module, _inputs: object, output: Tensor, drop: object = drop) -> None:
            output.register_hook(drop)

        handle = layer.register_forward_hook(hook)
        try:
            with reference("zennit.attribution").Gradient(made, composite) as attributor:
                _, relevance = attributor(
                    image[None].clone().requires_grad_(), torch.eye(len(CLASSES), dtype=image.dtype)[target][None]
                )
        finally:
            handle.remove()
        found.append(relevance[0].sum(0) * logit)
    return torch.stack(found)


@pytest.mark.parametrize("kept", [1, 3])
def test_it_equals_zennits_relevance_through_the_same_channels(kept: int) -> None:
    images = pictures()
    found = crp(subject(network(), LAYER), images, TARGETS, channels=kept)
    # Both divide by outputs that are kept from 0 by as little as this.
    close = rounding(torch.float64, OPERATIONS, conditioning=1 / STABILIZER)
    assert error(found, zennits(merged(), images, kept)) < close


def test_through_all_channels_it_is_relevance() -> None:
    of, images = subject(network(), LAYER), pictures()
    whole = registered()["lrp-epsilon-plus-flat"](of, images, TARGETS)
    for kept in (CHANNELS, CHANNELS + 1):
        assert error(crp(of, images, TARGETS, channels=kept), whole) < EQUAL


def test_without_biases_it_adds_up_to_what_the_channels_contribute() -> None:
    torch.manual_seed(1)
    bare = nn.Sequential(nn.Conv2d(1, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 196, 5, bias=False))
    with torch.no_grad():
        bare[3].weight.mul_(50)  # epsilon takes its part of small outputs
    of, images = subject(bare, "1"), pictures().abs() + 0.1
    contributed = (of.activations(images, ["1"])["1"].flatten(1) * bare[3].weight[TARGETS]).view(3, 6, -1).sum(2)
    logits = contributed.sum(1, keepdim=True)
    for kept in (1, 2, 5):
        most = (contributed / logits).topk(kept).indices
        sums = crp(of, images, TARGETS, channels=kept).sum((1, 2))
        # Outputs of size one lose a millionth to the stabilizer.
        assert error(sums, contributed.gather(1, most).sum(1)) < 2e-5


@pytest.mark.parametrize("layer", ["0", "4"])
def test_a_layer_whose_output_is_not_what_goes_on_is_refused(layer: str) -> None:
    made = network()
    made[5] = nn.ReLU(inplace=True)
    with pytest.raises(UsageError, match="name the layer after it"):
        crp(subject(made, layer), pictures(), TARGETS)
