"""The network made blind to a part of the picture: what lies there has exactly no influence on any answer."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harness.subject import Subject


class BlindedNetwork(nn.Module):
    """A network that sees a plain fill where it is blind: ``f(x * keep + fill * (1 - keep))``.

    Parameters
    ----------
    network
        Reads the picture.
    keep
        1 where it sees, 0 where it is blind.
    fill
        What it sees there instead, in input units.
    """

    keep: Tensor
    instead: Tensor

    def __init__(self, network: nn.Module, keep: Float[Tensor, "h w"], fill: Float[Tensor, " c"]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("keep", keep[None, None].clone())
        self.register_buffer("instead", fill[None, :, None, None] * (1 - keep))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits of what is seen."""
        logits: Tensor = self.network(images * self.keep + self.instead)
        return logits


def blinded(subject: Subject, keep: Bool[Tensor, "h w"], fill: Float[Tensor, " c"]) -> Subject:
    """Return the subject made blind where `keep` is false.

    Raises
    ------
    UsageError
        Where the network does not run so.
    """
    dtype = subject.dtype
    network = BlindedNetwork(subject.network, keep.to(subject.device, dtype), fill.to(subject.device, dtype))
    return subject.around(network, f"{subject.name} (blind)", subject.spec)


def half_plane(height: int, width: int, angle: float) -> Bool[Tensor, "h w"]:
    """Return the half of a picture on one side of a line through its middle; pixels on the line are left out.

    Parameters
    ----------
    angle
        Direction in which the half lies, in radians; 0 is to the right, a quarter turn is down.

    Examples
    --------
    >>> half_plane(2, 4, 0.0)  # doctest: +NORMALIZE_WHITESPACE
    tensor([[False, False,  True,  True],
            [False, False,  True,  True]])
    """
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    across = torch.cos(torch.tensor(angle).double()) * (x - (width - 1) / 2)
    down = torch.sin(torch.tensor(angle).double()) * (y - (height - 1) / 2)
    return across + down > 0
