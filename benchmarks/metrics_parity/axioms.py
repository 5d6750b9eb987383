"""Metrics of axioms beside their references."""

import numpy as np

from benchmarks.metrics_parity.setup import (
    IMAGES,
    MAPS,
    PICTURES,
    PIXELS,
    Array,
    Pair,
    filled,
    plain,
    quantus,
    target_output,
)
from harness.metrics import axioms


def completeness() -> Pair:
    """Say, as Quantus does, whether the sum is the drop; the maps of every other image are made to sum to it.

    It asks for equality to the last bit, so it is given drops of six decimals.
    """
    drops = target_output(PICTURES) - target_output(filled(np.arange(PIXELS)[None].repeat(IMAGES, 0)))
    maps = np.zeros_like(MAPS)
    maps[::2, 0, 0] = _six_decimals(drops[::2])
    maps[1::2, 0, 0] = 2 * drops[1::2]
    ours = axioms.completeness(maps, drops) < 1e-5
    return ours, np.array(quantus("Completeness", maps=maps, **plain(output_func=_six_decimals)))


def _six_decimals(values: Array) -> Array:
    """Round so that the same number reached in two ways is one number."""
    return np.round(values, 6)


def non_sensitivity() -> Pair:
    """Count breaches of sensitivity and non-sensitivity, as Quantus does, with floors between which nothing lies."""
    maps = np.abs(MAPS) + 1e-3
    maps[:, :3] = 0
    effects = np.stack(
        [target_output(PICTURES) - target_output(filled(np.full((IMAGES, 1), p))) for p in range(PIXELS)],
        axis=1,
    )
    effective = (np.abs(effects) >= 1e-5).sum(axis=1)
    missed = axioms.sensitivity(maps.reshape(IMAGES, -1), effects, effect_floor=1e-5) * effective
    invented = axioms.non_sensitivity(maps.reshape(IMAGES, -1), effects, effect_floor=1e-5) * (PIXELS - effective)
    theirs = np.array(quantus("NonSensitivity", maps=maps, abs=True, normalise=False), dtype=float)
    return missed + np.nan_to_num(invented), theirs
