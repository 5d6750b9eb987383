"""The network with evidence planted beside what it has learned: a known function of a patch, added to one logit.

The patch shows a pattern. How far a picture shows it is ``look(x) = sum over its pixels of v_p (x_p - plain)``, with v
the pattern less the plain shade, divided by its squared length: 1 where the patch shows the pattern, 0 where it is
plain. A linear plant adds ``strength * look(x)``, of which each pixel's part is exactly ``strength * v_p (x_p - b_p)``
for a baseline b. A conjunction of two patches adds ``strength * relu(look_1(x) + look_2(x) - 1)``: nothing unless both
are shown, so that each has half of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harness.subject import InputSpec, Subject


@dataclass(frozen=True)
class Patch:
    """A square with a pattern on it, at a place in the picture.

    Attributes
    ----------
    pattern
        In input units, the same shades of grey in every channel.
    top, left
        Its first row and column.
    plain
        The shade, in input units of each channel, at which nothing is shown.
    """

    pattern: Float[Tensor, "c side side"]
    top: int
    left: int
    plain: Float[Tensor, " c"]

    @property
    def rows(self) -> slice:
        """Rows that it covers."""
        return slice(self.top, self.top + self.pattern.shape[1])

    @property
    def columns(self) -> slice:
        """Columns that it covers."""
        return slice(self.left, self.left + self.pattern.shape[2])

    def shown_on(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the images with the pattern painted over them."""
        painted = images.clone()
        painted[:, :, self.rows, self.columns] = self.pattern.to(images)
        return painted

    def covers(self, height: int, width: int) -> Bool[np.ndarray, "h w"]:
        """Return which pixels of a picture it covers."""
        covered = np.zeros((height, width), dtype=bool)
        covered[self.rows, self.columns] = True
        return covered

    def slopes(self, height: int, width: int) -> Float[Tensor, "c h w"]:
        """Return v: what `look` gains as each pixel rises by one input unit; zero off the patch."""
        rise = self.pattern.double() - self.plain.double()[:, None, None]
        slopes = torch.zeros(len(rise), height, width, dtype=torch.float64)
        slopes[:, self.rows, self.columns] = rise / rise.square().sum()
        return slopes


class PlantedNetwork(nn.Module):
    """A network's logits and, for one class, what the patches add.

    Parameters
    ----------
    network
        The network as it was learned.
    slopes
        Of `look`, one set a patch, in the precision of the network: one patch is linear, several are a conjunction.
    plain
        Shade of each channel at which no patch shows anything.
    kind
        The class that is spoken for.
    classes
        How many there are.
    strength
        What the patches add in full, in logits.
    """

    def __init__(
        self,
        network: nn.Module,
        slopes: Float[Tensor, "patches c h w"],
        plain: Float[Tensor, " c"],
        kind: int,
        classes: int,
        strength: float,
    ) -> None:
        super().__init__()
        self.network = network
        summed = slopes.double().sum(0)
        at_plain, together = float((plain.double()[:, None, None] * summed).sum()), summed.flatten()
        self.flatten = nn.Flatten()
        self.look = nn.Linear(len(together), 1, dtype=slopes.dtype)
        self.both: nn.Module = nn.ReLU() if len(slopes) > 1 else nn.Identity()
        self.speak = nn.Linear(1, classes, bias=False, dtype=slopes.dtype)
        with torch.no_grad():
            self.look.weight.copy_(together[None])
            self.look.bias.fill_(-at_plain - (len(slopes) - 1))
            self.speak.weight.zero_()
            self.speak.weight[kind] = strength

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits."""
        logits: Tensor = self.network(images) + self.speak(self.both(self.look(self.flatten(images))))
        return logits


def planted(subject: Subject, patches: Sequence[Patch], kind: int, strength: float) -> Subject:
    """Return the subject with evidence for the class `kind` planted on one patch, or on several that are all needed.

    Inner layers of the subject do not see what is planted: a map that is made of one cannot show it.

    Parameters
    ----------
    strength
        What the patches add to the class's logit when all are shown.

    Raises
    ------
    UsageError
        Where the network does not run so.
    """
    spec = subject.spec
    slopes = torch.stack([patch.slopes(spec.height, spec.width) for patch in patches])
    slopes = slopes.to(subject.dtype)
    network = PlantedNetwork(subject.network, slopes, patches[0].plain, kind, len(subject.classes), strength)
    return subject.around(network, f"{subject.name} (planted)", spec)


def drawn_patches(spec: InputSpec, count: int, source: np.random.Generator) -> list[Patch]:
    """Return patches at drawn places that do not touch, each of evenly spaced shades in drawn order.

    A patch is an eighth of the picture's shorter side, at least 2 pixels.

    Raises
    ------
    ValueError
        Where the picture has no room for so many.
    """
    side = max(2, min(spec.height, spec.width) // 8)
    places = [(top, left) for top in range(0, spec.height - side + 1) for left in range(0, spec.width - side + 1)]
    found: list[Patch] = []
    for number in source.permutation(len(places)):
        top, left = places[number]
        if all(max(abs(top - other.top), abs(left - other.left)) > side for other in found):
            # A quarter of a step off the middle: no two are as far from the plain shade, or their parts would tie.
            pixels = (torch.arange(side * side) + 0.25)[torch.from_numpy(source.permutation(side * side))] / side**2
            black, white = (torch.tensor(spec.shade(end))[:, None, None] for end in (0.0, 1.0))
            pattern = black + (white - black) * pixels.reshape(side, side)
            found.append(Patch(pattern, top, left, ((black + white) / 2).flatten()))
        if len(found) == count:
            return found
    raise ValueError(f"a picture of {spec.height}x{spec.width} has no room for {count} patches of {side}x{side}")
