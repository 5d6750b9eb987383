"""Maps that do not lie on the picture as they would be laid over it are noticed, and their channels are found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers import registered
from harness.rounding import rounding
from harness.subject import InputSpec, Subject, map_fault, map_of

SIDE = 32
ROUNDING = rounding("float32", 2 * (9 + 9 * 16 + 256), conditioning=100.0)
"""Fan-ins of two convolutions and of the head, there and back; their gains are far below a hundred."""


class Seen(nn.Module):
    """A network that reads the picture through something."""

    def __init__(self, through: Callable[[Tensor], Tensor], *first: nn.Module) -> None:
        super().__init__()
        self.through, self.first = through, nn.Sequential(*first)
        self.maps = nn.Sequential(nn.LazyConv2d(8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(self.first(self.through(x))).mean((2, 3)))


class Gate(nn.Module):
    """Weighs channels by their means over the picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean((2, 3), keepdim=True).sigmoid()


class Strips(nn.Module):
    """Pools rows alone, to as many as there are channels, so that the shape does not tell one from the other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.b(functional.avg_pool2d(self.a(x).relu(), (4, 1)))).mean((2, 3)))


class Flat(nn.Module):
    """Goes on with convolutions over the places in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv1d(8, 16, 1), nn.ReLU()
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.b(self.a(x).relu().flatten(2))).mean(2))


class NearlySquare(nn.Module):
    """Holds its channels last, and hardly more of them than rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(1, 12, 4, 4), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mix(self.embed(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))


def subject(made: Callable[[], nn.Module], cam_layer: str | None = None) -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = made()
        network(torch.zeros(1, 1, SIDE, SIDE))
    return Subject(network, name="t", classes="abc", spec=InputSpec(SIDE, SIDE, (0.5,), (0.5,)), cam_layer=cam_layer)


ELSEWHERE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "the middle": (lambda x: x[:, :, 8:24, 8:24], "looks at the rows of it from 25% to 75% alone"),
    "the middle, enlarged": (lambda x: functional.interpolate(x[:, :, 8:24, 8:24], (32, 32)), "from 25% to 75%"),
    "a corner": (lambda x: x[:, :, :16, 16:], "looks at the rows of it from 0% to 50% alone"),
    "a wide margin": (lambda x: functional.pad(x, (16,) * 4), "the picture fills the rows"),
    "exchanged": (lambda x: x.transpose(2, 3), "rows of it are answered by columns of the layer"),
    "turned": (lambda x: x.rot90(1, (2, 3)), "rows of it are answered by columns of the layer"),
    "from the right": (lambda x: x.flip(3), "its columns are answered by others"),
    "upside down": (lambda x: x.flip(2), "its rows are answered by others"),
    "rolled": (lambda x: x.roll(16, 3), "its columns are answered by others"),
}
"""What a network reads of the picture, and what is said of it."""


@pytest.mark.parametrize("explainer", ["grad-cam", "eigen-cam", "conductance", "full-grad"])
@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_map_that_would_lie_elsewhere_is_refused(what: str, explainer: str) -> None:
    through, said = ELSEWHERE[what]
    images = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with pytest.raises(UsageError, match=said) as caught:
        registered()[explainer](subject(lambda: Seen(through)), images, torch.tensor([0]))
    assert "\n" not in str(caught.value)


def test_what_was_wrong_stays_wrong_where_all_depends_on_all() -> None:
    """Behind the gate nothing is told any more."""
    flipped = subject(lambda: Seen(lambda x: x.flip(3), nn.Conv2d(1, 4, 3, padding=1), Gate()))
    assert "its columns are answered by others" in map_fault(flipped)


FIRST: dict[str, tuple[nn.Module, ...]] = {
    "nothing": (),
    "without padding": (nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 4, 5)),
    "more padding than the kernel has": (nn.Conv2d(1, 4, 1, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=2)),
    "a stride that leaves pixels out": (nn.Conv2d(1, 4, 1, 3),),
    "wide holes": (nn.Conv2d(1, 4, 3, padding=4, dilation=4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=6, dilation=6)),
    "a wide view": (nn.Conv2d(1, 4, 15, padding=7), nn.Conv2d(4, 4, 15, padding=7)),
    "a gate": (nn.Conv2d(1, 4, 3, padding=1), Gate()),
    "a gate first": (Gate(),),
    "statistics of the picture": (nn.InstanceNorm2d(1), nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4)),
    "a margin of its own": (nn.Conv2d(1, 4, 8, 8), nn.ZeroPad2d((2, 3, 2, 3)), nn.Conv2d(4, 4, 5, 1)),
    "pools that do not fit": (nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(3), nn.AvgPool2d(2, ceil_mode=True)),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("dead", [False, True])
def test_no_network_is_refused_for_how_it_convolves(first: str, dead: bool) -> None:
    def made() -> nn.Module:
        network = Seen(lambda x: x, *FIRST[first])
        network(torch.zeros(1, 1, SIDE, SIDE))
        if dead:
            with torch.no_grad():
                network.maps[0].bias.fill_(-0.5)
                network.maps[2].bias.fill_(-0.1)
        return network

    assert map_fault(subject(made)) == ""


def test_a_network_that_looks_at_its_input_tells_nothing() -> None:
    def choosy(x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("no number")
        return x

    assert map_fault(subject(lambda: Seen(choosy))) == ""


@pytest.mark.parametrize(
    ("made", "layer", "size"),
    [(Strips, "act", (8, 32)), (Strips, "b", (8, 32)), (Flat, "act", (16, 16)), (Flat, "b", (16, 16))],
)
def test_channels_are_not_taken_for_places(made: Callable[[], nn.Module], layer: str, size: tuple[int, int]) -> None:
    asked = subject(made, layer)
    images, targets = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 2])
    maps, slopes = asked.layer_gradients(images, targets, layer)
    small = (maps * slopes).sum(1).view(2, 1, *size)
    expected = functional.interpolate(small, (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    found = registered()["hires-cam"](asked, images, targets)
    assert float((found - expected).abs().max()) <= ROUNDING * float(expected.abs().max())


def test_nor_are_places_for_channels() -> None:
    asked = subject(NearlySquare, "mix")
    output = torch.rand(2, 8, 8, 12)
    found = map_of(asked, "mix", output)
    assert found is not None
    assert torch.equal(found, output.permute(0, 3, 1, 2))
    assert map_fault(asked) == ""


def test_where_nothing_tells_channels_from_places_that_is_said() -> None:
    """All depends on all before the first layer that is asked, and the shape is far out of proportion."""

    class Pool(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.avg_pool2d(x, (4, 1))

    class Open(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.a, self.pool, self.head = Gate(), nn.Conv2d(1, 8, 3, padding=1), Pool(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.pool(self.a(self.gate(x))).mean((2, 3)))

    with pytest.raises(UsageError, match="tells which of their axes is that of channels"):
        registered()["grad-cam"](subject(Open, "pool"), torch.rand(1, 1, SIDE, SIDE), torch.tensor([0]))


def test_the_passes_are_not_counted_and_variants_are_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = subject(lambda: Seen(lambda x: x))
    assert map_fault(asked) == ""
    assert asked.passes.forward == 0
    other = asked.with_network(asked.network, "other")
    monkeypatch.setattr("harness.subject.token_order.laid_maps", lambda *_: pytest.fail("asked again"))
    assert map_fault(other) == ""
