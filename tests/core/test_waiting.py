"""Idle threads sleep where the command starts, unless the user has said otherwise."""

import os
import subprocess
import sys

import pytest

PRINTS = "import os; print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))"
STARTS = {
    "the command": "import sys; sys.argv = ['harness', '--version']\nimport harness.__main__ as m\n"
    "try: m.main()\nexcept SystemExit: pass\n",
    "the suites": "import pytest\nfrom harness.pytest_entry import load_suites\n"
    "load_suites(pytest.PytestPluginManager())\n",
}


def environment_after(start: str, **given: str) -> str:
    kept = {name: value for name, value in os.environ.items() if "WAIT_POLICY" not in name and "SPIN" not in name}
    ran = subprocess.run([sys.executable, "-c", start + PRINTS], env=kept | given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_threads_sleep_by_default(start: str) -> None:
    assert environment_after(start) == "PASSIVE None"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}], ids=str)
def test_a_users_own_setting_stays(start: str, given: dict[str, str]) -> None:
    said = environment_after(start, **given)
    assert said == f"{given.get('OMP_WAIT_POLICY')} {given.get('GOMP_SPINCOUNT')}"


def test_nothing_is_set_once_torch_is_loaded() -> None:
    """It would do nothing here and change what the process starts."""
    start = "import torch\nfrom harness.waiting import wait_passively; wait_passively()\n"
    assert environment_after(start) == "None None"
