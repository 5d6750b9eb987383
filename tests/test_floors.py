"""The lowest versions that are allowed are those that are tried."""

import tomllib

import pytest
from floors import PYPROJECT, floors


def test_every_dependency_is_held_to_its_floor() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    asked = len(project["dependencies"]) + len(project["optional-dependencies"]["dev"])
    found = list(floors(project))
    assert len(found) == asked
    assert all(name and version for name, version in (one.split("==") for one in found))


@pytest.mark.parametrize("written", ["torch", "torch<3", "torch~=2.4", "torch>=2.4,!=2.5"])
def test_a_dependency_without_a_plain_floor_is_an_error(written: str) -> None:
    with pytest.raises(ValueError, match="names no floor"):
        list(floors({"dependencies": [written], "optional-dependencies": {"dev": []}}))


def test_a_range_is_held_to_its_lower_end() -> None:
    project = {"dependencies": ["torch>=2.4,<3"], "optional-dependencies": {"dev": ["ruff>=0.6"]}}
    assert list(floors(project)) == ["torch==2.4", "ruff==0.6"]
