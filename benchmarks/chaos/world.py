"""A small network, an explainer, what they read, and pictures, on which harm is done; and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, CLASSES = 12, ("left", "right")

NETWORK = """
from pathlib import Path
import numpy as np
import torch
from torch import nn
from harness.subject import InputSpec, Subject

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.dense = nn.Linear(3, 2)
        self.scale = 1.0
        draw = np.random.default_rng(0)
        for weights in self.parameters():
            weights.data = torch.tensor(draw.normal(size=weights.shape), dtype=torch.float32)
    def forward(self, images):
        maps = self.second(self.first(images).relu()).relu()
        return self.scale * self.dense(maps.mean((2, 3))) * 1.0

def make():
    net = Net()
    net.scale *= float(Path(__file__).with_name("scale.txt").read_text())
    return Subject(net, name="net", classes=("left", "right"), spec=InputSpec(12, 12), cam_layer="second")
"""
EXPLAIN = """
from pathlib import Path
import numpy as np
import torch
from helper import sharpened

def mine(subject, images, targets):
    factor = float(np.load(Path(__file__).with_name("data.npy")))
    layer = subject.activations(images, [subject.cam_layer])[subject.cam_layer].sum(1)
    return sharpened(subject.gradients(images, targets)[:, 0] * (1 + layer), factor)
"""
HELPER = "def sharpened(maps, factor): return maps.sign() * maps.abs() ** factor\n"


@dataclass
class Count:
    """What became of the trials of one part, or what it lacks to be run."""

    part: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    not_run: str = ""

    def add(self, what: str, lost: str = "") -> None:
        """Count a trial, lost for a reason where there is one."""
        self.tried += 1
        if lost:
            self.lost.append(f"{what}: {lost}")
            print(f"  lost: {what}: {lost}", flush=True)

    def __str__(self) -> str:
        if self.not_run:
            return f"{self.part:13} not run: {self.not_run}"
        return f"{self.part:13} {self.tried:5} tried {self.tried - len(self.lost):5} survived {len(self.lost):5} lost"


def write_world(folder: Path) -> Path:
    """Write a network, an explainer, what they read, and twelve pictures into a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("net.py", NETWORK), ("explain.py", EXPLAIN), ("helper.py", HELPER), ("scale.txt", "1.0")):
        (folder / name).write_text(text, encoding="utf-8")
    np.save(folder / "data.npy", 1.0)
    draw = np.random.default_rng(0)
    images = draw.integers(90, 130, (12, SIDE, SIDE), dtype=np.uint8)
    for number, image in enumerate(images):
        image[:, (number % 2) * 6 : (number % 2) * 6 + 6] += np.uint8(80)
    np.savez(folder / "faces.npz", images=images, labels=np.arange(12) % 2, classes=np.array(CLASSES))
    for number, image in enumerate(images[:4]):
        where = folder / "pictures" / CLASSES[number % 2]
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(where / f"{number}.png")
    rows = [f"{number % 2},{' '.join(map(str, image.ravel()))}" for number, image in enumerate(images[:4])]
    (folder / "faces.csv").write_text("\n".join(["emotion,pixels", *rows]), encoding="utf-8")
    return folder


def words(world: Path, out: str = "run", explainers: Sequence[str] = ("explain.py:mine",)) -> list[str]:
    """Return the words of the command that every trial gives."""
    named = [word for name in explainers for word in ("--explainer", name if ":" not in name else f"{world}/{name}")]
    return [
        *("run", "--subject", f"{world}/net.py:make", "--faces", f"{world}/faces.npz", *named),
        *("--check", "deletion-spectrum", "--per-class", "2", "--feed", "contiguous:64", "--out", f"{world}/{out}"),
    ]
