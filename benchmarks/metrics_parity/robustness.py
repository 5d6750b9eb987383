"""Metrics of robustness beside their references."""

import numpy as np
import scipy.spatial
import scipy.stats
import torch

from benchmarks.metrics_parity.setup import (
    IMAGES,
    MAPS,
    PICTURES,
    SIDE,
    TARGETS,
    Array,
    Pair,
    apart,
    from_quantus,
    gaussian_copies,
    gradient_maps,
    moved_maps,
    network,
    outputs,
    plain,
    quantus,
    quiet,
    shifted_copies,
    uniform_copies,
)
from harness.metrics import robustness


def max_sensitivity() -> Pair:
    """Draw the same noise."""
    ours = robustness.max_sensitivity(MAPS, moved_maps(uniform_copies(-0.2, 0.2, 5)))
    return ours, np.array(quantus("MaxSensitivity", nr_samples=5, **plain()))


def average_sensitivity() -> Pair:
    """Draw the same noise."""
    ours = robustness.average_sensitivity(MAPS, moved_maps(uniform_copies(-0.2, 0.2, 5)))
    return ours, np.array(quantus("AvgSensitivity", nr_samples=5, **plain()))


def local_lipschitz() -> Pair:
    """Draw the same noise."""
    copies = gaussian_copies(0.1, 5)
    ours = robustness.local_lipschitz(MAPS, moved_maps(copies), apart(copies))
    return ours, np.array(quantus("LocalLipschitzEstimate", nr_samples=5, **plain()))


def continuity() -> Pair:
    """Shift alike; Quantus drops the sign of the maps by default, here neither does."""
    copies = shifted_copies(3)
    ours = robustness.continuity(MAPS, moved_maps(copies), apart(copies))
    return ours, np.array(quantus("Continuity", nr_steps=3, **plain()))


def relative_input_stability() -> Pair:
    """Draw the same noise."""
    copies = uniform_copies(0.02, 0.2, 5)
    ours = robustness.relative_input_stability(MAPS, moved_maps(copies), PICTURES, copies)
    return ours, np.array(
        quantus("RelativeInputStability", **plain(nr_samples=5, return_nan_when_prediction_changes=False))
    )


def relative_output_stability() -> Pair:
    """Draw the same noise."""
    copies = uniform_copies(0.02, 0.2, 5)
    logits = np.stack([outputs(copies[:, s]) for s in range(5)], axis=1)
    ours = robustness.relative_output_stability(MAPS, moved_maps(copies), outputs(PICTURES), logits)
    return ours, np.array(
        quantus("RelativeOutputStability", **plain(nr_samples=5, return_nan_when_prediction_changes=False))
    )


def relative_representation_stability() -> Pair:
    """Draw the same noise, and read the first convolution."""
    copies = uniform_copies(0.02, 0.2, 5)
    first = next(network().children())
    inner = outputs(PICTURES, model=first)
    moved = np.stack([outputs(copies[:, s], model=first) for s in range(5)], axis=1)
    ours = robustness.relative_representation_stability(MAPS, moved_maps(copies), inner, moved)
    settings = plain(nr_samples=5, layer_names=["0"], return_nan_when_prediction_changes=False)
    return ours, np.array(quantus("RelativeRepresentationStability", **settings))


def consistency() -> Pair:
    """Code maps by sign in both; three and three images share a code."""
    maps = np.sign(MAPS[np.arange(IMAGES) // 3 * 3])
    predicted = outputs(PICTURES).argmax(1)
    sign = from_quantus("functions.discretise_func", "sign")
    theirs = quantus("Consistency", maps=maps, discretise_func=sign, **plain())
    return robustness.consistency(robustness.coarse_codes(maps, SIDE), predicted), np.array(theirs)


def neighbour_sufficiency() -> Pair:
    """Use the distances that Quantus takes; images without a neighbour are left out of both."""
    rows = MAPS.reshape(IMAGES, -1)
    with quiet():
        distances = scipy.spatial.distance.cdist(rows, rows, "seuclidean", V=None)
    distances /= distances.max()
    ours = robustness.neighbour_sufficiency(distances, outputs(PICTURES).argmax(1), 0.9)
    theirs = np.array(quantus("Sufficiency", threshold=0.9, abs=False))
    return ours[~np.isnan(ours)], theirs[~np.isnan(ours)]


def input_invariance() -> Pair:
    """Say whether the map stays; Quantus shifts all but the first pixel unless given another shift."""
    twin = network()
    with torch.no_grad():
        weight, bias = list(twin.parameters())[:2]
        bias.add_(weight.sum(dim=(1, 2, 3)))
    shifted = gradient_maps(twin, PICTURES - 1, TARGETS)[:, 0]
    ours = robustness.input_invariance(MAPS, shifted.astype(np.float64)) < 1e-4
    return ours, np.array(quantus("InputInvariance", **plain(perturb_func=_shifted_throughout)))


def _shifted_throughout(arr: Array, input_shift: float, **_: object) -> Array:
    """Shift every pixel."""
    return arr + np.float32(input_shift)
