"""Images that most activate units of a layer, by gradient ascent on the input (Erhan et al. 2009; Olah et al. 2017).

A picture is held as the spectrum of a canvas somewhat larger than the input, each frequency weighted by its
wavelength, so that a step changes coarse and fine structure alike; a sigmoid keeps pixels in the range that faces
have. Each step shows the network another place of the canvas (jitter) and takes total variation off what is gained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.errors import UsageError
from harness.subject import Subject

LOGITS = ""
"""The layer whose units are the classes."""

START = 0.5
"""Size of the random start: standard deviation of the canvas before the sigmoid."""


@dataclass(frozen=True)
class Ascent:
    """How images are found.

    Attributes
    ----------
    steps
        Steps of Adam, one pass forward and backward each.
    rate
        Size of a step.
    jitter
        Pixels by which the canvas is shifted at most, each way.
    variation
        What total variation (mean difference of neighbouring pixels, black to white being 1) costs, in standard
        deviations of the unit over faces.
    draws
        Random starts of each unit.
    """

    steps: int = 96
    rate: float = 0.1
    jitter: int = 3
    variation: float = 4.0
    draws: int = 3

    def __post_init__(self) -> None:
        if self.steps < 1 or self.draws < 1 or self.jitter < 0:
            raise UsageError("an ascent needs at least 1 step and 1 draw, and a jitter of 0 or more")


@dataclass(frozen=True)
class Maximised:
    """Images found for units of one layer.

    Attributes
    ----------
    layer
        Its name, :data:`LOGITS` for classes.
    units
        Which of its units, length m.
    pictures
        Shape (draws, m, c, h, w), 0 to 1.
    reached
        Mean over places of the unit for each picture, (draws, m).
    moved
        Whether the unit ever gave a gradient, (draws, m).
    """

    layer: str
    units: Int[np.ndarray, " m"]
    pictures: Float[np.ndarray, "draws m c h w"]
    reached: Float[np.ndarray, "draws m"]
    moved: Bool[np.ndarray, "draws m"]

    @property
    def best(self) -> Int[np.ndarray, " m"]:
        """The draw that activates each unit most."""
        found: np.ndarray = self.reached.argmax(0)
        return found

    def dead(self, faces: Float[np.ndarray, "n units"]) -> Bool[np.ndarray, " m"]:
        """Return which units no face changes and no start can move: they have no image.

        Parameters
        ----------
        faces
            The layer's units for faces, as :meth:`Subject.unit_means` gives them.
        """
        held = faces[:, self.units]
        still: np.ndarray = ~self.moved.any(0) & (held.max(0) == held.min(0))
        return still


def maximise(
    subject: Subject,
    layer: str,
    units: Sequence[int],
    *,
    scales: Float[np.ndarray, " m"] | None = None,
    ascent: Ascent = Ascent(),
    seed: int = 0,
) -> Maximised:
    """Return images that most activate `units` of `layer`, all of them and all draws batched together.

    The network is asked through the subject alone: weights, mode, gradients and global generators stay as they were.
    A unit's starts depend on the seed and the unit, not on its company.

    Parameters
    ----------
    subject
        The network.
    layer
        Any layer that runs; "" for class images.
    units
        Which filters, dense units or classes.
    scales
        Standard deviation of each unit over faces, in which its gain is weighed against total variation; 1 by default.
    ascent
        How they are found.
    seed
        Same seed, same images.

    Raises
    ------
    UsageError
        Where there is no such layer or unit, or the layer's output has no units.
    """
    chosen = np.asarray(units, np.int64)
    _check_units(subject, layer, chosen)
    weights = np.ones(len(chosen)) if scales is None else np.where(scales > 0, scales, 1.0)
    every = torch.from_numpy(np.tile(chosen, ascent.draws)).to(subject.device)
    gains = torch.from_numpy(np.tile(1 / weights, ascent.draws)).float().to(subject.device)
    canvas = _Canvas(subject, ascent, seed, chosen)
    moved = torch.zeros(len(every), dtype=torch.bool, device=subject.device)
    optimizer = torch.optim.Adam([canvas.spectrum], lr=ascent.rate)
    with torch.enable_grad():
        for dy, dx in _shifts(ascent, seed):
            pixels = canvas.pixels()
            images = canvas.images(pixels, dy, dx)
            _, slopes = subject.unit_gradients(images.detach(), layer, every)
            moved |= slopes.abs().flatten(1).amax(1) > 0
            gained = (images * slopes * gains[:, None, None, None]).sum()
            loss: Tensor = ascent.variation * total_variation(pixels).sum() - gained
            canvas.spectrum.grad = torch.autograd.grad(loss, canvas.spectrum)[0]
            optimizer.step()
    with torch.no_grad():
        pixels = canvas.pixels()
        images = canvas.images(pixels, ascent.jitter, ascent.jitter)
        reached = subject.unit_means(images, layer).gather(1, every[:, None])[:, 0]
    shape = (ascent.draws, len(chosen))
    return Maximised(
        layer,
        chosen,
        canvas.shown(pixels, ascent.jitter, ascent.jitter).cpu().numpy().reshape(*shape, *images.shape[1:]),
        reached.cpu().numpy().reshape(shape),
        moved.cpu().numpy().reshape(shape),
    )


def total_variation(pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the mean absolute difference of neighbouring pixels, down and across.

    Examples
    --------
    >>> float(total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])))
    1.0
    """
    down, across = pixels.diff(dim=2).abs(), pixels.diff(dim=3).abs()
    return down.mean((1, 2, 3)) + across.mean((1, 2, 3))


class _Canvas:
    """The spectra that are climbed on, one for each draw and unit."""

    def __init__(self, subject: Subject, ascent: Ascent, seed: int, units: Int[np.ndarray, " m"]) -> None:
        self.spec = subject.spec
        self.size = (self.spec.height + 2 * ascent.jitter, self.spec.width + 2 * ascent.jitter)
        shape = (self.spec.channels, self.size[0], self.size[1] // 2 + 1, 2)
        starts = [
            np.random.default_rng([seed, draw, int(unit)]).standard_normal(shape, np.float32)
            for draw in range(ascent.draws)
            for unit in units
        ]
        weights = _wavelengths(*self.size)
        self.weights = torch.from_numpy(weights).float().to(subject.device)
        self.spectrum = torch.from_numpy(START * np.stack(starts)).to(subject.device).requires_grad_()
        self.mean, self.std = (
            torch.tensor(v, device=subject.device)[:, None, None] for v in (self.spec.mean, self.spec.std)
        )

    def pixels(self) -> Tensor:
        """Return the canvases, 0 to 1."""
        waves = torch.view_as_complex(self.spectrum) * self.weights
        made: Tensor = torch.fft.irfft2(waves, s=self.size, norm="ortho").sigmoid()
        return made

    def shown(self, pixels: Tensor, dy: int, dx: int) -> Tensor:
        """Return what of a canvas the network sees when it is shifted."""
        return pixels[:, :, dy : dy + self.spec.height, dx : dx + self.spec.width]

    def images(self, pixels: Tensor, dy: int, dx: int) -> Tensor:
        """Return the same in input units."""
        return (self.shown(pixels, dy, dx) - self.mean) / self.std


def _wavelengths(height: int, width: int) -> Float[np.ndarray, "h w"]:
    """Return each frequency's weight: its wavelength, scaled so that white noise keeps its size on the whole."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    waves = 1 / np.maximum(np.hypot(down, across), 1 / max(height, width))
    scaled: np.ndarray = waves / np.sqrt((waves**2).mean())
    return scaled


def _shifts(ascent: Ascent, seed: int) -> list[tuple[int, int]]:
    """Return each step's place on the canvas, the same for all images, so that an image depends on no other."""
    drawn = np.random.default_rng([seed, ascent.steps]).integers(0, 2 * ascent.jitter + 1, (ascent.steps, 2))
    return [(int(dy), int(dx)) for dy, dx in drawn]


def _check_units(subject: Subject, layer: str, units: Int[np.ndarray, " m"]) -> None:
    """Refuse layers and units that there are not."""
    if layer != LOGITS and layer not in subject.layers:
        raise UsageError(
            f"subject {subject.name!r} has no layer {layer!r} that runs; it has {', '.join(subject.layers)}"
        )
    held = unit_count(subject, layer)
    bad = [int(unit) for unit in units if not 0 <= unit < held]
    if bad or not len(units):
        asked = f"unit {bad[0]}" if bad else "no unit"
        raise UsageError(f"{asked} asked of {layer or 'the logits'}, which have {held}; ask for 0 to {held - 1}")


def unit_count(subject: Subject, layer: str) -> int:
    """Return how many units a layer has."""
    spec = subject.spec
    blank = torch.zeros(1, spec.channels, spec.height, spec.width, device=subject.device)
    return subject.unit_means(blank, layer).shape[1]
