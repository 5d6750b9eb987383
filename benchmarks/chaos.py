"""Does harm to small runs and counts what survives: ``make chaos``, or ``python benchmarks/chaos.py [PART]...``.

kills
    ``kill -9`` at random moments of a run, figures and page included; then the same command must end with the same
    digests as a run that nobody disturbed.
damage
    A file of the cache cut, emptied, bit-flipped, replaced or removed; then likewise.
stale
    The network, what it reads, its map layer, an explainer, its helper or its data edited; the same folder must then
    hold what a new one would.
neighbours
    An explainer that exits, hangs or changes what belongs to all; the others' scores must keep every bit.
inputs
    Pictures, tables, weights, subjects, explainers, options, names and run folders, generated and spoilt; each must end
    in one line and status 2, or, where it is harmless, in what it would have given: never in a traceback.

Every trial runs the command line in a process of its own, forked from this one, which has run no network yet.
"""

import argparse
import contextlib
import hashlib
import io
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from harness.cli import main, runs
from harness.report import page

os.environ["HARNESS_STORE"] = "off"  # what one run kept must not stand in for what another has lost
assert page  # it brings matplotlib, which is slow to import, into the process that is forked

SIDE, CLASSES = 12, ("left", "right")
PATIENCE = 600.0
"""Seconds after which a command counts as hanging."""

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
    """What became of the trials of one part."""

    part: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    def add(self, what: str, lost: str = "") -> None:
        """Count a trial, lost for a reason where there is one."""
        self.tried += 1
        if lost:
            self.lost.append(f"{what}: {lost}")
            print(f"  lost: {what}: {lost}", flush=True)

    def __str__(self) -> str:
        return f"{self.part:11} {self.tried:5} tried {self.tried - len(self.lost):5} survived {len(self.lost):5} lost"


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


# ---------------------------------------------------------------------- one command in a process of its own


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said, less bars of progress and what every run tells."""
        said = [line for part in self.err.split("\n") for line in part.split("\r")[-1:] if line.strip()]
        return [line for line in said if "job/s" not in line and "?job" not in line]


def command(arguments: Sequence[str], folder: Path, die_at: float | None = None, *, paged: bool = True) -> Ended:
    """Run the command line in a fork of this process; kill it once it has used `die_at` seconds of a processor.

    Where it is not `paged`, a run ends without figures and page, which take most of its time.
    """
    out, err = folder / ".out", folder / ".err"
    child = os.fork()
    if not child:
        _become(arguments, folder, out, err, paged=paged)
    start = time.monotonic()
    while True:
        ended, state = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if (die_at is not None and _used(child) >= die_at) or time.monotonic() - start > PATIENCE:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    said = (file.read_text(encoding="utf-8", errors="replace") for file in (out, err))
    return Ended(os.waitstatus_to_exitcode(state), *said)


def _become(arguments: Sequence[str], folder: Path, out: Path, err: Path, *, paged: bool) -> None:
    """Be the command, in the child."""
    status = 70
    try:
        os.chdir(folder)
        torch.set_num_threads(1)
        if not paged:
            vars(runs)["write_report"] = lambda _run: []
        with out.open("w", encoding="utf-8") as told, err.open("w", encoding="utf-8") as complained:
            sys.stdout, sys.stderr = told, complained
            try:
                status = main(list(arguments))
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 1
            except BaseException:
                import traceback

                traceback.print_exc()
                status = 1
    finally:
        os._exit(status)


def _used(process: int) -> float:
    """Return the seconds of a processor that a process has used."""
    with contextlib.suppress(OSError, IndexError):
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


TIMES = re.compile(rb"\d+(\.\d+)? (s|seconds?|min|minutes?|h|hours?)\b|[^\s<>]*/(run|fresh)\b")
"""What differs between two runs that are alike: how long they took, and where they lie."""


def results(run: Path) -> dict[str, str]:
    """Return digests of all that a run leaves for its reader; the page less its times."""
    files = [file for file in run.rglob("*") if file.is_file() and "cache" not in file.relative_to(run).parts]
    held = {file: file.read_bytes() for file in files if file.name not in ("run.json", "feed.json")}
    return {
        str(file.relative_to(run)): hashlib.sha256(TIMES.sub(b"", data) if file.suffix == ".html" else data).hexdigest()
        for file, data in held.items()
    }


def different(one: dict[str, str], other: dict[str, str]) -> str:
    """Return which files differ, "" where none does."""
    return ", ".join(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))


# ---------------------------------------------------------------------- kills and damage


def kills(world: Path, tries: int, draw: random.Random) -> Count:
    """Kill a run at random moments, and go on with it."""
    count, run = Count("kills"), world / "run"
    first = os.times()
    whole = command(words(world), world)
    now = os.times()
    used = now.children_user + now.children_system - first.children_user - first.children_system
    wanted = results(run)
    if whole.status:
        raise SystemExit(f"the undisturbed run ended with {whole.status}: {whole.err[-500:]}")
    for number in range(tries):
        shutil.rmtree(run)
        moments = [draw.uniform(0, used), *([draw.uniform(0, used)] if number % 3 == 0 else [])]
        for moment in moments:  # some twice
            command(words(world), world, moment)
        ended = command(words(world), world)
        count.add(f"kill at {moments} s of {used:.1f}", _lost(ended, results(run), wanted))
    return count


def _lost(ended: Ended, found: dict[str, str], wanted: dict[str, str]) -> str:
    """Return why a run that went on is lost, "" where it is whole."""
    if ended.status:
        return f"status {ended.status}, {ended.err[-300:]!r}"
    other = different(found, wanted)
    return f"{other} differ" if other else ""


def spoilt(data: bytes, how: str, draw: random.Random) -> bytes:
    """Return a file's bytes spoilt in one of several ways."""
    if how == "cut":
        return data[: draw.randrange(len(data))] if data else b""
    if how == "flipped" and data:
        held = bytearray(data)
        held[draw.randrange(len(held))] ^= 1 << draw.randrange(8)
        return bytes(held)
    return {"emptied": b"", "foreign": draw.randbytes(200), "doubled": data + data}.get(how, data)


HARMS = ("cut", "emptied", "flipped", "foreign", "doubled", "removed")


def harm(file: Path, draw: random.Random) -> str:
    """Spoil a file or remove it, and return what was done."""
    how = draw.choice(HARMS)
    data = file.read_bytes()
    file.unlink()
    if how != "removed":
        file.write_bytes(spoilt(data, how, draw))
    return f"{file.name} {how}"


def damage(world: Path, tries: int, draw: random.Random) -> Count:
    """Damage one file of a finished run's cache, a kind of file at a time, and go on with it."""
    count, run, kept = Count("damage"), world / "run", world / "ref"
    if not (run / "run.json").exists():
        command(words(world), world)
    wanted = results(run)
    shutil.copytree(run, kept, dirs_exist_ok=True)
    by_kind: dict[str, list[Path]] = {}
    for file in sorted((kept / "cache").rglob("*")):
        if file.is_file() and file.name != "lock":
            by_kind.setdefault(file.name, []).append(file.relative_to(kept))
    for number in range(tries):
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        files = by_kind[sorted(by_kind)[number % len(by_kind)]]
        done = harm(run / draw.choice(files), draw)
        count.add(done, _lost(command(words(world), world), results(run), wanted))
    shutil.rmtree(kept)
    return count


# ---------------------------------------------------------------------- stale code


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
        lost = _lost(again, results(here / "run"), results(here / "fresh")) or told
        if not fresh.status and not different(before, results(here / "fresh")):
            lost = "the edit changes nothing"
        count.add(what, lost)
        shutil.rmtree(here)
    return count


# ---------------------------------------------------------------------- neighbours

NEIGHBOURS = {
    "os._exit": "import os; os._exit(0)",
    "sys.exit": "import sys; sys.exit()",
    "raises": "raise ValueError('no')",
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "threads": "torch.set_num_threads(3)",
    "working folder": "import os; os.chdir('/')",
    "mkldnn": "torch._C._set_mkldnn_enabled(False)",
    "a function of torch": "torch.nn.functional.relu = lambda x, *a, **k: x",
    "a method of tensors": "torch.Tensor.relu = lambda x: x",
    "a layer's forward": "torch.nn.Conv2d.forward = lambda s, x: x",
    "the map layer": "subject.cam_layer = 'first'",
    "weights": "subject.network.dense.weight.data.zero_()",
    "training mode": "subject.network.train()",
    "a hook": "subject.network.first.register_forward_hook(lambda m, i, o: o * 2)",
    "global hooks": "torch.nn.modules.module.register_module_forward_hook(lambda m, i, o: None)",
    "generators": "np.random.seed(0); torch.manual_seed(0); import random; random.seed(0)",
    "grad mode": "torch.set_grad_enabled(False)",
    "NumPy's errors": "np.seterr(all='raise')",
    "sleeps": "import time; time.sleep(10**6)",
    "spins": "while True: pass",
    "a thread": "import threading, time; threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()",
    "not a number": "images = images * np.nan",
    "another shape": "images = images[:, :, :2]",
    "closes the output": "import sys; sys.stdout = None",
}


def neighbours(world: Path, draw: random.Random) -> Count:
    """Run beside an explainer at fault, and compare the others' scores with those without it."""
    del draw
    import pandas as pd

    count = Count("neighbours")
    command(words(world, "alone"), world, paged=False)
    wanted = pd.read_parquet(world / "alone" / "scores.parquet")
    for number, (what, line) in enumerate(NEIGHBOURS.items()):
        bad = f"bad{number}"
        body = "\n    ".join(line.split("; "))
        text = f"import numpy as np\nimport torch\ndef {bad}(subject, images, targets):\n    {body}\n"
        (world / f"{bad}.py").write_text(f"{text}    return images[:, 0] * (1 + targets[:, None, None])\n")
        out = f"beside-{number}"
        asked = words(world, out, (f"{bad}.py:{bad}", "explain.py:mine"))
        ended = command([*asked, "--time-limit", "20"], world, paged=False)
        lost = f"status {ended.status}, {ended.err[-300:]!r}" if ended.status else ""
        if not lost:
            found = pd.read_parquet(world / out / "scores.parquet")
            others = found[found["explainer"] != bad].reset_index(drop=True)
            lost = "" if others.equals(wanted) else "others' scores moved"
        count.add(what, lost)
        shutil.rmtree(world / out, ignore_errors=True)
    return count


# ---------------------------------------------------------------------- inputs

Bad = tuple[str, list[str]]
"""What is wrong, and the words of a command."""

STRANGE = (
    "",
    " ",
    "a\x1b[2J",
    "x" * 300,
    "\ud800",
    "\u202egnp",
    "=1+1",
    "<b>",
    "../../x",
    "all",
    "recall",
    "\n",
    "é" * 90,
)
"""Names that would do harm on a screen, in a table, a page or a file system."""


def inputs(world: Path, draw: random.Random) -> Iterator[Bad]:
    """Yield spoilt inputs for ever, of one kind after the other."""
    while True:
        for kind in (_tables, _arrays, _folders, _weights, _subjects, _explainers, _options, _names, _runs):
            yield kind(world, draw)


def _run_with(world: Path, **changed: str) -> list[str]:
    """Return the words of a small run with some of them changed."""
    held = {
        "subject": f"{world}/net.py:make",
        "faces": f"{world}/faces.npz",
        "explainer": "gradient",
        "check": "deletion-spectrum",
        "per-class": "1",
        "feed": "contiguous:64",
        "out": f"{world}/bad",
    }
    return ["run", *(f"--{name}={value}" for name, value in {**held, **changed}.items())]


def _tables(world: Path, draw: random.Random) -> Bad:
    text = (world / "faces.csv").read_bytes()
    how = draw.choice([*HARMS[:4], "words", "encoding"])
    data = spoilt(text, how, draw)
    if how == "words":
        parts = text.split(b" ")
        parts[draw.randrange(len(parts))] = draw.choice(
            [b"256", b"-1", b"1.5", b"", b"nan", b'"', b"\x00", b"1,1", b"\n"]
        )
        data = b" ".join(parts)
    if how == "encoding":
        data = text.decode().encode(draw.choice(["utf-16", "utf-32", "cp037"]))
    file = world / "bad.csv"
    file.write_bytes(data)
    return f"csv {how}", _run_with(world, faces=str(file))


def _arrays(world: Path, draw: random.Random) -> Bad:
    file, how = world / "bad.npz", draw.choice([*HARMS[:4], "content"])
    if how != "content":
        file.write_bytes(spoilt((world / "faces.npz").read_bytes(), how, draw))
        return f"npz {how}", _run_with(world, faces=str(file))
    images = np.zeros((4, SIDE, SIDE), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None]
    contents: list[dict[str, np.ndarray]] = [
        {"images": images.astype(float) * np.nan},
        {"images": images[:0]},
        {"images": images[:, :0]},
        {"images": images[:1]},
        {"images": images.astype(np.int64) - 9},
        {"images": images[..., None].repeat(5, -1)},
        {"images": images, "labels": np.arange(9)},
        {"images": images, "labels": np.array(["a", "b", "c", "d"])},
        {"images": images, "labels": np.full(4, 7)},
        {"images": images, "ids": np.zeros(4, int)},
        {"images": images, "classes": np.array("left")},
        {"images": images, "persons": np.arange(3)},
        {"pictures": images},
        {"images": np.array("text")},
    ]
    held = draw.choice(contents)
    np.savez(file, **held)  # type: ignore[arg-type]
    return f"npz {sorted(held)}", _run_with(world, faces=str(file))


def _folders(world: Path, draw: random.Random) -> Bad:
    folder = world / "bad-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world / "pictures", folder)
    file = draw.choice(sorted(folder.rglob("*.png")))
    how = draw.choice([*HARMS, "pipe", "another size", "no class", "loop", "name", "empty", "bomb"])
    if how in HARMS:
        how = harm(file, draw)
    elif how == "pipe":
        os.mkfifo(folder / "left" / "9.png")
    elif how == "another size":
        Image.new("L", (5, 7)).save(file)
    elif how == "no class":
        shutil.move(file, folder / "loose.png")
    elif how == "loop":
        (folder / "left" / "loop").symlink_to(folder)
    elif how == "name":
        (folder / "left").rename(folder / draw.choice(["recall", "a\x1b[2J", "=1+1", "\u202egnp", "x" * 150]))
    elif how == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    else:
        header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x00\x00\x00\x00"
        file.write_bytes(header + draw.randbytes(30))
    return f"pictures {how}", _run_with(world, faces=str(folder))


def _weights(world: Path, draw: random.Random) -> Bad:
    made = draw.choice(["safetensors", "pt"])
    file, good = world / f"bad.{made}", {"dense.weight": torch.zeros(2, 3), "dense.bias": torch.zeros(2)}
    if made == "pt":
        held = io.BytesIO()
        torch.save(draw.choice([good, [1], {"a": {"b": 1}}, {}]), held)
        data = held.getvalue()
    else:
        save_file(good, file)
        data = file.read_bytes()
    how = draw.choice([*HARMS[:4], "as it is"])
    file.write_bytes(spoilt(data, how, draw))
    subject = draw.choice([f"{world}/net.py:make@{file}", *([str(file)] if made == "safetensors" else [])])
    return f"{made} weights {how}", _run_with(world, subject=subject)


SUBJECT = "import torch\nfrom torch import nn\nfrom net import Net\nfrom harness.subject import InputSpec, Subject\n"
SUBJECTS = (
    "return None",
    "return 3",
    "return nn.Linear(2, 2)",
    "raise OSError('disk')",
    "import absent_module",
    "return Subject(Net(), name='n', classes=('a',), spec=InputSpec(12, 12))",
    "return Subject(Net(), name='n', classes=('a', 'a'), spec=InputSpec(12, 12))",
    "return Subject(Net(), name='n', classes=('a', 3), spec=InputSpec(12, 12))",
    "return Subject(Net(), name='n', classes=('a', 'b'), spec=InputSpec(12, 12, (.5,), (0.,)))",
    "return Subject(Net(), name='n', classes=('a', 'b'), spec=InputSpec(0, 12))",
    "return Subject(Net(), name='n', classes=('a', 'b'), spec=InputSpec(12, 12), cam_layer='none')",
    "return Subject(nn.Sequential(nn.Flatten()), name='n', classes=('a', 'b'), spec=InputSpec(12, 12))",
    "return torch.jit.trace(Net(), torch.zeros(1, 1, 12, 12))",
    "return Subject(Net().half(), name='n', classes=('left', 'right'), spec=InputSpec(12, 12))",
    "n = Net(); n.dense.weight.data.fill_(float('nan')); "
    "return Subject(n, name='n', classes=('left', 'right'), spec=InputSpec(12, 12))",
    "import os; os._exit(0)",
    "import sys; sys.exit(0)",
    "return object()",
    "return lambda x: x",
    "def",
)


def _subjects(world: Path, draw: random.Random) -> Bad:
    body = draw.choice([*SUBJECTS, f"return Subject(Net(), name={draw.choice(STRANGE)!r}, classes=('left', 'right'), "
                                   "spec=InputSpec(12, 12))"])  # fmt: skip
    file = world / f"subject{draw.randrange(10**9)}.py"
    lines = "\n    ".join(body.split("; "))
    file.write_bytes(f"{SUBJECT}def make():\n    {lines}\n".encode("utf-8", "surrogatepass"))
    return f"subject {body!r:.90}", _run_with(world, subject=f"{file}:make")


EXPLAINERS = (
    "def f(): return 1",
    "def f(subject): return 1",
    "def f(subject, images, targets): return None",
    "def f(subject, images, targets): return 'text'",
    "def f(subject, images, targets): return images",
    "def f(subject, images, targets): return images[:, 0] * float('nan')",
    "def f(subject, images, targets): return images[:, 0].to(torch.complex64)",
    "def f(subject, images, targets): return [None] * len(images)",
    "def f(subject, images, targets): raise KeyError()",
    "def f(subject, images, targets): raise Exception('\\x1b[2J\\n\\n' + 'x' * 5000)",
    "def f(subject, images, targets): import os; os._exit(0)",
    "def f(subject, images, targets): return subject.layer('absent')",
    "def f(subject, images, targets): return f(subject, images, targets)",
    "def f(subject, images, targets, *, seed, needed): return images[:, 0]",
    "async def f(subject, images, targets): return images[:, 0]",
    "def f(subject, images, targets): yield images[:, 0]",
    "class f: pass",
    "f = 3",
    "f = lambda subject, images, targets: images[:, 0]",
    "raise OSError('disk')",
    "import sys; sys.exit(3)",
    "import os; os._exit(0)",
    "import absent",
    "def f(",
    "f = torch.nn.Linear(2, 2)",
    "f = dict",
)


def _explainers(world: Path, draw: random.Random) -> Bad:
    named = "from harness import explainer\n@explainer(name={!r})\ndef f(subject, images, targets): return images[:, 0]"
    body = draw.choice([*EXPLAINERS, named.format(draw.choice(STRANGE))])
    file = world / f"explainer{draw.randrange(10**9)}.py"
    how = draw.choice(["", "", "", "cut", "flipped"])
    file.write_bytes(spoilt(f"import torch\n{body}\n".encode("utf-8", "surrogatepass"), how, draw))
    return f"explainer {how} {body!r:.90}", _run_with(world, explainer=f"{file}:f")


VALUES = (
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "abc",
    "2**40",
    "4294967296",
    "٣",
    "a:b",
    ":",
    "/",
    "/dev/null",
    "..",
    *STRANGE,
)


def _options(world: Path, draw: random.Random) -> Bad:
    names = ("subject", "faces", "explainer", "check", "per-class", "seed", "device", "feed", "profile", "groups")
    name = draw.choice([*names, "metric", "random-labels", "engine", "time-limit", "nonsense", "out"])
    value = draw.choice(VALUES).replace("\ud800", "")
    if name == "out" and value in ("", " ", "..", "/"):
        value = "/dev/null"
    return f"--{name}={value!r}", _run_with(world, **{name: value})


def _names(world: Path, draw: random.Random) -> Bad:
    file, name = world / "named.npz", draw.choice(STRANGE)
    held = dict(np.load(world / "faces.npz"))
    with contextlib.suppress(UnicodeEncodeError):
        np.savez(file, **{**held, "classes": np.array([name, "right"])})
    other = draw.choice(["table", "report", "compare"])
    if draw.random() < 0.5:
        return f"class {name!r:.40}", _run_with(world, faces=str(file))
    return f"{other} of {name!r:.40}", [other, name.replace("\ud800", "") or "absent"]


def _runs(world: Path, draw: random.Random) -> Bad:
    """Spoil a file of a finished run, and read it."""
    kept, run = world / "finished", world / "spoilt"
    if not kept.exists():
        command(words(world, "finished"), world, paged=False)
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(kept, run, ignore=shutil.ignore_patterns("cache"))
    files = sorted(file for file in run.iterdir() if file.suffix in (".json", ".parquet", ".npz"))
    file = run / "run.json" if draw.random() < 0.4 else draw.choice(files)
    done = harm(file, draw)
    if draw.random() < 0.3:
        text = (kept / "run.json").read_text()
        what = draw.choice(["schema_version", "explainers", "checks", "subject", "classes", "seed"])
        (run / "run.json").write_text(text.replace(f'"{what}":', f'"{what}-as-was":', 1))
        done += f", {what} renamed"
    reader = draw.choice([["table"], ["compare"], ["report"], ["table", "--metric", "deletion-auc"]])
    return f"{' '.join(reader)} of a run with {done}", [reader[0], str(run), *reader[1:]]


def judged(ended: Ended) -> str:
    """Return why an input is lost: a traceback, another status than 0, 1 and 2, or refused in other than one line."""
    if "Traceback" in ended.err or ended.status not in (0, 2):
        return f"status {ended.status}: {' | '.join(ended.lines[-2:])[:300]}"
    told = [line for line in ended.lines if line.startswith("harness:")]
    if ended.status == 2 and len(ended.lines) != 1:
        return f"{len(ended.lines)} lines: {' | '.join(ended.lines)[:300]}"
    return "" if ended.status == 0 or told else "nothing is said"


def fed(world: Path, tries: int, draw: random.Random) -> Count:
    """Give the command spoilt inputs."""
    count = Count("inputs")
    for what, arguments in inputs(world, draw):
        if count.tried == tries:
            return count
        shutil.rmtree(world / "bad", ignore_errors=True)
        count.add(what, judged(command(arguments, world)))
    return count


# ---------------------------------------------------------------------- the table

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
