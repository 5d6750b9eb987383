"""Answers come from a copy that takes fewer steps, and nobody can tell but by the clock."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.models.minixception import MINIXCEPTION_SPEC, MiniXception
from harness.rounding import rounding
from harness.subject import InputSpec, Subject, network
from harness.subject.readers import only_readers
from harness.subject.rewriting import HOOKS, NORMS, Maxima, rewritten

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
        self.how, self.scale, self.stem = how, 1.0, nn.Conv2d(1, 4, 3, padding=1)
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
        return self.head(z.relu().mean((2, 3))) * self.scale


def subject_of(network: nn.Module, spec: InputSpec = SPEC, classes: str = "abc") -> Subject:
    return Subject(network, name="small", classes=classes, spec=spec)


def pictures(spec: InputSpec = SPEC, n: int = 5) -> Tensor:
    return torch.randn(n, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(3))


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


def test_every_normalisation_of_mini_xception_is_rewritten() -> None:
    torch.manual_seed(0)
    network = drawn(MiniXception().double())
    made = rewritten(network, MINIXCEPTION_SPEC, CPU)
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
    assert rewritten(network, SPEC, CPU) is network


def test_a_network_with_nothing_to_spare_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).eval()
    assert rewritten(network, SPEC, CPU) is network


def test_a_normalisation_in_training_is_not_rewritten() -> None:
    network = drawn(Block()).train()
    assert rewritten(network, SPEC, CPU) is network


def test_answers_and_passes_are_those_of_the_network() -> None:
    subject = subject_of(drawn(Block()))
    images = pictures()
    found = subject.logits(images)
    with torch.no_grad():
        plain = subject.network(images)
    assert norms(subject._for_answers()) == 0, "the rewritten copy is what answers"
    assert subject.passes.forward == len(images)
    allowed = rounding("float32", 9 + 36 + 144 + 4, float(plain.abs().max()), conditioning=100.0)
    assert float((found - plain).abs().max()) <= allowed


def _zero_weights(subject: Subject) -> None:
    with torch.no_grad():
        subject.network.head.weight.zero_()


def _zero_statistics(subject: Subject) -> None:
    subject.network.norm.running_mean.add_(5.0)


def _weights_behind_its_back(subject: Subject) -> None:
    subject.network.conv.weight.data.mul_(-3)


def _channels_behind_its_back(subject: Subject) -> None:
    weight = subject.network.conv.weight.data
    weight.copy_(weight.flip(0))


def _array_behind_its_back(subject: Subject) -> None:
    subject.network.head.weight.detach().numpy()[:] *= -1


def _statistics_behind_its_back(subject: Subject) -> None:
    subject.network.norm.running_mean.data.add_(5.0)


def _other_module(subject: Subject) -> None:
    subject.network.norm = nn.Identity()


def _attribute(subject: Subject) -> None:
    subject.network.scale = -4.0


def _parts_attribute(subject: Subject) -> None:
    subject.network.norm.eps = 4.0


def _forward(subject: Subject) -> None:
    subject.network.norm.forward = torch.abs


def _training(subject: Subject) -> None:
    subject.network.norm.train()


def _hook(subject: Subject) -> None:
    subject.network.norm.register_forward_hook(lambda _m, _i, output: output * 0)


CHANGES = {
    change.__name__: change
    for change in (
        *(_zero_weights, _zero_statistics, _other_module, _training, _hook),
        *(_attribute, _parts_attribute, _forward),
        *(_weights_behind_its_back, _channels_behind_its_back, _array_behind_its_back, _statistics_behind_its_back),
    )
}


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


def test_weights_that_are_not_changed_are_shared_and_changed_ones_are_watched() -> None:
    subject = subject_of(drawn(Block()))
    subject.logits(pictures())
    made, network = subject._for_answers().network, subject.network
    assert made.head.weight is network.head.weight
    assert made.conv.weight is not network.conv.weight
    watched = {id(tensor) for tensor in subject._quick.read}
    assert {id(tensor) for tensor in (network.conv.weight, network.norm.bias, network.norm.running_var)} <= watched
    assert id(network.head.weight) not in watched


def test_a_network_that_counts_its_passes_is_rewritten_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counts(Block):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x)

    made: list[nn.Module] = []
    monkeypatch.setattr(network, "rewritten", lambda *given: (made.append(rewritten(*given)), made[-1])[1])
    subject = subject_of(drawn(Counts()))
    for _ in range(3):
        subject.logits(pictures())
        subject.gradients(pictures(), torch.zeros(5, dtype=torch.int64))
    assert len(made) == 1


@pytest.mark.parametrize("place", [1, 4], ids=["normalisation", "dropout"])
def test_what_is_put_in_training_mode_answers_so_though_the_rest_could_be_rewritten(place: int) -> None:
    first, second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
    norms = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    parts = first, norms[0], second, norms[1], nn.Dropout(0.5), nn.Flatten(), nn.Linear(256, 3)
    network = nn.Sequential(*parts)
    subject = subject_of(drawn(network))
    images = pictures()
    before = subject.logits(images)
    subject.network[place].train()
    torch.manual_seed(0)
    found = subject.logits(images)
    torch.manual_seed(0)
    with torch.no_grad():
        wanted = subject.network(images)
    assert float((found - before).abs().max()) > 1e-3, "the mode shows"
    allowed = rounding("float32", 9 + 36 + 144 + 256, float(wanted.abs().max()) + 1, conditioning=100.0)
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


# ---------------------------------------------------------------------- activations and pooling


class Steps(nn.Module):
    """A convolution, an activation and a pooling; `how` says what else is done with them."""

    def __init__(self, how: str = "", act: nn.Module | None = None, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(1, 4, 3, padding=1)
        self.act, self.pool = act or nn.LeakyReLU(0.1), pool or nn.MaxPool2d(2)
        self.head = nn.LazyLinear(3)
        with torch.no_grad():
            # On noise around 0 nothing is below 0 behind it, so that only who reads what tells what may be overwritten.
            self.conv.weight.abs_()
            self.conv.bias.fill_(float(self.conv.weight.sum()))
        self(torch.zeros(1, 1, 12, 12))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.act(y)
        if self.how == "convolution is read after":
            z = z + y
        if self.how == "a view is read after":
            z = z + y.flatten(1).view_as(y)
        if self.how == "one of a list is read after":
            z = torch.stack([z, y]).sum(0)
        pooled = self.pool(z)
        if self.how == "activation is read after":
            pooled = pooled + z.mean((2, 3), keepdim=True)
        if self.how == "activation runs twice":
            pooled = self.act(pooled - 1)
        return self.head(pooled.flatten(1))


HOW = {
    "": "behind the pooling",
    "convolution is read after": "out of place",
    "a view is read after": "out of place",
    "one of a list is read after": "out of place",
    "activation is read after": "in place",
    "activation runs twice": "out of place",
}
"""What else is done, and how the activation then works."""


def same(network: nn.Module) -> nn.Module:
    """Return the copy that answers for a network, after answers to dark and light pictures were found bit for bit."""
    made = rewritten(network.eval(), SPEC, CPU)
    for scale in (1.0, -9.0, 9.0):
        for layout in (torch.contiguous_format, torch.channels_last):
            images = (scale * pictures().abs()).to(memory_format=layout)
            with torch.no_grad():
                assert torch.equal(made(images), network(images))
    return made


@pytest.mark.parametrize(("how", "works"), HOW.items(), ids=HOW)
def test_what_is_read_elsewhere_is_neither_moved_nor_written_over(how: str, works: str) -> None:
    made = same(Steps(how))
    assert isinstance(made.act, nn.Identity) == (works == "behind the pooling")
    assert getattr(made.act, "inplace", False) == (works == "in place")
    assert not isinstance(made.pool, nn.MaxPool2d)


def test_an_activation_without_a_pooling_writes_over_what_it_alone_reads() -> None:
    made = same(Steps(pool=nn.AvgPool2d(2)))
    assert made.act.inplace
    assert not same(Steps("convolution is read after", pool=nn.AvgPool2d(2))).act.inplace


def test_the_network_that_was_given_stays_as_it_was() -> None:
    network = Steps().eval()
    before = str(network)
    rewritten(network, SPEC, CPU)
    assert str(network) == before
    assert not any(vars(module)[name] for module in network.modules() for name in HOOKS)


@pytest.mark.parametrize("act", [nn.LeakyReLU(-0.5), nn.GELU(), nn.SiLU(), nn.Tanh()], ids=lambda act: str(act))
def test_an_activation_that_falls_or_is_not_known_stays_before_the_pooling(act: nn.Module) -> None:
    assert type(same(Steps(act=act)).act) is type(act)


class Chooses(Steps):
    """Adds what the activation read, but to light pictures alone; noise is none."""

    def __init__(self, how: str) -> None:
        super().__init__("", pool=nn.AvgPool2d(2))
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.act(y)
        light = {"if": lambda: x.mean() > 3, "item": lambda: x.mean().item() > 3, "numpy": lambda: x.numpy().mean() > 3}
        return self.head(self.pool(z + y if self.how and light[self.how]() else z).flatten(1))


@pytest.mark.parametrize("how", ["if", "item", "numpy"])
def test_of_a_network_that_chooses_by_what_it_sees_nothing_is_changed(how: str) -> None:
    network = Chooses(how).eval()
    assert rewritten(network, SPEC, CPU) is network
    assert only_readers(network, pictures()) == {}
    network.how = ""
    assert same(network).act.inplace


def test_what_a_network_gives_away_is_not_written_over() -> None:
    class Gives(Steps):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.conv(x)
            return y, self.act(y)

    network = Gives().eval()
    readers = only_readers(network, pictures())
    assert "conv" not in readers
    assert only_readers(Steps().eval(), pictures()) == {"conv": "act", "act": "pool"}


POOLS = {
    "halves": {"kernel_size": 2},
    "overlap": {"kernel_size": 3, "stride": 2, "padding": 1},
    "slides": {"kernel_size": 3, "stride": 1},
    "wide": {"kernel_size": (1, 3), "padding": (0, 1)},
    "leaves out": {"kernel_size": 2, "stride": 3},
}


@pytest.mark.parametrize("sizes", POOLS.values(), ids=POOLS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_maxima_are_those_of_a_pooling(sizes: dict[str, Any], data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(3, 8), st.integers(3, 8)))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    for value in (float("nan"), float("-inf"), float("inf")):
        x.view(-1)[data.draw(st.integers(0, x.numel() - 1))] = value
    x = x.to(memory_format=data.draw(st.sampled_from([torch.contiguous_format, torch.channels_last])))
    pool = nn.MaxPool2d(**sizes)
    made = Maxima(pool)
    torch.testing.assert_close(made(x), pool(x), rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(made(x[0]), pool(x[0]), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("sizes", [{"return_indices": True}, {"ceil_mode": True}, {"dilation": 2}], ids=str)
def test_a_pooling_that_does_more_stays(sizes: dict[str, Any]) -> None:
    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.head = nn.MaxPool2d(2, **sizes), nn.LazyLinear(3)
            self(torch.zeros(1, 1, 12, 12))

        def forward(self, x: Tensor) -> Tensor:
            found = self.pool(x)
            return self.head((found[0] if isinstance(found, tuple) else found).flatten(1))

    assert type(same(First()).pool) is nn.MaxPool2d
