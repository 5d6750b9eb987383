"""Metrics of the picture times its map beside their references."""

from importlib import import_module
from typing import Any

import numpy as np
import torch

from benchmarks.metrics_parity.setup import IMAGES, MAPS, NETWORK, PICTURES, TARGETS, Array, Pair, target_output
from harness.metrics import faithfulness as faith

MASKS = faith.keep_masks(MAPS)
KEPT = PICTURES * MASKS[:, None]


def average_drop() -> Pair:
    """Theirs is not divided by the whole picture's answer, which is in single precision there."""
    whole = target_output(PICTURES, probability=True)
    return faith.average_drop(whole, target_output(KEPT, probability=True)), _asked("DropInConfidence") / whole


def average_increase() -> Pair:
    """Ask whether the probability rises."""
    whole, kept = (target_output(pictures, probability=True) for pictures in (PICTURES, KEPT))
    return faith.average_increase(whole, kept), _asked("IncreaseInConfidence")


def coherency() -> Pair:
    """Hand the map of the masked picture over; 1e-8 is added to the product of both deviations."""
    again = faith.keep_masks(np.abs(MAPS[::-1]))
    theirs = _package("arcc").Coherency()
    answer = theirs(torch.from_numpy(PICTURES), MASKS, None, None, lambda **_: again)
    return faith.coherency(MASKS, again), np.asarray(answer)


def adcc_complexity() -> Pair:
    """Hand the masks over."""
    return faith.adcc_complexity(MASKS), np.asarray(_package("arcc").Complexity()(MASKS))


def least_deviation() -> float:
    """Return the smallest product of both deviations that the coherencies divide by."""
    again = faith.keep_masks(np.abs(MAPS[::-1]))
    deviations = [each.reshape(IMAGES, -1).std(axis=1, ddof=1) for each in (MASKS, again)]
    return float((deviations[0] * deviations[1]).min())


def _asked(name: str) -> Array:
    """Return what one of their metrics of masked pictures says of the targets' probabilities."""
    targets = [_probability(int(target)) for target in TARGETS]
    measure = getattr(_package("cam_mult_image"), name)()
    return np.asarray(measure(torch.from_numpy(PICTURES), MASKS, targets, NETWORK), dtype=np.float64)


def _probability(target: int) -> Any:
    """Return what reads one class's probability from the logits of one picture."""
    return lambda logits: logits.softmax(-1)[target]


def _package(name: str) -> Any:
    """Return one of their modules of metrics."""
    import_module("benchmarks.explainers_parity")  # which makes known where the next one lies
    return import_module("explainer_cases").reference(f"pytorch_grad_cam.metrics.{name}")
