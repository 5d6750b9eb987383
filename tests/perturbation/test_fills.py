"""Fills: what stays is untouched, what is filled is what an independent computation gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturbation import (
    BlurFill,
    ConstantFill,
    Fill,
    MeanFill,
    NegativeFill,
    NoisyLinearFill,
    PictureFill,
    UniformFill,
)
from harness.rounding import rounding
from harness.subject import InputSpec

PICTURE = PictureFill(torch.linspace(-1, 1, 2 * 9 * 11).reshape(2, 9, 11))
FILLS = [
    MeanFill(),
    ConstantFill(-1.0),
    BlurFill(),
    NoisyLinearFill(0.01),
    NoisyLinearFill(0.0),
    NegativeFill((-1.0,), (1.0,)),
    UniformFill((-1.0,), (1.0,)),
]
every_fill = pytest.mark.parametrize("fill", FILLS, ids=repr)


def some_images(n=3, c=2, h=9, w=11, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, c, h, w)).astype(np.float32))


def some_removed(images, fraction, seed=1):
    n, _, h, w = images.shape
    return np.random.default_rng(seed).random((n, h, w)) < fraction


def bits(images):
    return images.numpy().view(np.int32)


def dense_imputation(image, removed):
    """Solve for all pixels at once with a dense matrix written out pixel by pixel."""
    h, w = removed.shape
    matrix, right = np.eye(h * w), image.astype(np.float64).ravel().copy()
    for y, x in zip(*np.nonzero(removed), strict=True):
        around = [
            ((y + dy) * w + x + dx, 1 / 6 if dy == 0 or dx == 0 else 1 / 12)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (dy or dx) and 0 <= y + dy < h and 0 <= x + dx < w
        ]
        total = sum(weight for _, weight in around)
        for at, weight in around:
            matrix[y * w + x, at] = -weight / total
        right[y * w + x] = 0
    return np.linalg.solve(matrix, right).reshape(h, w)


def reflected_blur(picture, pixels):
    """Convolve with a truncated Gaussian, the picture continued by mirroring it again and again."""
    radius = int(4 * pixels + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / pixels) ** 2)
    out = picture.astype(np.float64)
    for axis in (0, 1):
        length = [(0, 0), (0, 0)]
        length[axis] = (radius, radius)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(out, length, mode="symmetric"), 2 * radius + 1, axis)
        out = windows @ (kernel / kernel.sum())
    return out


@every_fill
def test_what_is_not_removed_comes_back_bit_for_bit(fill):
    images = some_images()
    removed = some_removed(images, 0.5)
    kept = np.broadcast_to(~removed[:, None], images.shape)
    assert (bits(fill(images, removed, 0))[kept] == bits(images)[kept]).all()


@every_fill
def test_removing_nothing_changes_nothing_bit_for_bit(fill):
    images = some_images()
    assert (bits(fill(images, some_removed(images, 0.0), 0)) == bits(images)).all()


@every_fill
def test_the_given_images_are_left_as_they_were(fill):
    images = some_images()
    fill(images, some_removed(images, 0.5), 0)
    assert (bits(images) == bits(some_images())).all()


@every_fill
def test_permuting_the_batch_permutes_the_filled_images(fill):
    images, shuffled = some_images(n=7), [3, 0, 6, 1, 5, 2, 4]
    removed = some_removed(images, 0.5)
    assert (bits(fill(images[shuffled], removed[shuffled], 4)) == bits(fill(images, removed, 4)[shuffled])).all()


@every_fill
def test_preparing_once_gives_what_calling_gives(fill):
    images = some_images()
    replacement = fill.prepare(images)
    for fraction in (0.2, 0.7, 1.0):
        removed = some_removed(images, fraction)
        assert (bits(replacement(removed, 5)) == bits(fill(images, removed, 5))).all()


@every_fill
def test_filled_images_are_finite_float32_whatever_is_removed(fill):
    for h, w in [(1, 1), (1, 5), (6, 1), (2, 2), (5, 8)]:
        images = some_images(h=h, w=w)
        for fraction in (0.3, 0.9, 1.1):
            filled = fill(images, some_removed(images, fraction), 0)
            assert filled.dtype == torch.float32
            assert filled.shape == images.shape
            assert torch.isfinite(filled).all()


@every_fill
def test_the_global_generators_are_left_alone(fill):
    images = some_images()
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
    fill(images, some_removed(images, 0.5), 0)
    assert torch.equal(state, torch.get_rng_state())
    assert (legacy == np.random.get_state()[1]).all()


@every_fill
def test_a_mask_of_another_shape_is_refused(fill):
    images = some_images()
    with pytest.raises(ValueError, match="removed is"):
        fill.prepare(images)(np.zeros((1, 9, 11), dtype=bool), 0)


def test_removing_everything_by_the_mean_gives_the_mean():
    images = some_images()
    filled = MeanFill()(images, some_removed(images, 1.1), 0)
    means = images.numpy().astype(np.float64).mean(axis=(2, 3), keepdims=True).astype(np.float32)
    assert (filled.numpy() == means).all()


def test_removing_everything_by_a_constant_gives_the_constant():
    images = some_images()
    assert (ConstantFill(-0.25)(images, some_removed(images, 1.1), 0) == -0.25).all()


@pytest.mark.parametrize(("h", "w"), [(9, 11), (24, 16)])
def test_removing_everything_by_blur_gives_the_reflected_blur(h, w):
    images = some_images(n=1, c=1, h=h, w=w)
    filled = BlurFill(0.1)(images, some_removed(images, 1.1), 0)
    expected = reflected_blur(images[0, 0].numpy(), 0.1 * min(h, w))
    # Two passes in float32 over a kernel no longer than the picture and its reflection; pictures of order 1.
    np.testing.assert_allclose(filled[0, 0].numpy(), expected, rtol=0, atol=rounding("float32", 4 * max(h, w)))


def test_the_blur_does_not_cross_images_or_channels():
    images = torch.zeros(2, 2, 8, 8)
    images[0, 0] = 1.0
    filled = BlurFill(0.3)(images, some_removed(images, 1.1), 0)
    # A constant picture is its own blur, up to the kernel's rounding.
    np.testing.assert_allclose(filled.numpy(), images.numpy(), rtol=0, atol=rounding("float32", 4 * 8))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.05, 0.99), st.integers(0, 2**31))
def test_linear_imputation_solves_the_dense_system(h, w, fraction, seed):
    images = some_images(n=1, c=2, h=h, w=w, seed=seed)
    removed = some_removed(images, fraction, seed)
    if removed.all():
        removed[0, 0, 0] = False
    filled = NoisyLinearFill(0.0)(images, removed, 0)[0].numpy()
    expected = np.stack([dense_imputation(channel, removed[0]) for channel in images[0].numpy()])
    # The system is solved in float64 and the result, of values up to 4, rounded to float32.
    np.testing.assert_allclose(filled, expected, rtol=0, atol=rounding("float32", 1, scale=4.0))


def test_unscaled_border_weights_would_fail_the_dense_comparison():
    images = torch.ones(1, 1, 4, 4)
    removed = np.zeros((1, 4, 4), dtype=bool)
    removed[0, 0, 0] = True
    # With weights that sum to 5/12 in the corner a white image would get a grey corner.
    assert NoisyLinearFill(0.0)(images, removed, 0)[0, 0, 0, 0].item() == pytest.approx(1.0, abs=rounding("float32", 1))


def test_interpolation_stays_between_the_extremes_that_are_left():
    images = some_images(n=4, c=1, h=16, w=16)
    removed = some_removed(images, 0.9)
    filled = NoisyLinearFill(0.0)(images, removed, 0)
    for image, out, gone in zip(images, filled, removed, strict=True):
        left = image[0][torch.from_numpy(~gone)]
        assert left.min() <= out.min()
        assert out.max() <= left.max()


def test_removing_everything_by_imputation_gives_the_mean_and_noise():
    images = some_images(n=1, c=1, h=48, w=48)
    filled = NoisyLinearFill(0.1)(images, some_removed(images, 1.1), 0)
    noise = (filled - images.mean()).numpy()
    # Four standard errors of the mean and of the standard deviation of 2,304 normals.
    assert abs(noise.mean()) < 4 * 0.1 / 48
    assert abs(noise.std() - 0.1) < 4 * 0.1 / (48 * np.sqrt(2))


def test_noise_is_that_of_the_seed():
    images = some_images()
    removed = some_removed(images, 0.5)
    once, again, other = (NoisyLinearFill()(images, removed, seed) for seed in (0, 0, 1))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_noise_of_a_pixel_does_not_depend_on_what_else_is_removed():
    images = some_images()
    few, many = some_removed(images, 0.3), some_removed(images, 0.8)
    noise = [NoisyLinearFill(1.0)(images, r, 0) - NoisyLinearFill(0.0)(images, r, 0) for r in (few, many)]
    both = torch.from_numpy(few & many)[:, None].expand_as(images)
    # Values of up to 4 are rounded to float32 on either side of a difference.
    np.testing.assert_allclose(noise[0][both], noise[1][both], rtol=0, atol=rounding("float32", 2, scale=4.0))


def test_channels_are_removed_together():
    images = some_images(n=1, c=3)
    removed = some_removed(images, 0.5)
    changed = (ConstantFill(9.0)(images, removed, 0) == 9.0).numpy()
    assert (changed == removed[:, None]).all()


def test_a_fill_of_ones_own_needs_only_prepare():
    class Negative(Fill):
        def prepare(self, images):
            return lambda removed, seed: torch.where(torch.from_numpy(removed)[:, None], -images, images)

    images = some_images()
    assert torch.equal(Negative()(images, some_removed(images, 1.1), 0), -images)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_blur_of_no_width_is_refused(sigma):
    with pytest.raises(ValueError, match="positive share"):
        BlurFill(sigma)


@pytest.mark.parametrize("noise", [-1.0, float("nan"), float("inf")])
def test_noise_without_a_size_is_refused(noise):
    with pytest.raises(ValueError, match="zero or more"):
        NoisyLinearFill(noise)


def test_a_picture_stands_where_pixels_are_gone():
    images = some_images()
    removed = some_removed(images, 0.5)
    filled = PICTURE(images, removed, 0)
    expected = np.where(removed[:, None], PICTURE.picture.numpy(), images.numpy())
    np.testing.assert_array_equal(filled.numpy(), expected)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="fills no image"):
        PICTURE.prepare(torch.zeros(1, 2, 9, 12))


def test_pictures_are_named_by_their_content():
    other = PictureFill(PICTURE.picture.clone())
    changed = PictureFill(PICTURE.picture + 1)
    assert repr(other) == repr(PICTURE) != repr(changed)


def test_the_negative_of_the_negative_is_the_picture():
    images, everything = torch.rand(3, 2, 9, 11), np.ones((3, 9, 11), bool)
    fill = NegativeFill((0.0,), (1.0,))
    once = fill(images, everything, 0)
    assert torch.equal(once, 1 - images)
    # 1 - x rounds to half a unit in the last place of 1, twice.
    torch.testing.assert_close(fill(once, everything, 0), images, rtol=0, atol=rounding("float32", 2))


def test_uniform_noise_fills_its_range_and_hangs_on_seed_and_image_alone():
    images = some_images(n=4, h=40, w=40)
    fill, everything, some = UniformFill((-2.0,), (3.0,)), np.ones((4, 40, 40), bool), some_removed(images, 0.3)
    noise = fill(images, everything, 7)
    assert noise.min() >= -2
    assert noise.max() <= 3
    # 12,800 even draws: each tenth of the range holds a tenth, within six standard deviations.
    shares = np.histogram(noise, bins=10, range=(-2, 3))[0] / noise.numel()
    assert np.abs(shares - 0.1).max() < 6 * np.sqrt(0.09 / noise.numel())
    assert torch.equal(fill(images, some, 7), torch.where(torch.from_numpy(some)[:, None], noise, images))
    assert not torch.equal(fill(images, everything, 8), noise)
    assert not torch.equal(noise[0], noise[1])


COLOUR = InputSpec(6, 6, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_negative_of_black_is_white_in_every_channel():
    black, white = (COLOUR.prepare(np.full((1, 6, 6, 3), pixel, np.uint8)) for pixel in (0, 255))
    found = NegativeFill(COLOUR.shade(0.0), COLOUR.shade(1.0))(black, np.ones((1, 6, 6), bool), 0)
    # A shade is a difference and a quotient of numbers below 1, divided by .2: some units in the last place of 5.
    torch.testing.assert_close(found, white, rtol=0, atol=rounding("float32", 6, scale=5.0))


def test_uniform_noise_stays_within_each_channels_range():
    fill, everything = UniformFill(COLOUR.shade(0.0), COLOUR.shade(1.0)), np.ones((2, 40, 40), bool)
    noise = fill(torch.zeros(2, 3, 40, 40), everything, 0)
    for channel, (low, high) in enumerate(zip(COLOUR.shade(0.0), COLOUR.shade(1.0), strict=True)):
        drawn = noise[:, channel]
        # 3,200 even draws: the nearest to an end is a 3,200th of the range from it, five times that once in 150.
        reach, rounded = 20 * (high - low) / drawn.numel(), rounding("float32", 2, scale=5.0)
        assert low - rounded <= float(drawn.min()) < low + reach
        assert high - reach < float(drawn.max()) <= high + rounded


def test_noise_may_be_another_in_each_channel():
    images, everything = torch.zeros(1, 3, 48, 48), np.ones((1, 48, 48), bool)
    noise = NoisyLinearFill((1.0, 0.1, 0.0))(images, everything, 0).std((0, 2, 3)).tolist()
    # Of 2,304 draws: the error of a standard deviation is 1.5 per cent.
    assert noise == pytest.approx([1.0, 0.1, 0.0], rel=0.09)


def test_noise_of_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="noise of 2 channels, the images have 3"):
        NoisyLinearFill((1.0, 0.1)).prepare(torch.zeros(1, 3, 4, 4))
