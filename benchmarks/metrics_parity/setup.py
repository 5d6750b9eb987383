"""The network, images and maps that every comparison shares, and how Quantus and our metrics are asked."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.rounding import rounding

Array = np.ndarray
Pair = tuple[Array, Array]

IMAGES, SIDE, CLASSES, SEED = 6, 12, 4, 3
PIXELS = SIDE * SIDE
# Through the network (9 + 100 + 8 weights), then a mean, a centring and two sums over all pixels. Magnitudes of both
# signs cancel to a tenth in each of the network's two sums, hence a hundredfold. 2e-11.
WITHIN = rounding("float64", 9 + 100 + 8 + 4 * PIXELS, conditioning=100.0)


@dataclass(frozen=True)
class Comparison:
    """One metric, what it is held against, and how to get both answers.

    Attributes
    ----------
    metric, reference, package
        Ours, what it is held against, and where that is from.
    answers
        Makes both answers.
    note
        How they were brought to one form, or why they differ.
    within
        How far they may lie apart, in the unit of scores of order 1: rounding, and what the reference adds on purpose.
    """

    metric: str
    reference: str
    package: str
    answers: Callable[[], Pair]
    note: str = ""
    within: float = WITHIN

    def available(self) -> bool:
        """Say whether the reference is installed."""
        return find_spec(self.package) is not None

    def difference(self) -> float:
        """Return the largest absolute difference; infinite where only one of the two is defined."""
        return self.found()[0]

    def agrees(self) -> bool:
        """Say whether the two lie no further apart than arithmetic allows."""
        difference, largest = self.found()
        return difference <= self.within * max(1.0, largest)

    def found(self) -> tuple[float, float]:
        """Return the largest absolute difference and the largest score."""
        ours, theirs = (np.asarray(answer, dtype=np.float64) for answer in self.answers())
        if ours.shape != theirs.shape:
            raise ValueError(f"{self.metric}: shapes {ours.shape} and {theirs.shape}")
        if (np.isnan(ours) != np.isnan(theirs)).any():
            return float("inf"), float(np.nanmax(np.abs(theirs)))
        return float(np.nanmax(np.abs(ours - theirs))), float(np.nanmax(np.abs(theirs)))


# ---------------------------------------------------------------------- network, images, maps


class Entrance(nn.Conv2d):
    """A convolution that puts what it is given into double precision: Quantus hands pictures over in single."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution in double precision."""
        return super().forward(input.double())


def network() -> nn.Sequential:
    """Return a small smooth network in double precision without symmetries, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        layers = [Entrance(1, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(100, 8), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(8, CLASSES)).double().eval()


def images() -> Array:
    """Return pictures without structure, none of their pixels 0."""
    return np.random.default_rng(SEED).normal(size=(IMAGES, 1, SIDE, SIDE)).astype(np.float32)


def gradient_maps(model: nn.Module, pictures: Array, targets: Array) -> Array:
    """Return the gradient of each target's logit."""
    leaf = torch.tensor(np.asarray(pictures, dtype=np.float64), requires_grad=True)
    chosen = model(leaf)[torch.arange(len(leaf)), torch.as_tensor(targets)].sum()
    return np.asarray(torch.autograd.grad(chosen, leaf)[0].numpy())


def outputs(pictures: Array, *, probability: bool = False, model: nn.Module | None = None) -> Array:
    """Return all classes' logits or probabilities."""
    with torch.no_grad():
        logits: Tensor = (model or NETWORK)(torch.tensor(np.asarray(pictures, dtype=np.float64)))
        return np.asarray((logits.softmax(1) if probability else logits).numpy(), dtype=np.float64)


def target_output(pictures: Array, *, probability: bool = False) -> Array:
    """Return the targets' logits or probabilities."""
    return np.asarray(outputs(pictures, probability=probability)[np.arange(len(pictures)), TARGETS])


NETWORK = network()
PICTURES = images()
TARGETS = outputs(PICTURES).argmax(1)
MAPS = gradient_maps(NETWORK, PICTURES, TARGETS)[:, 0].astype(np.float64)
BLACK = float(PICTURES.min())
EVIDENCE = np.random.default_rng(SEED).random((IMAGES, SIDE, SIDE)) < 0.2
# So that both hits and misses occur.
EVIDENCE[::2] |= MAPS[::2] == MAPS[::2].max(axis=(1, 2), keepdims=True)


# ---------------------------------------------------------------------- asking Quantus


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, and give NumPy 2 the name that Quantus still calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gone = not hasattr(np, "trapz")
        if gone:
            setattr(np, "trapz", np.trapezoid)  # noqa: B010, a name that type checkers know to be gone
        try:
            with redirect_stdout(StringIO()):
                yield
        finally:
            if gone:
                delattr(np, "trapz")


def library_quantus() -> Any:
    """Import Quantus without zennit, which it takes where it finds it and which needs more than is needed here."""
    hidden = "zennit" not in sys.modules and "quantus" not in sys.modules
    if hidden:
        sys.modules["zennit"] = None  # type: ignore[assignment]
    try:
        return import_module("quantus")
    finally:
        if hidden:
            del sys.modules["zennit"]


def from_quantus(module: str, name: str) -> Any:
    """Return one of Quantus's functions."""
    with quiet():
        library_quantus()
        return getattr(import_module(f"quantus.{module}"), name)


def quantus(name: str, *, softmax: bool = False, maps: Array | None = None, call: dict[str, Any] | None = None,
            seed: int = SEED, **settings: Any) -> Any:  # fmt: skip
    """Return what a Quantus metric says of the maps; `call` adds to its call, `settings` to its making."""
    with quiet():
        library = library_quantus()
        metric = getattr(library, name)(disable_warnings=True, display_progressbar=False, **settings)
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            return metric(
                model=NETWORK,
                x_batch=PICTURES.copy(),
                y_batch=TARGETS.copy(),
                a_batch=(MAPS if maps is None else maps)[:, None].copy(),
                channel_first=True,
                softmax=softmax,
                device="cpu",
                **{"explain_func": explain, **(call or {})},
            )
        finally:
            np.random.set_state(state)


def explain(model: nn.Module, inputs: Array, targets: Array, **_: object) -> Array:
    """Return gradients, in the form that Quantus asks for."""
    return gradient_maps(model, inputs, targets)


def plain(**settings: Any) -> dict[str, Any]:
    """Return settings that leave the maps as they are."""
    return {"abs": False, "normalise": False, **settings}


def evidence_call() -> dict[str, Any]:
    """Return the evidence in the form that Quantus asks for."""
    return {"s_batch": EVIDENCE[:, None].copy()}


# ---------------------------------------------------------------------- measuring


def descending(maps: Array) -> Array:
    """Return pixel indices, highest first; the maps here have no ties."""
    return np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")


def filled(indices: Array, pictures: Array | None = None) -> Array:
    """Return the pictures with the given pixels at the lowest value of each picture."""
    after = (PICTURES if pictures is None else pictures).reshape(IMAGES, -1).copy()
    after[np.arange(IMAGES)[:, None], indices] = PICTURES.reshape(IMAGES, -1).min(axis=1, keepdims=True)
    return after.reshape(PICTURES.shape)


def trajectory(order: Array, step: int, *, probability: bool = False) -> Array:
    """Return the targets' output for the whole image and after each `step` further pixels."""
    after = [filled(order[:, :done]) for done in range(0, order.shape[1] + 1, step)]
    return np.stack([target_output(pictures, probability=probability) for pictures in after], axis=1)


def patches(size: int) -> Array:
    """Return the pixel indices of each patch, (patches, pixels)."""
    grid = np.arange(PIXELS).reshape(SIDE // size, size, SIDE // size, size)
    return grid.transpose(0, 2, 1, 3).reshape(-1, size * size)


def patch_order(size: int) -> Array:
    """Return pixel indices patch by patch, the patch of highest summed relevance first."""
    members = patches(size)
    sums = MAPS.reshape(IMAGES, -1)[:, members].sum(axis=2)
    return members[np.argsort(-sums, axis=1, kind="stable")].reshape(IMAGES, -1)


def sums_and_drops(subsets: Array) -> Pair:
    """Return attributed sums and drops for subsets (runs, images, size)."""
    rows = MAPS.reshape(IMAGES, -1)
    attributed = np.stack([np.take_along_axis(rows, subset, 1).sum(1) for subset in subsets], axis=1)
    whole = target_output(PICTURES)
    return attributed, np.stack([whole - target_output(filled(subset)) for subset in subsets], axis=1)


def uniform_copies(low: float, high: float, samples: int) -> Array:
    """Return the copies with uniform noise that Quantus draws, (images, samples, 1, h, w)."""
    rng = np.random.RandomState(SEED)
    rows = PICTURES.reshape(IMAGES, -1)
    drawn = [(rows + rng.uniform(low, high, size=rows.shape)).astype(np.float32) for _ in range(samples)]
    return np.stack(drawn, axis=1).reshape(IMAGES, samples, 1, SIDE, SIDE)


def gaussian_copies(std: float, samples: int) -> Array:
    """Return the copies with Gaussian noise that Quantus draws, (images, samples, 1, h, w)."""
    rng = np.random.RandomState(SEED)
    rows = PICTURES.reshape(IMAGES, -1)
    drawn = [(rows + rng.normal(0.0, std, size=rows.shape)).astype(np.float32) for _ in range(samples)]
    return np.stack(drawn, axis=1).reshape(IMAGES, samples, 1, SIDE, SIDE)


def shifted_copies(steps: int) -> Array:
    """Return the pictures moved sideways, the lowest value coming in, (images, steps, 1, h, w)."""
    stride = (2 * SIDE + 1) // steps
    return np.stack([_shifted(-SIDE + stride * (step + 1)) for step in range(steps)], axis=1)


def _shifted(by: int) -> Array:
    """Move every picture `by` pixels to the right."""
    moved = np.broadcast_to(PICTURES.min(axis=(1, 2, 3), keepdims=True), PICTURES.shape).copy()
    if by > 0:
        moved[..., by:] = PICTURES[..., :-by]
    elif by < 0:
        moved[..., :by] = PICTURES[..., -by:]
    else:
        moved = PICTURES.copy()
    return moved


def moved_maps(copies: Array) -> Array:
    """Return the gradient maps of copies."""
    return np.stack(
        [gradient_maps(NETWORK, copies[:, s], TARGETS)[:, 0] for s in range(copies.shape[1])], axis=1
    ).astype(np.float64)


def apart(copies: Array) -> Array:
    """Return each copy's Euclidean distance from its picture."""
    rows = (copies - PICTURES[:, None]).reshape(IMAGES, copies.shape[1], -1)
    return np.asarray(np.linalg.norm(rows, axis=2), dtype=np.float64)


def randomized_stages(order: str) -> list[nn.Module]:
    """Return the cascade of networks that Quantus randomises with its own seed."""
    with quiet(), torch.random.fork_rng():
        wrapper = from_quantus("helpers.model.pytorch_model", "PyTorchModel")(NETWORK, device="cpu")
        stages = wrapper.get_random_layer_generator(order=order, seed=42)
        return [network_copy(stage) for _name, stage in stages]


def network_copy(model: nn.Module) -> nn.Module:
    """Return a network of equal weights."""
    twin = network()
    twin.load_state_dict(model.state_dict())
    return twin


def random_maps(order: str) -> Array:
    """Return the gradient maps along the cascade, (images, stages, h, w)."""
    found = [gradient_maps(model, PICTURES, TARGETS)[:, 0] for model in randomized_stages(order)]
    return np.stack(found, axis=1).astype(np.float64)
