import pytest
import torch
from captum.attr import DeepLift, DeepLiftShap
from double_cases import EQUAL, Residual, network, pictures, subject
from explainer_cases import Functional, error, quiet, target_logits
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers.deeplift import contributions

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])


def pool_first(activation: type[nn.Module]) -> nn.Sequential:
    """A network whose maximum does not follow an activation directly."""
    torch.manual_seed(0)
    return (
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3),
            activation(),
            nn.Flatten(),
            nn.Linear(6 * 36, 5),
        )
        .eval()
        .double()
    )


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.ELU])
def test_deeplift_equals_captums(activation: type[nn.Module]) -> None:
    made, images = pool_first(activation), pictures()
    with quiet():
        expected = DeepLift(made).attribute(images.clone(), target=TARGETS).sum(1)
    assert error(EXPLAINERS["deeplift"](subject(made), images, TARGETS), expected) < EQUAL


def test_deeplift_shap_equals_captums_on_the_same_baselines() -> None:
    made, images = pool_first(nn.ReLU), pictures()
    shades = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None, None, None].expand(-1, 1, 16, 16)
    with quiet():
        expected = DeepLiftShap(made).attribute(images.clone(), shades, target=TARGETS).sum(1)
    assert error(EXPLAINERS["deeplift-shap"](subject(made), images, TARGETS), expected) < EQUAL


@pytest.mark.parametrize(
    "made",
    [
        network(),
        network(activation=nn.LeakyReLU),
        network(activation=nn.Tanh),
        Residual(),
        Functional(network(), in_place=True),
    ],
    ids=["relu", "leaky", "tanh", "residual", "in place"],
)
def test_contributions_add_up_to_the_logits_difference(made: nn.Module) -> None:
    of, images = subject(made), pictures()
    difference = target_logits(of, images, TARGETS) - target_logits(of, torch.zeros_like(images), TARGETS)
    assert error(EXPLAINERS["deeplift"](of, images, TARGETS).sum((1, 2)), difference) < EQUAL


def test_overlapping_maxima_add_up() -> None:
    overlapping = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(4 * 36, 5))
    of, images = subject(overlapping), pictures()
    difference = target_logits(of, images, TARGETS) - target_logits(of, torch.zeros_like(images), TARGETS)
    assert error(EXPLAINERS["deeplift"](of, images, TARGETS).sum((1, 2)), difference) < EQUAL


def test_captums_deeplift_does_not_add_up_where_a_maximum_follows_an_activation_and_ours_does() -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)).eval()
    of, images = subject(made), pictures()
    base = pictures(3, seed=9)
    with quiet():
        _, gap = DeepLift(made).attribute(images.clone(), base, target=TARGETS, return_convergence_delta=True)
    difference = target_logits(of, images, TARGETS) - target_logits(of, base, TARGETS)
    assert (contributions(of, images, base, TARGETS).sum((1, 2)) - difference).abs().max() < EQUAL
    assert gap.abs().max() > 1e-2


def test_captums_deeplift_refuses_a_reused_activation_which_ours_explains() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.act, self.dense = nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.dense(self.act(self.first(x.flatten(1)))))  # type: ignore[no-any-return]

    made, images = Twice(), pictures()
    of = subject(made, "first")
    with quiet(), pytest.raises(RuntimeError, match="more than once"):
        DeepLift(made).attribute(images.clone(), target=TARGETS)
    difference = target_logits(of, images, TARGETS) - target_logits(of, torch.zeros_like(images), TARGETS)
    found = EXPLAINERS["deeplift"](of, images, TARGETS).sum((1, 2))
    assert (found - difference).abs().max() < EQUAL
