"""The small network whose answers are a sum over cells of the picture, so that each cell's part is known exactly."""

from jaxtyping import Float
from torch import Tensor, nn

from harness.errors import UsageError

SLOPE = 0.1
WIDTHS = (12, 24, 32)
"""Channels of each cell's three convolutions."""
HALVINGS = 8
"""Pooling halves a cell three times."""


class ToCells(nn.Module):
    """Lays the cells of a picture behind each other along the channels, cell by cell in reading order."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n cells_c y x"]:
        """Return (n, side * side * c, h / side, w / side)."""
        n, c, h, w = images.shape
        cells = images.reshape(n, c, self.side, h // self.side, self.side, w // self.side)
        return cells.permute(0, 2, 4, 1, 3, 5).reshape(n, self.side**2 * c, h // self.side, w // self.side)


class ToPicture(nn.Module):
    """Lays cells that lie behind each other along the channels back to where they are in the picture."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, cells: Float[Tensor, "n cells_c y x"]) -> Float[Tensor, "n c h w"]:
        """Return (n, channels of one cell, side * y, side * x)."""
        n, stacked, y, x = cells.shape
        picture = cells.reshape(n, self.side, self.side, stacked // self.side**2, y, x).permute(0, 3, 1, 4, 2, 5)
        return picture.reshape(n, stacked // self.side**2, self.side * y, self.side * x)


class FacesAdditive(nn.Module):
    """A network of its own for each cell of the picture; the logits are the sum of what each says.

    Three 3x3 convolutions (12, 24, 32 channels a cell, in as many groups as there are cells), leaky ReLU, max-pooling
    and one dense layer, of which each weight reads one cell alone. No window crosses a border between cells, so the
    Shapley value of a cell is exactly the logit with the cell less the logit with the cell's baseline in its place
    (Brendel and Bethge 2019 build a bag of patches for the same end). Every module is used once; behind ``places`` the
    cells' channels lie where they are in the picture, for those who read an inner layer.

    Attributes
    ----------
    additive_cells
        Cells along each side of the picture: says to :func:`harness.effects.cell_maps` that they add up.

    Parameters
    ----------
    classes
        How many classes.
    channels
        How many channels an image has.
    size
        Height and width of an image, `side` times a multiple of 8.
    side
        Cells along each side of the picture.

    Raises
    ------
    UsageError
        Where `size` cannot be cut so.

    Examples
    --------
    >>> import torch
    >>> FacesAdditive()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int = 7, channels: int = 1, size: int = 48, side: int = 3) -> None:
        super().__init__()
        if side < 1 or size < HALVINGS * side or size % (HALVINGS * side):
            raise UsageError(
                f"FacesAdditive takes images whose side is a multiple of {HALVINGS * side}, not {size}; resize them"
            )
        groups = side**2
        self.additive_cells = side
        one, two, three = WIDTHS
        self.cells = ToCells(side)
        self.conv1 = nn.Conv2d(groups * channels, groups * one, 3, padding=1, groups=groups)
        self.act1 = nn.LeakyReLU(SLOPE)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(groups * one, groups * two, 3, padding=1, groups=groups)
        self.act2 = nn.LeakyReLU(SLOPE)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(groups * two, groups * three, 3, padding=1, groups=groups)
        self.act3 = nn.LeakyReLU(SLOPE)
        self.places = ToPicture(side)
        self.pool3 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(three * (size // HALVINGS) ** 2, classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits (n, classes) of images (n, channels, size, size)."""
        x = self.pool1(self.act1(self.conv1(self.cells(images))))
        x = self.pool2(self.act2(self.conv2(x)))
        x = self.pool3(self.places(self.act3(self.conv3(x))))
        logits: Tensor = self.fc(self.flatten(x))
        return logits
