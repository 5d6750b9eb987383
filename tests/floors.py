"""Prints the lowest versions that pyproject.toml allows, as constraints for pip: ``python tests/floors.py``."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("dev",)
_RANGE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*>=\s*(?P<floor>[0-9][0-9.]*)(\s*,\s*<\s*[0-9.]+)?(\s*;.*)?")


def floors(project: Mapping[str, Any]) -> Iterator[str]:
    """Yield a constraint for each dependency, and for those of `EXTRAS`, that holds it to its floor.

    Raises
    ------
    ValueError
        Where a dependency names no floor: what is allowed must have been tried.
    """
    asked = [*project["dependencies"], *(one for name in EXTRAS for one in project["optional-dependencies"][name])]
    for one in asked:
        found = _RANGE.fullmatch(one)
        if found is None:
            raise ValueError(f"pyproject.toml: '{one}' names no floor; write it as name>=version")
        yield f"{found['name']}=={found['floor']}"


if __name__ == "__main__":
    print("\n".join(floors(tomllib.loads(PYPROJECT.read_text())["project"])))
