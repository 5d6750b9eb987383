"""The notebooks run from top to bottom, show what they promise, and are committed without what they showed."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))
SHOWN = {
    "grad-cam": ("text/html", "image/png"),
    "add-a-method": ("text/html",),
    "my-own-data": ("text/html", "image/png"),
}
"""What a notebook has to show by itself: a run as tables, figures as pictures."""
SECONDS = 600
"""Most of a cell; generous, since it says that a cell hangs and not how fast it is."""


def left_over(notebook: dict[str, Any]) -> list[str]:
    """What of an execution a notebook still holds."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None or cell["metadata"]]
    return found + sorted(set(notebook["metadata"]["language_info"]) - {"name"})


def test_what_is_left_over_is_found() -> None:
    cell = {"cell_type": "code", "id": "a", "outputs": [], "execution_count": None, "metadata": {}}
    about = {"language_info": {"name": "python"}}
    assert left_over({"cells": [cell], "metadata": about}) == []
    assert left_over({"cells": [cell | {"execution_count": 1}], "metadata": about}) == ["a"]
    assert left_over({"cells": [cell | {"outputs": [{}]}], "metadata": about}) == ["a"]
    assert left_over({"cells": [], "metadata": {"language_info": {"name": "python", "version": "3"}}}) == ["version"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    assert left_over(json.loads(path.read_text(encoding="utf-8"))) == []


def test_every_notebook_is_known() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)


@pytest.mark.filterwarnings("ignore")  # of the packages that talk to the kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("nbclient", "nbformat", "ipykernel"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install explanation-harness[dev]")
    import nbclient
    import nbformat

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    held = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(held, timeout=SECONDS, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in held.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert set(SHOWN[path.stem]) <= set(kinds)
    (run,) = [
        output.data["text/html"] for output in outputs if "harness-run" in output.get("data", {}).get("text/html", "")
    ]
    assert "In short: what to use" in run
