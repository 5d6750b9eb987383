"""Nodes of a cluster of Ray that are killed in mid-run.

``python -m benchmarks.chaos.nodes WORLD TRIES SEED`` is what the part starts: Ray wants a process that is forked from
none that has computed.
"""

import importlib
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.world import Count, words

GET = "Ray is not installed; pip install 'explanation-harness[ray]'"
STORE = 80 << 20
"""Bytes of a node's object store: Ray takes no less than 75 MiB."""
LOST, SURVIVED = "lost: ", "survived: "


def nodes(world: Path, tries: int, seed: int) -> Count:
    """Run on three nodes of this machine, kill one at a random moment, and compare with a run without Ray."""
    if importlib.util.find_spec("ray") is None:
        return Count("nodes", not_run=GET)
    count = Count("nodes")
    started = [sys.executable, "-m", "benchmarks.chaos.nodes", str(world), str(tries), str(seed)]
    ended = subprocess.run(started, capture_output=True, text=True, errors="replace", check=False)
    for line in ended.stdout.splitlines():
        if line.startswith(SURVIVED):
            count.add(line)
        elif line.startswith(LOST):
            what, _, why = line.removeprefix(LOST).partition(": ")
            count.add(what, why)
    if ended.returncode:
        count.add("the cluster", f"status {ended.returncode}: {ended.stderr[-300:]!r}")
    return count


def kill_nodes(world: Path, tries: int, seed: int) -> None:
    """Kill a node a try, and print what became of the run."""
    from benchmarks.chaos.commands import different, results
    from harness.engines.cluster import AT_HOME

    for name, value in AT_HOME.items():
        os.environ.setdefault(name, value)
    ray: Any = importlib.import_module("ray")  # parts of it have no types
    cluster: Any = importlib.import_module("ray.cluster_utils").Cluster
    draw = random.Random(seed)
    said = _command([*words(world, "local"), "--workers", "1"])
    if said:
        raise SystemExit(f"the run without Ray ended with {said}")
    wanted = _less_page(results(world / "local"))
    size = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    made = cluster(initialize_head=True, head_node_args=size)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    seconds = 0.0
    for number in range(tries + 1):  # the first is left alone, and says how long one takes
        while len(made.worker_nodes) < 2:
            made.add_node(num_cpus=1, object_store_memory=STORE)
        moment = draw.uniform(0, seconds)
        killer = threading.Timer(moment, _kill, [made, draw])
        if number:
            killer.start()
        start = time.perf_counter()
        status = _command([*words(world, "cluster"), "--engine", "ray", "--workers", "3"])
        seconds = seconds or time.perf_counter() - start
        killer.cancel()
        other = different(_less_page(results(world / "cluster")), wanted)
        why = f"status {status}" if status else f"{other} differ" if other else ""
        what = f"a node killed at {moment:.1f} s of {seconds:.1f}" if number else "three nodes, none killed"
        print(f"{LOST}{what}: {why}" if why else f"{SURVIVED}{what}", flush=True)
        shutil.rmtree(world / "cluster", ignore_errors=True)
    ray.shutdown()
    made.shutdown()


def _kill(cluster: Any, draw: random.Random) -> None:
    """Kill a node that is not the one of the command."""
    cluster.remove_node(draw.choice(sorted(cluster.worker_nodes, key=lambda node: node.node_id)), allow_graceful=False)


def _command(arguments: list[str]) -> int:
    """Run the command line here, less its figures and its page, and return the exit status."""
    from harness.cli import main, runs

    vars(runs)["write_report"] = lambda _run: []
    return main([*arguments, "--quiet"])


def _less_page(found: dict[str, str]) -> dict[str, str]:
    """Return the digests of tables."""
    return {name: held for name, held in found.items() if name.endswith(".parquet")}


if __name__ == "__main__":
    kill_nodes(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
