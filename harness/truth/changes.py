"""What a small change of each cell does to the network's answer: the truth of what a gradient is asked."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from harness.subject import InputSpec, Subject

GREY_LEVELS = 255
ROUNDINGS = 64
"""By how many roundings an answer may lie off: those of sums of some thousands of terms."""
ABOVE_ROUNDING = 20 * ROUNDINGS
"""How many roundings of an answer its largest change must exceed: a twentieth of it still tells two cells apart."""


def one_grey_level(spec: InputSpec) -> float:
    """Return a step in input units that is a grey level in the channel where that is least, and less in the others.

    Examples
    --------
    >>> from harness.subject import InputSpec
    >>> one_grey_level(InputSpec(8, 8, mean=(0.5,), std=(0.5,))) * 255
    2.0
    """
    return 1 / (GREY_LEVELS * max(spec.std))


def small_changes(
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, "h w"],
    direction: Float[Tensor, "n c h w"],
) -> Float64[np.ndarray, "n d"]:
    """Return what one grey level along `direction` does to the target's logit in each cell, as logit per input unit.

    The central difference: half of what a step ahead gives more than a step back, so that curvature drops out. NaN for
    an image of which no step changes the answer beyond its rounding, as in half precision: its order would be chance.

    Parameters
    ----------
    labels
        The cell of each pixel, 0 to d - 1.
    direction
        Of each pixel: 1 where more light is asked about, the sign of the gradient where the most that a change can do.
    """
    cells, step = int(labels.max()) + 1, one_grey_level(subject.spec)
    masks = torch.from_numpy(np.arange(cells)[:, None, None] == labels).to(images)[:, None]
    found = np.empty((len(images), cells))
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        change = step * direction[number] * masks
        logits = subject.logits(torch.cat([image + change, image - change]))[:, int(target)].double().cpu().numpy()
        done = logits[:cells] - logits[cells:]
        least = ABOVE_ROUNDING * torch.finfo(subject.dtype).eps * np.abs(logits).max()
        found[number] = done / (2 * step) if np.abs(done).max() > least else np.nan
    return found
