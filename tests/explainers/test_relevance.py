import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from double_cases import EQUAL, OPERATIONS, Residual, network, pictures, subject
from explainer_cases import CLASSES, SIDE, drawn, error, reference, target_logits
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.relevance import STABILIZER, epsilon_rule, relevances
from harness.rounding import rounding

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])


def composites() -> dict[str, Callable[[Tensor], Any]]:
    """Zennit's composites by our names; each is made from the images, whose range the box needs."""
    made, rules, types = (reference(f"zennit.{part}") for part in ("composites", "rules", "types"))
    base = made.layer_map_base()
    linear = (types.Convolution, nn.Linear)
    return {
        "lrp-epsilon": lambda _: made.LayerMapComposite([*base, (linear, rules.Epsilon(1e-3))]),
        "lrp-z-plus": lambda _: made.EpsilonPlus(),
        "lrp-gamma": lambda _: made.LayerMapComposite(
            [*base, (types.Convolution, rules.Gamma(0.25)), (nn.Linear, rules.Epsilon())]
        ),
        "lrp-epsilon-gamma-box": lambda x: made.EpsilonGammaBox(-torch.ones_like(x[:1]), torch.ones_like(x[:1])),
        "lrp-epsilon-plus-flat": lambda _: made.EpsilonPlusFlat(),
        "lrp-alpha2-beta1": lambda _: made.EpsilonAlpha2Beta1(),
    }


def merged() -> nn.Sequential:
    """The small network with its batch norm merged into the convolution before it."""
    made = network()
    return nn.Sequential(fuse_conv_bn_eval(made[0], made[1]), *made[2:])


def zennit_relevance(made: nn.Module, composite: Any, images: Tensor) -> Tensor:
    """Zennit hands out one unit a target; ours is the logit itself, so that signs mean for and against."""
    with reference("zennit.attribution").Gradient(made, composite) as attributor:
        logits, found = attributor(
            images.clone().requires_grad_(), torch.eye(len(CLASSES), dtype=images.dtype)[TARGETS]
        )
    return found.sum(1) * logits.gather(1, TARGETS[:, None])[:, :, None].detach()


@pytest.mark.parametrize(
    "name",
    [
        "lrp-epsilon",
        "lrp-z-plus",
        "lrp-gamma",
        "lrp-epsilon-gamma-box",
        "lrp-epsilon-plus-flat",
        "lrp-alpha2-beta1",
    ],
)
def test_relevance_equals_zennits(name: str) -> None:
    images = pictures()
    expected = zennit_relevance(merged(), composites()[name](images), images)
    found = EXPLAINERS[name](subject(network(), "4"), images, TARGETS)
    # Both divide by outputs that are kept from 0 by as little as this.
    assert error(found, expected) < rounding(torch.float64, OPERATIONS, conditioning=1 / STABILIZER)


def test_zennits_own_merge_leaves_a_large_epsilon_of_batch_norm_behind_and_ours_does_not() -> None:
    made, images = network(), pictures()
    made[1].eps = 0.1
    canonizer = reference("zennit.canonizers").SequentialMergeBatchNorm()
    composite = reference("zennit.composites").EpsilonPlus(canonizers=[canonizer])
    theirs = zennit_relevance(copy.deepcopy(made), composite, images)
    folded = nn.Sequential(fuse_conv_bn_eval(made[0], made[1]), *made[2:])
    truth = EXPLAINERS["lrp-z-plus"](subject(folded, "3"), images, TARGETS)
    assert error(EXPLAINERS["lrp-z-plus"](subject(made, "4"), images, TARGETS), truth) < EQUAL
    assert error(theirs, truth) > 1e-2  # 4.4e-2


@pytest.mark.parametrize(
    "name", ["lrp-epsilon", "lrp-z-plus", "lrp-gamma", "lrp-epsilon-plus-flat", "lrp-alpha2-beta1"]
)
def test_relevance_of_a_network_without_biases_adds_up_to_the_logit(name: str) -> None:
    torch.manual_seed(1)
    bare = nn.Sequential(
        nn.Conv2d(1, 6, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 49, 5, bias=False)
    )
    with torch.no_grad():
        bare[4].weight.mul_(50)  # epsilon takes its part of small outputs
    of, images = subject(bare), pictures().abs() + 0.1
    share = EXPLAINERS[name](of, images, TARGETS).sum((1, 2))
    # Epsilon takes its part of outputs: a thousandth of each unit's under lrp-epsilon, a millionth under the others.
    assert error(share, target_logits(of, images, TARGETS)) < (2e-2 if name == "lrp-epsilon" else 2e-5)


def test_epsilon_near_zero_on_a_network_of_relus_is_input_x_gradient() -> None:
    made = nn.Sequential(nn.Conv2d(1, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 196, 5, bias=False))
    of, images = subject(made), pictures()
    found = relevances(of, images, TARGETS, lambda _step: epsilon_rule(1e-15))
    assert error(found, EXPLAINERS["input-x-gradient"](of, images, TARGETS)) < EQUAL


def test_relevance_passes_a_shortcut_by_shares_and_adds_up() -> None:
    bare = Residual()
    for layer in (bare.first, bare.dense):
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(bare.norm.bias)
    nn.init.zeros_(bare.norm.running_mean)
    of, images = subject(bare, "second"), pictures()
    found = relevances(of, images, TARGETS, lambda _step: epsilon_rule(1e-9)).sum((1, 2))
    assert error(found, target_logits(of, images, TARGETS)) < 5e-5  # measured 1.3e-5


@pytest.mark.parametrize(
    "change",
    [lambda x: 2 * x, lambda x: x / 2, lambda x: x.relu_(), lambda x: x.mul_(1)],
    ids=["times", "over", "in place", "times in place"],
)
def test_scaling_by_a_constant_and_in_place_functions_have_rules(change: Callable[[Tensor], Tensor]) -> None:
    class Changed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, x: Tensor) -> Tensor:
            x = change(self.layers[:3](x))
            out: Tensor = self.layers[3:](x)
            return out

    of, images = subject(Changed(), "layers.4"), pictures()
    assert torch.isfinite(EXPLAINERS["lrp-z-plus"](of, images, TARGETS)).all()


@pytest.mark.parametrize("in_place", [False, True])
def test_sum_in_place_is_a_sum(in_place: bool) -> None:
    class Summed(nn.Module):
        def __init__(self, in_place: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second, self.dense = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(4 * 196, 5)
            self.in_place = in_place

        def forward(self, x: Tensor) -> Tensor:
            one, two = self.first(x), self.second(x)
            if self.in_place:
                one += two
            else:
                one = one + two
            out: Tensor = self.dense(one.relu().flatten(1))
            return out

    images = pictures()
    found = EXPLAINERS["lrp-epsilon"](subject(Summed(in_place), "second"), images, TARGETS)
    expected = EXPLAINERS["lrp-epsilon"](subject(Summed(False), "second"), images, TARGETS)
    assert torch.equal(found, expected)


class ByToken(nn.Module):
    """A dense layer over tokens, normalised by token: as many tokens as it has outputs, or not."""

    def __init__(self, width: int, apart: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.apart = apart
        self.dense, self.norm, self.head = nn.Linear(SIDE, width), nn.BatchNorm1d(SIDE), nn.Linear(width, len(CLASSES))
        drawn(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.dense(x[:, 0])
        # What is multiplied by 1 is no longer what the layer gave, so that nothing is merged.
        return self.head(self.norm(tokens * 1 if self.apart else tokens).relu().mean(1))


@pytest.mark.parametrize("width", [SIDE, SIDE - 4])
@pytest.mark.parametrize("name", ["lrp-epsilon", "lrp-z-plus"])
def test_a_normalisation_by_token_is_not_merged_into_the_layer_before_it(name: str, width: int) -> None:
    images = pictures()
    found, expected = (
        EXPLAINERS[name](subject(ByToken(width, apart), "head"), images, TARGETS) for apart in (False, True)
    )
    assert error(found, expected) < rounding(torch.float64, OPERATIONS, conditioning=1 / STABILIZER)


@pytest.mark.parametrize("name", ["lrp-epsilon", "deeplift"])
def test_function_without_a_rule_is_an_error_that_names_it(name: str) -> None:
    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.dense = nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4 * 196, 5)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.dense(self.norm(self.first(x)).flatten(1))
            return out

    with pytest.raises(UsageError, match="group_norm"):
        EXPLAINERS[name](subject(Norms(), "first"), pictures(), TARGETS)
