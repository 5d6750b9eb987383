"""What a run depends on is edited."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.chaos.commands import command, different, results
from benchmarks.chaos.harms import lost_by
from benchmarks.chaos.world import CLASSES, Count, words, write_world


def _edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(world: Path) -> None:
        text = (world / name).read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"{name} has no {old!r}")
        (world / name).write_text(text.replace(old, new), encoding="utf-8")

    return edit


EDITS: dict[str, Callable[[Path], None]] = {
    "the network's forward": _edited("net.py", "images).relu())", "images.flip(3)).relu())"),
    "an attribute that it reads": _edited("net.py", "self.scale = 1.0", "self.scale = 3.0"),
    "its map layer": _edited("net.py", 'cam_layer="second"', 'cam_layer="first"'),
    "its weights": _edited("net.py", "default_rng(0)", "default_rng(1)"),
    "data that it is made from": _edited("scale.txt", "1.0", "3.0"),
    "the explainer": _edited("explain.py", "(1 + layer)", "(2 + layer)"),
    "its helper": _edited("helper.py", "** factor", "** (factor + 2)"),
    "its data": lambda world: np.save(world / "data.npy", 3.0),
    "the pictures": lambda world: np.savez(
        world / "faces.npz",
        images=255 - np.load(world / "faces.npz")["images"],
        labels=np.arange(12) % 2,
        classes=CLASSES,
    ),
}


def stale(world: Path, draw: random.Random) -> Count:
    """Edit what a run depends on, and compare the same folder with a new one."""
    del draw
    count = Count("stale")
    for what, edit in EDITS.items():
        here = write_world(world.with_name(f"{world.name}-stale"))
        command(words(here), here, paged=False)
        before = results(here / "run")
        edit(here)
        again, fresh = (command(words(here, out), here, paged=False) for out in ("run", "fresh"))
        told = "" if "made again" in again.err else "it is not told"
        lost = lost_by(again, results(here / "run"), results(here / "fresh")) or told
        if not fresh.status and not different(before, results(here / "fresh")):
            lost = "the edit changes nothing"
        count.add(what, lost)
        shutil.rmtree(here)
    return count
