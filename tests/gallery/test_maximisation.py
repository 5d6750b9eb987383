"""Images by gradient ascent: exact cases, determinism, what stays untouched, dead units and what the checks catch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import (
    CLASSES,
    EXACT,
    SIDE,
    SPEC,
    bright_patch_faces,
    tiny_network,
)
from torch import Tensor, nn

from harness.errors import UsageError
from harness.gallery import Ascent, differs_from_random, exceeds_faces, maximise, picture_similarity
from harness.networks.random import layer_groups, randomized
from harness.subject import InputSpec, Subject

QUICK = Ascent(steps=24, draws=2, jitter=1, variation=0.5)
STILL = Ascent(steps=120, draws=1, jitter=0, variation=0.0)
ACTIVATION, CONVOLUTION = "4", "3"


class OneFilter(nn.Module):
    """Units that read the picture through weights of its own size, and a class for each."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.read = nn.Conv2d(1, len(weights), SIDE, bias=False)
        self.read.weight.data = weights[:, None].clone()

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images).flatten(1)


class SomeDead(nn.Module):
    """Three filters before a ReLU, the second of which nothing can activate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.act = nn.ReLU()
        self.dense = nn.Linear(3, 3)
        with torch.no_grad():
            self.conv.weight.copy_(torch.linspace(-1, 1, 27).view(3, 1, 3, 3))
            self.conv.bias.copy_(torch.tensor([0.0, -100.0, 0.0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.dense(self.act(self.conv(images)).mean((2, 3)))


def pattern() -> Tensor:
    """Three patterns of both signs, none of whose weights is so small that its sign hardly matters."""
    drawn = np.random.default_rng(0).standard_normal((3, SIDE, SIDE)).astype(np.float32)
    return torch.from_numpy(np.sign(drawn) * (1 + np.abs(drawn)))


@pytest.fixture
def linear() -> Subject:
    return Subject(OneFilter(pattern()), name="linear", classes=CLASSES, spec=SPEC)


@pytest.mark.parametrize("layer", ["read", ""])
def test_a_linear_units_image_has_the_sign_of_its_weights(linear: Subject, layer: str) -> None:
    found = maximise(linear, layer, [0, 2], ascent=STILL)
    for place, unit in enumerate((0, 2)):
        right = (found.pictures[0, place, 0] > 0.5) == (pattern()[unit].numpy() > 0)
        assert right.sum() >= SIDE * SIDE - 3  # measured: few stay where the start put them, the sigmoid being flat


def test_the_pattern_is_the_units_own(linear: Subject) -> None:
    found = maximise(linear, "read", [0, 2], ascent=STILL)
    centred = found.pictures[0, :, 0] - 0.5
    likeness = np.einsum("mhw,uhw->mu", centred, pattern()[[0, 2]].numpy())
    assert (np.diag(likeness) > 5 * np.abs(likeness[[0, 1], [1, 0]])).all()


def test_what_is_reached_is_what_the_network_says_of_the_image(linear: Subject) -> None:
    found = maximise(linear, "read", [1], ascent=STILL)
    images = (torch.from_numpy(found.pictures[0]) - SPEC.mean[0]) / SPEC.std[0]
    np.testing.assert_allclose(found.reached[0], linear.logits(images)[:, 1], rtol=1e-5)


def test_variation_smooths(linear: Subject) -> None:
    rough, smooth = (maximise(linear, "", [0], ascent=replace(STILL, variation=v)).pictures for v in (0.0, 300.0))
    assert np.abs(np.diff(smooth)).mean() < 0.5 * np.abs(np.diff(rough)).mean()


def test_pixels_are_those_that_a_face_can_have(subject: Subject) -> None:
    found = maximise(subject, ACTIVATION, range(6), ascent=QUICK)
    assert found.pictures.shape == (2, 6, 1, SIDE, SIDE)
    assert 0 <= found.pictures.min() < found.pictures.max() <= 1


def test_one_seed_gives_one_set_of_images(subject: Subject) -> None:
    first, again, other = (maximise(subject, ACTIVATION, [0, 3], ascent=QUICK, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pictures, again.pictures)
    assert not np.array_equal(first.pictures, other.pictures)


def test_a_units_image_does_not_depend_on_its_company(subject: Subject) -> None:
    together, alone = (maximise(subject, ACTIVATION, units, ascent=QUICK) for units in ([0, 1, 2, 3], [2]))
    np.testing.assert_allclose(together.pictures[:, 2], alone.pictures[:, 0], atol=1e-4)


def test_draws_start_apart(subject: Subject) -> None:
    found = maximise(subject, ACTIVATION, [0], ascent=replace(QUICK, steps=1))
    assert np.abs(found.pictures[0] - found.pictures[1]).max() > 0.05


def test_network_and_generators_are_left_as_they_were(subject: Subject) -> None:
    before, state, numbers = subject.state_digest(), torch.get_rng_state(), np.random.get_state()[1]  # type: ignore[index]
    maximise(subject, ACTIVATION, [0], ascent=QUICK)
    assert subject.state_digest() == before
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numbers)  # type: ignore[index]


@pytest.mark.parametrize("layer", [ACTIVATION, ""])
def test_every_image_passed_is_counted(subject: Subject, layer: str) -> None:
    before = replace(subject.passes)
    maximise(subject, layer, [0, 1], ascent=QUICK)
    images = QUICK.draws * 2
    # one blank image tells how many units there are, and the last pass measures what was reached
    assert subject.passes.forward - before.forward == images * (QUICK.steps + 1) + 1
    assert subject.passes.backward - before.backward == images * QUICK.steps


def test_colour_networks_have_colour_images() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    colour = Subject(network, name="colour", classes="ab", spec=InputSpec(8, 8, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)))
    assert maximise(colour, "1", [0], ascent=QUICK).pictures.shape == (2, 1, 3, 8, 8)


def test_a_reused_layer_is_read_where_it_first_runs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)
            self.conv = nn.Conv2d(1, 3, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.act(-self.act(self.conv(images))).mean((2, 3))

    twice = Subject(Twice(), name="twice", classes=CLASSES, spec=SPEC)
    assert maximise(twice, "act", [0, 1, 2], ascent=QUICK).reached.max() > 0  # the second time it gives only zeros


# ---------------------------------------------------------------------- dead units


def test_a_dead_filter_is_named_and_left_out_of_the_checks() -> None:
    subject = Subject(SomeDead(), name="dead", classes=CLASSES, spec=SPEC)
    faces = subject.unit_means(subject.prepare(bright_patch_faces().images), "act").numpy()
    found = maximise(subject, "act", range(3), ascent=QUICK)
    assert found.dead(faces).tolist() == [False, True, False]
    assert exceeds_faces(found, faces).n == 2


def test_a_filter_that_faces_move_is_not_dead_though_no_start_moved_it(subject: Subject) -> None:
    found = maximise(subject, ACTIVATION, [0, 1], ascent=QUICK)
    still = replace(found, moved=np.zeros_like(found.moved))
    faces = np.random.default_rng(0).random((5, 6))
    assert not still.dead(faces).any()


def test_a_layer_of_dead_filters_is_not_judged(subject: Subject) -> None:
    found = maximise(subject, ACTIVATION, [0, 1], ascent=QUICK)
    everything = exceeds_faces(found, np.zeros((4, 6)), np.ones(2, bool))
    assert (everything.verdict, everything.n) == ("not applicable", 0)


# ---------------------------------------------------------------------- the checks, and what they catch


@pytest.fixture
def means(subject: Subject) -> np.ndarray:
    return subject.unit_means(subject.prepare(bright_patch_faces().images), ACTIVATION).numpy()


def test_images_beat_every_face(subject: Subject, means: np.ndarray) -> None:
    found = maximise(subject, ACTIVATION, range(6), ascent=QUICK)
    outcome = exceeds_faces(found, means)
    assert (outcome.verdict, outcome.effect) == ("pass", 1.0)
    assert outcome.n == 6 - found.dead(means).sum() >= 4


def test_going_down_instead_of_up_is_caught(
    subject: Subject, means: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    upwards = subject.unit_gradients
    monkeypatch.setattr(subject, "unit_gradients", lambda *asked: (upwards(*asked)[0], -upwards(*asked)[1]))
    outcome = exceeds_faces(maximise(subject, ACTIVATION, range(6), ascent=QUICK), means)
    assert outcome.verdict == "fail"
    assert outcome.reason.startswith("not reached: 0")


def many_filters(seed: int) -> Subject:
    """A network with more filters, so that their likeness has a narrow interval."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(1, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 100, 3))
    return Subject(network, name="many", classes=CLASSES, spec=SPEC)


def test_the_same_network_is_not_taken_for_a_random_one() -> None:
    found = maximise(many_filters(0), "1", range(24), ascent=QUICK)
    assert differs_from_random(found, found, np.ones(24, bool)).verdict == "fail"


def test_random_weights_do_not_give_the_same_pictures() -> None:
    subject = many_filters(0)
    layers = [name for group in layer_groups(subject, 9) for name in group]
    drawn = randomized(subject, layers, seed=0, images=subject.prepare(bright_patch_faces().images))
    found, random = (maximise(each, "1", range(24), ascent=QUICK) for each in (subject, drawn))
    outcome = differs_from_random(found, random, np.ones(24, bool))
    assert outcome.verdict != "fail"
    assert outcome.effect < differs_from_random(found, found, np.ones(24, bool)).effect - 0.2


def test_too_few_units_are_not_judged(subject: Subject) -> None:
    found = maximise(subject, ACTIVATION, [0, 1], ascent=QUICK)
    assert differs_from_random(found, found, np.ones(2, bool)).verdict == "not applicable"


def test_similarity_ignores_place_and_keeps_the_sign_of_the_mean() -> None:
    picture = np.random.default_rng(0).random((1, 1, 8, 8))
    assert picture_similarity(picture, np.roll(picture, (3, 2), (-2, -1)))[0] == pytest.approx(1, abs=EXACT)
    assert picture_similarity(np.ones((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)))[0] == pytest.approx(-1, abs=EXACT)
    assert np.isnan(picture_similarity(np.full((1, 1, 8, 8), 0.5), picture)[0])


# ---------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("layer", "units", "said"),
    [
        ("5th", [0], "has no layer '5th' that runs; it has 0, 1"),
        (ACTIVATION, [6], "unit 6 asked of 4, which have 6; ask for 0 to 5"),
        (ACTIVATION, [], "no unit asked of 4"),
        ("", [-1], "unit -1 asked of the logits"),
    ],
)
def test_layers_and_units_that_are_not_there(layer: str, units: list[int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        maximise(Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), layer, units, ascent=QUICK)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"draws": 0}, {"jitter": -1}])
def test_an_ascent_without_steps(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1 step and 1 draw"):
        Ascent(**wrong)  # type: ignore[arg-type]
