"""Go the way of FER2013 with a table of its size, and print how long each step takes and how much memory.

``python benchmarks/fer2013_size.py`` writes a csv of 35,887 faces of 48 x 48 in FER2013's form (the rendered faces
again and again, each time with other noise; Usage as in FER2013), then does in processes of their own what a reader
does: reads the splits for testing and everything, trains for one epoch, and judges two explainers of that network by
deletion, on faces chosen from the test splits. Printed are seconds and each process's largest memory; status 1 where a
step fails or takes more than ``--most`` GiB. ``--rows`` makes a smaller table.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.faces.loading import load_faces
from harness.faces.rendered import load_rendered

ROWS = 35_887
TRAINED, CHOSEN = 28_709, 3_589
"""FER2013's rows of Training and of PublicTest; the others are PrivateTest."""


def write(path: Path, rows: int) -> None:
    """Write a table of so many faces, with FER2013's shares of splits."""
    faces, draw = load_rendered(), np.random.default_rng(0)
    assert faces.labels is not None
    with path.open("w", encoding="utf-8") as file:
        file.write("emotion,pixels,Usage\n")
        for row in range(rows):
            face = row % len(faces)
            noisy = faces.images[face] + draw.integers(-8, 9, faces.images[face].shape)
            pixels = " ".join(map(str, np.clip(noisy, 0, 255).ravel().tolist()))
            file.write(f"{faces.labels[face]},{pixels},{usage(row * ROWS // rows)}\n")


def usage(row: int) -> str:
    """Return the split of a row of FER2013."""
    return "Training" if row < TRAINED else "PublicTest" if row < TRAINED + CHOSEN else "PrivateTest"


def memory() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(path: str) -> None:
    """Read the pictures and print what that took."""
    before, start = memory(), time.perf_counter()
    faces = load_faces(path)
    seconds = time.perf_counter() - start
    part = path.partition("#")[2] or "test splits"
    size = faces.images.nbytes / 2**20
    print(f"{part}: {len(faces)} faces, {size:.0f} MiB, {seconds:.1f} s, peak {memory():.0f} MiB, {before:.0f} before")


def main(words: Sequence[str] | None = None) -> int:
    """Write the table and have it read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="of the table (default %(default)s)")
    parser.add_argument("--most", type=float, default=1.0, help="GiB that a step may take (default %(default)s)")
    parser.add_argument("--read", metavar="CSV", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.read:
        read(options.read)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, start = folder / "fer2013.csv", time.perf_counter()
        write(path, options.rows)
        print(
            f"{options.rows} rows, {path.stat().st_size / 2**20:.0f} MiB of text, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        for part in ("", "#all"):
            subprocess.run([sys.executable, __file__, "--read", f"{path}{part}"], check=True)
        weights, faces = folder / "fer.safetensors", ["--faces", str(path)]
        two = ["--explainer", "saliency", "--explainer", "grad-cam", "--check", "deletion-spectrum", "--no-store"]
        judged = ["--subject", str(weights), *two, "--quiet", "--out", str(folder / "run")]
        steps = ("train", [*faces, "--epochs", "1", "--out", str(weights)]), ("run", [*faces, *judged])
        return int(not all([step(name, words, options.most) for name, words in steps]))


def step(command: str, words: Sequence[str], most: float) -> bool:
    """Run a command line of the harness, print what it took, and return whether it ended well within its memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "harness", command, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    peak, code = used.ru_maxrss / 2**20, os.waitstatus_to_exitcode(status)
    faults = f"{f'; ended with {code}' if code else ''}{f'; more than {most} GiB' if peak > most else ''}"
    print(f"{command}: {time.perf_counter() - start:.0f} s, peak {1024 * peak:.0f} MiB{faults}", flush=True)
    return not faults


if __name__ == "__main__":
    sys.exit(main())
