"""Somebody else's package and this one, built as wheels and used where this repository is not."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_package"
PACKED = ("harness", "fixtures/faces", "fixtures/models", "pyproject.toml", "README.md")
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHONPATH", "COV_"))
} | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def said(*words: str | Path, folder: Path) -> str:
    """What a command prints; it must succeed."""
    made = subprocess.run(
        [str(word) for word in words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def wheel(source: Path, into: Path, backend: str) -> None:
    """Build a wheel with the backend that is installed, or with the one that pip fetches where it is not."""
    plain = ("--no-build-isolation",) if importlib.util.find_spec(backend) else ()
    said(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *plain, "-w", into, source, folder=into)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds both wheels, and sees what they depend on."""
    place = tmp_path_factory.mktemp("outside")
    # Copies, so that nothing is built into this repository, and only what is packed is looked through.
    package = place / "package"
    for part in PACKED:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        (package / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, package / part)
    example = shutil.copytree(
        EXAMPLE, place / "example", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg*")
    )
    wheels = place / "wheels"
    wheels.mkdir()
    wheel(package, wheels, "hatchling")
    wheel(example, wheels, "setuptools")
    said(sys.executable, "-m", "venv", "--without-pip", place / "env", folder=place)
    python = place / "env" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index")
    said(*pip, *sorted(wheels.glob("*.whl")), folder=place)
    site = said(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=place).strip()
    # After the install, and as a path alone: this repository's own .pth file there is not read.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def test_the_repository_is_not_on_the_path(python: Path, empty: Path) -> None:
    where = said(python, "-c", "import harness; print(harness.__file__)", folder=empty)
    assert Path(where.strip()).is_relative_to(python.parents[1])


def test_the_examples_own_tests_pass_and_fail_as_declared(python: Path, empty: Path) -> None:
    shutil.copy(EXAMPLE / "tests" / "test_brightness.py", empty)
    found = said(python, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", folder=empty)
    assert "3 passed, 1 xfailed" in found
    for id, outcome in (
        ("brightness-contract", "PASSED"),
        ("brightness-randomization-full", "XFAIL"),
        ("gradient-randomization-full", "PASSED"),
    ):
        assert f"test_explainer[{id}] {outcome}" in found


def test_the_suites_are_collected_from_the_package(python: Path, empty: Path) -> None:
    words = ("--pyargs", "harness.suites", "--collect-only", "-q", "--explainer", "brightness")
    found = said(python, "-m", "pytest", "-p", "no:cacheprovider", *words, folder=empty)
    assert "test_contract.py::test_clause[brightness-runs]" in found
    assert "test_what_counted.py::test_claim[brightness-cells-edges]" in found
    assert list(empty.iterdir()) == []


def test_the_plugin_is_silent_and_cheap_where_it_is_not_used(python: Path, empty: Path) -> None:
    (empty / "test_other.py").write_text(
        "import sys\n\ndef test_other(pytestconfig):\n    assert pytestconfig.pluginmanager.has_plugin('harness')\n"
        "    loaded = {name for name in sys.modules if name.split('.')[0] in ('harness', 'torch', 'pandas')}\n"
        "    assert loaded == {'harness', 'harness.process', 'harness.pytest_entry'}\n"
    )
    # jaxtyping has a plugin of its own, which loads NumPy.
    plain = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:jaxtyping")
    found = said(python, "-m", "pytest", *plain, folder=empty)
    assert "1 passed" in found
    assert "harness" not in found
    assert "--explainer" not in said(python, "-m", "pytest", *plain, "--help", folder=empty)
    assert "--explainer" in said(python, "-m", "pytest", *plain, "--harness", "--help", folder=empty)
