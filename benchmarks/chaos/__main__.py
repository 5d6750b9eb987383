"""Prints what is lost."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.chaos import __doc__ as chaos_said
from benchmarks.chaos.attacks import attacks
from benchmarks.chaos.fuzz import fuzzed
from benchmarks.chaos.harms import damage, kills
from benchmarks.chaos.inputs import fed
from benchmarks.chaos.neighbours import neighbours
from benchmarks.chaos.nodes import nodes
from benchmarks.chaos.stale import stale
from benchmarks.chaos.world import Count, write_world

PARTS = ("kills", "nodes", "damage", "stale", "neighbours", "inputs", "attacks", "fuzz")


def chaos(parts: Sequence[str], world: Path, asked: argparse.Namespace) -> list[Count]:
    """Return what became of each part; `asked` says how often it is tried."""
    draw = random.Random(asked.seed)
    made: dict[str, Callable[[], Count | list[Count]]] = {
        "kills": lambda: kills(world, asked.kills, draw),
        "nodes": lambda: nodes(world, asked.nodes, asked.seed),
        "damage": lambda: damage(world, asked.kills, draw),
        "stale": lambda: stale(world, draw),
        "neighbours": lambda: neighbours(world, draw),
        "inputs": lambda: fed(world, asked.inputs, draw),
        "attacks": lambda: attacks(world),
        "fuzz": lambda: fuzzed(world, asked.fuzz, asked.seed),
    }
    found = []
    for part in parts:
        print(f"{part} ...", flush=True)
        counts = made[part]()
        counts = [counts] if isinstance(counts, Count) else counts
        print(*counts, sep="\n", flush=True)
        found += counts
    return found


def run_chaos() -> int:
    """Print N tried, N survived, N lost for each part; return 1 where any is lost."""
    parser = argparse.ArgumentParser(description=chaos_said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--kills", type=int, default=50, help="kills, and damages (%(default)s)")
    parser.add_argument("--inputs", type=int, default=400, help="spoilt inputs (%(default)s)")
    parser.add_argument("--nodes", type=int, default=5, help="nodes of a cluster killed (%(default)s)")
    parser.add_argument("--fuzz", type=int, default=20_000, help="runs of the fuzzer a target (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of every choice (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="harness-chaos-") as folder:
        world = write_world(Path(folder) / "world")
        found = chaos(options.parts or PARTS, world, options)
    print("\n".join(["", *map(str, found)]))
    return int(any(count.lost for count in found))


if __name__ == "__main__":
    sys.exit(run_chaos())
