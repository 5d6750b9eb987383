"""``harness clean``: gives back the room that pieces take."""

import argparse

from harness.cli.status import DONE
from harness.errors import UsageError
from harness.store import RunFolder, shared_pieces


def clean_command(options: argparse.Namespace) -> int:
    """Take away pieces, of runs or those that runs share, and say what is lost by it."""
    if not options.folders and not options.store:
        raise UsageError("nothing to clean was named; give run folders, --store for what runs share, or both")
    runs = [RunFolder.existing(folder) for folder in options.folders]
    for run in runs:
        held = run.forget_pieces()
        print(f"{run.path}: {_mebibytes(held)} taken away; tables and page stay, more explainers cost all of it anew")
    if options.store:
        shared = shared_pieces()
        held = shared.size() if shared is not None else 0
        if shared is not None:
            shared.trim(0)
        where = shared.path if shared is not None else "nothing is shared"
        print(f"{where}: {_mebibytes(held)} taken away; the next run makes everything anew")
    return DONE


def _mebibytes(count: int) -> str:
    """Return bytes in words."""
    return f"{count / 2**20:.1f} MiB"
