"""Judge networks of usual size from beginning to end: what that takes of time and memory, and what it says meanwhile.

    python benchmarks/large.py
    python benchmarks/large.py --network vit --pictures 4 --classes 10 --side 64

A residual network of 18 layers and a small vision transformer, of random weights drawn from a seed, read coloured
pictures of 224 x 224 and answer with 1,000 classes. Each is run with the profile for networks that are slow here and
drawn as a gallery, as a reader would do it. Printed are processor and wall seconds and the largest memory of each
command, and how many lines it said on the way with no terminal. Status 1 where a command fails, leaves no ladder,
table, page or gallery, takes more memory than ``--most`` GiB, or is silent for longer than two minutes.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from harness import InputSpec, Subject
from harness.gallery import EXPLAINERS
from harness.profiles import PROFILES

NETWORKS = ("resnet", "vit")
SILENCE = 120.0
"""Seconds between two lines that are too many: one a minute is due, and the machine may be busy."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEFT = {
    "run": ("ladder.parquet", "verdicts.parquet", "tables", "report.html"),
    "gallery": ("gallery.html", "gallery.png"),
}
SIZES = "LARGE_SIDE", "LARGE_CLASSES"
"""What the networks are told by, since a command line names them alone."""


# ---------------------------------------------------------------------- networks and pictures


class Residual(nn.Module):
    """Two convolutions added to what came in, brought to its shape by a third where that differs."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.act = nn.ReLU(inplace=True)
        same = stride == 1 and inside == out
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(inside, out, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d y x"]:
        """Return the sum, activated."""
        found: Tensor = self.act(self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))) + self.shortcut(x))
        return found


class Transformer(nn.Module):
    """A vision transformer with a class token: patches of 16, 192 channels, 3 heads, 12 layers."""

    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        width = 192
        self.embed = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 1 + (side // 16) ** 2, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 3, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(12)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits, read off the class token."""
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        logits: Tensor = self.head(self.norm(tokens[:, 0]))
        return logits


def resnet() -> Subject:
    """Return a residual network of 18 layers."""
    side, classes = _sizes()
    torch.manual_seed(0)
    widths = (64, 64, 128, 256, 512)
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    blocks = [
        Residual(inside if first else out, out, 2 if first and out > 64 else 1)
        for inside, out in itertools.pairwise(widths)
        for first in (True, False)
    ]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)
    return _subject("resnet", nn.Sequential(*stem, *blocks, *head), side, classes)


def vit() -> Subject:
    """Return a small vision transformer."""
    side, classes = _sizes()
    torch.manual_seed(0)
    return _subject("vit", Transformer(side, classes), side, classes)


def _sizes() -> tuple[int, int]:
    """Return the pictures' side and the number of classes."""
    side, classes = (int(os.environ.get(name, usual)) for name, usual in zip(SIZES, (224, 1000), strict=True))
    return side, classes


def _subject(name: str, network: nn.Module, side: int, classes: int) -> Subject:
    """Return a network with names for its classes."""
    names = [f"class {number}" for number in range(classes)]
    return Subject(network, name=name, classes=names, spec=InputSpec(side, side, MEAN, STD))


def drawn(n: int, side: int) -> UInt8[np.ndarray, "n h w c"]:
    """Return pictures of three coloured discs each on a grainy ground of another colour, drawn from a seed."""
    source = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    pictures = source.uniform(0, 1, (n, 1, 1, 3)) + source.normal(0, 0.06, (n, side, side, 3))
    for picture in pictures:
        for _ in range(3):
            down, across, size = source.uniform(0.2, 0.8), source.uniform(0.2, 0.8), source.uniform(0.1, 0.25)
            picture[np.hypot(y - down, x - across) < size] = source.uniform(0, 1, 3)
    return np.round(255 * pictures.clip(0, 1)).astype(np.uint8)


# ---------------------------------------------------------------------- the commands


@dataclass(frozen=True)
class Spent:
    """What a command took and said.

    Attributes
    ----------
    status
        With which it ended.
    processor, wall
        Seconds.
    peak
        Largest memory, GiB.
    lines
        Said on standard error that begin as those of progress do, and `silence`, the longest time without any of them
        while jobs were done, seconds.
    """

    status: int
    processor: float
    wall: float
    peak: float
    lines: int
    silence: float


def spent(words: Sequence[str], environment: dict[str, str]) -> Spent:
    """Run the command line in a process of its own, which prints to this one's output."""
    started, said = time.monotonic(), list[float]()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words], stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        if " jobs in " in line:
            said.append(time.monotonic())
    _, status, used = os.wait4(process.pid, 0)
    # From one line to the next: what comes before the first job and after the last is no job's.
    gaps = np.diff(said) if len(said) > 1 else [0.0]
    return Spent(
        os.waitstatus_to_exitcode(status),
        used.ru_utime + used.ru_stime,
        time.monotonic() - started,
        used.ru_maxrss / 2**20,
        len(said),
        float(max(gaps)),
    )


def judged(network: str, pictures: Path, out: Path, options: argparse.Namespace) -> bool:
    """Run one network and draw its gallery; print what each took, and return whether all is well."""
    environment = dict(zip(SIZES, (str(options.side), str(options.classes)), strict=True))
    asked = ["--subject", f"{Path(__file__).resolve()}:{network}"]
    run, gallery = out / network, out / f"{network}-gallery"
    methods = [word for name in dict.fromkeys([*EXPLAINERS, *options.explainer]) for word in ("--explainer", name)]
    commands = {
        "run": ["run", *asked, "--images", str(pictures), *methods, "--profile", options.profile, "--out", str(run)],
        "gallery": ["gallery", *asked, "--faces", str(pictures), "--run", str(run), "--out", str(gallery)],
    }
    well = True
    for name, words in commands.items():
        took, folder = spent(words, environment), gallery if name == "gallery" else run
        missing = [file for file in LEFT[name] if not (folder / file).exists()]
        faults = [
            *([f"ended with {took.status}"] if took.status else []),
            *([f"left no {', '.join(missing)}"] if missing else []),
            *([f"took more than {options.most} GiB"] if took.peak > options.most else []),
            *([f"was silent for {took.silence:.0f} s"] if took.silence > SILENCE else []),
        ]
        print(
            f"{network} {name}: {took.processor:.0f} s of processor, {took.wall:.0f} s, {took.peak:.2f} GiB, "
            f"{took.lines} lines on the way{''.join(f'; {fault}' for fault in faults)}",
            flush=True,
        )
        well = well and not faults
    return well


def main(words: Sequence[str] | None = None) -> int:
    """Draw the pictures, judge each network, and return 1 where one of them is not as was said."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", action="append", choices=NETWORKS, help="repeat for more (default: all)")
    parser.add_argument("--explainer", action="append", default=[], metavar="E", help="beside those of the gallery")
    parser.add_argument("--pictures", type=int, default=8, help="how many (default %(default)s)")
    parser.add_argument("--side", type=int, default=224, help="of them, in pixels (default %(default)s)")
    parser.add_argument("--classes", type=int, default=1000, help="of the network (default %(default)s)")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="glance", help="(default %(default)s)")
    parser.add_argument("--most", type=float, default=4.0, help="GiB that a command may take (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results") / "large", help="(default %(default)s)")
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = options.out / "pictures.npz"
    np.savez_compressed(pictures, images=drawn(options.pictures, options.side))
    return int(not all([judged(each, pictures, options.out, options) for each in options.network or NETWORKS]))


if __name__ == "__main__":
    sys.exit(main())
