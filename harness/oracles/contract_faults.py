"""Faults that every explainer owes not to have."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from harness.oracles.making import CONTRACT, PlantedFault, base_maps, fault
from harness.subject import Subject


def break_the_contract(subject: Subject, base: str) -> Sequence[PlantedFault]:
    """Return explainers that break a clause; one is a fault only where the network normalises batches."""
    normalises = any(isinstance(module, _BatchNorm) for module in subject.network.modules())
    by_batch = fault("by-batch", normalised_by_batch, CONTRACT, "activations normalised over the batch", base=base)
    return [
        *([by_batch] if normalises else []),
        fault("one-target", one_target, CONTRACT, "the first target for all of a batch", base=base),
        fault("over-the-batch", smoothed_over_batch, CONTRACT, "maps smoothed over the batch", base=base),
        fault("batch-scaled", batch_scaled, CONTRACT, "divided by the batch's largest value", base=base),
        fault("training-mode", in_training_mode, CONTRACT, "the network left in training mode", base=base),
        fault("unseeded", unseeded, CONTRACT, "noise that no seed decides", base=base),
        fault("stateful", _Stateful(), CONTRACT, "each call is added to the last", base=base),
    ]


def one_target(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Explain the first image's target for every image."""
    return base_maps(base, subject, images, targets[:1].expand_as(targets), seed)


def smoothed_over_batch(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Mix each map with the mean map of the batch."""
    maps = base_maps(base, subject, images, targets, seed)
    mean: np.ndarray = (maps + maps.mean(0, keepdims=True)) / 2
    return mean


def batch_scaled(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Divide by the batch's largest value."""
    maps = base_maps(base, subject, images, targets, seed)
    scaled: np.ndarray = maps / max(float(np.abs(maps).max()), np.finfo(maps.dtype).tiny)
    return scaled


def in_training_mode(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Leave the network in training mode."""
    maps = base_maps(base, subject, images, targets, seed)
    subject.network.train()
    return maps


def normalised_by_batch(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Explain a copy whose batch normalisation takes the batch's own mean and spread, as in training."""
    other = subject.with_network(subject.network, subject.name)
    for module in other.network.modules():
        if isinstance(module, _BatchNorm):
            # Nothing is kept of a batch, so that the copy itself stays as it is.
            module.train()
            module.momentum, module.num_batches_tracked = 0.0, None
    return base_maps(base, other, images, targets, seed)


def unseeded(subject: Subject, images: Tensor, targets: Tensor, *, base: str) -> Float[np.ndarray, "n h w"]:
    """Add noise that changes with the state of the process."""
    maps = base_maps(base, subject, images, targets, 0)
    source = np.random.default_rng()
    noisy: np.ndarray = maps + source.standard_normal(maps.shape).astype(maps.dtype) * maps.std()
    return noisy


class _Stateful:
    """Adds each map to the last one made for an image of the same size."""

    def __init__(self) -> None:
        self._held: np.ndarray | None = None

    def __call__(
        self, subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
    ) -> Float[np.ndarray, "n h w"]:
        """Return the maps with what was kept."""
        maps = base_maps(base, subject, images, targets, seed)
        if self._held is not None and self._held.shape == maps.shape[1:]:
            maps = maps + self._held
        self._held = maps[-1].copy()
        return maps
