"""On what arithmetic a run is made: processor, instructions, threads, feed and library builds.

Sums in another order differ in their last bits. Nothing that is said of an explainer may hang on those, which
``make portability`` shows; but pieces made on one arithmetic are never mixed with those of another, and a run says on
which it was made.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from harness.digest import digest
from harness.errors import UsageError
from harness.importing import reason
from harness.store import RunFolder
from harness.subject import Feed, Subject, copied

SWITCHES = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
"""Environment variables by which a user, or a test, holds libraries to other instructions."""
FEED_FILE = "feed.json"
AUTO = "auto"


def on_arithmetic(subject: Subject, folder: RunFolder, asked: str = AUTO) -> RunFolder:
    """Give a subject the feed of a run (:func:`settle_feed`), and return the folder with this arithmetic's pieces."""
    settle_feed(subject, folder, asked)
    return folder.of(digest(arithmetic(subject)))


def settle_feed(subject: Subject, folder: RunFolder, asked: str = AUTO) -> Subject:
    """Give a subject the feed of a run, and return it.

    A run has one feed: asked for, or chosen by measurement by the first process that needs it, written in the run
    folder at once and taken again by every other process and by every resumption. One that is asked for replaces it;
    pieces of another feed are kept apart.

    Parameters
    ----------
    subject
        Fed so from now on.
    folder
        Where the feed is written.
    asked
        :data:`AUTO`, or a text as :meth:`harness.subject.Feed.read` takes it.

    Raises
    ------
    UsageError
        Where the text names no feed, the network does not take it, or the folder cannot be written or holds a damaged
        file.
    """
    key = f"{subject.digest} {subject.device}"
    if asked != AUTO:
        feed = _taken(subject, Feed.read(asked))
        held = _held(folder)
        if held.get(key) != str(feed):
            folder.write_json(FEED_FILE, {**held, key: str(feed)})
        return subject.fed(feed)
    if key not in _held(folder):
        chosen = {key: _measured(subject, folder)}
        # Another process may have chosen meanwhile; then its choice is the run's.
        if key not in folder.first_json(FEED_FILE, chosen):
            folder.write_json(FEED_FILE, {**_held(folder), **chosen})
    text = _held(folder)[key]
    try:
        return subject.fed(Feed.read(text))
    except UsageError as error:
        raise UsageError(f"{folder.path / FEED_FILE} is damaged ({error}); remove it, or give --feed") from error


def _measured(subject: Subject, folder: RunFolder) -> str:
    """Return the feed that is best for a network on this machine, measured once for all runs that share pieces."""
    key = digest("feed", subject.digest, str(subject.device), machine())
    found = folder.remembered(key, lambda: {"feed": np.array(str(subject.tuned().feed))})
    return str(found["feed"])


def _held(folder: RunFolder) -> Mapping[str, str]:
    """Return the feeds that a run folder holds, by subject and device."""
    held = folder.read_json(FEED_FILE) if (folder.path / FEED_FILE).is_file() else {}
    if not all(isinstance(text, str) for text in held.values()):
        raise UsageError(f"{folder.path / FEED_FILE} is damaged (it names no feeds); remove it, or give --feed")
    return held


def _taken(subject: Subject, feed: Feed) -> Feed:
    """Return the feed, or refuse it where the network does not run on it; the passes are not counted."""
    spec, network = subject.spec, copied(subject.network)
    blank = torch.zeros(feed.forward_batch, spec.channels, spec.height, spec.width, dtype=subject.dtype)
    blank = blank.to(subject.device).contiguous(memory_format=feed.layout())
    try:
        with torch.no_grad():
            network.to(memory_format=feed.layout())(blank)  # type: ignore[call-overload]
    except Exception as error:  # whatever a user's network raises
        raise UsageError(
            f"--feed {feed}: subject {subject.name!r} does not run on it ({reason(error)}); give another, or auto"
        ) from error
    return feed


def arithmetic(subject: Subject) -> dict[str, str]:
    """Return on what numbers are made, by what it is called; equal on two runs where their last bits should be."""
    return {**machine(), "device": _device(subject.device), "feed": str(subject.feed)}


def machine() -> dict[str, str]:
    """Return on what numbers are made in this process, whatever the network."""
    return {
        "processor": _processor(),
        "instructions": f"{torch.backends.cpu.get_cpu_capability()} (ATen)",
        "switches": " ".join(f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ) or "none",
        "threads": str(torch.get_num_threads()),
        "torch": f"{torch.__version__}, {_torch_builds()}",
        "numpy": f"{np.__version__}, {_numpy_build()}",
    }


def _processor() -> str:
    """Return the processor's own name where the system tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'unknown'} ({platform.machine()})"


def _device(device: torch.device) -> str:
    """Return the device with its own name."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _torch_builds() -> str:
    """Return the libraries that torch computes with."""
    said = torch.__config__.show().splitlines()
    parts = [
        line.strip("- ").split(" for ")[0].split(" (Git")[0] for line in said if "Math Kernel" in line or "DNN" in line
    ]
    return ", ".join(part for part in parts if not part.startswith("Build settings")) or "no MKL"


def _numpy_build() -> str:
    """Return the library that NumPy multiplies with."""
    built = np.show_config(mode="dicts") or {}
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'no BLAS')} {blas.get('version', '')}".strip()
