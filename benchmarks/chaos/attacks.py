"""Files and names that were made to run code, to lie, to fill memory or to hang."""

import io
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.chaos.commands import Ended, command
from benchmarks.chaos.inputs import judged
from benchmarks.chaos.world import CLASSES, Count, words
from harness.faces.loading import load_faces
from harness.store import RunFolder
from harness.store.pieces import FINISHED, note, read_piece, sha256

MARKER = "code-has-run"
HOSTILE = (
    '=HYPERLINK("http://a/","b")',
    "\x1b]0;a\x07\x1b[2J",
    "<img src=x onerror=alert(1)>",
    "a\nharness: passes",
    "\u202ea",
)
"""Names that speak to a spreadsheet, a terminal, a browser, a reader of lines and a reader of letters."""
NAMED = (*HOSTILE, "../../x", "recall", "class", "mean-face", "M" * 300)
SUBJECT = """
import torch
from torch import nn
from harness.subject import InputSpec, Subject
from net import Net
def make(): return Subject(Net(), name={name!r}, classes={classes!r}, spec=InputSpec(12, 12))
"""
KERAS = '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {"function": "gA=="}}]}}'


class _Runs:
    """What leaves a marker where it is unpickled."""

    def __init__(self, world: Path) -> None:
        self._marker = str(world / MARKER)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (self._marker,)


def attacks(world: Path) -> Count:
    """Attack, and count what did other than be refused in one line or do no harm."""
    count = Count("attacks")
    for what, attack in (*_files(world), *_names(world), *_waits(world), *_stored(world)):
        outside = {file.name for file in world.parent.iterdir()}
        lost = attack()
        if (world / MARKER).exists():
            lost = "code has run"
            (world / MARKER).rmdir()
        if {file.name for file in world.parent.iterdir()} != outside:
            lost = "something was written outside the folder"
        count.add(what, lost)
        shutil.rmtree(world / "bad", ignore_errors=True)
    return count


Attacks = Iterator[tuple[str, Callable[[], str]]]


def _run(world: Path, **changed: str) -> str:
    """Run the command with some words changed, and return what was lost by it."""
    return _refused(command(_words(world, **changed), world, paged=False))


def _words(world: Path, **changed: str) -> list[str]:
    """Return the words of a small run with some of them changed."""
    held = words(world, "bad")
    for name, value in changed.items():
        held[held.index(f"--{name}") + 1] = value
    return held


def _refused(ended: Ended) -> str:
    """Return why a command was not refused in one line that holds no letter of control."""
    if "\x1b" in ended.out + ended.err or "\u202e" in ended.out + ended.err:
        return "it speaks to the terminal"
    return judged(ended) or ("" if ended.status == 2 else "it was let in")


def _files(world: Path) -> Attacks:
    """Yield files that hold code, and files that unfold."""
    runs = _Runs(world)
    (world / "object.npz").unlink(missing_ok=True)
    np.savez(world / "object.npz", images=np.array([runs], dtype=object))
    yield "pickled arrays", lambda: _run(world, faces=str(world / "object.npz"))
    torch.save(runs, world / "w.pt")
    (world / "v.pt").write_bytes(pickle.dumps(runs))
    for name in ("w.pt", "v.pt"):
        yield f"pickled weights, {name}", partial(_run, world, subject=f"{world}/net.py:make@{world}/{name}")
    with zipfile.ZipFile(world / "code.keras", "w") as file:
        for name, text in {"config.json": KERAS, "metadata.json": "{}", "model.weights.h5": ""}.items():
            file.writestr(name, text)
    (world / "both.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + (world / "code.keras").read_bytes())
    for name in ("code.keras", "both.h5"):
        text = SUBJECT.replace("Net()", f"keras_network({str(world / name)!r})").format(name="k", classes=CLASSES)
        (world / f"{name[:4]}_net.py").write_text(f"from harness.models.outside import keras_network\n{text}")
        yield f"code in {name}", partial(_run, world, subject=f"{world}/{name[:4]}_net.py:make")
    facts = {"size": "20000", "mean": "[0.5]", "std": "[0.5]", "classes": '["a", "b"]'}
    save_file({"fc2.bias": torch.zeros(2)}, world / "large.safetensors", facts)
    yield "weights that claim a huge network", lambda: _run(world, subject=str(world / "large.safetensors"))
    about = str({"descr": "|u1", "fortran_order": False, "shape": (10**12, 48, 48)})
    about += " " * (64 - (len(about) + 11) % 64) + "\n"
    with zipfile.ZipFile(world / "claims.npz", "w") as file:
        file.writestr("images.npy", np.lib.format.magic(1, 0) + struct.pack("<H", len(about)) + about.encode())
    yield "arrays that claim a petabyte", lambda: _run(world, faces=str(world / "claims.npz"))
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "png")
    _pictures(world).joinpath(CLASSES[0], "9.png").write_bytes(bomb.getvalue())
    yield "a picture that unfolds", lambda: _run(world, faces=str(world / "attacked"))


def _names(world: Path) -> Attacks:
    """Yield names that do harm where they are shown or written."""
    for number, name in enumerate(NAMED):
        (world / f"named{number}.py").write_text(
            f"from harness import explainer\n@explainer(name={name!r})\ndef f(subject, images, targets):\n"
            "    return images[:, 0] * (1 + targets[:, None, None])\n",
            encoding="utf-8",
        )
        yield f"explainer {name[:20]!r}", partial(_harmless, world, explainer=f"{world}/named{number}.py:f")
    for number, name in enumerate([*HOSTILE, "../../x"]):
        text = SUBJECT.format(name=name, classes=CLASSES)
        (world / f"called{number}.py").write_text(text, encoding="utf-8")
        yield f"subject {name[:20]!r}", partial(_harmless, world, subject=f"{world}/called{number}.py:make")
    facts = {"size": "8", "mean": "[0.5]", "std": "[0.5]", "classes": str(list(HOSTILE)).replace("'", '"')}
    save_file({"fc2.bias": torch.zeros(5)}, world / "speaks.safetensors", facts)
    yield "weights whose classes speak", lambda: _run(world, subject=str(world / "speaks.safetensors"))
    for number, name in enumerate(("<30", ">30")):
        (world / "alike" / name).mkdir(parents=True, exist_ok=True)
        for each in range(2):
            Image.new("L", (12, 12), 9 + 40 * number + each).save(world / "alike" / name / f"{each}.png")
    found = load_faces(str(world / "alike"), ("<30", ">30")).labels
    yield (
        "classes that read alike",
        lambda: "" if found is not None and list(found) == [0, 0, 1, 1] else f"read as {found}",
    )


def _harmless(world: Path, **changed: str) -> str:
    """Run something of a strange name with its page; it is refused, or shown as letters."""
    ended = command(_words(world, **changed), world)
    if ended.status == 2:
        return _refused(ended)
    page = (world / "bad" / "report.html").read_text(encoding="utf-8")
    tables = [file.read_text(encoding="utf-8") for file in world.glob("bad/tables/*.csv")]
    cells = [line for table in tables for line in table.splitlines()]
    if (
        "Content-Security-Policy" not in page
        or "<img src=x" in page
        or any(line[:1] in "=+@" for line in cells if line)
    ):
        return "the page or a table speaks"
    return "it speaks to the terminal" if "\x1b" in ended.out + ended.err else ""


def _waits(world: Path) -> Attacks:
    """Yield what would be waited for, or gone round in, for ever."""
    pictures = _pictures(world)
    os.mkfifo(pictures / CLASSES[0] / "pipe.png")
    yield "a pipe among pictures", lambda: _run(world, faces=str(pictures))
    os.mkfifo(world / "pipe.safetensors")
    yield "a pipe as weights", lambda: _run(world, subject=str(world / "pipe.safetensors"))
    for name, target in (("zero.csv", "/dev/zero"), ("zero.npz", "/dev/zero")):
        (world / name).symlink_to(target)
        yield f"a device as {name}", partial(_run, world, faces=str(world / name))
    (world / "round").mkdir()
    (world / "round" / "left").symlink_to(world / "round")
    yield "a folder within itself", lambda: _run(world, faces=str(world / "round"))


def _stored(world: Path) -> Attacks:
    """Yield folders of runs that two commands want, that are mixed, or that lead elsewhere."""

    def held() -> str:
        with RunFolder(world / "bad").alone():
            return _run(world)

    yield "two commands on one folder", held
    for name in ("one", "other"):
        command([*words(world, name), "--seed", str(len(name))], world, paged=False)
    shutil.copy(world / "one" / "scores.parquet", world / "other" / "scores.parquet")
    yield "tables of two runs", lambda: _refused(command(["report", str(world / "other")], world))
    piece = world / "one" / "cache" / "piece"
    piece.mkdir()
    np.savez(world / "outside.npz", value=np.zeros(1))
    (piece / FINISHED).write_text(note({"../../../outside.npz": sha256(world / "outside.npz")}))
    yield "a piece that leads elsewhere", lambda: "it was read" if read_piece(piece) is not None else ""


def _pictures(world: Path) -> Path:
    """Return a folder of good pictures, made anew."""
    shutil.rmtree(world / "attacked", ignore_errors=True)
    return Path(shutil.copytree(world / "pictures", world / "attacked"))
