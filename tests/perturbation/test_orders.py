"""Removal orders: exact counts, honest ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from harness.digest import image_keys
from harness.perturbation import least_first, removal_order, removed_steps, step_fractions

quick = settings(max_examples=40, deadline=None)
# Few distinct values, so that ties are common.
tied_maps = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    elements=st.sampled_from([-1, 0, 0.5, 2]),
)
seeds = st.integers(0, 2**40)


def raster_order(maps, *, seed, keys=None):
    """Do what removal_order must not: leave ties in raster order."""
    return np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")


def p_of_uniform_ties(order_of, tied=16, draws=3200):
    """Return the p value that each of 16 tied pixels is equally often the first of them."""
    maps = np.zeros((draws, 5, 5), dtype=np.float32)
    maps.reshape(draws, -1)[:, tied:] = -1.0
    first = order_of(maps, seed=3, keys=np.arange(draws))[:, 0]
    return chisquare(np.bincount(first, minlength=tied)).pvalue


@quick
@given(tied_maps, seeds)
def test_each_order_is_a_permutation_of_the_pixels(maps, seed):
    order = removal_order(maps, seed=seed)
    assert (np.sort(order, axis=1) == np.arange(maps[0].size)).all()


@quick
@given(tied_maps, seeds)
def test_relevance_never_rises_along_the_order(maps, seed):
    values = np.take_along_axis(maps.reshape(len(maps), -1), removal_order(maps, seed=seed), axis=1)
    assert (np.diff(values, axis=1) <= 0).all()


@quick
@given(tied_maps, seeds, st.sampled_from([0.125, 2.0, 1024.0]))
def test_a_positive_rescaling_leaves_the_order(maps, seed, scale):
    keys = np.arange(len(maps))
    once, again = (removal_order(m, seed=seed, keys=keys) for m in (maps, maps * np.float32(scale)))
    assert (once == again).all()


@pytest.mark.parametrize("keys", [np.arange(30), None])
def test_permuting_the_batch_permutes_the_orders(keys):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, size=(30, 8, 8)).astype(np.float32)
    shuffled = rng.permutation(30)
    alone = removal_order(maps[shuffled], seed=1, keys=None if keys is None else keys[shuffled])
    assert (alone == removal_order(maps, seed=1, keys=keys)[shuffled]).all()


def test_ties_are_broken_uniformly():
    assert p_of_uniform_ties(removal_order) > 0.01


def test_the_tie_test_catches_raster_order():
    assert p_of_uniform_ties(raster_order) < 1e-5


def test_another_seed_breaks_ties_otherwise():
    maps = np.zeros((1, 8, 8), dtype=np.float32)
    assert (removal_order(maps, seed=0) != removal_order(maps, seed=1)).any()


def test_a_seed_moves_tied_pixels_only():
    maps = np.zeros((1, 8, 8), dtype=np.float32)
    maps.flat[:5] = [5, 4, 3, 2, 1]
    assert (removal_order(maps, seed=9)[0, :5] == np.arange(5)).all()


def test_equal_maps_of_different_images_have_different_ties():
    maps = np.zeros((2, 8, 8), dtype=np.float32)
    keys = image_keys(np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    first, second = removal_order(maps, seed=0, keys=keys)
    assert (first != second).any()


def test_least_first_is_the_exact_reverse():
    order = removal_order(np.zeros((3, 6, 6), dtype=np.float32), seed=0)
    assert (least_first(order)[:, ::-1] == order).all()


def test_nan_in_a_map_is_refused():
    maps = np.zeros((3, 2, 2), dtype=np.float32)
    maps[1, 0, 1] = np.nan
    with pytest.raises(ValueError, match="map 1 holds NaN"):
        removal_order(maps, seed=0)


def test_keys_of_another_length_are_refused():
    # Where annotations are checked they refuse it first, with a TypeError.
    with pytest.raises((ValueError, TypeError)):
        removal_order(np.zeros((3, 2, 2), dtype=np.float32), seed=0, keys=np.arange(2))


def percentile_removal(maps, fractions):
    """Do what a common implementation does, and removed_steps must not: compare with a percentile of the map."""
    return np.stack([maps >= np.percentile(maps, 100 * (1 - f), axis=(1, 2), keepdims=True) for f in fractions], 1)


def counted_removal(maps, fractions):
    """Remove as the package does."""
    return removed_steps(removal_order(maps, seed=0), fractions, maps.shape[1:])


def removes_as_asked(removal, maps, fractions):
    """Whether each step removes the fraction that was asked for."""
    return bool((removal(maps, fractions).sum(axis=(2, 3)) == [round(f * maps[0].size) for f in fractions]).all())


@quick
@given(tied_maps, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_removing_a_fraction_removes_exactly_that_many_pixels(maps, fractions):
    assert removes_as_asked(counted_removal, maps, fractions)


def test_a_percentile_of_a_sparse_map_removes_the_whole_image_and_is_caught():
    maps = np.zeros((1, 10, 10), dtype=np.float32)
    maps[0, 4, 4] = 1.0
    assert percentile_removal(maps, [0.5]).all()
    assert not removes_as_asked(percentile_removal, maps, [0.5])
    assert removes_as_asked(counted_removal, maps, [0.5])
    assert counted_removal(maps, [0.5])[0, 0, 4, 4]


def test_the_most_relevant_pixels_go_first():
    maps = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    removed = removed_steps(removal_order(maps, seed=0), [0.25], (4, 4))
    assert (removed[0, 0] == (maps[0] >= 12)).all()


def test_steps_are_nested():
    order = removal_order(np.zeros((2, 6, 6), dtype=np.float32), seed=0)
    removed = removed_steps(order, step_fractions(9), (6, 6))
    assert (removed[:, :-1] <= removed[:, 1:]).all()


@pytest.mark.parametrize(
    "order",
    [np.array([[0, 1, 1, 3]]), np.array([[0, 1, 2]]), np.array([[0, 1, 2, 4]]), np.array([[0, 1, 2, -1]])],
)
def test_an_order_that_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match="not a permutation"):
        removed_steps(order, [0.5], (2, 2))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_zero_and_one_is_refused(fraction):
    with pytest.raises(ValueError, match="outside"):
        removed_steps(np.array([[0, 1, 2, 3]]), [fraction], (2, 2))


def test_step_fractions_run_from_nothing_to_everything():
    assert step_fractions(8).tolist() == [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        step_fractions(0)
