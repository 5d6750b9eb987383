"""Coloured shapes on grainy grounds, 32 x 40, and a small residual network that names the shape.

    harness run --subject examples/shapes.py:network --images examples/shapes.py:pictures --profile quick
    python examples/shapes.py    # trains the network anew, which takes a minute

Everything is drawn from a seed by this file (CC0). Colour and place say nothing of the class, and the pixels of the
shape are known: they come along as evidence.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness import FaceSet, InputSpec, Subject

WEIGHTS = Path(__file__).with_suffix(".safetensors")
HEIGHT, WIDTH = 32, 40
CLASSES = ("disc", "square", "cross", "ring")
SPEC = InputSpec(HEIGHT, WIDTH, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def pictures() -> FaceSet:
    """Return shapes that the network has not learned from."""
    return drawn(400, seed=1)


def drawn(n: int, seed: int) -> FaceSet:
    """Return `n` shapes, as many of each class as of the others."""
    source = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    made = [_one(CLASSES[label], source) for label in labels]
    images, masks = np.stack([image for image, _ in made]), np.stack([mask for _, mask in made])
    return FaceSet("shapes", images, CLASSES, labels, evidence={"shape": masks.astype(np.float64)}, licence="CC0")


def _one(kind: str, source: np.random.Generator) -> tuple[np.ndarray, Bool[np.ndarray, "h w"]]:
    """Draw one shape; its colour and that of the ground differ in one channel at least by a third of the range."""
    size = source.uniform(6, 9)
    down, across = source.uniform(size, HEIGHT - size), source.uniform(size, WIDTH - size)
    y, x = np.mgrid[:HEIGHT, :WIDTH] - np.array([down, across])[:, None, None]
    far, wide = np.hypot(x, y), np.maximum(abs(x), abs(y))
    mask = {
        "disc": far < size,
        "square": wide < 0.87 * size,
        "cross": (wide < size) & (np.minimum(abs(x), abs(y)) < size / 3),
        "ring": (far < size) & (far > 0.55 * size),
    }[kind]
    ground, colour = source.uniform(0, 1, 3), source.uniform(0, 1, 3)
    while abs(ground - colour).max() < 1 / 3:
        colour = source.uniform(0, 1, 3)
    picture = np.where(mask[..., None], colour, ground) + source.normal(0, 0.06, (HEIGHT, WIDTH, 3))
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8), mask


class Residual(nn.Module):
    """Two convolutions with batch normalisation, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.act1, self.act2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the sum, activated."""
        total: Tensor = self.act2(x + self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x))))))
        return total


def network() -> Subject:
    """Return the trained network as the harness wants it."""
    reader = _untrained()
    reader.load_state_dict(load_file(WEIGHTS))
    return Subject(reader, name="shapes", classes=CLASSES, spec=SPEC)


def _untrained() -> nn.Module:
    """Return a stem, two residual blocks with a pooling before each, and a dense layer on the mean over places."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), Residual(16)),
        *(nn.Conv2d(16, 32, 1), nn.MaxPool2d(2), Residual(32)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(CLASSES))),
    )


def train(epochs: int = 12, seed: int = 0) -> float:
    """Train the network, write its weights and return its accuracy on shapes that it has not learned from."""
    torch.manual_seed(seed)
    reader, learned = _untrained().train(), drawn(2000, seed=0)
    images, labels = SPEC.prepare(learned.images), torch.from_numpy(learned.labels)
    optimiser = torch.optim.Adam(reader.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(labels)), 50):
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(reader(images[batch]), labels[batch]))
            optimiser.step()
    save_file(reader.state_dict(), WEIGHTS)
    held, subject = pictures(), network()
    answers = subject.logits(subject.prepare(held.images)).argmax(1).numpy()
    return float((answers == held.labels).mean())


if __name__ == "__main__":
    sys.exit(print(f"accuracy on {len(pictures().images)} shapes that it has not learned from: {train():.3f}"))
