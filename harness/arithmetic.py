"""On what arithmetic a run is made: processor, instructions, threads, feed and library builds.

Sums in another order differ in their last bits. Nothing that is said of an explainer may hang on those, which
``make portability`` shows; but pieces made on one arithmetic are never mixed with those of another, and a run says on
which it was made.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping
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


LIBRARIES = ("captum", "lime", "scipy", "pandas", "scikit-image")
"""What else computes maps and scores: pieces of another version of theirs are kept apart too."""

TORCH_SETTINGS: Mapping[str, tuple[Callable[[], object], object]] = {
    "default dtype": (torch.get_default_dtype, torch.float32),
    "mkldnn": (torch._C._get_mkldnn_enabled, True),
    "float32 matmul precision": (torch.get_float32_matmul_precision, "highest"),
    "cudnn.allow_tf32": (torch._C._get_cudnn_allow_tf32, True),
    "cudnn.benchmark": (torch._C._get_cudnn_benchmark, False),
    "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, False),
}
"""What a user's file may set for a process, with what it is where nobody does."""


def machine() -> dict[str, str]:
    """Return on what numbers are made in this process, whatever the network."""
    return {
        "processor": _processor(),
        "instructions": f"{torch.backends.cpu.get_cpu_capability()} (ATen)",
        "switches": " ".join([*_environment(), *_torch_settings()]) or "none",
        "threads": str(torch.get_num_threads()),
        "torch": f"{torch.__version__}, {_torch_builds()}",
        "numpy": f"{np.__version__}, {_numpy_build()}",
        "libraries": ", ".join(f"{name} {package_version(name)}" for name in LIBRARIES),
    }


def package_version(package: str) -> str | None:
    """Return an installed package's version; None for one that is used from its folder."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _environment() -> list[str]:
    """Return the variables that hold libraries to other instructions."""
    return [f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ]


def _torch_settings() -> list[str]:
    """Return the settings of this process that are not as torch comes."""
    held = {name: _setting(get) for name, (get, _) in TORCH_SETTINGS.items()}
    return [f"{name}={held[name]}" for name, (_, usual) in TORCH_SETTINGS.items() if held[name] != usual]


def _setting(get: Callable[[], object]) -> object:
    """Return a setting; where it was set by torch's older and newer names in turn, torch tells none."""
    try:
        return get()
    except RuntimeError:
        return "mixed"


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
