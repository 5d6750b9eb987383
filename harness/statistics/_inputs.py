"""What every test asks of its input before it counts anything."""

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

ROUNDING = 1e-12
"""Relative size below which a difference of floats is rounding, not data."""


def finite(values: Num[np.ndarray, "*shape"], name: str) -> Float[np.ndarray, "*shape"]:
    """Give the values as float64, refusing NaN and infinity by name."""
    values = np.asarray(values, dtype=np.float64)
    undefined = int(np.count_nonzero(~np.isfinite(values)))
    if undefined:
        raise ValueError(f"{name} holds {undefined} undefined of {values.size} values; drop and count them")
    return values


def cluster_codes(clusters: Shaped[np.ndarray, " n"], n: int) -> Int[np.ndarray, " n"]:
    """Give each value the number of its cluster, from 0."""
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} cluster labels for {n} values; give one a value")
    codes: Int[np.ndarray, " n"] = np.unique(clusters, return_inverse=True)[1]
    return codes
