"""Tokens that do not fill the picture row by row are noticed by what they answer, and no map is made of them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.subject import InputSpec, Subject, order_fault
from harness.subject.token_order import disordered_tokens

SIDE, CLASSES = 32, ("a", "b", "c")
SPEC = InputSpec(SIDE, SIDE, (0.5,), (0.5,))
ROWS = torch.arange(64).view(8, 8)

ORDERS: dict[str, Tensor] = {
    "drawn": torch.randperm(64, generator=torch.Generator().manual_seed(0)),
    "columns first": ROWS.T.flatten(),
    "windows": ROWS.view(2, 4, 2, 4).transpose(1, 2).flatten(),
    "strides": ROWS.view(4, 2, 4, 2).permute(1, 3, 0, 2).flatten(),
    "from the right": ROWS.flip(1).flatten(),
}
"""Which place of the picture each token is of."""


class Tokens(nn.Module):
    """A small transformer over 8 x 8 patches, whose tokens are put into another order before its first block."""

    def __init__(self, order: Tensor | None, class_token: bool = False, back: bool = False) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16)) if class_token else None
        self.order, self.back = order, back
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.last, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = t if self.order is None else t[:, self.order]
        if self.token is not None:
            t = torch.cat([self.token.expand(len(t), -1, -1), t], 1)
        for block in self.blocks:
            t = block(t)
        if self.back and self.order is not None:
            t = t[:, self.order.argsort()]
        t = self.last(t)
        return self.head(t.mean(1) if self.token is None else t[:, 0])


def subject(made: Callable[[], nn.Module], cam_layer: str | None = None) -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Subject(made(), name="t", classes=CLASSES, spec=SPEC, cam_layer=cam_layer)


def explained(name: str, of: Subject) -> Tensor:
    images = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    found: Tensor = registered()[name](of, images, torch.tensor([0]))
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("explainer", ["grad-cam", "eigen-cam", "internal-influence"])
def test_a_map_of_tokens_in_another_order_is_refused(order: str, explainer: str) -> None:
    asked = subject(lambda: Tokens(ORDERS[order]), "blocks.1")
    with pytest.raises(
        UsageError, match=r"tokens of layer 'blocks.1' .* would be scrambled; name another as cam_layer"
    ):
        explained(explainer, asked)


@pytest.mark.parametrize("explainer", ["attention-rollout", "attention-relevance", "legrad", "full-grad"])
def test_so_is_one_that_follows_all_of_them(explainer: str) -> None:
    with pytest.raises(UsageError, match="would be scrambled; use another explainer"):
        explained(explainer, subject(lambda: Tokens(ORDERS["windows"], class_token=True)))


@pytest.mark.parametrize("class_token", [False, True])
def test_tokens_in_order_are_read_and_nothing_is_said(class_token: bool) -> None:
    asked = subject(lambda: Tokens(None, class_token))
    assert asked.cam_layer == ("blocks.0" if class_token else "last")
    assert disordered_tokens(asked)["blocks.1"] == (64 + class_token, "")
    for explainer in ("grad-cam", "attention-rollout", "full-grad"):
        assert explained(explainer, asked).shape == (1, SIDE, SIDE)


def test_the_layer_that_is_chosen_holds_tokens_in_order() -> None:
    """They are put back before the last layer, as those of a hierarchy that pools them are by the end."""
    asked = subject(lambda: Tokens(ORDERS["strides"], back=True))
    assert asked.cam_layer == "last"
    assert explained("grad-cam", asked).shape == (1, SIDE, SIDE)
    with pytest.raises(UsageError, match="scrambled"):
        explained("grad-cam", subject(lambda: Tokens(ORDERS["strides"], back=True), "blocks.1"))


def test_a_network_whose_tokens_are_never_in_order_has_no_layer_to_read() -> None:
    asked = subject(lambda: Tokens(ORDERS["drawn"]))
    with pytest.raises(UsageError):
        explained("grad-cam", asked)
    assert explained("gradient", asked).shape == (1, SIDE, SIDE)


def test_the_passes_are_not_counted_and_variants_are_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = subject(lambda: Tokens(None))
    assert disordered_tokens(asked)
    assert asked.passes.forward == 0
    other = asked.with_network(asked.network, "other")
    monkeypatch.setattr("harness.subject.token_order._found", lambda *_: pytest.fail("asked again"))
    assert disordered_tokens(other) is disordered_tokens(asked)


def test_convolutions_give_no_tokens() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 3))
    assert order_fault(subject(lambda: network), 0) == ""
