"""Networks that cannot be explained are named before any explainer is asked."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.models.soundness import finite_answers, sound_network
from harness.subject import InputSpec, Subject

CLASSES = ("left", "right", "both")
SPEC = InputSpec(8, 8)


def pictures() -> FaceSet:
    drawn = np.random.default_rng(0).integers(0, 256, (9, 8, 8)).astype(np.uint8)
    return FaceSet("noise", drawn, CLASSES)


class Plain(nn.Module):
    """A convolution and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(256, 3)

    def body(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu().flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Dropping(Plain):
    def body(self, x: Tensor) -> Tensor:
        return functional.dropout(super().body(x), 0.2)


class Noisy(Plain):
    def body(self, x: Tensor) -> Tensor:
        found = super().body(x)
        return found + 0.01 * torch.randn_like(found)


class OfTheBatch(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)


class Counting(Plain):
    """Its answers are as ever, and a buffer says how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def body(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().body(x)


class Centred(Plain):
    def body(self, x: Tensor) -> Tensor:
        return super().body(x - x.mean(0, keepdim=True))


class Fixed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).view(1, 256))


class Blind(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x) + 0 * x)


class InPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(0.5)
        return super().forward(x)


class Cut(Plain):
    def body(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().body(x)


class Rounding(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward((4 * x).round())


class Broken(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.head.weight.data[1, 2] = torch.nan


class Probable(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class LogProbable(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).log_softmax(1)


class Sigmoids(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sigmoid()


class Percents(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return 100 * super().forward(x).softmax(1)


class Losses(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x).log_softmax(1)


class HalfInside(Plain):
    """Rounds to eight bits on the way, as autocast does, and hands on single precision."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x).float()


class DoubleAnswer(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class TwoFunctions(Plain):
    """Is another function where gradients are asked for."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x if torch.is_grad_enabled() else x)


class DividesBySpread(Plain):
    """Has no answer to a picture of one grey."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x / (x.std((1, 2, 3), keepdim=True) > 0))


class Grouped(Plain):
    """Sums in an order that depends on how many images there are, as fast libraries do."""

    def body(self, x: Tensor) -> Tensor:
        found = super().body(x)
        return found + 1e4 - 1e4 if len(x) > 1 else found


FAULTS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "dropout always on": (Dropping, "differently from one time to the next .*always on"),
    "noise always on": (Noisy, "differently from one time to the next"),
    "a normalisation over the batch": (
        OfTheBatch,
        "alone than among others .*batch in norm",
    ),
    "images less their mean": (Centred, "alone than among others"),
    "one image alone": (Fixed, "does not run on 12 images at once"),
    "one answer": (Blind, "answers 12 different images alike"),
    "a buffer that counts": (Counting, "changes its buffer 'calls' whenever it is asked"),
    "input changed": (InPlace, "changes its input in place"),
    "NaN among weights": (Broken, "NaN or infinity in head.weight"),
    "probabilities": (Probable, "returns probabilities .*leave out its softmax"),
    "percents": (Percents, "returns shares of 100 .*leave out its softmax and what multiplies it"),
    "losses": (Losses, "less their sign, of which the likeliest class has the lowest"),
    "half inside": (HalfInside, r"computes in bfloat16 \(layer conv\), as autocast does"),
    "a double answer": (DoubleAnswer, r"computes in float64 \(its answer\)"),
    "two functions": (TwoFunctions, "answers otherwise where gradients are asked for"),
    "no gradient": (Cut, "no gradient reaches the input|zero on all"),
    "rounded inside": (Rounding, "zero on all of 12 images"),
    "double": (lambda: Plain().double(), "computes in float64 .*network.float"),
    "bfloat16": (lambda: Plain().bfloat16(), "computes in bfloat16"),
    "quantised": (lambda: torch.ao.quantization.quantize_dynamic(Plain().eval(), {nn.Linear}), "it is quantised"),
}


def made(network: Callable[[], nn.Module]) -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Subject(network(), name="mine", classes=CLASSES, spec=SPEC)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_at_fault_is_named_in_one_line(fault: str) -> None:
    network, said = FAULTS[fault]
    with pytest.raises(UsageError, match=said) as caught:
        sound_network(made(network), pictures())
    assert "\n" not in str(caught.value)


def test_a_sound_network_is_told_of_nothing_and_no_pass_is_counted() -> None:
    subject = made(Plain)
    assert sound_network(subject, pictures()) == ()
    assert (subject.passes.forward, subject.passes.backward) == (0, 0)


def test_rounding_is_no_fault() -> None:
    subject = made(Grouped)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([subject.logits(image[None]) for image in images])
    assert not torch.equal(alone, subject.logits(images))
    assert sound_network(subject, pictures()) == ()


def test_one_class_alone_has_nothing_to_be_told_from() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    with pytest.raises(UsageError, match="has one class alone, whose probability is 1 whatever the picture; give it a"):
        sound_network(Subject(network, name="one", classes=("only",), spec=SPEC), pictures())


def test_logarithms_of_probabilities_are_taken_as_such() -> None:
    assert "logarithms of probabilities" in sound_network(made(LogProbable), pictures())[0]


def test_outputs_between_0_and_1_are_noted() -> None:
    assert "if they are sigmoids" in sound_network(made(Sigmoids), pictures())[0]


def test_without_gradient_only_what_needs_none_is_sound() -> None:
    assert sound_network(made(Rounding), pictures(), gradients=False) == ()


@pytest.mark.parametrize("brightest", [0, 1])
def test_pictures_of_0_and_1_alone_are_refused(brightest: int) -> None:
    with pytest.raises(UsageError, match="multiply by 255"):
        sound_network(made(Plain), FaceSet("dark", brightest * np.eye(8, dtype=np.uint8)[None], CLASSES))


def test_a_picture_without_an_answer_is_named() -> None:
    subject, faces = made(DividesBySpread), pictures()
    faces.images[4] = 77
    answers = subject.logits(subject.prepare(faces.images)).numpy()
    with pytest.raises(UsageError, match="answers NaN or infinity to 1 of 9 pictures, first to image 4"):
        finite_answers(subject, faces, answers)
    others = faces.take(np.delete(np.arange(9), 4))
    assert np.isfinite(finite_answers(subject, others, np.delete(answers, 4, axis=0))).all()


# ---------------------------------------------------------------------- refused as a subject is made


class Keeping(Plain):
    """Keeps what it found last, as one's own class activation maps do."""

    def body(self, x: Tensor) -> Tensor:
        self.kept = super().body(x)
        return self.kept


class Locked(Plain):
    def __init__(self) -> None:
        super().__init__()
        import threading

        self.lock = threading.Lock()


def test_a_network_that_keeps_what_it_found_is_copied() -> None:
    network = Keeping()
    network(torch.zeros(1, 1, 8, 8))
    subject = made(lambda: network)
    assert subject.gradients(torch.rand(2, 1, 8, 8), torch.tensor([0, 1])).any()
    again = Subject(subject.network, name="again", classes=CLASSES, spec=SPEC)
    assert torch.equal(again.logits(torch.ones(1, 1, 8, 8)), subject.logits(torch.ones(1, 1, 8, 8)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: torch.compile(Plain().eval()), "made by torch.compile, .*_orig_mod"),
        (lambda: torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 3))), "is TorchScript"),
        (lambda: torch.export.export(Plain().eval(), (torch.zeros(4, 1, 8, 8),)).module(), "exported program"),
        (lambda: nn.Sequential(torch.compile(Plain().eval())), "layer '0' of subject 'mine' is made by torch.compile"),
        (lambda: nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(64, 3))), "layer '1' of .* is TorchScript"),
        (
            lambda: nn.Sequential(torch.export.export(Plain().eval(), (torch.zeros(4, 1, 8, 8),)).module()),
            "layer '0' of .* is an exported program",
        ),
        (Locked, "attribute 'lock' of its outermost module"),
        (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "lazy layers that were never run"),
    ],
)
def test_what_cannot_be_read_is_refused_as_the_subject_is_made(network: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        made(network)


def test_another_default_device_is_refused_before_anything_is_drawn_there() -> None:
    network = Plain()
    with (
        torch.device("meta"),
        pytest.raises(UsageError, match=r"torch's default device is meta, .*; leave it at the CPU"),
    ):
        made(lambda: network)


def test_a_networks_own_eval_does_not_put_another_in_its_place() -> None:
    network = Plain().train()
    network.eval = lambda: network  # type: ignore[assignment, method-assign]
    subject = made(lambda: network)
    assert subject.network is not network


@pytest.mark.parametrize("classes", [("a", "", "b"), ("a", " ")])
def test_class_names_are_text(classes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="is no text"):
        Subject(Plain(), name="mine", classes=classes, spec=SPEC)
