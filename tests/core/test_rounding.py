"""What rounding can do, held to what it does."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from harness.rounding import rounding, unit_roundoff


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), torch.float32, "float32"], ids=str)
def test_a_type_may_be_named_in_any_way(dtype: object) -> None:
    assert unit_roundoff(dtype) == 2.0**-24


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_order_of_a_sum_leaves_the_bound(dtype: type) -> None:
    rng = np.random.default_rng(0)
    for n in (2, 30, 400):
        x, y = rng.normal(size=(2, n)).astype(dtype)
        products = [Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, y, strict=True)]
        exact, scale = sum(products), float(sum(map(abs, products)))
        for order in (np.arange(n), np.argsort(x * y), rng.permutation(n)):
            total = dtype(0)
            for a, b in zip(x[order], y[order], strict=True):
                total = dtype(total + dtype(a * b))
            # One evaluation, so half of what two may lie apart.
            assert abs(float(Fraction(float(total)) - exact)) <= rounding(dtype, n, scale) / 2


def test_the_bound_is_near_what_the_worst_sum_does() -> None:
    # 1, then halves of a spacing that are lost one by one: n roundings in one direction.
    n = 1000
    lost = np.full(n, 2.0**-24, np.float32)
    total = np.float32(1)
    for one in lost:
        total = np.float32(total + one)
    off = 1 + float(lost.sum(dtype=np.float64)) - float(total)
    assert rounding(np.float32, n) / 4 < off < rounding(np.float32, n)


def test_a_sum_that_can_lose_every_digit_has_no_bound() -> None:
    with pytest.raises(ValueError, match="every digit"):
        rounding(np.float16, 2**11)
