"""Metrics of faithfulness beside their references."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.metrics_parity.setup import (
    IMAGES,
    MAPS,
    NETWORK,
    PICTURES,
    PIXELS,
    SEED,
    TARGETS,
    Array,
    Pair,
    descending,
    filled,
    from_quantus,
    outputs,
    patch_order,
    patches,
    plain,
    quantus,
    quiet,
    sums_and_drops,
    target_output,
    trajectory,
)
from harness.metrics import faithfulness as faith


def pixel_flipping() -> Pair:
    """Quantus leaves the whole image out and does not divide by the span."""
    step = 12
    values = trajectory(descending(MAPS), step, probability=True)
    theirs = quantus("PixelFlipping", softmax=True, features_in_step=step, return_auc_per_sample=True, **plain())
    return faith.pixel_flipping(values), _with_start(values, np.array(theirs))


def selectivity() -> Pair:
    """Compare as in pixel flipping, over the curve that Quantus returns."""
    values = trajectory(patch_order(4), 16, probability=True)
    curve = np.array(quantus("Selectivity", softmax=True, patch_size=4, **plain()))
    return faith.selectivity(values), _with_start(values, curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2)


def _with_start(values: Array, area: Array) -> Array:
    """Add the first step to an area in steps, and divide by all steps."""
    return np.asarray((area + (values[:, 0] + values[:, 1]) / 2) / (values.shape[1] - 1))


def aopc() -> Pair:
    """Quantus returns the falls, without the fall of 0 before the first."""
    values = trajectory(patch_order(4), 16)
    falls = np.array(quantus("RegionPerturbation", patch_size=4, regions_evaluation=9, **plain()))
    return faith.aopc(values), falls.sum(1) / (falls.shape[1] + 1)


def faithfulness_correlation() -> Pair:
    """Take the subsets that Quantus drew."""
    drawn: list[Array] = []

    def recorded(arr: Array, indices: Array, **_: object) -> Array:
        drawn.append(indices)
        return filled(indices).reshape(arr.shape)

    settings = plain(nr_runs=30, subset_size=20, return_aggregate=False, perturb_func=recorded)
    theirs = np.array(quantus("FaithfulnessCorrelation", **settings))
    return faith.faithfulness_correlation(*sums_and_drops(np.array(drawn))), theirs


def faithfulness_estimate() -> Pair:
    """Remove each pixel alone."""
    relevances, drops = sums_and_drops(descending(MAPS).T[:, :, None])
    return faith.faithfulness_estimate(relevances, drops), np.array(quantus("FaithfulnessEstimate", **plain()))


def monotonicity_nguyen() -> Pair:
    """Replace each pixel alone by the lowest value, a single draw."""
    order = np.argsort(np.abs(MAPS).reshape(IMAGES, -1), axis=1, kind="stable")
    whole = target_output(PICTURES)
    after = np.stack([target_output(filled(pixel[:, None])) for pixel in order.T], axis=1)
    relevances = np.take_along_axis(MAPS.reshape(IMAGES, -1), order, 1)
    ours = faith.monotonicity_nguyen(relevances, faith.nguyen_effects(whole, after[:, :, None]))
    settings: dict[str, Any] = {"abs": True, "normalise": False, "nr_samples": 1, "perturb_baseline": "black"}
    return ours, np.array(quantus("MonotonicityCorrelation", **settings))


def sensitivity_n_kernel() -> Pair:
    """Give our correlation the measurements that Quantus correlates, over images at each step."""
    order = descending(MAPS)
    attributed = np.take_along_axis(MAPS.reshape(IMAGES, -1), order, 1)
    values = trajectory(order, 1)
    drops = values[:, :1] - values[:, 1:]
    most = int(0.8 * PIXELS)
    ours = faith.faithfulness_correlation(attributed.T[:most].copy(), drops.T[:most].copy())
    return ours, np.array(quantus("SensitivityN", return_aggregate=False, **plain()))


def infidelity() -> Pair:
    """Replace patch after patch, each step being a perturbation."""
    values = trajectory(patches(4).reshape(1, -1).repeat(IMAGES, 0), 16)
    drops = values[:, :1] - values[:, 1:]
    ends = [filled(patches(4)[: done + 1].reshape(1, -1).repeat(IMAGES, 0)) for done in range(9)]
    taken = np.stack([PICTURES - end for end in ends], axis=1).reshape(IMAGES, 9, -1)
    attributed = np.einsum("nf,nmf->nm", MAPS.reshape(IMAGES, -1), taken)
    return faith.infidelity(attributed, drops), np.array(quantus("Infidelity", n_perturb_samples=1, **plain()))


def captum_infidelity(*, scaled: bool) -> Pair:
    """Give captum perturbations and record what it was given."""
    rng = np.random.default_rng(SEED)
    seen: list[Array] = []

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        taken = rng.normal(0, 0.1, size=inputs.shape)
        seen.append(taken)
        return torch.tensor(taken), inputs - torch.tensor(taken)

    with quiet():
        theirs = import_module("captum.metrics").infidelity(
            NETWORK, perturb, torch.tensor(PICTURES).double(), torch.tensor(MAPS[:, None]),
            target=torch.tensor(TARGETS), n_perturb_samples=12, max_examples_per_batch=IMAGES, normalize=scaled,
        )  # fmt: skip
    taken = np.stack(seen, axis=1).reshape(IMAGES, -1, PIXELS)
    attributed = np.einsum("nf,nmf->nm", MAPS.reshape(IMAGES, -1), taken)
    whole = target_output(PICTURES)
    drops = np.stack([whole - target_output(PICTURES - one) for one in seen], axis=1)
    ours = (faith.scaled_infidelity if scaled else faith.infidelity)(attributed, drops)
    return ours, theirs.detach().numpy()


def irof() -> Pair:
    """Take Quantus's own segments; its area counts segments and leaves the whole image out."""
    with quiet():
        segmented = from_quantus("helpers.utils", "get_superpixel_segments")
        labels = [segmented(np.moveaxis(x, 0, -1).astype("double"), "slic") for x in PICTURES]
    segments = np.stack(labels)
    counts = segments.reshape(IMAGES, -1).max(1) + 1
    fractions, values = np.ones((2, IMAGES, counts.max() + 1))
    for n in range(IMAGES):
        means = [MAPS[n][segments[n] == s].mean() for s in range(counts[n])]
        picture = PICTURES[n].copy()
        fractions[n, : counts[n] + 1] = np.linspace(0, 1, counts[n] + 1)
        values[n, 0] = outputs(picture[None], probability=True)[0, TARGETS[n]]
        for step, segment in enumerate(np.argsort(means)[::-1]):
            picture[0][segments[n] == segment] = picture.mean()
            values[n, step + 1 :] = outputs(picture[None], probability=True)[0, TARGETS[n]]
    relative = values / values[:, :1]
    theirs = np.array(quantus("IROF", softmax=True, return_aggregate=False, perturb_func=_mean_of_each, **plain()))
    start = (relative[:, 0] + relative[:, 1]) / 2
    return faith.irof(fractions, values), 1 - (counts - theirs + start) / counts


def _mean_of_each(arr: Array, mask: Array, **_: object) -> Array:
    """Fill with each picture's present mean."""
    return np.where(mask, arr.mean(axis=(1, 2, 3), keepdims=True), arr).astype(arr.dtype)


def road() -> Pair:
    """Give ROAD another fill than noise, so that both accuracies are of the same images."""
    percentages = [1, 2, 4, 7, 10, 20]
    order = descending(MAPS)
    correct = [outputs(filled(order[:, : PIXELS * p // 100])).argmax(1) == TARGETS for p in percentages]
    theirs = quantus("ROAD", percentages=percentages, perturb_func=_lowest_of_one, **plain())
    return faith.road_curve(np.stack(correct, axis=1)), np.array([theirs[p] for p in percentages])


def _lowest_of_one(arr: Array, indices: Array, **_: object) -> Array:
    """Fill one picture's pixels with its lowest value."""
    after = arr.reshape(-1).copy()
    after[indices] = arr.min()
    return after.reshape(arr.shape)
