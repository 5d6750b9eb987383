"""Readers of what somebody brings, given bytes that a fuzzer makes so that they go where none went before.

``python -m benchmarks.chaos.fuzz TARGET FOLDER RUNS SEED`` is what the part starts for each target, since the fuzzer
wants the package loaded under its eyes and ends the process.
"""

import contextlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.chaos.world import CLASSES, Count, words

TARGETS = ("csv", "npz", "picture", "weights", "record", "piece", "table")
WATCHED = ("harness.faces", "harness.models", "harness.names", "harness.store")
"""What the fuzzer sees the branches of."""
GET = "the fuzzer is not installed; pip install 'explanation-harness[fuzz]' (CPython to 3.13, Linux or macOS)"
LONGEST, PATIENCE = 4096, 60
"""Bytes of an input, and seconds that one may take."""
Reader = Callable[[bytes], object]


def reader(target: str, folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    """Return what reads the bytes of a target, and bytes to begin with by name; `folder` is its own.

    Digests stand for whatever the bytes are, so that what reads behind them is reached.
    """
    return {
        "csv": _csv,
        "npz": _npz,
        "picture": _picture,
        "weights": _weights,
        "record": _record,
        "piece": _piece,
        "table": _table,
    }[target](folder)


def fault(read: Reader, data: bytes) -> str:
    """Return where a reader does other than return something or refuse it in one line; "" where it does so."""
    from harness.errors import HarnessError

    try:
        read(data)
    except HarnessError as error:
        return "" if len(str(error).splitlines()) == 1 else f"other than one line: {str(error)!r:.200}"
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}: {str(error)!r:.120}"
    return ""


def _into(file: Path, read: Callable[[], object]) -> Reader:
    """Return what writes bytes into a file and reads it."""
    file.parent.mkdir(parents=True, exist_ok=True)

    def reads(data: bytes) -> object:
        file.write_bytes(data)
        return read()

    return reads


def _csv(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    from harness.faces.loading import load_faces

    for name in ("one.png", "two.png"):
        (folder / name).write_bytes(_png())
    file = folder / "faces.csv"
    pixels = " ".join(str(number % 256) for number in range(16))
    seeds = {
        "fer2013": f"emotion,pixels,Usage\n0,{pixels},Training\n1,{pixels},PublicTest\n",
        "homework": f"label,feature\n0,{pixels}\n1,{pixels}\n",
        "paths": "path,label\none.png,left\ntwo.png,right\n",
    }
    return _into(file, lambda: load_faces(str(file))), {name: text.encode() for name, text in seeds.items()}


def _npz(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    from harness.faces.loading import load_faces

    file = folder / "faces.npz"
    return _into(file, lambda: load_faces(str(file))), {"faces": _arrays(file)}


def _picture(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    from PIL import Image

    from harness.faces.loading import load_faces

    pictures = folder / "pictures"
    for name in CLASSES:
        (pictures / name).mkdir(parents=True)
    (pictures / CLASSES[1] / "1.png").write_bytes(_png())
    seeds = {"png": _png()}
    for kind in ("jpeg", "bmp", "gif"):
        Image.new("L", (4, 4), 9).save(folder / kind, kind)
        seeds[kind] = (folder / kind).read_bytes()
    return _into(pictures / CLASSES[0] / "0.png", lambda: load_faces(str(pictures))), seeds


def _weights(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    import torch
    from safetensors.torch import save

    from harness.errors import UsageError
    from harness.models.loading import load_subject
    from harness.models.weights import put_weights

    file, layer = folder / "w.safetensors", torch.nn.Linear(2, 2)

    def reads() -> None:
        with contextlib.suppress(UsageError):
            put_weights(layer, file)
        load_subject(str(file))

    facts = {"architecture": "FacesCNN", "classes": json.dumps(CLASSES), "size": "8", "mean": "[0.5]", "std": "[0.5]"}
    held = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    return _into(file, reads), {"plain": save(held), "trained": save(held, {**facts, "held_out_accuracy": "1"})}


def _record(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    from harness.store import RunFolder

    run = _run(folder)

    def reads() -> None:
        RunFolder.existing(run).record.told()

    return _into(run / "run.json", reads), {"run": (run / "run.json").read_bytes()}


def _table(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    from harness.store import RunFolder

    run = _run(folder)
    return _into(run / "ladder.parquet", lambda: RunFolder(run).ladder), {
        "ladder": (run / "ladder.parquet").read_bytes()
    }


def _piece(folder: Path) -> tuple[Reader, Mapping[str, bytes]]:
    import hashlib

    from harness.store.pieces import FINISHED, note, read_piece

    file = folder / "piece" / "value.npz"

    def reads() -> object:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_name(FINISHED).write_text(note({file.name: digest}))
        return read_piece(file.parent)

    return _into(file, reads), {"value": _arrays(folder / "seed.npz", "value")}


def _run(folder: Path) -> Path:
    """Return a copy of a finished run without digests, so that what reads behind them is reached."""
    run = folder / "run"
    shutil.copytree(
        folder.parent / "finished", run, ignore=shutil.ignore_patterns("cache", "*.png", "*.html", "tables")
    )
    told = json.loads((run / "run.json").read_bytes())
    kept = {name: value for name, value in told.items() if name not in ("digest of the rest", "files")}
    (run / "run.json").write_text(json.dumps({**kept, "files": {}}))
    return run


def _png() -> bytes:
    """Return a small picture as a file."""
    import io

    from PIL import Image

    held = io.BytesIO()
    Image.new("L", (4, 4), 9).save(held, "png")
    return held.getvalue()


def _arrays(file: Path, name: str = "images") -> bytes:
    """Return a file of small arrays."""
    import numpy as np

    images = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4)
    np.savez(file, **{name: images, "labels": np.arange(2)})  # type: ignore[arg-type]
    return file.read_bytes()


# ---------------------------------------------------------------------- the part


def fuzzed(world: Path, runs: int, seed: int) -> list[Count]:
    """Let the fuzzer make inputs for each target, and count those that are not read and not refused in one line."""
    from benchmarks.chaos.commands import command  # it loads the package, which the fuzzer does itself

    if importlib.util.find_spec("atheris") is None:
        return [Count("fuzz", not_run=GET)]
    if not (world / "finished" / "run.json").exists():
        command(words(world, "finished"), world, paged=False)
    return [_fuzz(target, world, runs, seed) for target in TARGETS]


def _fuzz(target: str, world: Path, runs: int, seed: int) -> Count:
    """Count what became of one target; what ends the fuzzer itself is lost too."""
    count, folder = Count(f"fuzz {target}"), world / f"fuzz-{target}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    words = [sys.executable, "-m", "benchmarks.chaos.fuzz", target, str(folder), str(runs), str(seed)]
    ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    for line in (folder / "lost").read_text(encoding="utf-8").splitlines() if (folder / "lost").exists() else []:
        count.add("an input", line)
    done = re.search(r"Done (\d+) runs", ended.stderr)
    if done is None:
        said = [line for line in ended.stderr.splitlines() if "ERROR" in line or "Error" in line] or [
            ended.stderr[-300:]
        ]
        count.add("the fuzzer", f"status {ended.returncode}: {said[0][:300]}")
    count.tried = max(count.tried, int(done[1]) if done else 0)
    return count


def run_fuzzer(target: str, folder: Path, runs: int, seed: int) -> None:
    """Be the fuzzer of one target; each kind of fault is noted once."""
    import atheris

    with atheris.instrument_imports(include=[*WATCHED]):
        import harness.faces.loading
        import harness.models.loading
        import harness.store
    assert harness
    read, seeds = reader(target, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for name, data in seeds.items():
        (corpus / name).write_bytes(data)
    known: set[str] = set()

    def one(data: bytes) -> None:
        said = fault(read, data)
        if said and said.partition(": ")[0] not in known:
            known.add(said.partition(": ")[0])
            (folder / f"lost-{len(known)}").write_bytes(data)
            with (folder / "lost").open("a", encoding="utf-8") as file:
                file.write(f"{' '.join(said.split())}\n")

    longest = max(LONGEST, *map(len, seeds.values()))
    flags = [f"-runs={runs}", f"-seed={seed + 1}", f"-max_len={longest}", f"-timeout={PATIENCE}", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    run_fuzzer(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
