"""Explainers with a known fault: what a judge of explanations has to catch, and at which rung.

Each spoils a method that is known to work (its `base`) in one way, or never was one. They are no controls of a run:
they measure how often a check lets a false map pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from harness.digest import digest, image_keys
from harness.explainers._randomness import generators
from harness.explainers._segments import segments_of
from harness.explainers.controls import mean_face
from harness.oracles.contract_faults import break_the_contract
from harness.oracles.making import (
    AMOUNTS,
    SHOWS_NETWORK,
    SHOWS_WHAT_COUNTS,
    TELLS_CLASSES,
    TELLS_IMAGES,
    PlantedFault,
    base_maps,
    fault,
)
from harness.subject import Subject


def planted_faults(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    predicted: Int[Tensor, " n"],
    *,
    base: str = "integrated-gradients",
    probing: str = "occlusion",
) -> tuple[PlantedFault, ...]:
    """Return every planted fault for a subject.

    Parameters
    ----------
    subject
        The network that will be explained; some faults keep a copy of it.
    images, predicted
        Pictures of the set and the class that the network predicts for each, from which donors are taken.
    base, probing
        The registered methods that are spoiled: one that reads gradients and one that asks the network.
    """
    return (
        *_never_read_the_network(images, predicted),
        *_of_something_else(subject, images, predicted, base, probing),
        *_out_of_place(base, probing),
        *_other_values(base),
        *break_the_contract(subject, base),
    )


# ---------------------------------------------------------------------- maps that never read the network


def _never_read_the_network(images: Tensor, predicted: Tensor) -> Sequence[PlantedFault]:
    """Return the controls and their products with what the network answers."""
    why = {
        "random": "noise",
        "edges": "a Sobel filter",
        "intensity": "the picture itself",
        "centre": "the middle of any picture",
    }
    controls = [
        fault(name, control_times_logit, SHOWS_NETWORK, what, control=name, power=0.0) for name, what in why.items()
    ]
    scaled = [
        fault(
            f"{name}-times-logit",
            control_times_logit,
            SHOWS_NETWORK,
            f"{why[name]}, merely scaled by the answer",
            control=name,
            power=1.0,
        )
        for name in ("edges", "centre")
    ]
    face = mean_face(images, predicted)
    portrayed = fault("mean-face", face.function, SHOWS_NETWORK, "the class's mean face", **face.settings)
    return [*controls, portrayed, *scaled]


def control_times_logit(
    subject: Subject, images: Tensor, targets: Tensor, *, control: str, power: float, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return a control's maps, each times a power of its target's logit."""
    maps = base_maps(control, subject, images, targets, seed)
    logits = subject.logits(images).gather(1, targets.to(subject.device)[:, None])[:, 0].double().cpu().numpy()
    scaled: np.ndarray = maps * (logits[:, None, None] ** power)
    return scaled


# ---------------------------------------------------------------------- maps of something else


def _of_something_else(
    subject: Subject, images: Tensor, predicted: Tensor, base: str, probing: str
) -> Sequence[PlantedFault]:
    """Return maps of another image, class or network."""
    donors = {int(k): images[predicted == k] for k in torch.unique(predicted)}
    before = subject.with_network(subject.network, f"{subject.name} as it was")
    shaken = subject.with_network(_shaken(subject), f"{subject.name} otherwise trained")
    return [
        fault(
            "another-image",
            _OfAnotherImage(donors),
            TELLS_IMAGES,
            "the map of another image of the class",
            base=base,
            donors=digest(images, predicted),
        ),
        fault(
            "portrait",
            _Portrait(donors),
            TELLS_IMAGES,
            "the class's mean map, whatever the image",
            base=base,
            donors=digest(images, predicted),
        ),
        fault("another-class", another_class, TELLS_CLASSES, "the map of the runner-up class", base=base),
        fault(
            "predicted-class",
            predicted_class,
            TELLS_CLASSES,
            "the map of the predicted class, whatever is asked",
            base=probing,
        ),
        fault(
            "frozen",
            _OfAnotherNetwork(before),
            SHOWS_NETWORK,
            "the map of the network as it was before the run, whatever became of it",
            base=base,
            network=before.digest,
        ),
        fault(
            "other-weights",
            _OfAnotherNetwork(shaken),
            SHOWS_NETWORK,
            "the map of weights that were trained otherwise",
            base=base,
            network=shaken.digest,
        ),
    ]


SHAKEN = 0.5
"""Relative noise on weights of a network that was trained otherwise."""


def _shaken(subject: Subject) -> torch.nn.Module:
    """Return the network with noise on its weights, the same on every machine."""
    network = subject.with_network(subject.network, subject.name).network
    source = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.from_numpy(source.standard_normal(tuple(parameter.shape))).to(parameter)
            parameter.mul_(1 + SHAKEN * noise)
    return network


@dataclass(frozen=True, eq=False)
class _OfAnotherImage:
    """Explains an image of the target's class that is not the one asked for."""

    donors: dict[int, Tensor]

    def __call__(
        self, subject: Subject, images: Tensor, targets: Tensor, *, base: str, donors: str, seed: int = 0
    ) -> Float[np.ndarray, "n h w"]:
        """Return the donors' maps."""
        pool = [self._others(image, int(target)) for image, target in zip(images, targets, strict=True)]
        chosen = [others[int(key) % len(others)] for others, key in zip(pool, image_keys(images), strict=True)]
        return base_maps(base, subject, torch.stack(chosen).to(images), targets, seed)

    def _others(self, image: Tensor, target: int) -> Tensor:
        """Return the target's donors, or all where it has none, less the image itself."""
        held = self.donors.get(target, torch.cat(list(self.donors.values())))
        same = (held == image.to(held)).flatten(1).all(1)
        return held[~same] if (~same).any() else held


PORTRAYED = 16
"""Donors of which a portrait is made: past a dozen its mean hardly moves."""


@dataclass(frozen=True, eq=False)
class _Portrait:
    """Gives every image of a target the mean map of its donors."""

    donors: dict[int, Tensor]

    def __call__(
        self, subject: Subject, images: Tensor, targets: Tensor, *, base: str, donors: str, seed: int = 0
    ) -> Float[np.ndarray, "n h w"]:
        """Return one portrait an image."""
        portraits = {int(target): self._portrait(subject, int(target), base, seed) for target in torch.unique(targets)}
        return np.stack([portraits[int(target)] for target in targets])

    def _portrait(self, subject: Subject, target: int, base: str, seed: int) -> Float[np.ndarray, "h w"]:
        """Return a target's mean map."""
        held = self.donors.get(target, torch.cat(list(self.donors.values())))[:PORTRAYED]
        maps = base_maps(base, subject, held.to(subject.device), torch.full((len(held),), target), seed)
        mean: np.ndarray = maps.mean(0)
        return mean


@dataclass(frozen=True, eq=False)
class _OfAnotherNetwork:
    """Explains a network of its own."""

    own: Subject

    def __call__(
        self, subject: Subject, images: Tensor, targets: Tensor, *, base: str, network: str, seed: int = 0
    ) -> Float[np.ndarray, "n h w"]:
        """Return that network's maps."""
        return base_maps(base, self.own, images, targets, seed)


def another_class(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return the maps of each image's likeliest class that was not asked for."""
    logits = subject.logits(images)
    logits[torch.arange(len(images)), targets.to(logits.device)] = -torch.inf
    return base_maps(base, subject, images, logits.argmax(1), seed)


def predicted_class(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return the maps of the predicted class."""
    return base_maps(base, subject, images, subject.logits(images).argmax(1), seed)


# ---------------------------------------------------------------------- right values in the wrong places


def _out_of_place(base: str, probing: str) -> Sequence[PlantedFault]:
    """Return maps whose values are right and lie elsewhere."""
    moved = [
        fault(
            f"moved-{pixels}",
            spoiled,
            SHOWS_WHAT_COUNTS,
            f"moved sideways by {pixels} pixels",
            2 * pixels,
            base=probing,
            how="moved",
            amount=float(pixels),
        )
        for pixels in (2, 4, 8, 16)
    ]
    turned = [
        fault("transposed", spoiled, SHOWS_WHAT_COUNTS, "rows and columns exchanged", base=base, how="transposed"),
        fault("mirrored", spoiled, TELLS_IMAGES, "left and right exchanged", 16, base=base, how="mirrored"),
        fault("upside-down", spoiled, SHOWS_WHAT_COUNTS, "top and bottom exchanged", base=base, how="upside-down"),
        fault("blurred", spoiled, SHOWS_WHAT_COUNTS, "blurred by 6.4 pixels", 13, base=base, how="blurred", amount=6.4),
        fault("blurred-away", spoiled, SHOWS_WHAT_COUNTS, "blurred away", base=base, how="blurred", amount=40.0),
        fault("cells-swapped", cells_swapped, SHOWS_WHAT_COUNTS, "its best and worst cell exchanged", base=base),
        fault("scattered-segments", permuted_segments, SHOWS_WHAT_COUNTS, "segments with permuted weights", base=base),
    ]
    return [*moved, *turned]


_SPOILS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "moved": lambda maps, amount: np.roll(maps, int(amount), axis=2),
    "transposed": lambda maps, _: maps.transpose(0, 2, 1),
    "mirrored": lambda maps, _: maps[:, :, ::-1],
    "upside-down": lambda maps, _: maps[:, ::-1],
    "blurred": lambda maps, amount: ndimage.gaussian_filter(maps, (0, amount, amount), mode="wrap"),
    "sign-flipped": lambda maps, _: -maps,
    "absolute": lambda maps, _: np.abs(maps),
    "quantised": lambda maps, amount: np.round(maps / _largest(maps) * amount) / amount * _largest(maps),
    "clipped": lambda maps, amount: _clipped(maps, amount),
    "last-bits": lambda maps, _: np.nextafter(maps, np.inf, dtype=maps.dtype),
}


def spoiled(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, how: str, amount: float = 0.0, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return a method's maps spoiled in a way of :data:`_SPOILS`; a transposed map has its picture's shape."""
    maps = base_maps(base, subject, images, targets, seed)
    made = np.ascontiguousarray(_SPOILS[how](maps, amount))
    if made.shape == maps.shape:
        return made
    return np.stack([ndimage.zoom(each, np.divide(maps.shape[1:], each.shape), order=1) for each in made])


def _largest(maps: np.ndarray) -> np.ndarray:
    """Return each map's largest absolute value, 1 for a map of zeros."""
    top: np.ndarray = np.abs(maps).max((1, 2), keepdims=True)
    return np.where(top > 0, top, 1)


def _clipped(maps: np.ndarray, share: float) -> np.ndarray:
    """Return maps cut at a share of their largest values, as pictures of maps often are."""
    top = np.quantile(np.abs(maps), share, axis=(1, 2), keepdims=True).astype(maps.dtype)
    cut: np.ndarray = np.clip(maps, -top, top)
    return cut


SWAPPED_SIDE = 3
"""Cells a side of which two are exchanged."""


def cells_swapped(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return a method's maps in which the cell of the largest sum and that of the least have changed places."""
    maps = base_maps(base, subject, images, targets, seed)
    height, width = (side // SWAPPED_SIDE for side in maps.shape[1:])
    corners = [(row * height, column * width) for row in range(SWAPPED_SIDE) for column in range(SWAPPED_SIDE)]
    cells = [(slice(top, top + height), slice(left, left + width)) for top, left in corners]
    sums = np.stack([maps[:, rows, columns].sum((1, 2)) for rows, columns in cells], axis=1)
    made = maps.copy()
    for number, (best, worst) in enumerate(zip(sums.argmax(1), sums.argmin(1), strict=True)):
        made[number][cells[best]], made[number][cells[worst]] = maps[number][cells[worst]], maps[number][cells[best]]
    return made


def permuted_segments(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, segments: int = 36, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return each image's segments with the mean values of a method's map, in another order."""
    maps = base_maps(base, subject, images, targets, seed)
    made = np.empty_like(maps)
    for number, (image, source) in enumerate(zip(images, generators(images, seed), strict=True)):
        labels = segments_of(image, segments)
        means = ndimage.mean(maps[number], labels, np.arange(labels.max() + 1))
        made[number] = source.permutation(means)[labels]
    return made


# ---------------------------------------------------------------------- wrong values in the right places


def _other_values(base: str) -> Sequence[PlantedFault]:
    """Return maps whose values are not the method's, and one whose last bits alone differ."""
    return [
        fault("sign-flipped", spoiled, SHOWS_WHAT_COUNTS, "signs exchanged", base=base, how="sign-flipped"),
        fault("absolute", spoiled, AMOUNTS, "signs dropped", base=base, how="absolute"),
        fault("quantised", spoiled, AMOUNTS, "rounded to five values", base=base, how="quantised", amount=2.0),
        fault("clipped", spoiled, AMOUNTS, "cut at the 90th percentile", base=base, how="clipped", amount=0.9),
        fault("half-noise", mixed, TELLS_IMAGES, "half noise", 16, base=base, other="random"),
        fault("half-edges", mixed, AMOUNTS, "half edges", base=base, other="edges"),
        fault("half-centre", mixed, TELLS_IMAGES, "ranks mixed with a centre blob", base=base, other="centre"),
        fault("wrong-units", wrong_units, AMOUNTS, "the picture read in other units than the network's", base=base),
        fault("plain-gradient", plain_gradient, AMOUNTS, "the gradient of a layer that nobody asked for"),
        fault("inert-hooks", inert_hooks, AMOUNTS, "guided backpropagation whose hooks never act: the gradient"),
        fault("for-deletion", tuned_to_deletion, AMOUNTS, "ones where hiding hurts most, tuned to deletion alone"),
    ]


def mixed(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, other: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return the mean of a method's map and another's, each scaled to unit spread."""
    parts = [base_maps(name, subject, images, targets, seed) for name in (base, other)]
    spreads = [part.std((1, 2), keepdims=True) for part in parts]
    scaled = [part / np.where(spread > 0, spread, 1) for part, spread in zip(parts, spreads, strict=True)]
    half: np.ndarray = (scaled[0] + scaled[1]) / 2
    return half


def wrong_units(
    subject: Subject, images: Tensor, targets: Tensor, *, base: str, seed: int = 0
) -> Float[np.ndarray, "n h w"]:
    """Return maps of the picture in 0 to 1, fed as if it were in the network's units."""
    mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (subject.spec.mean, subject.spec.std))
    return base_maps(base, subject, images * std + mean, targets, seed)


def plain_gradient(subject: Subject, images: Tensor, targets: Tensor) -> Float[Tensor, "n h w"]:
    """Return the gradient at the first layer that has a picture's shape, summed over channels and enlarged."""
    for layer in subject.layers:
        output, gradient = subject.layer_gradients(images, targets, layer)
        if output.ndim == 4 and output.shape[-1] > 1:
            small = gradient.sum(1, keepdim=True)
            return torch.nn.functional.interpolate(small, images.shape[-2:], mode="bilinear")[:, 0]
    return subject.gradients(images, targets).sum(1)


def inert_hooks(subject: Subject, images: Tensor, targets: Tensor) -> Float[Tensor, "n h w"]:
    """Return what a rule of backpropagation leaves where it never acts: the gradient, summed over channels."""
    return subject.gradients(images, targets).sum(1)


TUNED_SIDE = 4
"""Cells a side that a map tuned to deletion asks about: 135 passes an image."""


def tuned_to_deletion(subject: Subject, images: Tensor, targets: Tensor) -> Float[np.ndarray, "n h w"]:
    """Return ranks of cells in the order in which hiding the next one hurts most, greedily: a deletion curve's best."""
    height, width = images.shape[-2:]
    row = np.minimum(np.arange(height) * TUNED_SIDE // height, TUNED_SIDE - 1)
    column = np.minimum(np.arange(width) * TUNED_SIDE // width, TUNED_SIDE - 1)
    cells = torch.from_numpy(row[:, None] * TUNED_SIDE + column)
    return np.stack(
        [_greedy(subject, image, int(target), cells) for image, target in zip(images, targets, strict=True)]
    )


def _greedy(subject: Subject, image: Tensor, target: int, cells: Tensor) -> Float[np.ndarray, "h w"]:
    """Return one image's ranks, the first cell hidden highest."""
    left, hidden = list(range(TUNED_SIDE**2)), image.clone()
    ranks = np.zeros(TUNED_SIDE**2, np.float32)
    fill = image.mean((1, 2), keepdim=True)
    while left:
        trials = torch.stack([torch.where((cells == cell).to(image.device), fill, hidden) for cell in left])
        worst = left[int(subject.logits(trials)[:, target].argmin())]
        ranks[worst] = len(left)
        hidden = torch.where((cells == worst).to(image.device), fill, hidden)
        left.remove(worst)
    found: np.ndarray = ranks[cells.numpy()]
    return found


__all__ = ["PlantedFault", "planted_faults"]
