"""The network read tile by tile: an answer that is a weighted sum, so that each tile's part in it is known exactly.

The logit of class c for a mosaic of k x k pictures is the sum over tiles t of ``w_t f(tile_t)[c]``. Nothing passes from
one tile to another, so the Shapley value of a tile, and what any path from a baseline gives to its pixels together, is
``w_t (f(tile_t)[c] - f(baseline_t)[c])``, for every baseline, network and class.
"""

from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor, nn

from harness.subject import Subject


class TiledNetwork(nn.Module):
    """A network's logits on each tile of a mosaic, weighted and added.

    The tiles of one mosaic go through the network side by side in one batch, so that each of its layers runs once and
    meets ``side * side`` rows an image, in reading order.

    Parameters
    ----------
    network
        Reads one tile.
    weights
        Of the tiles, in reading order.
    """

    weights: Tensor

    def __init__(self, network: nn.Module, weights: Float[Tensor, " tiles"]) -> None:
        super().__init__()
        self.network = network
        self.side = round(len(weights) ** 0.5)
        self.register_buffer("weights", weights.clone())

    def forward(self, mosaics: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the weighted sum over tiles."""
        logits = self.network(cut(mosaics, self.side).flatten(0, 1))
        rows = logits.reshape(len(mosaics), self.side**2, logits.shape[1])
        total: Tensor = (rows * self.weights[:, None]).sum(1)
        return total


def tiled(subject: Subject, weights: Float[Tensor, " tiles"]) -> Subject:
    """Return the subject that reads mosaics of its own pictures and weighs their tiles.

    Its map layer is the subject's; what reads it finds a picture for each tile, not for each mosaic, and is refused.

    Parameters
    ----------
    weights
        One a tile in reading order, a square number of them.

    Raises
    ------
    UsageError
        Where the network does not run so.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from harness.subject import InputSpec
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> subject = Subject(network, name="s", classes="ab", spec=InputSpec(4, 4))
    >>> made = tiled(subject, torch.tensor([1.0, 0.5, -1.0, 0.0]))
    >>> made.spec.height, made.logits(torch.zeros(3, 1, 8, 8)).shape
    (8, torch.Size([3, 2]))
    """
    network = TiledNetwork(subject.network, weights.to(subject.device))
    spec, side = subject.spec, network.side
    large = replace(spec, height=side * spec.height, width=side * spec.width)
    return subject.around(network, f"{subject.name} (tiles)", large)


def mosaics(images: Float[Tensor, "n c h w"], chosen: Int[Tensor, "m tiles"]) -> Float[Tensor, "m c hh ww"]:
    """Return mosaics of `images` at full size, each of the images `chosen` for its tiles in reading order."""
    m, tiles = chosen.shape
    side = round(tiles**0.5)
    _, c, h, w = images.shape
    laid = images[chosen.flatten()].reshape(m, side, side, c, h, w).permute(0, 3, 1, 4, 2, 5)
    return laid.reshape(m, c, side * h, side * w)


def cut(pictures: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n tiles c y x"]:
    """Return the tiles of pictures, in reading order.

    Examples
    --------
    >>> import torch
    >>> cut(torch.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 1, 0]
    tensor([[2., 3.],
            [6., 7.]])
    """
    n, c, h, w = pictures.shape
    cells = pictures.reshape(n, c, side, h // side, side, w // side).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(n, side**2, c, h // side, w // side)


def tile_logits(subject: Subject, pictures: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n tiles k"]:
    """Return what the subject itself, which reads one tile, answers on each tile of mosaics; without gradient."""
    cells = cut(pictures, side)
    return subject.logits(cells.flatten(0, 1)).reshape(*cells.shape[:2], -1)
