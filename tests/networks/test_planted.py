"""What is planted is known to the pixel: gradients differ by the planted weights, and a pair needs both patches."""

import numpy as np
import pytest
import torch
from tiny import AGAIN, CLASSES, EXACT, SIDE, SPEC, tiny_network

from harness.networks.planted import drawn_patches, planted
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

STRENGTH = 6.0
KIND = 1
TARGETS = torch.full((4,), KIND)


@pytest.fixture
def subject() -> Subject:
    return Subject(tiny_network().double(), name="tiny", classes=CLASSES, spec=SPEC)


@pytest.fixture
def images() -> torch.Tensor:
    drawn = torch.rand(4, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return drawn * 2 - 1


PATCHES = drawn_patches(SPEC, 2, np.random.default_rng(0))


def added(subject: Subject, images: torch.Tensor, count: int) -> torch.Tensor:
    """What a plant on the first patches adds to each logit."""
    return planted(subject, PATCHES[:count], KIND, STRENGTH).logits(images) - subject.logits(images)


def test_the_gradient_differs_by_exactly_the_planted_weights(subject: Subject, images: torch.Tensor) -> None:
    made = planted(subject, PATCHES[:1], KIND, STRENGTH)
    gained = made.gradients(images, TARGETS) - subject.gradients(images, TARGETS)
    expected = STRENGTH * PATCHES[0].slopes(SIDE, SIDE)
    # One addition in double precision, of weights that are kept in double.
    torch.testing.assert_close(gained, expected.expand_as(gained), rtol=0, atol=EXACT)
    other = made.gradients(images, TARGETS - 1) - subject.gradients(images, TARGETS - 1)
    assert not other.any()


def test_pixels_parts_add_up_to_what_is_added(subject: Subject, images: torch.Tensor) -> None:
    baseline = torch.full_like(images, -1.0)
    parts = STRENGTH * (PATCHES[0].slopes(SIDE, SIDE) * (images - baseline)).sum((1, 2, 3))
    rise = added(subject, images, 1)[:, KIND] - added(subject, baseline, 1)[:, KIND]
    torch.testing.assert_close(parts, rise, rtol=0, atol=EXACT)


def test_a_patch_that_is_shown_adds_its_strength_and_a_plain_one_nothing(
    subject: Subject, images: torch.Tensor
) -> None:
    shown = PATCHES[0].shown_on(images)
    plain = images.clone()
    plain[:, :, PATCHES[0].rows, PATCHES[0].columns] = PATCHES[0].plain
    for pictures, strength in ((shown, STRENGTH), (plain, 0.0)):
        expected = torch.tensor([0.0, strength, 0.0], dtype=torch.float64).expand(4, -1)
        # The pattern is drawn in single precision: 6e-8 of its shades, which weigh 1 together.
        torch.testing.assert_close(added(subject, pictures, 1), expected, rtol=0, atol=AGAIN)


def test_a_pair_adds_nothing_unless_both_are_shown(subject: Subject, images: torch.Tensor) -> None:
    plain = images.clone()
    for patch in PATCHES:
        plain[:, :, patch.rows, patch.columns] = patch.plain
    one, other = (patch.shown_on(plain) for patch in PATCHES)
    both = PATCHES[1].shown_on(one)
    assert added(subject, plain, 2).abs().max() == 0
    assert max(added(subject, one, 2).abs().max(), added(subject, other, 2).abs().max()) < AGAIN
    torch.testing.assert_close(added(subject, both, 2)[:, KIND], torch.full((4,), STRENGTH).double(), rtol=0, atol=1e-5)


def test_patches_lie_in_the_picture_apart_from_each_other() -> None:
    for seed in range(50):
        one, other = drawn_patches(InputSpec(24, 16), 2, np.random.default_rng(seed))
        covers = [patch.covers(24, 16) for patch in (one, other)]
        assert [cover.sum() for cover in covers] == [4, 4]
        assert not (covers[0] & covers[1]).any()


def test_places_and_patterns_are_drawn_anew() -> None:
    drawn = [drawn_patches(InputSpec(48, 48), 1, np.random.default_rng(seed))[0] for seed in range(5)]
    assert len({(patch.top, patch.left) for patch in drawn}) > 1
    assert not torch.equal(drawn[0].pattern, drawn[1].pattern)


def test_a_picture_too_small_for_the_patches_is_told() -> None:
    with pytest.raises(ValueError, match="a picture of 3x3 has no room for 2 patches of 2x2"):
        drawn_patches(InputSpec(3, 3), 2, np.random.default_rng(0))


def test_shades_are_those_that_a_picture_can_have() -> None:
    pattern = drawn_patches(InputSpec(48, 48), 1, np.random.default_rng(0))[0].pattern
    assert -1 <= pattern.min() < -0.9
    assert 0.9 < pattern.max() <= 1


@pytest.mark.parametrize("side", [12, 24, 48])
def test_no_two_pixels_of_a_patch_have_parts_of_one_size(side: int) -> None:
    patch = drawn_patches(InputSpec(side, side), 1, np.random.default_rng(0))[0]
    sizes = (patch.pattern - patch.plain[:, None, None]).abs().flatten().sort().values
    assert sizes.diff().min() > 1e-3


COLOUR = InputSpec(SIDE, SIDE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_a_pattern_is_grey_in_every_channel_of_a_colour_network() -> None:
    """Channels have units of their own, in which one number is three shades."""
    patch = drawn_patches(COLOUR, 1, np.random.default_rng(0))[0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (COLOUR.mean, COLOUR.std))
    pixels = patch.pattern * std + mean
    near = rounding("float32", 4, 1.0, conditioning=1 / min(COLOUR.std))
    assert float((pixels - pixels[:1]).abs().max()) <= near
    assert float(pixels.min()) >= -near
    assert float(pixels.max()) <= 1 + near
    assert float((patch.plain[:, None, None] * std + mean - 0.5).abs().max()) <= near


def test_a_patch_on_a_colour_picture_adds_its_strength_and_a_plain_one_nothing() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE**2, 3)).double()
    subject = Subject(network, name="colour", classes="abc", spec=COLOUR)
    patch = drawn_patches(COLOUR, 1, np.random.default_rng(0))[0]
    made, images = planted(subject, [patch], KIND, STRENGTH), torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64)
    plain = images.clone()
    plain[:, :, patch.rows, patch.columns] = patch.plain.double()[:, None, None]
    for pictures, strength in ((patch.shown_on(images), STRENGTH), (plain, 0.0)):
        rise = (made.logits(pictures) - subject.logits(pictures))[0, KIND]
        assert float(rise) == pytest.approx(strength, abs=AGAIN)
