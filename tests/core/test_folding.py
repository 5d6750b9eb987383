"""Answers come from a copy with its normalisations folded, and nobody can tell but by the clock."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.models.minixception import MINIXCEPTION_SPEC, MiniXception
from harness.rounding import rounding
from harness.subject import InputSpec, Subject
from harness.subject.folding import NORMS, folded

SPEC = InputSpec(12, 12)
CPU = torch.device("cpu")


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every normalisation statistics and weights that do something."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, NORMS) and module.running_mean is not None:
                for tensor in (module.weight, module.running_var):
                    tensor.copy_(torch.rand(tensor.shape, generator=source) + 0.5)
                for tensor in (module.bias, module.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=source))
    return network.eval()


class Block(nn.Module):
    """A convolution and a normalisation; `how` says what else is done with them."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how, self.stem = how, nn.Conv2d(1, 4, 3, padding=1)
        self.conv, self.norm = (
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4, track_running_stats=how != "batch's own"),
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.conv(x)
        z = self.norm(y)
        if self.how == "convolution is read twice":
            z = z + y.relu()
        if self.how == "convolution runs twice":
            z = z + self.norm(self.conv(x.relu()))
        if self.how == "normalisation's weight is read":
            z = z * self.norm.weight[0]
        if self.how == "something between":
            z = self.norm(y.relu())
        return self.head(z.relu().mean((2, 3)))


def subject_of(network: nn.Module, spec: InputSpec = SPEC, classes: str = "abc") -> Subject:
    return Subject(network, name="small", classes=classes, spec=spec)


def pictures(spec: InputSpec = SPEC, n: int = 5) -> Tensor:
    return torch.randn(n, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(3))


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


def test_every_normalisation_of_mini_xception_is_folded() -> None:
    torch.manual_seed(0)
    network = drawn(MiniXception().double())
    made = folded(network, MINIXCEPTION_SPEC, CPU)
    assert norms(network) == 14, "the network itself stays as it was"
    assert norms(made) == 0
    images = pictures(MINIXCEPTION_SPEC).double()
    with torch.no_grad():
        found, wanted = made(images), network(images)
    # Fan-ins of eleven layers of at most 128 * 9, each made at most ten times larger by the drawn scales.
    allowed = rounding("float64", 11 * 128 * 9, float(wanted.abs().max()), conditioning=1e3)
    assert float((found - wanted).abs().max()) <= allowed


@pytest.mark.parametrize(
    "how",
    [
        "convolution is read twice",
        "convolution runs twice",
        "normalisation's weight is read",
        "something between",
        "batch's own",
    ],
)
def test_what_cannot_be_folded_stays_as_it_is(how: str) -> None:
    network = drawn(Block(how))
    assert folded(network, SPEC, CPU) is network


def test_a_network_without_normalisations_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).eval()
    assert folded(network, SPEC, CPU) is network


def test_a_normalisation_in_training_is_not_folded() -> None:
    network = drawn(Block()).train()
    assert folded(network, SPEC, CPU) is network


def test_answers_and_passes_are_those_of_the_network() -> None:
    subject = subject_of(drawn(Block()))
    images = pictures()
    found = subject.logits(images)
    with torch.no_grad():
        plain = subject.network(images)
    assert norms(subject._for_answers()) == 0, "the folded copy is what answers"
    assert subject.passes.forward == len(images)
    allowed = rounding("float32", 9 + 36 + 144 + 4, float(plain.abs().max()), conditioning=100.0)
    assert float((found - plain).abs().max()) <= allowed


def _zero_weights(subject: Subject) -> None:
    with torch.no_grad():
        subject.network.head.weight.zero_()


def _zero_statistics(subject: Subject) -> None:
    subject.network.norm.running_mean.add_(5.0)


def _other_module(subject: Subject) -> None:
    subject.network.norm = nn.Identity()


def _training(subject: Subject) -> None:
    subject.network.norm.train()


def _hook(subject: Subject) -> None:
    subject.network.norm.register_forward_hook(lambda _m, _i, output: output * 0)


CHANGES = {change.__name__: change for change in (_zero_weights, _zero_statistics, _other_module, _training, _hook)}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_network_is_seen_at_once(change: Callable[[Subject], None]) -> None:
    """Whatever is done to the network after the copy was made, answers are those of the network as it now is."""
    subject = subject_of(drawn(Block()))
    images = pictures()
    before = subject.logits(images)
    change(subject)
    found = subject.logits(images)
    with torch.no_grad():
        wanted = subject.network(images)
    assert float((found - before).abs().max()) > 1e-3, "the change is one that shows"
    allowed = rounding("float32", 9 + 36 + 144 + 4, float(wanted.abs().max()) + 1, conditioning=100.0)
    assert float((found - wanted).abs().max()) <= allowed


def test_a_network_that_is_put_back_answers_as_before() -> None:
    subject = subject_of(drawn(Block()))
    images, kept = pictures(), drawn(Block())
    kept.load_state_dict(subject.network.state_dict())
    before = subject.logits(images)
    _zero_weights(subject)
    subject.logits(images)
    subject.put_back(kept)
    assert torch.equal(subject.logits(images), before)
