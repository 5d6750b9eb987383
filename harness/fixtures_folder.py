"""Where the pictures and networks that come with the package lie."""

from pathlib import Path

from harness.errors import UsageError


def fixtures_folder() -> Path:
    """Return the folder that holds ``faces`` and ``models``: inside an installed package, or beside a checkout's.

    Raises
    ------
    UsageError
        Where neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "fixtures", package.parent / "fixtures"):
        if (folder / "faces").is_dir() and (folder / "models").is_dir():
            return folder
    raise UsageError(
        f"the bundled faces and networks are not beside {package}; install the wheel or work in a full checkout"
    )


def fixture(relative: str) -> Path:
    """Return the path of one bundled file, such as ``models/faces-cnn.safetensors``.

    Raises
    ------
    UsageError
        Where it is missing.
    """
    path = fixtures_folder() / relative
    if not path.is_file():
        raise UsageError(
            f"the bundled file {path} is missing; restore it from the checkout or install the package again"
        )
    return path
