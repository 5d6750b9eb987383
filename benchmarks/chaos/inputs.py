"""Wrong inputs, generated and spoilt."""

import contextlib
import io
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.chaos.commands import Ended, command
from benchmarks.chaos.harms import HARMS, harm, spoilt
from benchmarks.chaos.world import SIDE, Count, words

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
