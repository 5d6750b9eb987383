"""``harness doctor``: what this machine has, for a reader and for a report of a fault."""

import argparse
import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path

import torch

from harness import __version__
from harness.arithmetic import machine, package_version
from harness.cli.status import DONE
from harness.errors import UsageError
from harness.evaluation.provenance import PACKAGES
from harness.fetching import OUTSIDE, cache_folder, cached
from harness.store import shared_pieces

OPTIONAL = {"keras": "keras", "onnx": "onnx2torch", "timm": "timm", "huggingface": "transformers"}
"""Packages that read other networks, by the extra that installs them."""


def doctor_command(options: argparse.Namespace) -> int:
    """Print what there is, what is missing and how to bring it."""
    found = findings()
    if options.json:
        print(json.dumps(found, indent=2))
        return DONE
    for part, rows in found.items():
        print(part)
        for name, said in rows.items():
            print(f"  {name:24} {said}")
    return DONE


def findings() -> dict[str, dict[str, str]]:
    """Return what was found, part by part."""
    return {
        "this harness": {"version": __version__, "python": f"{platform.python_version()} on {platform.platform()}"},
        "arithmetic": {**_calculating(), "cores": str(os.cpu_count() or "unknown")},
        "devices": _devices(),
        "packages": {name: package_version(name) or "not installed" for name in PACKAGES[1:]},
        "reads other networks": {name: _optional(name, module) for name, module in OPTIONAL.items()},
        "fetched": {name: _fetched(name) for name in OUTSIDE},
        "cache": {"folder": str(cache_folder()), "size": _size(cache_folder())},
        "pieces that runs share": _shared(),
    }


def _calculating() -> dict[str, str]:
    """Return on what numbers are made; packages have a part of their own."""
    return {what: held for what, held in machine().items() if what != "libraries"}


def _shared() -> dict[str, str]:
    """Say where pieces that runs share are, and how much room they take."""
    shared = shared_pieces()
    if shared is None:
        return {"folder": "none: runs share nothing"}
    return {"folder": str(shared.path), "size": f"{shared.size() / 2**20:.1f} of {shared.limit / 2**20:.0f} MiB"}


def _devices() -> dict[str, str]:
    """Return the devices that ``--device`` may name."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    held = {f"cuda:{number}": torch.cuda.get_device_name(number) for number in range(count)}
    return {"cpu": "there", "cuda": "not there" if not held else f"{len(held)} there", **held}


def _optional(extra: str, module: str) -> str:
    """Say whether a package is there, and how to bring it."""
    return "installed" if find_spec(module) else f"not installed: pip install explanation-harness[{extra}]"


def _fetched(name: str) -> str:
    """Say whether something outside has been brought and is whole."""
    try:
        cached(name)
    except UsageError as error:
        return str(error)
    return f"there ({OUTSIDE[name].licence})"


def _size(folder: Path) -> str:
    """Return the size of a folder's files."""
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    return f"{held / 2**20:.1f} MiB"
