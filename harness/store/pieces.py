"""Pieces of a run: arrays and tables under a key of their content, with the digests of their files.

A piece is whole or it is not there. What is missing, half written, emptied, changed by a bit or kept by an older
version has another digest than was noted when the piece was finished; it is made again and never read.
"""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

FINISHED = "complete"
"""The file of a piece that is written last: the digest of each of its files."""
Files: TypeAlias = dict[str, bytes]
"""The files of a piece by name, the last one last."""


def file_name(part: str, value: Any) -> str:
    """Return under which name one part of a piece is kept."""
    return f"{part}.parquet" if isinstance(value, pd.DataFrame) else f"{part}.npz"


def note(files: Mapping[str, str]) -> str:
    """Return what the last file of a piece says: its files' digests."""
    return json.dumps(dict(files), indent=1) + "\n"


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_piece(folder: Path) -> dict[str, Any] | None:
    """Return the arrays and tables of a piece, or None where it is not there, damaged or of another version."""
    try:
        noted = json.loads((folder / FINISHED).read_bytes())
        return {Path(name).stem: _read(folder, str(name), noted[name]) for name in noted}
    except Exception:  # damaged bytes make a reader stumble over anything
        return None


def packed(folder: Path) -> Files | None:
    """Return the files of a piece as they are, to be sent; None where it is not there or not what was written."""
    try:
        noted = (folder / FINISHED).read_bytes()
        files = {str(name): (folder / name).read_bytes() for name in json.loads(noted)}
    except Exception:  # damaged bytes make a reader stumble over anything
        return None
    files[FINISHED] = noted
    return files if is_whole(files) else None


def is_whole(files: Files) -> bool:
    """Whether files that were sent are those of one piece, and what their maker wrote."""
    try:
        noted = json.loads(files[FINISHED])
        found = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != FINISHED}
        return bool(found == noted) and all(Path(name).name == name for name in found)
    except Exception:  # damaged bytes make a reader stumble over anything
        return False


def _read(folder: Path, name: str, expected: str) -> Any:
    """Return one part of a piece.

    Raises
    ------
    ValueError
        Where the file is not the one that was noted.
    """
    if Path(name).name != name:
        raise ValueError(f"{name} lies outside its piece")
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError(f"{name} is not what was written")
    if name.endswith(".parquet"):
        return pd.read_parquet(BytesIO(data))
    with np.load(BytesIO(data), allow_pickle=False) as held:
        return held["value"]
