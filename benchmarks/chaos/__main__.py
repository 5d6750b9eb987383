"""Prints what is lost."""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.chaos import __doc__ as chaos_said
from benchmarks.chaos.harms import damage, kills
from benchmarks.chaos.inputs import fed
from benchmarks.chaos.neighbours import neighbours
from benchmarks.chaos.stale import stale
from benchmarks.chaos.world import Count, write_world

PARTS = ("kills", "damage", "stale", "neighbours", "inputs")


def chaos(parts: Sequence[str], world: Path, kills_: int, inputs_: int, seed: int) -> list[Count]:
    """Return what became of each part."""
    draw = random.Random(seed)
    made = {
        "kills": lambda: kills(world, kills_, draw),
        "damage": lambda: damage(world, kills_, draw),
        "stale": lambda: stale(world, draw),
        "neighbours": lambda: neighbours(world, draw),
        "inputs": lambda: fed(world, inputs_, draw),
    }
    found = []
    for part in parts:
        print(f"{part} ...", flush=True)
        found.append(made[part]())
        print(found[-1], flush=True)
    return found


def run_chaos() -> int:
    """Print N tried, N survived, N lost for each part; return 1 where any is lost."""
    parser = argparse.ArgumentParser(description=chaos_said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--kills", type=int, default=50, help="kills, and damages (%(default)s)")
    parser.add_argument("--inputs", type=int, default=400, help="spoilt inputs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of every choice (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="harness-chaos-") as folder:
        world = write_world(Path(folder) / "world")
        found = chaos(options.parts or PARTS, world, options.kills, options.inputs, options.seed)
    print("\n".join(["", *map(str, found)]))
    return int(any(count.lost for count in found))


if __name__ == "__main__":
    sys.exit(run_chaos())
