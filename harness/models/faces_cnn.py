"""The small network that the project trains on its own faces."""

from jaxtyping import Float
from torch import Tensor, nn

from harness.errors import UsageError

SLOPE = 0.1


class FacesCNN(nn.Module):
    """Four 3x3 convolutions (32, 64, 96, 96 channels) and two dense layers, with leaky ReLU and max-pooling.

    Every module has a name of its own, is used once and works out of place, so that hooks and attribution
    rules meet each step by itself. It maps images (n, channels, size, size), pixels scaled to -1 to 1
    (``x / 127.5 - 1``), to logits (n, classes).

    Parameters
    ----------
    classes
        How many classes.
    channels
        How many channels an image has.
    size
        Height and width of an image, a multiple of 8: pooling halves it three times.

    Raises
    ------
    UsageError
        Where `size` is no positive multiple of 8.

    Examples
    --------
    >>> import torch
    >>> FacesCNN()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int = 7, channels: int = 1, size: int = 48) -> None:
        super().__init__()
        if size < 8 or size % 8:
            raise UsageError(f"FacesCNN takes images whose side is a multiple of 8, not {size}; resize them to 48")
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.act1 = nn.LeakyReLU(SLOPE)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.act2 = nn.LeakyReLU(SLOPE)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(64, 96, 3, padding=1)
        self.act3 = nn.LeakyReLU(SLOPE)
        self.conv4 = nn.Conv2d(96, 96, 3, padding=1)
        self.act4 = nn.LeakyReLU(SLOPE)
        self.pool4 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(96 * (size // 8) ** 2, 64)
        self.act5 = nn.LeakyReLU(SLOPE)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits (n, classes) of images (n, channels, size, size)."""
        x = self.pool1(self.act1(self.conv1(images)))
        x = self.pool2(self.act2(self.conv2(x)))
        x = self.act3(self.conv3(x))
        x = self.pool4(self.act4(self.conv4(x)))
        x = self.act5(self.fc1(self.flatten(x)))
        logits: Tensor = self.fc2(x)
        return logits
