"""Handwritten digits, ten classes of 8 x 8 grey pixels, and a small network that reads them.

    harness run --subject examples/digits.py:network --images examples/digits.py:pictures --profile quick
    python examples/digits.py    # trains the network anew, which takes seconds

The pictures come with scikit-learn: 1,797 of them, from the UCI repository, CC BY 4.0. The network has learned from the
first 1,297; what is judged are the last 500.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn

from harness import FaceSet, InputSpec, Subject

WEIGHTS = Path(__file__).with_suffix(".safetensors")
LEARNED = 1297
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def pictures() -> FaceSet:
    """Return the digits that the network has not learned from."""
    return _pictures(slice(LEARNED, None))


def _pictures(which: slice) -> FaceSet:
    """Return some of the digits, whose ink of 0 to 16 becomes 0 to 255."""
    held = load_digits()
    ids = np.arange(len(held.target))[which]
    images = np.round(held.images[which] * (255 / 16)).astype(np.uint8)
    return FaceSet("digits", images, CLASSES, held.target[which].astype(np.int64), ids=ids, licence="CC BY 4.0")


def network() -> Subject:
    """Return the trained network as the harness wants it."""
    reader = _untrained()
    reader.load_state_dict(load_file(WEIGHTS))
    return Subject(reader, name="digits", classes=CLASSES, spec=InputSpec(8, 8))


def _untrained() -> nn.Module:
    """Return two convolutions, a pooling and two dense layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def train(epochs: int = 40, seed: int = 0) -> float:
    """Train the network, write its weights and return its accuracy on the digits that it has not learned from."""
    torch.manual_seed(seed)
    reader, spec, learned = _untrained(), InputSpec(8, 8), _pictures(slice(0, LEARNED))
    images, labels = spec.prepare(learned.images), torch.from_numpy(learned.labels)
    optimiser = torch.optim.Adam(reader.parameters(), 2e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(labels)), 64):
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(reader(images[batch]), labels[batch]))
            optimiser.step()
    save_file(reader.state_dict(), WEIGHTS)
    held, subject = pictures(), network()
    answers = subject.logits(subject.prepare(held.images)).argmax(1).numpy()
    return float((answers == held.labels).mean())


if __name__ == "__main__":
    sys.exit(print(f"accuracy on {len(pictures().images)} digits that it has not learned from: {train():.3f}"))
